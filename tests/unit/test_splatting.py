"""Of all that moves to a place, the nearest is seen there."""

import torch

from floatcli.models.splatting import splatted_flow


def test_what_is_nearer_hides_what_it_moves_before():
    """The left half comes 4 cells to the right, before or behind the right half."""
    size = 16
    moved, depth = torch.zeros(1, 2, size, size), torch.zeros(1, 1, size, size)
    moved[:, 0, :, :8] = 4 * 2 / size
    solid = torch.ones(1, 1, size, size)
    for nearness, cells in ((0.3, 12), (-0.3, 8)):
        depth[..., :8] = nearness
        flow = splatted_flow(moved, depth, solid)[0, 0]
        assert torch.allclose(flow[:, 4:cells], torch.tensor(-0.5), atol=1e-3)
        assert torch.allclose(flow[:, cells:], torch.tensor(0.0), atol=1e-3)


def test_what_cannot_be_seen_hides_nothing():
    size = 16
    moved, depth = torch.zeros(1, 2, size, size), torch.zeros(1, 1, size, size)
    moved[:, 0, :, :8], depth[..., :8] = 4 * 2 / size, 0.05
    solid = torch.ones(1, 1, size, size)
    solid[..., :8] = 0
    assert splatted_flow(moved, depth, solid)[0, 0, :, 8:].abs().max() < 0.01


def test_where_nothing_comes_to_what_is_beside_goes_on():
    size = 16
    moved, depth = torch.zeros(1, 2, size, size), torch.zeros(1, 1, size, size)
    moved[:, 0, :, 6:] = 3 * 2 / size  # tears open three cells
    depth[..., 6:] = 0.5
    flow = splatted_flow(moved, depth, torch.ones(1, 1, size, size))[0, 0]
    assert torch.allclose(flow[:, :6], torch.tensor(0.0), atol=1e-3)
    assert torch.allclose(flow[:, 9:], torch.tensor(-3 * 2 / size), atol=1e-3)
    assert ((flow[:, 6:9] >= -3 * 2 / size - 1e-3) & (flow[:, 6:9] <= 1e-3)).all()
