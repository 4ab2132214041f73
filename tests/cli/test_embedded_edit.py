"""On the embedded weights: the sheet names the vector that opens the mouth, and scaling it moves the mouth."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from floatcli import BasisEdit, Clip, FloatPipeline, Motion, edited
from floatcli.cli.app import run
from floatcli.config import POSE, CropConfig
from floatcli.edits import constant
from floatcli.sheet import face_regions

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def pipe() -> FloatPipeline:
    return FloatPipeline.from_weights(device="cpu")


@pytest.fixture(scope="module")
def clip(pipe, tmp_path_factory) -> Clip:
    """The example portrait saying the first two seconds of the example speech."""
    short = tmp_path_factory.mktemp("speech") / "short.wav"
    with wave.open(str(EXAMPLES / "speech.wav")) as whole, wave.open(str(short), "wb") as part:
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(2 * whole.getframerate()))
    return pipe.animate(EXAMPLES / "portrait.png", short, CropConfig("none"))


@pytest.fixture(scope="module")
def motion(clip) -> Motion:
    return clip.motion


@pytest.fixture(scope="module")
def rows(motion, tmp_path_factory) -> list[dict]:
    """What the sheet says of the basis."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("sheet")
    motion.save(folder / "a.motion.safetensors")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for suffix in ("png", "html"):
            command = ["edit", str(folder / "a.motion.safetensors"), "--sheet", str(folder / f"basis.{suffix}")]
            assert run([*command, "--json", "-q", "--device", "cpu"]) == 0
    assert (folder / "basis.html").read_text().count("<img") == 20
    first, second = (json.loads(line)["basis"] for line in said.getvalue().splitlines())
    assert first == second
    return first


def mouth_movement(pipe: FloatPipeline, motion: Motion) -> float:
    """How much the pixels of the mouth change over time."""
    regions = face_regions(pipe.portraits.anchors(pipe.portraits.of(motion)), motion.portrait.shape[0])
    mouths = np.stack([frame[regions["mouth"]] for frame in pipe.replay(motion)]).astype(float)
    return float(mouths.std(0).mean())


def test_the_sheet_names_what_vectors_move(rows):
    moves = {row["name"]: row for row in rows}
    for name in ("jaw", "round", "smile", "lower_lip"):
        assert moves[name]["label"].startswith("mouth"), moves[name]
    for name in ("lid_left", "lid_right", "gaze_x"):
        assert moves[name]["label"].startswith("eyes"), moves[name]
    assert moves["shift_x"]["shares"]["shift"] > 0.5
    for name, kind in (("roll", "rotation"), ("yaw", "turn"), ("pitch", "turn"), ("zoom", "scale")):
        assert moves[name]["shares"][kind] > 0.3, moves[name]
        assert kind in moves[name]["label"]


def test_decoding_it_again_gives_the_frames_that_animate_gave(pipe, clip, tmp_path):
    again = Motion.load(clip.motion.save(tmp_path / "a.motion.safetensors"))
    for ours, theirs in zip(clip, pipe.replay(again), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_scaling_the_vector_that_opens_the_mouth(pipe, motion, rows):
    (jaw,) = (row["number"] for row in rows if row["name"] == "jaw")
    basis = pipe.model.basis.matrix.detach().double().numpy()
    head = [
        BasisEdit(pipe.config.coefficient_names.index(name), freeze=True) for name in POSE
    ]  # or it moves mouths too
    less, usual, more = (
        mouth_movement(pipe, edited(motion, basis, [*head, BasisEdit(jaw, scale=constant(scale))]))
        for scale in (0, 1, 2)
    )
    assert less < 0.8 * usual
    assert more > 1.2 * usual
