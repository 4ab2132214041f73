"""``floatcli animate`` from the outside: what it writes, what it says, and where it says it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from floatcli.checkpoint.store import file_digest
from floatcli.cli.app import run
from floatcli.media.ffmpeg import media_info
from floatcli.media.video import STREAMS
from tests.conftest import write_wav


@pytest.fixture
def options(tiny_weights: Path) -> list[str]:
    return ["--weights", str(tiny_weights), "--crop", "none", "--nfe", "1", "--device", "cpu"]


def test_json_is_one_object_and_tells_everything(options, tiny_weights, face_file, speech_file, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    arguments = ["animate", str(face_file), str(speech_file), "-o", str(output), *options, "--json", "--seed", "7"]
    assert run(arguments) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    emotion, stages = result.pop("emotion"), result.pop("stages")
    assert result == {
        "path": str(output),
        "motion": str(tmp_path / "out.motion.safetensors"),
        "frames": 63,
        "fps": 25,
        "seconds": 2.52,
        "width": 64,
        "height": 64,
        "seed": 7,
        "weights": {"name": "tiny", "digest": file_digest(tiny_weights)},
        "digests": {
            "face": file_digest(face_file),
            "speech": file_digest(speech_file),
            "output": file_digest(output),
        },
        "notices": [],
    }
    assert sum(emotion.values()) == pytest.approx(1, abs=1e-5)
    assert list(stages) == ["weights", "portrait", "speech", "emotion", "motion", "decode", "write"]
    assert min(stages.values()) >= 0
    assert said.err == ""


def test_the_video_has_pictures_and_sound(options, face_file, speech_file, tmp_path):
    output = tmp_path / "out.mp4"
    assert run(["animate", str(face_file), str(speech_file), "-o", str(output), *options]) == 0
    info = media_info(output)
    assert info is not None
    assert "h264" in info.video[0]
    assert "64x64" in info.video[0]
    assert info.audio_codec == "aac"
    assert info.duration == pytest.approx(2.52, abs=0.04)


def test_without_a_name_the_video_is_called_after_both(options, face_file, speech_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["animate", str(face_file), str(speech_file), *options]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["face-speech.motion.safetensors", "face-speech.mp4"]


def test_the_same_seed_gives_the_same_file(options, face_file, speech_file, tmp_path):
    digests = []
    for name, seed in (("a.mkv", "1"), ("b.mkv", "1"), ("c.mkv", "2")):
        arguments = ["animate", str(face_file), str(speech_file), "-o", str(tmp_path / name), *options]
        assert run([*arguments, "--seed", seed]) == 0
        digests.append(_pictures(tmp_path / name))
    assert digests[0] == digests[1] != digests[2]


def _pictures(path: Path) -> str:
    from floatcli.media.ffmpeg import ffmpeg_executable

    command = [ffmpeg_executable(), "-v", "error", "-i", str(path), "-map", "0:v", "-f", "md5", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_failure_leaves_the_old_video(options, face_file, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    output.write_bytes(b"the old one")
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    assert run(["animate", str(face_file), str(tmp_path / "bad.wav"), "-o", str(output), *options]) == 3
    assert output.read_bytes() == b"the old one"
    assert "bad.wav" in capsys.readouterr().err


@pytest.mark.parametrize("quiet", [False, True])
def test_notices_are_lines_on_stderr_unless_quiet(
    options, tiny_weights, face_file, speech_file, tmp_path, capsys, monkeypatch, quiet
):
    monkeypatch.setattr("floatcli.checkpoint.store._embedded", lambda: tiny_weights)
    line = "using the embedded weights; the published ones: floatcli weights fetch float"
    arguments = ["animate", str(face_file), str(speech_file), "-o", str(tmp_path / "out.mp4"), *options[2:], "--json"]
    assert run([*arguments, *["-q"] * quiet]) == 0
    said = capsys.readouterr()
    assert said.err == ("" if quiet else f"floatcli: {line}\n")
    assert json.loads(said.out)["notices"] == [line]


def test_several_faces_are_announced(options, speech_file, tmp_path, capsys, monkeypatch):
    from floatcli.face.cascade import CascadeDetector
    from floatcli.face.detect import FaceBox

    boxes = [FaceBox(10, 10, 40, 40), FaceBox(50, 10, 70, 30)]
    monkeypatch.setattr(CascadeDetector, "detect", lambda self, picture: boxes)
    face = tmp_path / "two.png"
    Image.new("RGB", (96, 80), "gray").save(face)
    arguments = ["animate", str(face), str(speech_file), "-o", str(tmp_path / "out.gif"), *options, "--crop", "auto"]
    assert run([*arguments, "--face", "1"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:] == [f"floatcli: 2 faces in {face}: taking face 1, 0 being the largest (choose with --face)"]
    assert "cascade" in lines[0]


def test_off_a_terminal_there_is_none_whatever_the_colours(options, face_file, speech_file, tmp_path):
    command = [sys.executable, "-m", "floatcli", "animate", face_file, speech_file, "-o", tmp_path / "out.mp4"]
    said = subprocess.run([*command, *options], env={**os.environ, "FORCE_COLOR": "1"}, capture_output=True, check=True)
    assert said.stderr == b""


def test_on_a_terminal_there_is_progress(options, face_file, speech_file, tmp_path):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "floatcli", "animate", face_file, speech_file, "-o", tmp_path / "out.mp4"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([*command, *options], stderr=theirs, stdout=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # the terminal is gone with its process
                break
        assert process.stdout is not None
        assert process.stdout.read() == b""
    os.close(ours)
    assert process.returncode == 0
    for expected in (b"63/63", b"frames/s", b"0:00:0", b"decode", b"out.mp4: 63 frames, 2.5 s"):
        assert expected in seen


@pytest.mark.parametrize("format", STREAMS)
def test_stdout_gets_the_video_and_nothing_else(
    options, face_file, speech_file, tmp_path, capfdbinary, monkeypatch, format
):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert run(["animate", str(face_file), str(speech_file), "-o", "-", "--format", format, *options]) == 0
    said = capfdbinary.readouterr()
    assert said.err == b""
    assert list(folder.iterdir()) == []
    came = tmp_path / "came"
    came.write_bytes(said.out)
    info = media_info(came)
    assert info is not None
    assert "64x64" in info.video[0]
    assert info.audio_codec == {"gif": "", "webm": "opus"}.get(format, "aac")
    assert info.duration == pytest.approx(2.52, abs=0.04)


def test_what_libraries_print_is_no_part_of_the_video(options, face_file, speech_file, capfdbinary, monkeypatch):
    from floatcli import FloatPipeline

    animate = FloatPipeline.animate

    def loud(*arguments):
        print("a library has news")
        return animate(*arguments)

    monkeypatch.setattr(FloatPipeline, "animate", loud)
    assert run(["animate", str(face_file), str(speech_file), "-o", "-", "--format", "gif", *options]) == 0
    said = capfdbinary.readouterr()
    assert said.out.startswith(b"GIF89a")
    assert said.err == b"a library has news\n"


def test_a_reader_that_goes_away_ends_it_quietly(options, face_file, tmp_path):
    speech = write_wav(tmp_path / "long.wav", 10)
    command = [sys.executable, "-m", "floatcli", "animate", face_file, speech, "-o", "-", *options, "--crf", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"ftyp" in process.stdout.read(1000)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("closed", [False, True])
def test_a_stdout_that_is_no_place_for_a_video(options, face_file, speech_file, closed):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "floatcli", "animate", face_file, speech_file, "-o", "-", *options]
    if closed:
        command = ["sh", "-c", '"$@" >&-', "sh", *command]
    said = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    os.close(theirs)
    os.close(ours)
    assert said.returncode == 2
    assert said.stderr.splitlines() == [
        f"floatcli: error: stdout is {'closed' if closed else 'a terminal'}, no place for a video",
        "floatcli: hint: pipe it to a player, as in: -o - | ffplay -",
    ]
