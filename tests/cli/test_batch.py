"""``floatcli batch``: which clips a list or a folder means, and that what is done stays done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from floatcli.batch.lists import read_jobs
from floatcli.cli.app import run
from floatcli.config import CropConfig, SampleConfig, VideoConfig
from floatcli.errors import FloatCliError, InputError, UsageError
from floatcli.jobs import Job
from tests.cli.bad import Bad
from tests.conftest import write_wav

USAGE, INPUT, WEIGHTS = 2, 3, 4


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Two portraits and two short recordings, one pair of them alike in name, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("anna", "bert"):
        Image.new("RGB", (64, 64), "gray").save(tmp_path / f"{name}.png")
    write_wav(tmp_path / "anna.wav", 0.3)
    write_wav(tmp_path / "carl.wav", 0.4, seed=1)
    return tmp_path


@pytest.fixture
def batch(folder, tiny_weights):
    """The command; videos go to ``out``."""
    return lambda *options: run(
        ["batch", "-o", "out", "--weights", str(tiny_weights), "--device", "cpu", "--no-save-motion", "-q", *options]
    )


def results() -> list[dict]:
    """Rows in the order that clips ended."""
    return [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]


def by_name() -> dict[str, dict]:
    return {row["out"]: row for row in results()}


def listed(folder: Path, text: str, name: str = "jobs.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


CSV = "face,speech,out,crop,nfe,seed\nanna.png,anna.wav,one.mp4,none,1,3\nbert.png,carl.wav,,none,1,\n"


def test_a_list_names_its_clips_and_their_settings(folder):
    text = "face,Speech,out,crop,audio-scale,nfe,copy_audio,background,emotion\n"
    text += "a.png,b.wav,x/c.mkv,none,1.5,4,yes,red,t.csv\n\nd.png,e.wav,,,,,,,\n"
    first, second = read_jobs(listed(folder, text), Path("out"))
    assert first == Job(
        folder / "a.png",
        folder / "b.wav",
        Path("out/x/c.mkv"),
        CropConfig("none", background=(255, 0, 0)),
        SampleConfig(audio_scale=1.5, nfe=4),
        VideoConfig(copy_audio=True),
        str(folder / "t.csv"),
    )
    assert second == Job(folder / "d.png", folder / "e.wav", Path("out/d-e.mp4"))


def test_json_lines_say_the_same(folder):
    rows = [{"face": "a.png", "speech": "b.wav", "seed": 7, "align": True, "face_number": 1, "emotion": "sad"}]
    (job,) = read_jobs(listed(folder, "\n".join(map(json.dumps, rows)), "jobs.jsonl"), Path("out"))
    assert (job.sample.seed, job.crop.align, job.crop.face, job.emotion) == (7, True, 1, "sad")


def test_a_folder_pairs_by_name_or_with_one_for_all(folder):
    def names(**one: Path) -> list[tuple[str, str, str]]:
        return [(j.face.name, j.speech.name, str(j.out)) for j in read_jobs(folder, Path("o"), **one)]

    assert names() == [("anna.png", "anna.wav", "o/anna.mp4")]
    assert names(face=Path("me.png")) == [("me.png", "anna.wav", "o/anna.mp4"), ("me.png", "carl.wav", "o/carl.mp4")]
    assert names(speech=Path("s.wav")) == [("anna.png", "s.wav", "o/anna.mp4"), ("bert.png", "s.wav", "o/bert.mp4")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("jobs.csv", "", "jobs.csv is empty"),
        ("jobs.csv", "face,speech\n", "lists nothing"),
        ("jobs.txt", "face,speech\na,b\n", "no list that is known"),
        ("jobs.csv", "face\na.png\n", "line 2: there is no speech"),
        ("jobs.csv", "face,speech\na.png\n", "line 2: there is no speech"),
        ("jobs.csv", "face,speech\na.png,b.wav,c\n", "line 2: more values than columns"),
        ("jobs.csv", "face,speech,loud\na.png,b.wav,1\n", "line 2: animate has no option loud"),
        ("jobs.csv", "face,speech,nfe\na.png,b.wav,many\n", "line 2: nfe is 'many'"),
        ("jobs.csv", "face,speech,align\na.png,b.wav,maybe\n", "line 2: align is 'maybe'"),
        ("jobs.csv", "face,speech,background\na.png,b.wav,loud\n", "there is no colour 'loud'"),
        ("jobs.csv", "face,speech\na.png,b.wav\na.png,b.wav\n", "would both become o/a-b.mp4"),
        ("jobs.jsonl", "{\n", "line 1: no JSON"),
        ("jobs.jsonl", "[1]\n", "line 1: no object"),
    ],
)
def test_lists_that_cannot_be_meant(folder, name, text, message):
    with pytest.raises(FloatCliError) as error:
        read_jobs(listed(folder, text, name), Path("o"))
    assert message in error.value.message
    assert error.value.hint


def test_folders_that_cannot_be_meant(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no pair"):
        read_jobs(tmp_path / "empty", Path("o"))
    with pytest.raises(InputError, match="holds no file to pair"):
        read_jobs(tmp_path / "empty", Path("o"), face=Path("a.png"))
    with pytest.raises(UsageError, match="there is one clip"):
        read_jobs(folder, Path("o"), Path("a.png"), Path("b.wav"))
    with pytest.raises(UsageError, match="go with a folder"):
        read_jobs(listed(folder, CSV), Path("o"), Path("a.png"))


def test_clips_are_made_and_results_kept(batch, folder):
    assert batch(str(listed(folder, CSV))) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["bert-carl.mp4", "one.mp4", "results.jsonl"]
    first, second = by_name()["one.mp4"], by_name()["bert-carl.mp4"]
    assert (first["out"], first["status"], first["frames"], first["seed"]) == ("one.mp4", "done", 8, 3)
    assert (second["frames"], second["seed"]) == (10, SampleConfig.seed)
    assert set(first["digests"]) == {"face", "speech", "output"}


def test_run_again_it_does_only_what_is_missing_or_changed(batch, folder):
    jobs = listed(folder, CSV)
    assert batch(str(jobs)) == 0
    assert batch(str(jobs)) == 0
    assert len(results()) == 2
    Path("out/one.mp4").unlink()
    assert batch(str(jobs)) == 0
    assert [row["out"] for row in results()[2:]] == ["one.mp4"]
    write_wav(folder / "carl.wav", 0.4, seed=2)
    assert batch(str(jobs)) == 0
    assert [row["out"] for row in results()[3:]] == ["bert-carl.mp4"]
    jobs.write_text(CSV.replace(",1,3", ",1,4"))
    assert batch(str(jobs)) == 0
    assert [row["out"] for row in results()[4:]] == ["one.mp4"]
    assert batch(str(jobs), "--force") == 0
    assert len(results()) == 7


def test_a_clip_that_fails_stops_no_other(batch, folder, capsys):
    text = CSV + "anna.png,nobody.wav,three.mp4,none,1,\nbert.png,anna.wav,four.mp4,none,1,\n"
    assert batch(str(listed(folder, text))) == INPUT
    failed = by_name()["three.mp4"]
    assert sorted(row["status"] for row in results()) == ["done", "done", "done", "failed"]
    assert failed["error"].startswith(f"{folder / 'nobody.wav'} is not there")
    assert failed["code"] == INPUT
    assert f"failed: out/three.mp4: {failed['error']}" in capsys.readouterr().err
    write_wav(folder / "nobody.wav", 0.2)
    assert batch(str(listed(folder, text))) == 0
    assert [row["out"] for row in results()[4:]] == ["three.mp4"]


def test_enough_failures_end_it(batch, folder):
    rows = "".join(f"no{k}.png,anna.wav,{k}.mp4\n" for k in range(5))
    assert batch(str(listed(folder, "face,speech,out\n" + rows)), "--max-failures", "2") == INPUT
    assert len(results()) == 2


def test_a_bug_is_a_failure_like_others(batch, folder, monkeypatch):
    from floatcli.pipeline import FloatPipeline

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(FloatPipeline, "animate", broken)
    assert batch(str(listed(folder, CSV))) == 1
    assert {row["error"] for row in results()} == {"a bug in floatcli: ZeroDivisionError: division by zero"}


def test_the_weights_are_loaded_once(batch, folder, monkeypatch):
    from floatcli.pipeline import FloatPipeline

    loaded = []
    monkeypatch.setattr(FloatPipeline, "from_weights", classmethod(_counting(FloatPipeline.from_weights, loaded)))
    assert batch(str(listed(folder, CSV))) == 0
    assert len(loaded) == 1


def _counting(load, calls: list):
    def counted(cls, *arguments: object) -> object:
        calls.append(arguments)
        return load(*arguments)

    return counted


def test_a_torn_last_line_of_results_is_no_result(batch, folder):
    jobs = listed(folder, CSV)
    assert batch(str(jobs)) == 0
    path = Path("out/results.jsonl")
    whole, torn = path.read_text().splitlines()
    path.write_text(f"{whole}\n{torn[:-30]}")
    assert batch(str(jobs)) == 0
    first, second, third = path.read_text().splitlines()
    assert (first, second) == (whole, torn[:-30])
    assert json.loads(third)["out"] == json.loads(torn)["out"]


@pytest.mark.parametrize(
    "bad",
    [
        Bad("no list", INPUT, "nowhere.csv is not there", "check the list's path", ["nowhere.csv"]),
        Bad("no face", INPUT, "no.png is not there", "check the picture's path", ["jobs.csv", "--face", "no.png"]),
        Bad(
            "a face for a list",
            USAGE,
            "--face and --speech go with a folder",
            "a list names them in its columns",
            ["jobs.csv", "--face", "anna.png"],
        ),
        Bad(
            "no device",
            USAGE,
            "there is no device 'abacus'",
            "choose from auto, cpu, cuda, cuda:N, mps",
            ["jobs.csv", "--device", "abacus"],
        ),
        Bad(
            "no failures",
            USAGE,
            "Invalid value for '--max-failures': Input should be greater than or equal to 1",
            "see 'floatcli batch --help'",
            ["jobs.csv", "--max-failures", "0"],
        ),
        Bad("no nothing", USAGE, "Missing argument 'JOBS'", "see 'floatcli batch --help'"),
        Bad(
            "no weights",
            WEIGHTS,
            "there are no weights at no.bin",
            "see 'floatcli weights list'",
            ["jobs.csv", "--weights", "no.bin"],
        ),
        Bad(
            "a file as the folder",
            INPUT,
            "anna.png can't be a folder: File exists",
            "name another with -o",
            ["jobs.csv", "-o", "anna.png"],
        ),
    ],
    ids=lambda bad: bad.name,
)
def test_bad_input_gets_one_line(batch, folder, capsys, bad):
    listed(folder, CSV)
    assert batch(*bad.options) == bad.code
    assert capsys.readouterr().err.splitlines() == [f"floatcli: error: {bad.message}", f"floatcli: hint: {bad.hint}"]
    assert not Path("out").exists()


def test_interrupted_it_leaves_no_half_video_and_goes_on_from_there(folder, tiny_weights):
    write_wav(folder / "long.wav", 60)
    jobs = listed(folder, "face,speech,out,crop,nfe\nanna.png,anna.wav,1.mp4,none,1\nbert.png,long.wav,2.mp4,none,1\n")
    command = [sys.executable, "-m", "floatcli", "batch", jobs, "-o", "out", "--weights", tiny_weights]
    with subprocess.Popen([*command, "--device", "cpu", "--batch-size", "1"], stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 60
        while not list(Path("out").glob(".floatcli-*")) or not Path("out/1.mp4").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert sorted(os.listdir("out")) == ["1.motion.safetensors", "1.mp4", "results.jsonl"]
    assert [row["out"] for row in results()] == ["1.mp4"]
