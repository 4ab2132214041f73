"""``floatcli edit``: which option belongs to which vector, which clip is meant, and what is written."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from floatcli import Motion
from floatcli.checkpoint.load import save_model
from floatcli.checkpoint.store import file_digest
from floatcli.cli.app import run
from floatcli.edits import coefficients
from floatcli.media.ffmpeg import media_info
from floatcli.models.float_model import FloatModel
from tests.cli.bad import Bad
from tests.conftest import TINY, write_wav

USAGE, INPUT, WEIGHTS = 2, 3, 4
RIGHT = "name a vector, then what happens to it: --basis 3 --scale 1.5 --basis 5 --offset 0.2"


@pytest.fixture(scope="module")
def made(tiny_weights, face_file, speech_file, tmp_path_factory) -> Path:
    """A folder with out.mp4 and its motion."""
    folder = tmp_path_factory.mktemp("made")
    options = ["--weights", str(tiny_weights), "--crop", "none", "--nfe", "1", "--device", "cpu", "-q"]
    assert run(["animate", str(face_file), str(speech_file), "-o", str(folder / "out.mp4"), *options]) == 0
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch) -> Path:
    """A copy of it, as the current folder."""
    for path in made.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def basis(tiny_weights) -> np.ndarray:
    from floatcli.checkpoint.load import load_model

    return load_model(tiny_weights).basis.matrix.detach().double().numpy()


def edit(*arguments: str) -> int:
    return run(["edit", *arguments, "--device", "cpu"])


def test_right_after_animate_the_newest_motion_is_meant(folder, basis, capsys):
    old = folder / "old.motion.safetensors"
    old.write_bytes((folder / "out.motion.safetensors").read_bytes())
    os.utime(old, (1, 1))
    assert edit("--basis", "3", "--scale", "1.5") == 0
    assert capsys.readouterr().err == "floatcli: editing out.motion.safetensors, the newest motion here\n"
    before, after = (Motion.load(folder / f"{name}.motion.safetensors") for name in ("out", "out-edit"))
    expected = coefficients(before, basis)
    expected[:, 3] *= 1.5
    np.testing.assert_allclose(coefficients(after, basis), expected, atol=1e-5)
    info = media_info(folder / "out-edit.mp4")
    assert info is not None
    assert info.duration == pytest.approx(2.52, abs=0.05)
    assert info.audio


@pytest.mark.parametrize("clip", ["out.mp4", "out.motion.safetensors"])
def test_a_clip_is_its_video_or_its_motion(folder, clip, capsys):
    assert edit(clip, "--basis", "0", "--freeze", "-o", "x.gif", "--json", "-q") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["edits"] == ["basis 0 freeze"]
    assert (result["path"], result["motion"], result["frames"]) == ("x.gif", "x.motion.safetensors", 63)
    assert Image.open("x.gif").n_frames == 63


def test_options_belong_to_the_vector_before_them(folder, capsys):
    (folder / "keys.csv").write_text("0,1\n1.5,2\n")
    arguments = ["--basis", "3", "--scale", "1.5", "--about", "mean", "--basis", "5", "--offset", "0.2", "--freeze"]
    arguments += ["--basis", "2", "--curve", "0:1,1.5:2", "--basis", "4", "--curve", "offset=keys.csv"]
    assert edit(*arguments, "--plot", "p.png", "--json", "-q", "--no-save-motion") == 0
    assert json.loads(capsys.readouterr().out)["edits"] == [
        "basis 3 scale 0:1.5 about mean",
        "basis 5 freeze offset 0:0.2",
        "basis 2 scale 0:1,1.5:2",
        "basis 4 offset 0:1,1.5:2",
    ]
    assert not (folder / "out-edit.motion.safetensors").exists()


def test_an_edit_can_be_edited_on(folder, capsys):
    assert edit("out.mp4", "--basis", "3", "--scale", "2", "-q") == 0
    assert edit("out-edit.mp4", "--basis", "4", "--offset", "1", "-o", "again.mp4", "-q") == 0
    assert Motion.load("again.motion.safetensors").making.edits == ("basis 3 scale 0:2", "basis 4 offset 0:1")


def test_coefficients_of_another_take(folder, basis):
    assert edit("out.mp4", "--basis", "3", "--offset", "5", "-o", "far.mp4", "-q") == 0
    assert edit("out.mp4", "--reference", "far.motion.safetensors", "--basis", "3", "-o", "taken.mp4", "-q") == 0
    far, taken = (coefficients(Motion.load(f"{name}.motion.safetensors"), basis) for name in ("far", "taken"))
    np.testing.assert_allclose(taken, far, atol=1e-5)


def test_a_plot_alone_writes_no_video(folder):
    assert edit("out.mp4", "--plot", "p.png", "-q") == 0
    assert Image.open("p.png").width == 1280
    assert not (folder / "out-edit.mp4").exists()


def test_the_plot_shows_what_changed_in_orange(folder):
    def orange(path: str) -> int:
        pixels = np.asarray(Image.open(path)).astype(int)
        return int(((pixels[..., 0] - pixels[..., 2] > 120) & (pixels[..., 0] > 180)).sum())

    assert edit("out.mp4", "--plot", "before.png", "-q") == 0
    assert edit("out.mp4", "--basis", "3", "--scale", "2", "--plot", "after.png", "-q") == 0
    assert orange("before.png") == 0
    assert orange("after.png") > 500


AS_IN = "as in 0:1,1.5:2"
KEYS = ["--basis", "1", "--curve"]
BAD = [
    Bad("nothing to do", USAGE, "there is nothing to do", f"{RIGHT}, or --sheet basis.png"),
    Bad("scale of nothing", USAGE, "--scale stands before any --basis", RIGHT, ["--scale", "2", "--basis", "1"]),
    Bad("freeze of nothing", USAGE, "--freeze stands before any --basis", RIGHT, ["--freeze"]),
    Bad("two vectors, one scale", USAGE, "nothing is to happen to basis 1", RIGHT,
        ["--basis", "1", "--basis", "2", "--scale", "2"]),
    Bad("twice", USAGE, "basis 1 has --scale twice", "name it again for the second: --basis 1 ... --basis 1 ...",
        ["--basis", "1", "--scale", "2", "--scale", "3"]),
    Bad("frozen and bent", USAGE, "basis 1 is both frozen and scaled", "--freeze goes with --offset alone",
        [*KEYS, "0:1,1:2", "--freeze"]),
    Bad("beyond all numbers", USAGE, "the edit leads beyond all numbers", "take a smaller scale or offset",
        ["--basis", "1", "--scale", "1e300"]),
    Bad("vector of many digits", USAGE, f"there is no basis vector '{'9' * 400}*", "choose from 0 to 19",
        ["--basis", "9" * 5000, "--freeze"]),
    Bad("vector with two signs", USAGE, "there is no basis vector '--5'", "choose from 0 to 19",
        ["--basis=--5", "--freeze"]),
    Bad("curve of nothing", INPUT, "blank.csv has no keyframes", "one a line, as in 0,1", [*KEYS, "blank.csv"]),
    Bad("fit of nothing", USAGE, "--fit is for a --reference", "leave it out",
        ["--basis", "1", "--freeze", "--fit", "loop"]),
    Bad("sheet is plot", USAGE, "a.png would be written twice", "name another output",
        ["--sheet", "a.png", "--plot", "a.png"]),
    Bad("plot is a folder", INPUT, "folder.png is a folder", "name a file in it", ["--plot", "folder.png"]),
    Bad("plot is there", INPUT, "there.png is there already", "allow it with --overwrite, or name another output",
        ["--plot", "there.png", "--no-overwrite"]),
    Bad("onto its own video", USAGE, "out.mp4 is an input and would be replaced", "name another output",
        ["--basis", "1", "--freeze", "-o", "out.mp4", "--no-save-motion"]),
    Bad("onto its reference", USAGE, "out-edit.motion.safetensors is an input and would be replaced",
        "name another output", ["--reference", "out-edit.motion.safetensors", "--basis", "1"]),
    Bad("speech without sound", INPUT, "there.png is no recording that ffmpeg can read",
        "use WAV, MP3, M4A, or a video with sound", ["--basis", "1", "--freeze", "--speech", "there.png"]),
    Bad("endless name of a clip", INPUT, f"'{'x' * 80}' is no usable path: File name too long", "name it otherwise",
        ["x" * 300 + ".mp4", "--basis", "1", "--freeze"]),
    Bad("frozen and scaled", USAGE, "basis 1 is both frozen and scaled", "--freeze goes with --offset alone",
        ["--basis", "1", "--freeze", "--scale", "2"]),
    Bad("scale and curve", USAGE, "basis 1 has both --scale and a curve of it", "leave one out",
        [*KEYS, "0:1,1:2", "--scale", "2"]),
    Bad("about alone", USAGE, "basis 1 has --about and no scale", "it says where --scale starts from",
        ["--basis", "1", "--offset", "2", "--about", "mean"]),
    Bad("about what", USAGE, "scaling about 'noon' is not known", "choose from zero, mean",
        ["--basis", "1", "--scale", "2", "--about", "noon"]),
    Bad("vector beyond", USAGE, "there is no basis vector 20", "they are numbered 0 to 19",
        ["--basis", "20", "--freeze"]),
    Bad("vector below", USAGE, "there is no basis vector -1", "they are numbered 0 to 19",
        ["--basis", "-1", "--freeze"]),
    Bad("vector without a name", USAGE, "there is no basis vector 'jaw'", "choose from 0 to 19",
        ["--basis", "jaw", "--freeze"]),
    Bad("vector in superscript", USAGE, "there is no basis vector '²'", "choose from 0 to 19",
        ["--basis", "²", "--freeze"]),
    Bad("scale in words", USAGE,
        "Invalid value for '--scale': Input should be a valid number, unable to parse string as a number",
        "see 'floatcli edit --help'", ["--basis", "1", "--scale", "more"]),
    Bad("endless scale", USAGE, "scale must be a finite number, not inf",
        "a scale of 1 and an offset of 0 change nothing",
        ["--basis", "1", "--scale", "inf"]),
    Bad("offset that is none", USAGE, "offset must be a finite number, not nan",
        "a scale of 1 and an offset of 0 change nothing",
        ["--basis", "1", "--offset", "nan"]),
    Bad("curve of what", USAGE, "there is no curve of 'speed'", "give scale=... or offset=...", [*KEYS, "speed=0:1"]),
    Bad("keyframe in words", USAGE, "keyframe 2, '1:loud', is no seconds:value", AS_IN, [*KEYS, "0:1,1:loud"]),
    Bad("keyframes out of order", USAGE, "keyframe 2: 0 s does not come after 1 s",
        "put them in order", [*KEYS, "1:1,0:2"]),
    Bad("endless keyframe", USAGE, "keyframe 1, '0:inf', is not finite", AS_IN, [*KEYS, "0:inf"]),
    Bad("no curve file", INPUT, "keys.csv is not there", "check the curve's path", [*KEYS, "keys.csv"]),
    Bad("reference for nothing", USAGE, "which coefficients of the reference?",
        "name them: --reference OTHER --basis 3 --basis 5", ["--reference", "out.motion.safetensors"]),
    Bad("no reference", INPUT, "other.motion.safetensors is not there", "check the motion's path",
        ["--reference", "other.motion.safetensors", "--basis", "1"]),
    Bad("no such fit", USAGE, "there is no fit 'glue'", "choose from exact, stretch, loop",
        ["--reference", "out.motion.safetensors", "--basis", "1", "--fit", "glue"]),
    Bad("no clip", INPUT, "other.motion.safetensors is not there", "check the motion's path",
        ["other.motion.safetensors", "--basis", "1", "--freeze"]),
    Bad("video without its motion", INPUT, "other.motion.safetensors is not there",
        "animate keeps a video's motion unless --no-save-motion is given", ["other.mp4", "--basis", "1", "--freeze"]),
    Bad("clip that is none", INPUT, "notes.txt cannot be read: *", "it is truncated or no motion; animate again",
        ["notes.txt", "--basis", "1", "--freeze"]),
    Bad("suffix", USAGE, "out.avi names no known kind of video", "end it in one of mp4, mov, mkv, webm, gif",
        ["--basis", "1", "--freeze", "-o", "out.avi"]),
    Bad("about nothing", USAGE, "scaling about '' is not known", "choose from zero, mean",
        ["--basis", "1", "--scale", "2", "--about", ""]),
    Bad("half a keyframe", USAGE, "keyframe 2, '1', is no seconds:value", AS_IN, [*KEYS, "0:1,1"]),
    Bad("fit that is empty", USAGE, "there is no fit ''", "choose from exact, stretch, loop",
        ["--reference", "out.motion.safetensors", "--basis", "1", "--fit", ""]),
    Bad("beyond all numbers", USAGE, "the edit leads beyond all numbers", "take a smaller scale or offset",
        ["--basis", "1", "--scale", "1e200", "--basis", "1", "--scale", "1e200"]),
    Bad("onto itself", USAGE, "out.motion.safetensors is an input and would be replaced", "name another output",
        ["--basis", "1", "--freeze", "-o", "out.mov"]),
    Bad("sheet suffix", USAGE, "basis.pdf names no known kind of picture", "end it in .png or .html",
        ["--sheet", "basis.pdf"]),
    Bad("plot suffix", USAGE, "plot.html names no known kind of picture", "end it in .png", ["--plot", "plot.html"]),
    Bad("plot into nowhere", INPUT, "there is no folder not/there", "create it: mkdir -p 'not/there'",
        ["--plot", "not/there/p.png"]),
    Bad("no speech", INPUT, "other.wav is not there", "check the recording's path",
        ["--basis", "1", "--freeze", "--speech", "other.wav"]),
    Bad("no weights", WEIGHTS, "there are no weights at nowhere", "see 'floatcli weights list'",
        ["--basis", "1", "--freeze", "--weights", "nowhere"]),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_bad_input_gets_one_line_and_a_hint(folder, capsys, bad):
    (folder / "notes.txt").write_text("nothing to see")
    (folder / "blank.csv").write_text("\n \n")
    (folder / "folder.png").mkdir()
    Image.new("RGB", (32, 32)).save(folder / "there.png")
    (folder / "out-edit.motion.safetensors").write_bytes((folder / "out.motion.safetensors").read_bytes())
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    clip = [] if bad.options and not bad.options[0].startswith("-") else ["out.motion.safetensors"]
    assert edit(*clip, *bad.options, "-q") == bad.code
    said = capsys.readouterr()
    first, hint = said.err.splitlines()
    message = f"floatcli: error: {bad.message}"
    assert first.startswith(message[:-1]) if bad.message.endswith("*") else first == message
    assert hint == f"floatcli: hint: {bad.hint}"
    assert said.out == ""
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_the_clips_own_portrait_is_not_replaced(folder, face_file, capsys):
    before = face_file.read_bytes()
    assert edit("out.mp4", "--plot", str(face_file), "-q") == USAGE
    assert f"{face_file} is an input and would be replaced" in capsys.readouterr().err
    assert face_file.read_bytes() == before


def test_what_the_reference_was_made_from_is_not_replaced(folder, face_file, capsys):
    before = face_file.read_bytes()
    (folder / "V.MP4").write_bytes((folder / "out.mp4").read_bytes())
    (folder / "V.motion.safetensors").write_bytes((folder / "out.motion.safetensors").read_bytes())
    (folder / "curve.png").write_text("0,1\n1,2\n")
    for command in (
        ["out.mp4", "--reference", "V.MP4", "--basis", "1", "--plot", str(face_file)],
        ["V.MP4", "--basis", "1", "--freeze", "-o", "V.MP4", "--no-save-motion"],
        ["out.mp4", "--basis", "1", "--curve", "curve.png", "--plot", "curve.png"],
    ):
        assert edit(*command, "-q") == USAGE
        assert "is an input and would be replaced" in capsys.readouterr().err
    assert face_file.read_bytes() == before


def test_weights_that_are_gone_are_told(folder, tiny_weights, capsys):
    motion = Motion.load("out.motion.safetensors")
    gone = dataclasses.replace(motion.making.weights, path="/nowhere/tiny.safetensors")
    motion = dataclasses.replace(motion, making=dataclasses.replace(motion.making, weights=gone, video=None))
    motion.save("gone.motion.safetensors")
    assert edit("gone.motion.safetensors", "--basis", "1", "--freeze") == WEIGHTS
    first, hint = capsys.readouterr().err.splitlines()
    assert first == "floatcli: error: the weights that made the motion are not at /nowhere/tiny.safetensors any more"
    assert "--weights" in hint


@pytest.mark.parametrize("shown", [("--plot", "p.png"), ("--sheet", "s.png"), ("--basis", "1", "--freeze")])
@pytest.mark.parametrize("wide", [False, True])
def test_other_weights_are_refused_before_anything_is_written(folder, capsys, shown, wide):
    other = dataclasses.replace(TINY, motion_dim=40 if wide else TINY.motion_dim)
    torch.manual_seed(9)
    save_model(FloatModel(other), folder / "other.safetensors")
    before = sorted(folder.iterdir())
    assert edit("out.mp4", *shown, "--weights", "other.safetensors", "-q") == WEIGHTS
    assert "the motion was made with other weights" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_an_edit_remembers_the_recording_it_was_given(folder):
    other = write_wav(folder / "other.wav", 2, seed=5)
    assert edit("out.mp4", "--basis", "1", "--freeze", "--speech", str(other), "-o", "a.mp4", "-q") == 0
    speech = Motion.load(folder / "a.motion.safetensors").making.speech
    assert speech is not None
    assert (Path(speech.path), speech.digest) == (other, file_digest(other))


def test_a_motion_of_another_video_is_refused(folder, capsys):
    (folder / "out.mp4").write_bytes((folder / "out.mp4").read_bytes() + b"0")
    assert edit("out.mp4", "--basis", "1", "--freeze", "-q") == INPUT
    assert "out.motion.safetensors belongs to another video than out.mp4" in capsys.readouterr().err
    assert edit("out.motion.safetensors", "--basis", "1", "--freeze", "-q") == 0


def test_a_video_that_may_not_be_read_is_told(folder, capsys, monkeypatch):
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "out.mp4" and access(path, mode))
    assert edit("out.mp4", "--basis", "1", "--freeze", "-q") == INPUT
    assert "out.mp4 may not be read" in capsys.readouterr().err


def test_an_output_alone_decodes_the_clip_again(folder, capsys):
    assert edit("out.mp4", "-o", "again.mp4", "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out)["edits"] == []
    ours, theirs = (Motion.load(f"{name}.motion.safetensors") for name in ("out", "again"))
    np.testing.assert_array_equal(ours.latents, theirs.latents)
    assert (folder / "again.mp4").read_bytes() == (folder / "out.mp4").read_bytes()


def test_leftovers_and_dangling_links_are_not_the_newest(folder, capsys):
    (folder / ".floatcli-1.motion.safetensors").write_bytes(b"half")
    (folder / "gone.motion.safetensors").symlink_to("nowhere")
    assert edit("--basis", "3", "--freeze") == 0
    assert "editing out.motion.safetensors" in capsys.readouterr().err


def test_curves_from_spreadsheets(folder, capsys):
    (folder / "keys.csv").write_text("\ufeff0,1\n1.5,2\n", encoding="utf-8")
    assert edit("out.mp4", "--basis", "2", "--curve", "keys.csv", "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out)["edits"] == ["basis 2 scale 0:1,1.5:2"]


def test_an_empty_folder_has_no_newest_motion(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert edit("--basis", "1", "--freeze") == INPUT
    assert "there is no motion in this folder" in capsys.readouterr().err


def test_other_weights_are_refused(folder, tiny_weights, capsys):
    other = folder / "other.safetensors"
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(tiny_weights, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(tiny_weights)
    tensors["basis.weight"] = tensors["basis.weight"] * 1.5
    save_file(tensors, other, metadata)
    assert edit("out.mp4", "--basis", "1", "--freeze", "--weights", str(other), "-q") == WEIGHTS
    assert f"the motion was made with other weights, tiny at {tiny_weights}" in capsys.readouterr().err
    assert not (folder / "out-edit.mp4").exists()
