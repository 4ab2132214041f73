"""What training compares flows and displacements by."""

import pytest
import torch
import torch.nn.functional as F

from floatcli.train.likeness import NEAR, UNEVEN, beyond, displacement_loss, gradient_loss, sharpness_loss


def slope(size=16):
    """A displacement that grows evenly, known on the left half: (1, S, S, 2)."""
    truth = (torch.arange(size) * 0.002).expand(1, size, size)[..., None].repeat(1, 1, 1, 2)
    truth[:, :, size // 2 :] = torch.nan
    return truth


def test_a_displacement_is_compared_where_it_is_known_and_just_beyond():
    truth = slope()
    moved, known = beyond(truth.movedim(-1, 1))
    assert known.sum() == 16 * 10
    assert displacement_loss(moved, truth) == 0
    wrong = moved.clone()
    wrong[..., 11:] = 9
    assert displacement_loss(wrong, truth) == 0
    wrong[..., 4] += 1
    assert displacement_loss(wrong, truth) > 0.05


def test_where_a_displacement_breaks_off_it_is_not_compared():
    truth = torch.zeros(1, 16, 16, 2)
    truth[:, 8:] = 8 * UNEVEN  # a chin goes another way than the neck below it
    moved = truth.movedim(-1, 1).clone()
    moved[:, :, 7:9] = 1
    assert displacement_loss(moved, truth) == 0
    moved[:, :, 3] = 1
    assert displacement_loss(moved, truth) > 0


def test_there_may_be_nothing_to_compare():
    assert displacement_loss(torch.ones(1, 2, 8, 8), torch.full((1, 8, 8, 2), torch.nan)) == 0


def test_sharpness_asks_for_an_edge_that_gradients_would_rather_have_blurred():
    truth, moved = torch.zeros(2, 1, 3, 24, 24)
    truth[..., 12:13], moved[..., 14:15] = 1, 1
    blurred = F.avg_pool2d(truth, 5, 1, 2)
    weight = torch.ones(1, 1, 24, 24)
    assert gradient_loss(blurred, truth, weight) < gradient_loss(moved, truth, weight)
    assert sharpness_loss(moved, truth, weight) < 0.7 * sharpness_loss(blurred, truth, weight)
    assert sharpness_loss(truth, truth, weight) == 0


def test_sharpness_is_the_root_mean_square_of_gradients_nearby_where_it_weighs():
    flat, ramp = torch.zeros(2, 1, 3, 24, 24)
    ramp[..., :12] = 0.1 * torch.arange(12.0)  # and a cliff
    weight = torch.zeros(1, 1, 24, 24)
    weight[..., 12, 11 - NEAR // 2 - 1] = 24 * 24  # one pixel, which the cliff is not near
    # where nothing is, it is taken for 1e-4, lest the root has no slope
    assert sharpness_loss(ramp, flat, weight).item() == pytest.approx((0.01 + 1e-4) ** 0.5 - 1e-2, rel=1e-4)
    assert sharpness_loss(ramp, flat, weight.roll(1, -1)) > 0.2
