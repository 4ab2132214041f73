import pytest
import torch

from floatcli.config import ModelConfig
from floatcli.models.conditions import WindowCondition
from floatcli.models.float_model import FloatModel
from floatcli.models.fmt import modulate, near, position_table


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
@torch.no_grad()
def test_a_frame_reaches_no_further_than_reach_times_depth(
    what: str, unlike_model: FloatModel, unlike_config: ModelConfig
) -> None:
    given, t = condition(unlike_config), torch.tensor([0.4])
    x_t = torch.randn(1, unlike_config.window, unlike_config.motion_dim)
    before = unlike_model.field(t, x_t, given)
    frame = 4
    if what == "motion":
        x_t = x_t.clone()
        x_t[:, frame] += 1
    else:
        audio = given.audio.clone()
        audio[:, frame] += 1
        given = given._replace(audio=audio)
    change = (unlike_model.field(t, x_t, given) - before).abs().amax((0, 2))
    distance = (torch.arange(len(change)) - unlike_config.preceding - frame).abs()
    reach = unlike_config.field.reach * unlike_config.field.depth
    assert (change[distance > reach] < 1e-5).all()
    assert (change[distance <= reach] > 1e-4).all()


@torch.no_grad()
def test_every_condition_and_the_time_matter(unlike_model: FloatModel, unlike_config: ModelConfig) -> None:
    given, t = condition(unlike_config), torch.tensor([0.4])
    x_t = torch.randn(1, unlike_config.window, unlike_config.motion_dim)
    before = unlike_model.field(t, x_t, given)
    assert before.shape == (1, unlike_config.preceding + unlike_config.window, unlike_config.motion_dim)
    for name in set(WindowCondition._fields) - {"pose"}:  # see test_pose
        changed = given._replace(**{name: getattr(given, name) + 1})
        assert not torch.allclose(unlike_model.field(t, x_t, changed), before, atol=1e-3), name
    assert not torch.allclose(unlike_model.field(t + 0.1, x_t, given), before, atol=1e-3)


@torch.no_grad()
def test_emotion_by_frame_is_that_of_the_clip_where_it_is_constant(
    unlike_model: FloatModel, unlike_config: ModelConfig
) -> None:
    given, t = condition(unlike_config, batch=2), torch.tensor([0.4, 0.9])
    x_t = torch.randn(2, unlike_config.window, unlike_config.motion_dim)
    by_frame = given._replace(emotion=given.emotion[:, None].expand(-1, 11, -1))
    assert torch.equal(unlike_model.field(t, x_t, given), unlike_model.field(t, x_t, by_frame))


@torch.no_grad()
def test_clips_of_a_batch_do_not_mix(unlike_model: FloatModel, unlike_config: ModelConfig) -> None:
    given, t = condition(unlike_config, batch=3), torch.tensor([0.1, 0.5, 0.9])
    x_t = torch.randn(3, unlike_config.window, unlike_config.motion_dim)
    together = unlike_model.field(t, x_t, given)
    for i in range(3):
        alone = unlike_model.field(t[i : i + 1], x_t[i : i + 1], WindowCondition(*(c[i : i + 1] for c in given[:-1])))
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
