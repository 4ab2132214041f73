"""Long speech is heard in pieces: the same frames as at once, where what is heard is local, and nearly so elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from floatcli import hearing
from floatcli.clip import Stages
from floatcli.config import CropConfig, SampleConfig
from floatcli.hearing import Ear
from floatcli.models.conditions import normalise_waveform, pad_waveform
from floatcli.pipeline import FloatPipeline
from tests.conftest import write_wav
from tests.parity.golden import SMALL, load_golden

RATE = 16000


@pytest.fixture(scope="module")
def ear() -> Ear:
    """The golden's small network."""
    return Ear(load_golden("small", SMALL).model, torch.device("cpu"), torch.float32)


@pytest.fixture
def in_pieces(monkeypatch) -> None:
    """Everything beyond a second is long."""
    for name, seconds in (("AT_ONCE", 1), ("PIECE", 2), ("CONTEXT", 1)):
        monkeypatch.setattr(hearing, name, seconds)


def noise(seconds: float, seed: int = 0) -> Tensor:
    loud = np.random.default_rng(seed).normal(0.05, 0.1, round(seconds * RATE))
    return torch.from_numpy(loud * np.linspace(0.2, 1, len(loud))).float()


@pytest.mark.parametrize("seconds", [1.01, 2.0, 2.9, 7.98, 8.001])
def test_every_frame_hears_its_own_samples(ear, in_pieces, monkeypatch, seconds):
    def loudness(waveform: Tensor, frames: int, moments: object = None) -> Tensor:
        return waveform.view(1, frames, -1).square().mean(-1, keepdim=True)

    monkeypatch.setattr(ear.model.audio_encoder, "forward", loudness)
    samples = noise(seconds)
    windows = list(ear.windows(hearing.read(samples, RATE)))
    expected = loudness(*pad_waveform(normalise_waveform(samples[None]), ear.config))
    assert {window.shape[1] for window in windows[:-1]} <= {ear.config.window}
    torch.testing.assert_close(torch.cat(windows, 1), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seconds", [2.0, 7.98])
def test_an_emotion_is_pooled_over_everything_once(ear, in_pieces, monkeypatch, seconds):
    seen = []

    def samples_themselves(waveform: Tensor, moments: object = None) -> Tensor:
        return waveform.unfold(1, 400, 320)[..., :1]  # as many as the convolutions give

    monkeypatch.setattr(ear.model.emotion_encoder, "hidden", samples_themselves)
    monkeypatch.setattr(ear.model.emotion_encoder, "classify", lambda pooled: seen.append(pooled) or pooled)
    samples = noise(seconds)
    ear.feel(hearing.read(samples, RATE))
    expected = samples_themselves(normalise_waveform(samples[None])).mean(1)
    torch.testing.assert_close(seen[0], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("seconds", [7.98, 8.0])
def test_convolutions_hear_the_same_in_pieces(ear, in_pieces, monkeypatch, seconds):
    def local(features: Tensor) -> list[Tensor]:
        return [features[..., :32]] * 3

    monkeypatch.setattr(ear.model.audio_encoder.backbone, "layer_outputs", local)
    assert ear.model.audio_encoder.backbone.normalises_over_time
    speech = hearing.read(noise(seconds), RATE)
    torch.testing.assert_close(torch.cat(list(ear.windows(speech)), 1), ear.condition(speech), rtol=0, atol=2e-4)


def test_in_pieces_it_is_heard_nearly_as_at_once(ear, monkeypatch):
    even = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 50 * RATE)).float()
    speech = hearing.read(even, RATE)
    whole, felt = ear.condition(speech), ear.feel(speech)
    monkeypatch.setattr(hearing, "AT_ONCE", 10)
    pieces = torch.cat(list(ear.windows(speech)), 1)
    assert pieces.shape == whole.shape
    assert ((pieces - whole).square().mean().sqrt() / whole.std()).item() < 0.1
    torch.testing.assert_close(ear.feel(speech), felt, rtol=0, atol=5e-3)


@pytest.mark.parametrize(("seconds", "short"), [(59.0, True), (60.0, True), (60.1, False)])
def test_a_minute_is_held_and_heard_at_once(tmp_path, seconds, short):
    path = write_wav(tmp_path / "a.wav", seconds)
    speech = hearing.read(path, RATE)
    assert (speech.is_short, isinstance(speech.source, Tensor)) == (short, short)
    assert speech.samples == round(seconds * RATE)
    samples = torch.cat(list(speech.blocks()))
    assert speech.mean == pytest.approx(samples.double().mean().item())
    assert speech.variance == pytest.approx(samples.double().var(correction=0).item())
    of_array = hearing.read(samples, RATE)
    assert (of_array.mean, of_array.variance) == pytest.approx((speech.mean, speech.variance))


def test_a_long_clip_has_all_its_frames_every_time(tiny_weights, face_file, tmp_path, in_pieces):
    pipe = FloatPipeline.from_weights(tiny_weights, device="cpu")
    path = write_wav(tmp_path / "long.wav", 7.3)
    heard = pipe.hear(path)
    assert heard.condition is None
    for sound in (path, heard):
        clip = pipe.animate(face_file, sound, CropConfig("none"), SampleConfig(nfe=1))
        first = clip.motion.latents
        assert len(first) == len(clip) == len(list(clip)) == 183
        np.testing.assert_array_equal(clip.motion.latents, first)
    assert clip.stages.seconds["speech"] > 0


def test_a_stage_within_another_counts_for_itself(monkeypatch):
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr("floatcli.clip.perf_counter", lambda: next(now))
    stages = Stages()
    with stages("motion"):  # 0 to 50
        with stages("speech"):  # 10 to 20
            pass
        with stages("speech"):  # 30 to 40
            pass
    with stages("decode"):  # 60 to 70
        pass
    assert stages.seconds == {"speech": 20, "motion": 30, "decode": 10}
