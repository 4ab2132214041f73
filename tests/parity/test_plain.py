"""The plain rendering that ``floatcli bench`` compares with is exact too, to the tolerances of SPEC section 8."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.plain import PlainFloat, Portrait, Window
from floatcli.config import ModelConfig
from floatcli.models.layers import fold
from tests.parity.golden import SMALL, Golden, load_golden
from tests.parity.test_golden import assert_frames

SIZES = ["small", pytest.param("full", marks=pytest.mark.full)]


@pytest.fixture(scope="module")
def small() -> Golden:
    return load_golden("small", SMALL)


@pytest.fixture(scope="module", params=SIZES)
def golden(request: pytest.FixtureRequest) -> Golden:
    if request.param == "small":
        return request.getfixturevalue("small")
    return load_golden(request.param, ModelConfig())


def test_its_maps_are_planes_whatever_the_model_has(small: Golden) -> None:
    model = copy.deepcopy(small.model)
    fold(model)
    _, features, _ = PlainFloat(model).encode(small["image"])
    assert all(feature.is_contiguous() for feature in features)


@pytest.fixture(scope="module")
def portrait(golden: Golden) -> Portrait:
    return PlainFloat(golden.model).encode(golden["image"])


def test_encode(golden: Golden, portrait: Portrait) -> None:
    identity, features, ref_motion = portrait
    golden.assert_near(identity, "identity", 3e-5)
    golden.assert_near(ref_motion, "ref_motion", 3e-5)
    assert len(features) == sum(name.startswith("feat") and "shape" in name for name in golden.arrays)
    for i, feature in enumerate(features):
        assert list(feature.shape) == golden[f"feat{i}_shape"].tolist()
        flat = feature.flatten()
        golden.assert_near(flat[:: len(flat) // 64][:64], f"feat{i}_probe", 3e-5)
        assert flat.mean().item() == pytest.approx(golden[f"feat{i}_mean"].item(), abs=2e-6)
        assert flat.std().item() == pytest.approx(golden[f"feat{i}_std"].item(), abs=2e-6)


def test_frames(golden: Golden, portrait: Portrait) -> None:
    plain = PlainFloat(golden.model)
    motion = golden["motion_speech_emotion_9steps"][:, golden["frame_index"]]
    frames = torch.cat([plain.decode(portrait, motion[:, i]) for i in range(motion.shape[1])])
    assert_frames(golden, frames, "frames")
    assert (frames.mean((2, 3)) - golden["frames_mean"]).abs().max() <= 2e-6
    assert (frames.std((2, 3)) - golden["frames_std"]).abs().max() <= 2e-6


def test_conditions(small: Golden) -> None:
    plain, speech = PlainFloat(small.model), small["waveform_raw"][None]
    small.assert_near(plain.hear(speech), "audio_cond", 3e-5)
    small.assert_near(plain.feel(speech), "emotion_probs", 1e-5)


def test_field(small: Golden) -> None:
    plain = PlainFloat(small.model)
    window = Window(
        ref_motion=small["ref_motion"],
        preceding_motion=small["fmt_prev_motion"],
        preceding_audio=small["fmt_prev_audio"],
        audio=small["audio_cond"][:, :50],
        emotion=small["emotion_probs"],
    )
    t, x_t = small["fmt_t"], small["noise"][0]
    small.assert_near(plain.field(t, x_t, window), "fmt_out", 2e-5)
    small.assert_near(plain.guided(t, x_t, window), "fmt_cfv_a2_e1", 5e-5)
    small.assert_near(plain.guided(t, x_t, window, g_a=1.5, g_e=3), "fmt_cfv_a15_e3", 5e-5)


@pytest.mark.parametrize(
    ("name", "emotion", "nfe", "g_a", "g_e"),
    [
        ("motion_speech_emotion_9steps", None, 9, 2, 1),
        ("motion_happy_4steps", "happy", 4, 2, 2),
        ("motion_noguide_4steps", "sad", 4, 1, 1),
    ],
)
def test_sampling(small: Golden, name: str, emotion: str | None, nfe: int, g_a: float, g_e: float) -> None:
    plain = PlainFloat(small.model)
    felt = small.model.emotion(emotion) if emotion else small["emotion_probs"]
    portrait: Portrait = (small["identity"], [], small["ref_motion"])
    motion = plain.sample(portrait, small["audio_cond"], felt, small["noise"], nfe, g_a, g_e)
    small.assert_near(motion, name, 5e-5)


def test_animate(small: Golden) -> None:
    plain, speech = PlainFloat(small.model), small["waveform_raw"][None, :1900]  # not quite three frames
    image = small["image"] * 8  # so that colours overshoot
    shown = plain.animate(image, speech, small["noise"], nfe=2)
    assert shown.shape == (3, 64, 64, 3)
    assert shown.dtype == np.uint8
    portrait = plain.encode(image)
    motion = plain.sample(portrait, plain.hear(speech), plain.feel(speech), small["noise"], nfe=2)
    frame = plain.decode(portrait, motion[:, 2])[0].permute(1, 2, 0).numpy()
    assert frame.min() < -1
    assert frame.max() > 1
    assert np.abs(shown[2] - (frame.clip(-1, 1) + 1) * 127.5).max() <= 0.501  # to the nearest


def test_other_decoder(small: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small.model, "config", replace(SMALL, decoder="anchored"))
    with pytest.raises(ValueError, match="anchored"):
        PlainFloat(small.model)
