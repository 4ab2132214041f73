import pytest
import torch

from floatcli.config import ModelConfig
from floatcli.models.decoder import Level
from floatcli.models.float_model import FloatModel


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


def test_another_size_is_refused(unlike_model: FloatModel) -> None:
    with pytest.raises(ValueError, match="64"):
        unlike_model.encode(torch.zeros(1, 3, 64, 64))


def test_flow_of_zero_keeps_the_published_mismatch_of_grid_and_sampling() -> None:
    level = Level(2, 1, 3, 4, last=False)
    feature = torch.tensor([0.0, 1.0, 2.0, 3.0]).expand(1, 1, 4, 4)
    warped, mask = level.warp(feature, torch.zeros(1, 3, 4, 4))
    assert torch.equal(mask, torch.full((1, 1, 4, 4), 0.5))
    # Ticks -1, -1/3, 1/3, 1 of pixels centred at -3/4, -1/4, 1/4, 3/4: the outermost look half outside.
    middle_row = warped[0, 0, 1] / 0.5
    assert torch.allclose(middle_row, torch.tensor([0.0, 5 / 6, 13 / 6, 1.5]), atol=1e-5)


def test_flow_moves_columns_by_its_first_channel_and_rows_by_its_second() -> None:
    level = Level(2, 1, 3, 4, last=False)
    columns = torch.arange(4.0).expand(1, 1, 4, 4)
    flow = torch.zeros(1, 3, 4, 4)
    still, _ = level.warp(columns, flow)
    flow[:, 1] = 0.1
    along_columns, _ = level.warp(columns, flow)
    assert torch.allclose(along_columns[..., 1:3, :], still[..., 1:3, :], atol=1e-6)
    flow[:, 0] = 0.1
    across, _ = level.warp(columns, flow)
    assert (across[..., 1:3, 1:3] > still[..., 1:3, 1:3]).all()


@torch.no_grad()
def test_the_last_level_blends_nothing(unlike_model: FloatModel, unlike_config: ModelConfig) -> None:
    assert [level.last for level in unlike_model.decoder.levels] == [False, False, True]
