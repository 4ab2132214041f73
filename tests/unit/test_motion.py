"""A motion on disk: everything comes back, the same frames are decoded from it, what is wrong with a file is said."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from floatcli import FloatPipeline, Motion
from floatcli.config import CropConfig, SampleConfig
from floatcli.errors import InputError, WeightsError
from floatcli.motion import read_making

WHOLE, QUICK = CropConfig(mode="none"), SampleConfig(nfe=1, seed=3)


@pytest.fixture(scope="module")
def pipe(tiny_weights: Path) -> FloatPipeline:
    return FloatPipeline.from_weights(tiny_weights, device="cpu")


@pytest.fixture(scope="module")
def clip(pipe, face_file, speech_file):
    return pipe.animate(face_file, speech_file, WHOLE, QUICK)


@pytest.fixture(scope="module")
def saved(clip, tmp_path_factory) -> Path:
    return clip.motion.save(tmp_path_factory.mktemp("motion") / "a.motion.safetensors")


def rewritten(saved: Path, path: Path, tensors=lambda t: None, metadata=lambda m: None) -> Path:
    """The file with its tensors and metadata changed in place."""
    from safetensors import safe_open

    with safe_open(saved, framework="numpy") as file:
        facts = dict(file.metadata())
    arrays = load_file(saved)
    tensors(arrays)
    metadata(facts)
    save_file(arrays, path, facts)
    return path


def test_everything_comes_back(clip, saved):
    ours, theirs = clip.motion, Motion.load(saved)
    for name in ("latents", "emotion", "portrait"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert ours.making == theirs.making == read_making(saved)
    assert theirs.latents.dtype == np.float32
    assert (len(theirs.latents), theirs.seconds) == (63, 2.52)


def test_it_says_how_it_was_made(saved, tiny_weights, face_file, speech_file):
    making = read_making(saved)
    assert making.sample == QUICK
    assert making.video is None
    assert (making.model, making.fps, making.basis_size, making.window) == ("tiny", 25, 20, 50)
    assert making.weights is not None
    assert (making.weights.path, making.face.path, making.speech.path) == tuple(
        map(str, (tiny_weights, face_file, speech_file))
    )
    assert making.crop == (8, 0, 80, 0.0)


def test_decoding_it_again_gives_the_same_frames(pipe, clip, saved):
    again = pipe.replay(Motion.load(saved))
    np.testing.assert_array_equal(np.stack(list(clip)), np.stack(list(again)))


def test_the_motion_can_be_had_without_decoding(pipe, face_file, speech_file, monkeypatch):
    clip = pipe.animate(face_file, speech_file, WHOLE, QUICK)
    monkeypatch.setattr(pipe.model, "decode", pytest.fail)
    assert clip.motion.latents.shape == (63, 32)


def test_a_second_takes_a_few_kilobytes(saved):
    assert saved.stat().st_size < 63 * 32 * 4 + 40_000


def test_evaluations_are_told_as_they_were_made(pipe, face_file, speech_file):
    for sample, nfe in (
        (SampleConfig(), 9),
        (SampleConfig(solver="midpoint"), 10),
        (SampleConfig(solver="dopri5"), None),
    ):
        assert pipe.animate(face_file, speech_file, WHOLE, sample).making.sample.nfe == nfe


def test_anchors_are_kept(clip, tmp_path):
    anchors = np.linspace(-1, 1, 14, dtype=np.float32).reshape(7, 2)
    path = dataclasses.replace(clip.motion, anchors=anchors).save(tmp_path / "b.motion.safetensors")
    np.testing.assert_array_equal(Motion.load(path).anchors, anchors)


def test_speech_that_was_samples_has_to_be_given(pipe, face_file, saved):
    samples = np.zeros(16000, np.float32)
    motion = pipe.animate(face_file, samples, WHOLE, QUICK).motion
    assert motion.making.speech is None
    with pytest.raises(InputError, match=r"does not say which recording.*--speech"):
        pipe.replay(motion)
    assert len(pipe.replay(motion, samples)) == 25


def test_a_recording_that_is_gone_closed_or_changed_is_told(pipe, face_file, speech_file, tmp_path, monkeypatch):
    speech = tmp_path / "s.wav"
    speech.write_bytes(speech_file.read_bytes())
    motion = pipe.animate(face_file, speech, WHOLE, QUICK).motion
    speech.write_bytes(speech_file.read_bytes() + b"0")
    with pytest.raises(InputError, match="has changed"):
        pipe.replay(motion)
    monkeypatch.setattr("os.access", lambda path, mode: path != speech)
    with pytest.raises(InputError, match="may not be read"):
        pipe.replay(motion)
    speech.unlink()
    with pytest.raises(InputError, match="not there any more"):
        pipe.replay(motion)


def test_other_weights_are_refused(pipe, clip):
    weights = dataclasses.replace(clip.motion.making.weights, digest="0" * 64)
    other = dataclasses.replace(clip.motion, making=dataclasses.replace(clip.motion.making, weights=weights))
    with pytest.raises(WeightsError, match="made with other weights, tiny at"):
        pipe.replay(other)
    unknown = dataclasses.replace(clip.motion.making, weights=None)
    wide = dataclasses.replace(clip.motion, latents=np.zeros((5, 40), np.float32), making=unknown)
    with pytest.raises(WeightsError, match="numbers a frame is 40"):
        pipe.replay(wide)


def test_files_that_are_no_motion_are_refused(saved, tiny_weights, tmp_path):
    def refused(path: Path, message: str) -> None:
        with pytest.raises(InputError, match=message) as error:
            Motion.load(path)
        assert str(path) in error.value.message
        assert error.value.hint

    refused(tmp_path / "missing.motion.safetensors", "is not there")
    refused(tiny_weights, "is no motion of floatcli")
    bad = tmp_path / "bad.motion.safetensors"
    bad.write_bytes(saved.read_bytes()[:-100])
    refused(bad, "cannot be read")
    bad.write_bytes(b"a motion, promised")
    refused(bad, "cannot be read")
    refused(rewritten(saved, bad, metadata=lambda m: m.update({"floatcli.motion": "2"})), "format 2, newer than")
    refused(rewritten(saved, bad, metadata=lambda m: m.pop("floatcli.making")), "does not say how it was made")
    refused(rewritten(saved, bad, metadata=lambda m: m.update({"floatcli.motion": "²"})), "is no motion of floatcli")
    refused(rewritten(saved, bad, tensors=lambda t: t.pop("portrait")), "lacks portrait")
    for name, value, fault in (
        ("emotion", np.zeros((1, 5), np.float32), r"emotion of shape \[1, 5\]"),
        ("emotion", np.zeros((9, 7), np.float32), "9 emotions for 63 frames"),
        ("anchors", np.zeros((3, 2), np.float32), r"anchors of shape \[3, 2\]"),
        ("anchors", np.full((7, 2), np.nan, np.float32), "anchors that are not finite"),
        ("portrait", np.zeros(9, np.uint8), "its portrait is no picture that can be read"),
        ("latents", np.zeros((), np.float32), r"latents of shape \[\]"),
        ("latents", np.zeros((5, 32), np.int64), "latents of type int64"),
        ("latents", np.zeros((5, 32), np.uint8), "latents of type uint8"),
    ):
        refused(rewritten(saved, bad, tensors=lambda t, n=name, v=value: t.update({n: v})), fault)
    for key, value in (
        ("fps", 0), ("fps", 10**9), ("window", 0), ("window", 10**30), ("basis_size", 0), ("crop", []),
        ("coefficient_names", ["jaw"]),
    ):  # fmt: skip

        def change(metadata, key=key, value=value):
            making = json.loads(metadata["floatcli.making"]) | {key: value}
            metadata["floatcli.making"] = json.dumps(making)

        refused(rewritten(saved, bad, metadata=change), f"was not made by floatcli: {key} is")
    refused(rewritten(saved, bad, tensors=lambda t: t.update(latents=np.zeros((0, 32), np.float32))), "holds no motion")
    nan = np.full((5, 32), np.nan, np.float32)
    refused(rewritten(saved, bad, tensors=lambda t: t.update(latents=nan)), "holds no motion")


def test_a_place_that_cannot_be_written_to_is_told(clip, tmp_path):
    with pytest.raises(InputError, match="can't be written"):
        clip.motion.save(tmp_path / "nowhere" / "a.motion.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_the_making_is_json_that_anyone_can_read(saved):
    from safetensors import safe_open

    with safe_open(saved, framework="numpy") as file:
        making = json.loads(file.metadata()["floatcli.making"])
    assert making["sample"]["seed"] == 3
    assert making["edits"] == []
