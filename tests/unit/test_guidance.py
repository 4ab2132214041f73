from dataclasses import replace

import pytest
import torch
from torch import Tensor

from floatcli.config import CONDITIONINGS, ModelConfig, SampleConfig
from floatcli.flow import guidance
from floatcli.flow.guidance import GuidedField, guidance_passes
from floatcli.models.conditions import WindowCondition
from floatcli.models.float_model import FloatModel
from tests.unlike import random_model


@pytest.fixture(scope="module", params=CONDITIONINGS)
def either_model(request: pytest.FixtureRequest, unlike_config: ModelConfig) -> FloatModel:
    return random_model(replace(unlike_config, field=replace(unlike_config.field, conditioning=request.param)))


@pytest.fixture
def condition(unlike_config: ModelConfig) -> WindowCondition:
    c = unlike_config
    torch.manual_seed(2)
    return WindowCondition(
        ref_motion=torch.randn(2, c.motion_dim),
        preceding_motion=torch.randn(2, c.preceding, c.motion_dim),
        preceding_audio=torch.randn(2, c.preceding, c.audio_dim),
        audio=torch.randn(2, c.window, c.audio_dim),
        emotion=torch.rand(2, len(c.emotions)),
    )


@pytest.mark.parametrize(
    ("g_r", "g_a", "g_e", "by_frame"),
    [(1, 2, 1, False), (1, 1.5, 3, True), (1.8, 2, 1, False), (0.5, 1.3, 0.7, True), (2, 1, 1, False)],
)
@torch.no_grad()
def test_passes_are_combined_by_the_formula(
    g_r: float, g_a: float, g_e: float, by_frame: bool,
    condition: WindowCondition, either_model: FloatModel, unlike_config: ModelConfig,
) -> None:  # fmt: skip
    if by_frame:
        condition = condition._replace(emotion=torch.rand(2, 11, 3))
    t, x_t = torch.tensor(0.3), torch.randn(2, unlike_config.window, unlike_config.motion_dim)

    def v(**zeroed: Tensor) -> Tensor:
        return either_model.field(t.expand(2), x_t, condition._replace(**zeroed))

    no_audio, no_emotion = torch.zeros_like(condition.audio), torch.zeros_like(condition.emotion)
    v_ae, v_a, u = v(), v(emotion=no_emotion), v(audio=no_audio, emotion=no_emotion)
    u_0 = v(ref_motion=torch.zeros_like(condition.ref_motion), audio=no_audio, emotion=no_emotion)
    expected = u_0 + g_r * (u - u_0) + g_a * (v_a - u) + g_e * (v_ae - v_a)
    settings = SampleConfig(audio_scale=g_a, emotion_scale=g_e, ref_scale=g_r)
    guided = GuidedField(either_model.field, condition, settings)(t, x_t)
    expected = expected[:, unlike_config.preceding :]
    assert torch.allclose(guided, expected, atol=1e-4 * expected.std().item())


@torch.no_grad()
def test_times_known_beforehand_change_nothing(
    condition: WindowCondition, either_model: FloatModel, unlike_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guidance, "_ROWS", 100)  # so that they are modulated in several parts
    settings, times = SampleConfig(), torch.tensor([0.0, 0.3, 0.35, 0.9, 0.2])
    x_t = torch.randn(2, unlike_config.window, unlike_config.motion_dim)
    known = GuidedField(either_model.field, condition, settings, times)
    for t in times:
        expected = GuidedField(either_model.field, condition, settings)(t, x_t)
        assert torch.allclose(known(t, x_t), expected, atol=1e-4 * expected.std().item())


@pytest.mark.parametrize(
    ("g_r", "g_a", "g_e", "count"), [(1, 2, 1, 3), (1, 1, 1, 1), (1, 0, 0, 1), (1, 1, 0, 1), (2, 3, 1, 4), (0, 0, 0, 1)]
)
def test_passes_that_do_not_count_are_left_out(g_r: float, g_a: float, g_e: float, count: int) -> None:
    passes = guidance_passes(SampleConfig(audio_scale=g_a, emotion_scale=g_e, ref_scale=g_r))
    assert len(passes) == count
    assert sum(each.weight for each in passes) == pytest.approx(1)


def test_every_scale_one_is_everything_given() -> None:
    (only,) = guidance_passes(SampleConfig(audio_scale=1, emotion_scale=1, ref_scale=1))
    assert only == (1, True, True, True)
