"""What training compares flows and displacements by."""

import torch

from floatcli.train.likeness import UNEVEN, beyond, displacement_loss


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
