"""What can be wrong with a command, and exactly what is said about it: one line, one hint, an exit code, no file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from floatcli.cli.app import run
from floatcli.media.ffmpeg import ffmpeg_executable
from tests.cli import bad
from tests.conftest import write_wav

USAGE, INPUT, WEIGHTS, DEVICE, FFMPEG = 2, 3, 4, 5, 6


def make(path: Path, content: bytes = b"") -> None:
    path.write_bytes(content)


def picture(path: Path, width: int = 64, height: int = 64) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)).save(path)


def half_a_picture(path: Path) -> None:
    picture(path)
    path.write_bytes(path.read_bytes()[:3000])


def silent_video(path: Path) -> None:
    source = ["-f", "lavfi", "-i", "color=red:s=64x64:d=0.2"]
    subprocess.run([ffmpeg_executable(), "-v", "error", *source, str(path)], check=True)


def weights(path: Path, tiny: Path, change: Callable[[dict], None]) -> None:
    from safetensors import safe_open

    tensors = load_file(tiny)
    with safe_open(tiny, framework="pt") as file:
        metadata = file.metadata()
    change(tensors)
    save_file(tensors, path, metadata)


@dataclass
class Bad(bad.Bad):
    """A row with its files. ``{tmp}`` stands for its folder, where ``given`` makes the file ``bad``."""

    face: str = "{face}"
    speech: str = "{speech}"
    output: str = "{tmp}/out.mp4"
    bad: str = ""
    given: Callable[[Path], None] | None = None


SCALE = "1 is neutral, 0 ignores it"
SOLVERS = "euler, midpoint, heun2, heun3, rk4"
BAD = [
    # Usage: seen before anything is read.
    Bad("no evaluations", USAGE, "nfe must lie in 1..10000, not 0", "9 is what the published model uses",
        ["--nfe",
        "0"]),
    Bad("odd evaluations", USAGE, "midpoint makes 2 evaluations a step and cannot make 5", "take 4 or 6",
        ["--nfe", "5", "--solver", "midpoint"]),
    Bad("evaluations of an adaptive solver", USAGE, "dopri5 chooses its own steps and takes no nfe",
        f"leave nfe out and set the tolerance, or choose from {SOLVERS}", ["--nfe", "9", "--solver", "dopri5"]),
    Bad("endless evaluations", USAGE, "nfe must lie in 1..10000, not 1000000000000000",
        "9 is what the published model uses", ["--nfe", "1000000000000000"]),
    Bad("margin of a town", USAGE, "margin must be above 0 and at most 10, not 1000.0", "1.6 shows head and shoulders",
        ["--margin", "1000"]),
    Bad("batch of everything", USAGE, "batch-size must lie in 1..4096, not 99999999999999999999999",
        "8 suits most machines", ["--batch-size", "99999999999999999999999"]),
    Bad("unknown solver", USAGE, "there is no solver 'guess'",
        f"choose from {SOLVERS}, adaptive_heun, bosh3, dopri5, dopri8, fehlberg2", ["--solver", "guess"]),
    Bad("no tolerance", USAGE, "tolerance must be at least 1e-6 and below 1, not 0.0", "1e-4 is plenty",
        ["--solver", "dopri5", "--tolerance", "0"]),
    Bad("tolerance of everything", USAGE, "tolerance must be at least 1e-6 and below 1, not 1.0", "1e-4 is plenty",
        ["--solver", "dopri5", "--tolerance", "1"]),
    Bad("audio scale nan", USAGE, "audio-scale must lie in -1000..1000, not nan", SCALE, ["--audio-scale", "nan"]),
    Bad("emotion scale inf", USAGE, "emotion-scale must lie in -1000..1000, not inf", SCALE,
        ["--emotion-scale", "inf"]),
    Bad("ref scale nan", USAGE, "ref-scale must lie in -1000..1000, not nan", SCALE, ["--ref-scale", "nan"]),
    Bad("huge seed", USAGE, "seed must fit 64 bits, 99999999999999999999 does not", "take a smaller number",
        ["--seed", "99999999999999999999"]),
    Bad("not a number", USAGE,
        "Invalid value for '--nfe': Input should be a valid integer, unable to parse string as an integer",
        "see 'floatcli animate --help'", ["--nfe", "many"]),
    Bad("unknown option", USAGE, "No such option: --loud", "see 'floatcli animate --help'", ["--loud"]),
    Bad("margin 0", USAGE, "margin must be above 0 and at most 10, not 0.0", "1.6 shows head and shoulders",
        ["--margin",
        "0"]),
    Bad("margin nan", USAGE, "margin must be above 0 and at most 10, not nan", "1.6 shows head and shoulders",
        ["--margin",
        "nan"]),
    Bad("face below 0", USAGE, "face must be at least 0, not -1", "0 is the largest face", ["--face", "-1"]),
    Bad("crop of three", USAGE, "crop '1,2,3' is not understood", "give auto, none or x,y,w,h in whole pixels",
        ["--crop", "1,2,3"]),
    Bad("crop in words", USAGE, "crop 'all' is not understood", "give auto, none or x,y,w,h in whole pixels",
        ["--crop", "all"]),
    Bad("crop twice minus", USAGE, "crop '0,0,--5,5' is not understood",
        "give auto, none or x,y,w,h in whole pixels",
        ["--crop", "0,0,--5,5"]),
    Bad("crop in superscript", USAGE, "crop '1,1,²,1' is not understood", "give auto, none or x,y,w,h in whole pixels",
        ["--crop", "1,1,²,1"]),
    Bad("crop of nothing", USAGE, "crop '0,0,0,5' has no area", "width and height must be at least 1",
        ["--crop", "0,0,0,5"]),
    Bad("crop of a planet", USAGE, "crop '0,0,99999999999,5' is larger than any picture", "give x,y,w,h in its pixels",
        ["--crop", "0,0,99999999999,5"]),
    Bad("margin without a face", USAGE, "margin and face say which face is cut out, and how widely",
        "they go with --crop auto", ["--margin", "2"]),
    Bad("tolerance of fixed steps", USAGE, "euler takes no tolerance",
        "adaptive solvers do: adaptive_heun, bosh3, dopri5, dopri8, fehlberg2", ["--tolerance", "1e-3"]),
    Bad("align without a face", USAGE, "a head can be levelled only where a face is looked for",
        "--align goes with --crop auto", ["--align"]),
    Bad("no colour", USAGE, "there is no colour 'loud'", "give a name such as white, or #rrggbb",
        ["--background", "loud"]),
    Bad("crf", USAGE, "crf must lie in 0..51, not 99", "18 looks lossless, 28 is small", ["--crf", "99"]),
    Bad("preset", USAGE, "there is no preset 'turbo'",
        "choose from ultrafast, superfast, veryfast, faster, fast, medium, slow, slower, veryslow",
        ["--preset", "turbo"]),
    Bad("audio bitrate", USAGE, "audio-bitrate must lie in 8..512 kbit/s, not 0", "192 is plenty",
        ["--audio-bitrate", "0"]),
    Bad("dtype", USAGE, "there is no dtype 'int8'", "choose from auto, float32, bfloat16, float16",
        ["--dtype", "int8"]),
    Bad("device name", USAGE, "there is no device 'abacus'", "choose from auto, cpu, cuda, cuda:N, mps",
        ["--device", "abacus"]),
    Bad("numbered auto", USAGE, "there is no device 'auto:0'", "choose from auto, cpu, cuda, cuda:N, mps",
        ["--device", "auto:0"]),
    Bad("device in superscript", USAGE, "there is no device 'cuda:²'", "choose from auto, cpu, cuda, cuda:N, mps",
        ["--device", "cuda:²"]),
    Bad("batch of nothing", USAGE, "batch-size must lie in 1..4096, not 0", "8 suits most machines",
        ["--batch-size", "0"]),
    Bad("emotion", USAGE, "this model knows no emotion 'bored'",
        "choose from auto, angry, disgust, fear, happy, neutral, sad, surprise, or a .csv", ["--emotion", "bored"]),
    Bad("suffix", USAGE, "{tmp}/out.avi names no known kind of video", "end it in one of mp4, mov, mkv, webm, gif",
        output="{tmp}/out.avi"),
    Bad("json and a video on stdout", USAGE, "--json and -o - cannot both have stdout",
        "leave --json out, or name a file with -o", ["--json"], output="-"),
    Bad("format of a file", USAGE, "--format is for a video that goes to stdout",
        "add -o -, or say it by the suffix of OUT", ["--format", "mp4"]),
    Bad("format that does not flow", USAGE, "there is no format 'avi'", "choose from mp4, matroska, webm, gif",
        ["--format", "avi"], output="-"),
    Bad("no recording for stdout", INPUT, "{tmp}/me.wav is not there", "check the recording's path",
        speech="{tmp}/me.wav", output="-"),
    Bad("output is input", USAGE, "{tmp}/in.mkv is an input too", "name another output",
        speech="{tmp}/in.mkv", output="{tmp}/in.mkv", bad="in.mkv", given=lambda path: make(path, b"sound")),
    # Pictures.
    Bad("no picture", INPUT, "{tmp}/me.png is not there", "check the picture's path", face="{tmp}/me.png"),
    Bad("endless name of a picture", INPUT, f"'{80 * 'x'}' is no usable path: File name too long", "name it otherwise",
        face=300 * "x"),
    Bad("endless name of a video", INPUT, f"'{80 * 'x'}' is no usable path: File name too long", "name it otherwise",
        output=300 * "x" + ".mp4"),
    Bad("endless name of weights", INPUT, f"'{80 * 'x'}' is no usable path: File name too long", "name it otherwise",
        ["--weights", 300 * "x"]),
    Bad("a picture that links to itself", INPUT,
        "'{tmp}/bad.png' is no usable path: Too many levels of symbolic links", "name it otherwise",
        face="{tmp}/bad.png", bad="bad.png", given=lambda path: path.symlink_to(path)),
    Bad("folder for a picture", INPUT, "{tmp} is a folder, not a picture", "name one picture in it", face="{tmp}"),
    Bad("empty picture", INPUT, "{tmp}/bad.png is empty", "check the picture's path",
        face="{tmp}/bad.png", bad="bad.png", given=make),
    Bad("text for a picture", INPUT, "{tmp}/bad.png is no picture that can be read",
        "save it as PNG or JPEG",
        face="{tmp}/bad.png", bad="bad.png", given=lambda path: make(path, b"a face, promised")),
    Bad("video for a picture", INPUT, "{tmp}/bad.mp4 is a video, not a picture",
        "save one of its frames as a picture first", face="{tmp}/bad.mp4", bad="bad.mp4", given=silent_video),
    Bad("half a picture", INPUT, "{tmp}/bad.png is damaged or cut short",
        "open it in a picture editor and save it again", face="{tmp}/bad.png", bad="bad.png", given=half_a_picture),
    Bad("speck of a picture", INPUT, "{tmp}/bad.png is too small a picture (8x8)", "it takes at least 16 pixels a side",
        face="{tmp}/bad.png", bad="bad.png", given=lambda path: picture(path, 8, 8)),
    Bad("no face", INPUT, "no face found in {face}", "use --crop none, or --crop x,y,w,h around head and shoulders",
        ["--crop", "auto"]),
    Bad("crop outside", INPUT, "crop 500,500,9,9 lies outside {face}", "it has 96x80 pixels",
        ["--crop", "500,500,9,9"]),
    # Speech.
    Bad("no recording", INPUT, "{tmp}/me.wav is not there", "check the recording's path", speech="{tmp}/me.wav"),
    Bad("folder for a recording", INPUT, "{tmp} is a folder, not a recording", "name one recording in it",
        speech="{tmp}"),
    Bad("text for a recording", INPUT, "{tmp}/bad.wav is no recording that ffmpeg can read",
        "use WAV, MP3, M4A, or a video with sound",
        speech="{tmp}/bad.wav", bad="bad.wav", given=lambda path: make(path, b"blah blah")),
    Bad("video without sound", INPUT, "{tmp}/bad.mp4 has no sound", "give a recording of speech, or a video with sound",
        speech="{tmp}/bad.mp4", bad="bad.mp4", given=silent_video),
    Bad("a click for a recording", INPUT, "{tmp}/bad.wav is too short (10 ms)", "it takes at least 40 ms",
        speech="{tmp}/bad.wav", bad="bad.wav", given=lambda path: write_wav(path, 0.01)),
    # Places.
    Bad("no folder", INPUT, "there is no folder {tmp}/videos", "create it: mkdir -p '{tmp}/videos'",
        output="{tmp}/videos/out.mp4"),
    Bad("file for a folder", INPUT, "{tmp}/bad.png is a file, not a folder", "name another output",
        output="{tmp}/bad.png/out.mp4", bad="bad.png", given=make),
    Bad("file for a folder of folders", INPUT, "{tmp}/bad.png is a file, not a folder", "name another output",
        output="{tmp}/bad.png/videos/out.mp4", bad="bad.png", given=make),
    Bad("pipe for a video", INPUT, "{tmp}/bad.mp4 is no regular file, and would be replaced", "name another output",
        output="{tmp}/bad.mp4", bad="bad.mp4", given=os.mkfifo),
    Bad("a video that links to itself", INPUT,
        "'{tmp}/bad.mp4' is no usable path: Too many levels of symbolic links", "name it otherwise",
        output="{tmp}/bad.mp4", bad="bad.mp4", given=lambda path: path.symlink_to(path)),
    Bad("folder for a video", INPUT, "{tmp}/bad.mp4 is a folder", "name a file in it",
        output="{tmp}/bad.mp4", bad="bad.mp4", given=Path.mkdir),
    Bad("taken", INPUT, "{tmp}/bad.mp4 is there already", "allow it with --overwrite, or name another output",
        ["--no-overwrite"], output="{tmp}/bad.mp4", bad="bad.mp4", given=make),
    Bad("circle of links", INPUT, "'{tmp}/bad.mp4' is no usable path: Too many levels of symbolic links",
        "name it otherwise",
        output="{tmp}/bad.mp4", bad="bad.mp4", given=lambda path: path.symlink_to(path)),
    Bad("link to nowhere", INPUT, "{tmp}/no/bad.mp4 can't be written: No such file or directory",
        "make room or choose another place",
        output="{tmp}/bad.mp4", bad="bad.mp4", given=lambda path: path.symlink_to(path.parent / "no" / path.name)),
    # Weights.
    Bad("no weights", WEIGHTS, "there are no weights at {tmp}/w.safetensors",
        "see 'floatcli weights list'", ["--weights", "{tmp}/w.safetensors"]),
    Bad("folder for weights", WEIGHTS, "{tmp} is a folder",
        "name the file in it, or make one file of it: floatcli weights convert {tmp} -o weights.safetensors",
        ["--weights", "{tmp}"]),
    Bad("pickled weights", WEIGHTS, "{tmp}/bad.pth is damaged or holds more than tensors",
        "fetch the file again; only plain tensors are loaded", ["--weights", "{tmp}/bad.pth"],
        bad="bad.pth", given=lambda path: torch.save({"model": Bad}, path)),
    # Devices.
    Bad("absent device", DEVICE, "there is no device cuda:99 here", "use --device cpu, or auto for the best there is",
        ["--device", "cuda:99"]),
]  # fmt: skip


def animate(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Exit code, and the lines on stderr; there must be none on stdout."""
    code = run(["animate", *arguments])
    said = capsys.readouterr()
    assert said.out == ""
    return code, said.err.splitlines()


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_bad_input(case: Bad, tiny_weights, face_file, speech_file, tmp_path, capsys):
    if case.given:
        case.given(tmp_path / case.bad)
    before = sorted(tmp_path.iterdir())
    places = {"tmp": tmp_path, "face": face_file, "speech": speech_file}
    defaults = ["--weights", str(tiny_weights), "--crop", "none", "--device", "cpu", "-q", "--nfe", "1"]
    if "--solver" in case.options:
        defaults = defaults[:-2]
    words = [case.face, case.speech, "-o", case.output, *defaults, *case.options]
    code, lines = animate([word.format(**places) for word in words], capsys)
    assert lines == [
        f"floatcli: error: {case.message.format(**places)}",
        f"floatcli: hint: {case.hint.format(**places)}",
    ]
    assert code == case.code
    assert sorted(tmp_path.iterdir()) == before


