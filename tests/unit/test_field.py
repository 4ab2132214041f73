from dataclasses import replace

import pytest
import torch

from floatcli.config import CONDITIONINGS, ModelConfig
from floatcli.models.conditions import WindowCondition
from floatcli.models.float_model import FloatModel
from floatcli.models.fmt import modulate, near, position_table
from tests.unlike import random_model


@pytest.fixture(scope="session", params=CONDITIONINGS)
def either_model(request: pytest.FixtureRequest, unlike_config: ModelConfig) -> FloatModel:
    """A model whose field is conditioned by modulation, then by cross-attention."""
    return random_model(varied(unlike_config, conditioning=request.param))


def varied(config: ModelConfig, **changes: object) -> ModelConfig:
    return replace(config, field=replace(config.field, **changes))


def condition(config: ModelConfig, batch: int = 1) -> WindowCondition:
    torch.manual_seed(1)
    return WindowCondition(
        ref_motion=torch.randn(batch, config.motion_dim),
        preceding_motion=torch.randn(batch, config.preceding, config.motion_dim),
        preceding_audio=torch.randn(batch, config.preceding, config.audio_dim),
        audio=torch.randn(batch, config.window, config.audio_dim),
        emotion=torch.rand(batch, len(config.emotions)),
    )


@pytest.mark.parametrize("what", ["motion", "audio"])
@pytest.mark.parametrize("reach", [0, 1, 2, 3])
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@torch.no_grad()
def test_a_frame_reaches_no_further_than_reach_times_depth(
    conditioning: str, reach: int, what: str, unlike_config: ModelConfig
) -> None:
    field = random_model(varied(unlike_config, conditioning=conditioning, reach=reach)).field
    given, t = condition(unlike_config), torch.tensor([0.4])
    x_t = torch.randn(1, unlike_config.window, unlike_config.motion_dim)
    before = field(t, x_t, given)
    frame = 4
    if what == "motion":
        x_t = x_t.clone()
        x_t[:, frame] += 1
    else:
        audio = given.audio.clone()
        audio[:, frame] += 1
        given = given._replace(audio=audio)
    change = (field(t, x_t, given) - before).abs().amax((0, 2))
    distance = (torch.arange(len(change)) - unlike_config.preceding - frame).abs()
    furthest = reach * unlike_config.field.depth
    assert (change[distance > furthest] < 1e-5).all()
    assert (change[distance <= furthest] > 1e-4).all()


@torch.no_grad()
def test_keys_of_conditions_know_their_frame(unlike_config: ModelConfig) -> None:
    """Else, of the conditions that a frame sees, it could not tell its own: their order would not matter."""
    field = random_model(varied(unlike_config, conditioning="cross-attention", reach=11)).field  # all see all
    given, t = condition(unlike_config), torch.tensor([0.4])
    x_t = torch.randn(1, unlike_config.window, unlike_config.motion_dim)
    turned = given._replace(audio=given.audio.flip(1))
    assert not torch.allclose(field(t, x_t, given), field(t, x_t, turned), atol=1e-3)


def test_modulation_is_what_the_published_weights_have(unlike_model: FloatModel, unlike_config: ModelConfig) -> None:
    crossed = random_model(varied(unlike_config, conditioning="cross-attention")).field.state_dict().keys()
    own = {name.removeprefix("blocks.0.") for name in crossed - unlike_model.field.state_dict().keys()}
    assert {name for name in own if not name.startswith("blocks")} == {
        "query.weight", "query.bias", "context.weight", "context.bias", "place.weight", "heard.weight", "heard.bias",
    }  # fmt: skip


@torch.no_grad()
def test_every_condition_and_the_time_matter(either_model: FloatModel, unlike_config: ModelConfig) -> None:
    given, t = condition(unlike_config), torch.tensor([0.4])
    x_t = torch.randn(1, unlike_config.window, unlike_config.motion_dim)
    before = either_model.field(t, x_t, given)
    assert before.shape == (1, unlike_config.preceding + unlike_config.window, unlike_config.motion_dim)
    for name in set(WindowCondition._fields) - {"pose"}:  # see test_pose
        changed = given._replace(**{name: getattr(given, name) + 1})
        assert not torch.allclose(either_model.field(t, x_t, changed), before, atol=1e-3), name
    assert not torch.allclose(either_model.field(t + 0.1, x_t, given), before, atol=1e-3)


@torch.no_grad()
def test_emotion_by_frame_is_that_of_the_clip_where_it_is_constant(
    either_model: FloatModel, unlike_config: ModelConfig
) -> None:
    given, t = condition(unlike_config, batch=2), torch.tensor([0.4, 0.9])
    x_t = torch.randn(2, unlike_config.window, unlike_config.motion_dim)
    by_frame = given._replace(emotion=given.emotion[:, None].expand(-1, 11, -1))
    assert torch.equal(either_model.field(t, x_t, given), either_model.field(t, x_t, by_frame))


@torch.no_grad()
def test_clips_of_a_batch_do_not_mix(either_model: FloatModel, unlike_config: ModelConfig) -> None:
    given, t = condition(unlike_config, batch=3), torch.tensor([0.1, 0.5, 0.9])
    x_t = torch.randn(3, unlike_config.window, unlike_config.motion_dim)
    together = either_model.field(t, x_t, given)
    for i in range(3):
        own = WindowCondition(*(c[i : i + 1] for c in given[:-1]))
        alone = either_model.field(t[i : i + 1], x_t[i : i + 1], own)
        assert torch.allclose(together[i : i + 1], alone, atol=1e-4)


def test_tables() -> None:
    table = position_table(7, 8)
    assert table[0].tolist() == [0, 1] * 4
    assert table[3, 2].item() == pytest.approx(torch.sin(torch.tensor(3 / 10000**0.25)).item())
    assert table[3, 3].item() == pytest.approx(torch.cos(torch.tensor(3 / 10000**0.25)).item())
    assert near(5, 1).int().tolist()[2] == [0, 1, 1, 1, 0]


def test_the_norm_hardly_lifts_what_is_nearly_constant():
    """The epsilon of SPEC section 4: with the usual 1e-5 this row would come out a quarter as large."""
    row = torch.tensor([[[1e-3, -1e-3]]])
    nothing = torch.zeros_like(row)
    expected = row / (1e-6 + 1e-6) ** 0.5
    assert torch.allclose(modulate(row, nothing, nothing), expected, rtol=1e-4)
