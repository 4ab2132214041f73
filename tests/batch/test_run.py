"""Batches with workers that only pretend: who gets which clip, and what happens when workers go."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from floatcli.batch import cluster
from floatcli.batch.ledger import Ledger
from floatcli.batch.run import ATTEMPTS, Batch
from floatcli.batch.worker import Shelf, Stopped, WorkerLostError
from floatcli.checkpoint import store
from floatcli.checkpoint.load import load_model
from floatcli.config import CropConfig, RunConfig
from floatcli.errors import DeviceError, InputError, WeightsError
from floatcli.jobs import Job
from floatcli.rows import append_row
from tests.conftest import write_wav


class Pretender:
    """Makes a file that says so."""

    gone = False
    abreast = RunConfig().abreast

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.at_work = self.most_at_work = self.prepared = 0
        self.stopped = threading.Event()
        self.lock = threading.Lock()

    def prepare(self) -> None:
        self.prepared += 1

    def make(self, job, progress):
        with self.lock:
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            self.work(job)
        finally:
            with self.lock:
                self.at_work -= 1
        job.out.write_text("a video")
        self.made[job.out.name] += 1
        progress(5, 5)
        return {"frames": 5, "fps": 25, "seed": 1, "digests": {"output": "?"}, "path": "?"}

    def work(self, job) -> None:
        pass

    def stop(self) -> None:
        self.stopped.set()


@pytest.fixture
def jobs(tmp_path) -> list[Job]:
    Image.new("RGB", (64, 64), "gray").save(tmp_path / "a.png")
    write_wav(tmp_path / "a.wav", 0.2)
    still = CropConfig("none")
    return [
        Job(tmp_path / "a.png", tmp_path / "a.wav", tmp_path / f"{k}.mp4", still, save_motion=False) for k in range(9)
    ]


@pytest.fixture
def batch(jobs, tmp_path, tiny_weights) -> Batch:
    return Batch(jobs, Ledger(tmp_path, tiny_weights, RunConfig()), tiny_weights)


def test_every_clip_is_made_once_by_somebody(batch, jobs, tmp_path):
    one, other = Pretender(), Pretender()
    frames = []
    ended = list(batch.run(lambda: [one, other], lambda job, done, total: frames.append((job.out.name, done, total))))
    assert {end.job for end in ended} == set(jobs)
    assert set((one.made + other.made).values()) == {1}
    assert sorted(frames) == [(job.out.name, 5, 5) for job in jobs]
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == len(jobs)


@pytest.mark.parametrize("together", [1, 3])
def test_a_worker_has_a_clip_more_than_those_that_compute_together(batch, together):
    class Slow(Pretender):
        abreast = RunConfig(together=together).abreast
        meeting = threading.Barrier(abreast)

        def work(self, job):
            if job.out.name < "8":  # the ninth has nobody to meet
                self.meeting.wait(10)

    worker = Slow()
    assert all(end.row["status"] == "done" for end in batch.run(lambda: [worker]))
    assert worker.most_at_work == together + 1


def test_every_worker_gets_a_clip_before_any_gets_more(batch):
    class Slow(Pretender):
        abreast = 4
        meeting = threading.Barrier(2)

        def work(self, job):
            if job.out.name < "2":
                self.meeting.wait(10)

    one, other = Slow(), Slow()
    list(batch.run(lambda: [one, other]))
    assert min(one.made.total(), other.made.total()) >= 1


def test_a_clip_whose_worker_is_lost_goes_to_another(batch, jobs):
    class Lost(Pretender):
        def work(self, job):
            self.gone = True
            raise WorkerLostError("its machine burns")

    lost, other = Lost(), Pretender()
    told = []
    ended = list(batch.run(lambda: [lost, other], notice=told.append))
    assert {end.row["status"] for end in ended} == {"done"}
    assert len(ended) == sum(other.made.values()) == len(jobs)
    assert set(told) == {"lost a worker: its machine burns"}


def test_a_clip_that_loses_every_worker_fails(batch):
    class Fragile(Pretender):
        tries = 0

        def work(self, job):
            if job.out.name == "3.mp4":
                Fragile.tries += 1
                raise WorkerLostError("it fell over")

    failed = [end for end in batch.run(lambda: [Fragile()]) if end.row["status"] == "failed"]
    assert [end.job.out.name for end in failed] == ["3.mp4"]
    assert failed[0].row["error"].startswith(f"its worker was lost {ATTEMPTS} times")
    assert (failed[0].row["code"], Fragile.tries) == (5, ATTEMPTS)


def test_where_no_worker_is_left_it_ends(batch):
    class Lost(Pretender):
        def work(self, job):
            self.gone = True
            raise WorkerLostError("no power")

    with pytest.raises(DeviceError, match=r"no worker is left for 9 of the clips: no power"):
        list(batch.run(lambda: [Lost()]))


def test_a_worker_that_never_gets_ready_keeps_nobody_waiting(batch, jobs):
    class Waiting(Pretender):
        def prepare(self):
            assert self.stopped.wait(20)
            raise WorkerLostError("no room")

    waiting, other = Waiting(), Pretender()
    before = threading.active_count()
    assert len(list(batch.run(lambda: [waiting, other]))) == len(jobs)
    assert waiting.stopped.is_set()
    assert threading.active_count() == before  # nobody goes on trying to get it ready


def test_weights_that_cannot_be_loaded_end_it_and_fail_no_clip(batch, tmp_path):
    class Unfit(Pretender):
        def prepare(self):
            raise WeightsError("torn", "fetch them again")

    with pytest.raises(WeightsError, match="torn"):
        list(batch.run(lambda: [Unfit()]))
    assert not (tmp_path / "results.jsonl").exists()


def test_closed_early_it_gives_up_what_is_at_work_and_keeps_what_has_ended(batch, tmp_path):
    class Endless(Pretender):
        def work(self, job):
            if job.out.name > "1":
                assert self.stopped.wait(10)
                raise Stopped

    worker = Endless()
    with closing(batch.run(lambda: [worker])) as ends:
        next(ends)
    assert worker.at_work == 0
    assert worker.made.total() == len((tmp_path / "results.jsonl").read_text().splitlines()) <= 2


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals go to no thread here")
def test_a_signal_that_does_not_wake_the_wait_for_a_clip_is_soon_seen(batch, monkeypatch):
    """As one that comes right before it; here another thread gets it."""
    seen = []

    class Signalled(Pretender):
        def work(self, job):
            time.sleep(0.2)  # by then it is waited for
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            seen.append(self.stopped.wait(10))
            raise Stopped

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with closing(batch.run(lambda: [Signalled()])) as ends, pytest.raises(KeyboardInterrupt):
            next(ends)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert all(seen)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals go to no thread here")
def test_a_signal_costs_no_row_that_is_being_written(batch, monkeypatch, tmp_path):
    def slowly(path, row):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        time.sleep(0.3)
        append_row(path, row)

    def interrupt(*_):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        raise KeyboardInterrupt

    monkeypatch.setattr("floatcli.batch.ledger.append_row", slowly)
    worker, before = Pretender(), signal.signal(signal.SIGUSR1, interrupt)
    try:
        with closing(batch.run(lambda: [worker])) as ends, pytest.raises(KeyboardInterrupt):
            list(ends)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert worker.made.total() == len((tmp_path / "results.jsonl").read_text().splitlines()) > 0


def test_nobody_is_hired_for_nothing(batch, jobs, monkeypatch):
    def nobody():
        raise AssertionError("hired")

    monkeypatch.setattr(Ledger, "has", lambda *_: True)
    assert [end.row for end in batch.run(nobody)] == [None] * len(jobs)


def test_a_full_disk_ends_it(batch, monkeypatch):
    def full(*_):
        raise InputError("results.jsonl can't be written", "make room")

    monkeypatch.setattr(Ledger, "keep", full)
    with pytest.raises(InputError, match="can't be written"):
        list(batch.run(lambda: [Pretender()]))


def test_a_shelf_makes_a_thing_once_and_keeps_the_last_few():
    shelf, made = Shelf(places=2), []

    def take(key: str) -> str:
        return shelf.take(key, lambda: made.append(key) or key)

    assert [take(key) for key in "ababcab"] == list("ababcab")
    assert made == list("abcab")


def test_a_key_changes_with_all_that_a_clip_is_made_of(jobs, tmp_path, tiny_weights):
    from dataclasses import replace

    ledger = Ledger(tmp_path, tiny_weights, RunConfig())
    job = jobs[0]
    key = ledger.key(job)
    (tmp_path / "t.csv").write_text("time,happy\n0,1\n")
    others = [
        replace(job, crop=CropConfig("none", background=(1, 2, 3))),
        replace(job, sample=replace(job.sample, seed=3)),
        replace(job, video=replace(job.video, crf=30)),
        replace(job, emotion="happy"),
        replace(job, emotion=str(tmp_path / "t.csv")),
        replace(job, save_motion=True),
        replace(job, out=Path("a.mkv")),
    ]
    keys = [ledger.key(other) for other in others]
    write_wav(job.speech, 0.2, seed=4)
    keys += [ledger.key(job), Ledger(tmp_path, job.face, RunConfig()).key(job)]
    keys += [Ledger(tmp_path, tiny_weights, RunConfig(dtype="bfloat16")).key(job)]
    assert len({key, *keys}) == 1 + len(keys)
    write_wav(job.speech, 0.2)
    assert ledger.key(replace(job, out=Path("elsewhere/b.MP4"))) == key


def test_in_what_company_and_where_clips_are_made_is_no_part_of_the_key(jobs, tmp_path, tiny_weights):
    runs = [RunConfig(), RunConfig(device="cpu"), RunConfig(batch_size=3), RunConfig(together=4)]
    assert len({Ledger(tmp_path, tiny_weights, run).key(jobs[0]) for run in runs}) == 1


def test_every_gpu_works_where_none_is_named(monkeypatch, tiny_weights):
    import torch

    from floatcli.batch.worker import device_workers

    def devices(*names: str) -> list[str]:
        runs = [RunConfig(device=name) for name in names]
        return [worker.run.device for worker in device_workers(tiny_weights, runs, lambda line: None)]

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert devices("auto") == ["cuda:0", "cuda:1", "cuda:2"]
    assert devices("cuda:1", "cpu") == ["cuda:1", "cpu"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices("auto") == ["auto"]


def test_damaged_rows_are_no_results(jobs, tmp_path, tiny_weights):
    job = jobs[0]
    key = Ledger(tmp_path, tiny_weights, RunConfig()).key(job)
    job.out.write_text("a video")
    for digests in ("null", "[]", '"x"', "{}"):
        row = f'{{"out": "{job.out.name}", "status": "done", "key": "{key}", "digests": {digests}}}'
        (tmp_path / "results.jsonl").write_text(f"[]\n1\n{row}\n")
        assert not Ledger(tmp_path, tiny_weights, RunConfig()).has(job, key)


def test_results_that_cannot_be_written_are_told_before_anything_is_made(tmp_path, tiny_weights):
    (tmp_path / "results.jsonl").mkdir()
    with pytest.raises(InputError, match=r"results\.jsonl is no regular file"):
        Ledger(tmp_path, tiny_weights, RunConfig())


def test_a_published_set_is_all_of_its_files(jobs, tmp_path):
    from tests.parity.golden import golden_shapes
    from tests.parity.rule import rule_weights
    from tests.published import AUDIO_FOLDER, write_folders

    place = tmp_path / "float"
    place.mkdir()
    weights = write_folders(place, rule_weights(golden_shapes("small")), {"num_attention_heads": 2})
    before = Ledger(tmp_path, weights, RunConfig()).key(jobs[0])
    (place / AUDIO_FOLDER / "config.json").write_text('{"num_attention_heads": 4}')
    assert Ledger(tmp_path, weights, RunConfig()).key(jobs[0]) != before
    files = cluster.packed({str(path.relative_to(place)): path for path in store.weights_files(weights)})
    cluster.unpacked(files, tmp_path / "there")
    assert load_model(tmp_path / "there/float.pth").config.audio.heads == 4
