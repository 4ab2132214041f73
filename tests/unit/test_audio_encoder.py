import dataclasses

import pytest
import torch
from torch.nn import functional as F

from floatcli.config import ModelConfig, Wav2Vec2Size
from floatcli.models.conditions import frame_count, normalise_waveform, pad_waveform
from floatcli.models.float_model import FloatModel
from floatcli.models.wav2vec2 import Wav2Vec2Backbone


@pytest.mark.parametrize(
    ("samples", "frames"), [(640, 1), (641, 2), (1, 1), (639, 1), (16000, 25), (16001, 26), (49600, 78)]
)
def test_a_begun_frame_counts(samples: int, frames: int, unlike_config: ModelConfig) -> None:
    assert frame_count(samples, unlike_config) == frames


def test_padding_repeats_the_last_value_to_whole_frames(unlike_config: ModelConfig) -> None:
    padded, frames = pad_waveform(torch.arange(1.0, 1002.0)[None], unlike_config)
    assert frames == 2
    assert padded.shape == (1, 1280)
    assert torch.equal(padded[0, 1000:], torch.full((280,), 1001.0))


def test_padding_at_a_frame_rate_that_divides_no_second(unlike_config: ModelConfig) -> None:
    config = dataclasses.replace(unlike_config, fps=30)
    padded, frames = pad_waveform(torch.zeros(1, 16000 + 100), config)
    assert frames == 31
    assert padded.shape[1] == 16534  # 31 * 16000 / 30, rounded up


def test_normalising_is_over_the_clip_with_its_epsilon() -> None:
    quiet = torch.tensor([[1e-4, -1e-4, 1e-4, -1e-4]])
    assert torch.allclose(normalise_waveform(quiet), quiet / (1e-8 + 1e-7) ** 0.5)
    assert torch.equal(normalise_waveform(torch.ones(1, 9)), torch.zeros(1, 9))
    loud = normalise_waveform(torch.randn(2, 4000) * 5 + 3)
    assert torch.allclose(loud.var(-1, correction=0), torch.ones(2), atol=1e-5)


@pytest.mark.parametrize("stable", [False, True])
@torch.no_grad()
def test_layers_are_those_of_the_library(stable: bool, unlike_config: ModelConfig) -> None:
    size = dataclasses.replace(unlike_config.audio, stable_layer_norm=stable)
    backbone = Wav2Vec2Backbone(size).eval()
    waveform = torch.randn(2, 4000)
    theirs = backbone(waveform, output_hidden_states=True)
    features = backbone.convolve(waveform).transpose(1, 2)
    for ours, hidden in zip(backbone.layer_outputs(features), theirs.hidden_states[1:], strict=True):
        assert torch.allclose(ours, hidden, atol=1e-6)
    assert torch.allclose(backbone.last_hidden(features), theirs.last_hidden_state, atol=1e-6)


@torch.no_grad()
def test_projection_layer_by_layer_is_that_of_all_layers(unlike_model: FloatModel) -> None:
    encoder = unlike_model.audio_encoder
    waveform = torch.randn(2, 5 * 640)
    features = encoder.features(waveform, 5)
    assert features.shape == (2, 5, 3 * 16)
    expected = F.silu(encoder.norm(encoder.projection(features)))
    assert torch.allclose(encoder(waveform, 5), expected, atol=1e-5)


@torch.no_grad()
def test_features_are_every_second_one_before_the_transformer(unlike_model: FloatModel) -> None:
    waveform = torch.randn(1, 6 * 640)
    convolved = unlike_model.audio_encoder.backbone.convolve(waveform)
    assert convolved.shape[-1] == 11
    resampled = unlike_model.audio_encoder._resampled(waveform, 6)
    assert torch.allclose(resampled, convolved[..., ::2].transpose(1, 2), atol=1e-6)


@torch.no_grad()
def test_the_shortest_speech_has_a_condition_and_an_emotion(unlike_model: FloatModel) -> None:
    speech = torch.randn(1, 20)
    assert unlike_model.hear(speech).shape == (1, 1, 10)
    assert unlike_model.feel(speech).sum().item() == pytest.approx(1)


@torch.no_grad()
def test_emotion_pools_the_normed_output(unlike_model: FloatModel) -> None:
    waveform = torch.randn(2, 4000)
    encoder = unlike_model.emotion_encoder
    hidden = encoder.backbone(waveform).last_hidden_state.mean(1)
    expected = encoder.output(torch.tanh(encoder.dense(hidden)))
    assert torch.allclose(encoder.logits(waveform), expected, atol=1e-5)
    assert torch.allclose(encoder(waveform), expected.softmax(-1), atol=1e-6)


def test_named_emotion_is_one_hot(unlike_model: FloatModel) -> None:
    assert unlike_model.emotion("glad").tolist() == [[0, 1, 0]]
    with pytest.raises(ValueError, match="tuple"):
        unlike_model.emotion("hungry")


def test_min_samples_is_the_reach_of_one_feature() -> None:
    assert Wav2Vec2Size().min_samples == 400
