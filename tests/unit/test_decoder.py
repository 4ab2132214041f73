import copy

import pytest
import torch

from floatcli.config import ModelConfig
from floatcli.models.decoder import Level
from floatcli.models.float_model import FloatModel
from floatcli.models.layers import fold


@torch.no_grad()
def test_shapes_follow_the_configuration(unlike_model: FloatModel) -> None:
    portrait = unlike_model.encode(torch.rand(2, 3, 32, 32) * 2 - 1)
    assert portrait.identity.shape == portrait.ref_motion.shape == (2, 20)
    assert [tuple(map_.shape) for map_ in portrait.features] == [(2, 11, 8, 8), (2, 9, 16, 16), (2, 6, 32, 32)]
    assert unlike_model.decode(portrait, torch.randn(2, 20)).shape == (2, 3, 32, 32)


@torch.no_grad()
def test_frames_do_not_depend_on_the_batch(unlike_model: FloatModel) -> None:
    portrait = unlike_model.encode(torch.rand(1, 3, 32, 32) * 2 - 1)
    motion = torch.randn(5, 20)
    together = unlike_model.decode(portrait, motion)
    alone = torch.cat([unlike_model.decode(portrait, each[None]) for each in motion])
    assert torch.allclose(together, alone, atol=1e-5)
    repeated = portrait._replace(features=[map_.repeat(5, 1, 1, 1) for map_ in portrait.features])
    assert torch.allclose(together, unlike_model.decode(repeated, motion), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("shared", [0, 1, 3])
def test_levels_are_decoded_together_or_frame_by_frame(unlike_model: FloatModel, shared: int) -> None:
    portraits = [unlike_model.encode(torch.rand(1, 3, 32, 32) * 2 - 1) for _ in range(2)]
    motions = [torch.randn(2, 20), torch.randn(3, 20)]
    expected = [unlike_model.decode(*each) for each in zip(portraits, motions, strict=True)]
    model = copy.deepcopy(unlike_model)
    model.decoder.shared = shared
    for frames, wanted in zip(model.decode_together(portraits, motions), expected, strict=True):
        assert torch.allclose(frames, wanted, atol=1e-5)


def test_another_size_is_refused(unlike_model: FloatModel) -> None:
    with pytest.raises(ValueError, match="64"):
        unlike_model.encode(torch.zeros(1, 3, 64, 64))


HALF = torch.full((1, 1, 4, 4), 0.5)


def test_flow_of_zero_keeps_the_published_mismatch_of_grid_and_sampling() -> None:
    level = Level(2, 1, 3, 4, last=False)
    feature = torch.tensor([0.0, 1.0, 2.0, 3.0]).expand(1, 1, 4, 4)
    warped = level.warp(feature, torch.zeros(1, 3, 4, 4), HALF)
    # Ticks -1, -1/3, 1/3, 1 of pixels centred at -3/4, -1/4, 1/4, 3/4: the outermost look half outside.
    middle_row = warped[0, 0, 1] / 0.5
    assert torch.allclose(middle_row, torch.tensor([0.0, 5 / 6, 13 / 6, 1.5]), atol=1e-5)


def test_flow_moves_columns_by_its_first_channel_and_rows_by_its_second() -> None:
    level = Level(2, 1, 3, 4, last=False)
    columns = torch.arange(4.0).expand(1, 1, 4, 4)
    flow = torch.zeros(1, 3, 4, 4)
    still = level.warp(columns, flow, HALF)
    flow[:, 1] = 0.1
    along_columns = level.warp(columns, flow, HALF)
    assert torch.allclose(along_columns[..., 1:3, :], still[..., 1:3, :], atol=1e-6)
    flow[:, 0] = 0.1
    across = level.warp(columns, flow, HALF)
    assert (across[..., 1:3, 1:3] > still[..., 1:3, 1:3]).all()


def test_what_is_worked_out_once_changes_nothing(unlike_model: FloatModel) -> None:
    picture, motion = torch.rand(1, 3, 32, 32) * 2 - 1, torch.randn(2, 20)
    portrait = unlike_model.encode(picture)
    with torch.no_grad():
        frames = unlike_model.decode(portrait, motion)
        fold(folded := copy.deepcopy(unlike_model))
        assert torch.allclose(folded.decode(folded.encode(picture), motion), frames, atol=1e-5)
    learnt = copy.deepcopy(unlike_model).requires_grad_().decode(portrait, motion)
    assert learnt.requires_grad
    assert torch.allclose(learnt, frames, atol=1e-5)


@torch.no_grad()
def test_the_last_level_blends_nothing(unlike_model: FloatModel, unlike_config: ModelConfig) -> None:
    assert [level.last for level in unlike_model.decoder.levels] == [False, False, True]
