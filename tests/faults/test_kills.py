"""kill -9, at moments that are spread over the whole of a run: nothing half-made, and the next run makes all of it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from floatcli.checkpoint.store import file_digest
from floatcli.motion import Motion
from tests.conftest import write_wav
from tests.faults.running import MOTION, PAIR, QUICK, Place, Run, animate, survived, whole, whole_pair
from tests.faults.worlds import stops_before


def killed(start: Callable[[], Run], times: int, seed: int) -> Iterator[random.Random]:
    """Begin something and kill it, so often: once in every stretch of its length, ffmpeg with it or not.

    Yields after each, with what further choices are drawn from.
    """
    draws = random.Random(seed)
    run = start()
    run.wait()
    length = run.seconds
    print(f"seed {seed}, {length:.2f} s a run")
    for k in range(times):
        while True:
            run = start()
            run.sleep((k + draws.random()) / times * length)
            if run.kill(tree=draws.random() < 0.5) < 0:
                break
            length *= 0.95  # it was over before: the first was a slow one
        yield draws
        survived["kills"] += 1


def check_left(place: Place, made: set[str]) -> None:
    """After a kill there are files that are whole, and hidden drafts; once ffmpeg is gone too, which is at once."""
    place.quiet()
    beside = {name for name in place.there() if not name.split("/")[-1].startswith(".floatcli-")}
    assert {name for name in beside if "/.floatcli-" not in f"/{name}"} <= made


@pytest.mark.parametrize(("suffix", "times"), [("mp4", 8), ("mov", 3), ("mkv", 3), ("webm", 3), ("gif", 3)])
def test_animate(place, face, speech, seed, suffix, times):
    video, made = place.work / f"o.{suffix}", {f"o.{suffix}", "o.motion.safetensors"}
    command = animate(face, speech, video.name)
    for draws in killed(lambda: place.start(*command), times, seed):
        check_left(place, made)
        if video.exists():
            whole_pair(video)
        assert place.run(*command).wait() == 0
        assert place.there() == made
        whole_pair(video)
        if draws.random() < 0.5:  # else the next replaces it
            for name in made:
                (place.work / name).unlink()


def test_before_the_video_appears_its_motion_is_complete(place, face, speech):
    run = place.start(*animate(face, speech), world=partial(stops_before, place.work / "o.mp4"))
    assert run.wait() == -signal.SIGKILL
    check_left(place, set())
    (video,), (motion,) = (list(place.work.glob(f".floatcli-*/draft{end}")) for end in (".mp4", ".safetensors"))
    whole(video)
    assert Motion.load(motion).making.video == file_digest(video)
    assert place.run(*animate(face, speech)).wait() == 0
    assert place.there() == PAIR
    survived["kills"] += 1


def test_between_the_video_and_its_motion_the_next_run_makes_both(place, face, speech):
    assert place.run(*animate(face, speech), "--seed", 1).wait() == 0
    run = place.run(*animate(face, speech), "--seed", 2, world=partial(stops_before, place.work / f"o{MOTION}"))
    assert run.wait() == -signal.SIGKILL
    check_left(place, PAIR)
    whole(place.work / "o.mp4")
    assert Motion.load(place.work / f"o{MOTION}").making.sample.seed == 1
    assert place.run(*animate(face, speech)).wait() == 0
    assert place.there() == PAIR
    whole_pair(place.work / "o.mp4")
    survived["kills"] += 1


class Reader:
    """Reads a named pipe to its end."""

    def __init__(self, pipe: Path):
        os.mkfifo(pipe)
        self.pipe, self.read = pipe, b""
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        self.read = self.pipe.read_bytes()

    def all(self) -> bytes:
        self._thread.join(20)
        assert not self._thread.is_alive(), "somebody still holds the pipe"
        self.pipe.unlink()
        return self.read


@pytest.mark.parametrize("format", ["mp4", "matroska", "webm"])
def test_a_video_that_flows(place, face, speech, seed, format):
    pipe = place.folder / "pipe"
    command = ("animate", face, speech, "-o", "-", "--format", format, *QUICK)
    readers = []

    def start() -> Run:
        if readers:
            readers.pop().all()
        readers.append(Reader(pipe))
        return place.start(*command, stdout=pipe)

    for _ in killed(start, 2, seed):
        check_left(place, set())
        assert start().wait() == 0
        (place.folder / "video").write_bytes(readers[0].all())
        readers.clear()
        whole(place.folder / "video")
        assert place.there() == set()


@pytest.mark.parametrize(("together", "times"), [(1, 7), (3, 5)])
def test_batch(place, face, speech, tmp_path, seed, together, times):
    spoken = tmp_path / "spoken"
    spoken.mkdir()
    for name, noise in (("a", 1), ("b", 2), ("c", 3)):
        write_wav(spoken / f"{name}.wav", 1.2, seed=noise)
    out = place.work / "out"
    videos = [out / f"{name}.mp4" for name in "abc"]
    made = {"out", "out/results.jsonl", *(f"out/{name}{end}" for name in "abc" for end in (".mp4", MOTION))}
    command = ("batch", spoken, "--face", face, "-o", "out", "--set", "crop=none", "--set", "nfe=1")
    command += ("--together", str(together))

    def start() -> Run:
        shutil.rmtree(out, ignore_errors=True)
        return place.start(*command)

    for _ in killed(start, times, seed):
        check_left(place, made)
        done = done_clips(out)
        for video in videos:
            if video.exists():
                whole_pair(video)
        assert place.run(*command).wait() == 0
        assert place.there() == made
        for video in videos:
            whole_pair(video)
        rows = done_clips(out)
        assert rows[: len(done)] == done  # nothing that was done is made again
        assert sorted(rows) == [(video.name, file_digest(video)) for video in videos]


def done_clips(out: Path) -> list[tuple[str, str]]:
    """Names and digests of the rows that are whole, in order."""
    path = out / "results.jsonl"
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            assert line == path.read_text().splitlines()[-1], "only the last line can be torn"
    return [(row["out"], row["digests"]["output"]) for row in rows]