def test_a_closed_folder_is_told(tiny_weights, face_file, speech_file, tmp_path, capsys, monkeypatch):
    stat = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path.parent.name == "closed":
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    shut = tmp_path / "closed" / "me.png"
    for words in ([shut, speech_file], [face_file, speech_file, "-o", shut.with_suffix(".mp4")]):
        code, lines = animate([*map(str, words), "--weights", str(tiny_weights)], capsys)
        assert code == INPUT
        assert lines[0].endswith("can't be reached: Permission denied")
        assert lines[1:] == ["floatcli: hint: check the permissions of the folder it is in"]


def lack(tensors: dict) -> None:
    del tensors["basis.weight"]


def exceed(tensors: dict) -> None:
    tensors["extra"] = torch.zeros(1)


def misshape(tensors: dict) -> None:
    tensors["basis.weight"] = torch.zeros(3, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lack, "lacks basis.weight"),
        (exceed, "has surplus extra"),
        (misshape, "has misshapen basis.weight [3, 3] instead of [32, 20]"),
    ],
)
def test_weights_that_are_not_exactly_the_model(
    change, message, tiny_weights, face_file, speech_file, tmp_path, capsys
):
    path = tmp_path / "bad.safetensors"
    weights(path, tiny_weights, change)
    arguments = [str(face_file), str(speech_file), "-o", str(tmp_path / "out.mp4"), "--weights", str(path)]
    code, lines = animate(arguments, capsys)
    assert (code, lines[0]) == (WEIGHTS, f"floatcli: error: {path} {message}")
    assert len(lines) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_ffmpeg_that_fails(tiny_weights, face_file, speech_file, tmp_path, capsys, monkeypatch):
    """One that reads sound but has no encoder."""
    broken = tmp_path / "ffmpeg"
    broken.write_text(
        f'#!/bin/sh\ncase "$*" in *rawvideo*) echo "Unknown encoder" >&2; exit 1;; esac\n'
        f'exec {ffmpeg_executable()} "$@"\n'
    )
    broken.chmod(0o755)
    monkeypatch.setattr("floatcli.media.video.ffmpeg_executable", lambda: str(broken))
    output = tmp_path / "out.mp4"
    arguments = [str(face_file), str(speech_file), "-o", str(output), "--weights", str(tiny_weights)]
    code, lines = animate([*arguments, "--crop", "none", "--nfe", "1", "--device", "cpu"], capsys)
    assert (code, lines[0]) == (FFMPEG, f"floatcli: error: ffmpeg failed to write {output}: Unknown encoder")
    assert len(lines) == 2
    assert list(tmp_path.iterdir()) == [broken]


def test_no_ffmpeg_at_all(tiny_weights, face_file, speech_file, tmp_path, capsys, monkeypatch):
    ffmpeg_executable.cache_clear()
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    arguments = [str(face_file), str(speech_file), "-o", str(tmp_path / "out.mp4"), "--weights", str(tiny_weights)]
    try:
        code, lines = animate([*arguments, "--crop", "none", "--device", "cpu"], capsys)
    finally:
        ffmpeg_executable.cache_clear()
    assert code == FFMPEG
    assert lines == [
        "floatcli: error: ffmpeg is not there",
        "floatcli: hint: install ffmpeg, or: pip install imageio-ffmpeg",
    ]
