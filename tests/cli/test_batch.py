"""``floatcli batch``: clips are made, what is done stays done, and bad input gets one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from floatcli.cli.app import run
from floatcli.config import SampleConfig
from floatcli.motion import Motion
from tests.cli.bad import Bad
from tests.conftest import write_wav

USAGE, INPUT, WEIGHTS, DEVICE = 2, 3, 4, 5


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


def test_every_row_has_the_same_fields_and_a_bad_line_stops_no_other(batch, folder, capsys):
    text = CSV + "anna.png,anna.wav,bad.mp4,none,x,\nno.png,anna.wav,no.mp4,none,1,\nanna.png,anna.wav,a\0/a.mp4,,,\n"
    (folder / "torn.wav").write_bytes(b"RIFF")
    assert batch(str(listed(folder, text + "anna.png,torn.wav,torn.mp4,none,1,\n"))) == USAGE
    rows = by_name()
    assert len(rows) == 6
    for name, row in rows.items():
        done = name in ("one.mp4", "bert-carl.mp4")
        assert (row["status"], row["error"] is None) == (("done", True) if done else ("failed", False))
        assert (row["frames"] > 0, row["seconds"] >= 0, bool(row["digests"])) == (done, True, done)
    said = "line 4: nfe is 'x' (give a whole number)"
    assert rows["bad.mp4"]["error"].endswith(said)
    assert (rows["bad.mp4"]["code"], rows["a\0/a.mp4"]["code"], rows["torn.mp4"]["code"]) == (USAGE, INPUT, INPUT)
    assert said in capsys.readouterr().err


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
    def counted(cls, *arguments: object, **options: object) -> object:
        calls.append(arguments)
        return load(*arguments, **options)

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
        Bad(
            "one device of several that nobody has",
            USAGE,
            "there is no device 'abacus'",
            "choose from auto, cpu, cuda, cuda:N, mps",
            ["jobs.csv", "--device", "cpu,abacus"],
        ),
        Bad(
            "nobody together",
            USAGE,
            "together must lie in 1..64, not 0",
            "1 makes every clip as animate does, 4 or 8 may suit a large GPU",
            ["jobs.csv", "--together", "0"],
        ),
        Bad(
            "a crowd together",
            USAGE,
            "together must lie in 1..64, not 65",
            "1 makes every clip as animate does, 4 or 8 may suit a large GPU",
            ["jobs.csv", "--together", "65"],
        ),
        Bad(
            "no engine",
            USAGE,
            "there is no engine 'steam'",
            "choose from local, ray",
            ["jobs.csv", "--engine", "steam"],
        ),
        Bad(
            "a cluster's option without a cluster",
            USAGE,
            "--ray-address and --ship are about a Ray cluster",
            "they go with --engine ray",
            ["jobs.csv", "--ship"],
        ),
        Bad(
            "several devices on a cluster",
            USAGE,
            "on a Ray cluster every worker has one device",
            "name one, or auto",
            ["jobs.csv", "--engine", "ray", "--device", "cpu,cpu"],
        ),
        Bad(
            "no setting",
            USAGE,
            "--set 'nfe' is not understood",
            "name an option of animate, as in --set nfe=5",
            ["jobs.csv", "--set", "nfe"],
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
            "results as the list",
            USAGE,
            "out/results.jsonl is where results go",
            "name another folder with -o",
            ["out/results.jsonl"],
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


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:1", "Connection refused"),
        ("ray://127.0.0.1:1", "Connection refused"),
        (f"127.0.0.1:{10**30}", "Python int too large to convert to C long"),
        ("nonsense", "Invalid address format: nonsense"),
    ],
)
def test_a_cluster_that_is_not_there_is_told(batch, folder, capsys, address, reason):
    assert batch(str(listed(folder, CSV)), "--engine", "ray", "--ray-address", address) == DEVICE
    assert capsys.readouterr().err.splitlines() == [
        f"floatcli: error: there is no Ray cluster at {address}: {reason}",
        "floatcli: hint: start one with 'ray start --head', or name its address with --ray-address",
    ]
    assert not Path("out/results.jsonl").exists()


def test_an_address_of_version_six_is_called_without_its_brackets(batch, folder, capsys, monkeypatch):
    def refused(address: tuple[str, int], timeout: float) -> None:
        assert address == ("::1", 6379)
        raise ConnectionRefusedError("nobody")

    monkeypatch.setattr("floatcli.batch.cluster.socket.create_connection", refused)
    assert batch(str(listed(folder, CSV)), "--engine", "ray", "--ray-address", "[::1]:6379") == DEVICE
    assert "there is no Ray cluster at [::1]:6379: nobody" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_what_listens_but_is_not_ray_is_told(batch, folder, capsys, monkeypatch, answer):
    monkeypatch.setattr("floatcli.batch.cluster._KNOCK", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        if answer is not None:
            threading.Thread(target=lambda: _answered(server, answer), daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert batch(str(listed(folder, CSV)), "--engine", "ray", "--ray-address", address) == DEVICE
    said = capsys.readouterr().err.splitlines()[0]
    assert said == f"floatcli: error: there is no Ray cluster at {address}: what answers there is not Ray"


def _answered(server: socket.socket, answer: bytes) -> None:
    line, _ = server.accept()
    with line:
        line.sendall(answer)


def test_without_ray_the_way_to_it_is_told(batch, folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert batch(str(listed(folder, CSV)), "--engine", "ray") == USAGE
    assert capsys.readouterr().err.splitlines() == [
        "floatcli: error: --engine ray needs Ray, which is not installed",
        "floatcli: hint: pip install 'floatcli[ray]'",
    ]


def test_several_devices_share_the_clips(batch, folder, monkeypatch):
    from floatcli.pipeline import FloatPipeline

    loaded = []
    monkeypatch.setattr(FloatPipeline, "from_weights", classmethod(_counting(FloatPipeline.from_weights, loaded)))
    rows = "".join(f"anna.png,anna.wav,{k}.mp4,none,1\n" for k in range(6))
    jobs = listed(folder, "face,speech,out,crop,nfe\n" + rows)
    assert batch(str(jobs), "--device", "cpu,cpu") == 0
    assert len(loaded) == 2
    assert len({row["digests"]["output"] for row in results()}) == 1
    assert len(results()) == 6


def test_a_clip_is_the_same_as_animate_makes_it(batch, folder, tiny_weights):
    assert batch(str(listed(folder, CSV))) == 0
    options = ["--weights", str(tiny_weights), "--device", "cpu", "--crop", "none", "--nfe", "1", "--seed", "3", "-q"]
    assert run(["animate", "anna.png", "anna.wav", "-o", "alone.mp4", *options]) == 0
    assert Path("alone.mp4").read_bytes() == Path("out/one.mp4").read_bytes()


def test_clips_made_together_are_those_of_animate_but_for_rounding(folder, tiny_weights):
    write_wav(folder / "long.wav", 5)
    rows = "".join(f"anna.png,long.wav,{seed}.mp4,none,1,{seed}\n" for seed in range(4))
    jobs = listed(folder, "face,speech,out,crop,nfe,seed\n" + rows)
    command = ["batch", str(jobs), "--weights", str(tiny_weights), "--device", "cpu", "-q", "-o"]
    assert run([*command, "out", "--together", "3"]) == 0
    assert run([*command, "alone"]) == 0
    for seed in range(4):
        ours, theirs = (Motion.load(Path(where, f"{seed}.motion.safetensors")) for where in ("out", "alone"))
        assert replace(ours.making, video=None) == replace(theirs.making, video=None)
        assert abs(ours.latents - theirs.latents).max() <= 5e-5 * theirs.latents.std()
    assert [row["frames"] for row in results()] == [125] * 4


def test_what_was_made_alone_is_not_made_again_together(batch, folder):
    jobs = listed(folder, CSV)
    assert batch(str(jobs)) == 0
    assert batch(str(jobs), "--together", "3") == 0
    assert len(results()) == 2


def test_portraits_and_recordings_that_clips_share_are_read_once(batch, folder, monkeypatch):
    from floatcli.pipeline import FloatPipeline

    read = {"portrait": [], "hear": []}
    for name, calls in read.items():
        monkeypatch.setattr(FloatPipeline, name, _noted(getattr(FloatPipeline, name), calls))
    rows = "".join(f"anna.png,anna.wav,{seed}.mp4,none,1,{seed}\n" for seed in range(5))
    assert batch(str(listed(folder, "face,speech,out,crop,nfe,seed\n" + rows))) == 0
    assert (len(read["portrait"]), len(read["hear"])) == (1, 1)
    assert len({row["digests"]["output"] for row in results()}) == 5


def _noted(method, calls: list):
    def noted(self, *arguments: object) -> object:
        calls.append(arguments)
        return method(self, *arguments)

    return noted


def test_the_loop_over_folders_does_the_same(folder, tiny_weights):
    for kind, names in (("faces", ["anna.png", "bert.png"]), ("sounds", ["anna.wav", "nothing.wav"])):
        Path(kind).mkdir()
        for name in names:
            Path(kind, name).write_bytes(Path(name).read_bytes() if Path(name).exists() else b"")
    options = ["--weights", tiny_weights, "--device", "cpu", "--crop", "none", "--nfe", "1", "-q"]
    script = Path(__file__).parents[2] / "examples/batch.sh"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["bash", script, "faces", "sounds", "made", *options]
    first = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)
    assert (first.returncode, sorted(os.listdir("made"))) == (
        1,
        ["anna-anna.motion.safetensors", "anna-anna.mp4", "bert-anna.motion.safetensors", "bert-anna.mp4"],
    )
    assert first.stderr.count("nothing.wav is empty") == 2
    (Path("sounds") / "nothing.wav").unlink()
    again = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "path", "code", "said"),
    [
        (["faces"], True, USAGE, "give PORTRAITS RECORDINGS VIDEOS [options of floatcli animate]"),
        (["faces", "nowhere", "made"], True, INPUT, "nowhere is no folder"),
        (["anna.png", "faces", "made"], True, INPUT, "anna.png is no folder"),
        (["faces", "empty", "made"], True, INPUT, "empty is empty"),
        (["faces", "faces", "anna.png"], True, INPUT, "anna.png can't be a folder"),
        (["faces", "faces", "made"], False, USAGE, "there is no floatcli on the PATH: activate its environment"),
    ],
)
def test_the_loop_over_folders_says_what_it_lacks(folder, arguments, path, code, said):
    for name in ("faces", "empty"):
        Path(name).mkdir()
    Path("faces/anna.png").touch()
    tools = Path("tools")
    tools.mkdir()
    for tool in ("basename", "sort", "uniq", "mkdir", "floatcli" if path else "cat"):
        (tools / tool).symlink_to(shutil.which("true" if tool == "floatcli" else tool))
    script = Path(__file__).parents[2] / "examples/batch.sh"
    command = [shutil.which("bash"), script, *arguments]
    done = subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"{script}: {said}\n")
    assert not Path("made").exists()


@pytest.mark.parametrize("together", ["1", "3"])
def test_interrupted_it_leaves_no_half_video_and_goes_on_from_there(folder, tiny_weights, together):
    write_wav(folder / "long.wav", 60)
    rows = "".join(f"bert.png,long.wav,{k}.mp4,none,1\n" for k in range(2, 5))
    jobs = listed(folder, "face,speech,out,crop,nfe\nanna.png,anna.wav,1.mp4,none,1\n" + rows)
    command = [sys.executable, "-m", "floatcli", "batch", jobs, "-o", "out", "--weights", tiny_weights]
    command += ["--together", together]
    with subprocess.Popen([*command, "--device", "cpu", "--batch-size", "1"], stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 60
        while not list(Path("out").glob(".floatcli-*")) or not Path("out/results.jsonl").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
    assert sorted(os.listdir("out")) == ["1.motion.safetensors", "1.mp4", "results.jsonl"]
    assert [row["out"] for row in results()] == ["1.mp4"]
