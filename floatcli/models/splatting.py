"""Forward warping: which places move to where, the nearest before all others (after Niklaus and Liu 2020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from floatcli.models.patches import pixel_grid

NEARNESS = 40.0  # how much more what is nearer counts, as a logit over half sides of the picture
FAINT = 1e-3  # what counts that cannot be seen
FILLED = 3  # cells that what is beside goes on for, where nothing comes to


def splatted_flow(moved: Tensor, depth: Tensor, opacity: Tensor) -> Tensor:
    """Backward flow (N, 2, S, S), to about a cell, of what is nearest to the camera of all that comes to each.

    Args:
        moved: Where cells go, (N, 2, S, S) in grid coordinates.
        depth: How near to the camera they are then, (N, 1, S, S), likewise.
        opacity: How far they hide what lies behind, (1 or N, 1, S, S).
    """
    size = moved.shape[-1]
    weight = ((NEARNESS * depth.clamp(-1, 1)).exp() * (opacity + FAINT)).detach()
    at = (pixel_grid(size, moved).permute(2, 0, 1) + moved.detach() + 1) * (size / 2) - 0.5  # in cells
    total = _dropped(torch.cat([-moved * weight, weight], 1), at)
    for _ in range(FILLED):  # where nothing comes to, as beside
        total = torch.where(total[:, 2:] > 0, total, F.avg_pool2d(total, 3, 1, 1))
    flow, weight = total.split([2, 1], 1)
    return torch.where(weight > 0, flow / weight.clamp(min=1e-30), -moved)


def _dropped(values: Tensor, at: Tensor) -> Tensor:
    """Sums (N, C, S, S) of values (N, C, S, S) that each lie between the four cells around places (N, 2, S, S)."""
    count, channels, size, _ = values.shape
    total = values.new_zeros(count * size * size, channels)
    low = at.floor()
    right, down = (at - low).unbind(1)
    x, y = low.long().unbind(1)
    first = size * size * torch.arange(count, device=x.device)[:, None, None]
    for across, share_x in ((0, 1 - right), (1, right)):
        for below, share_y in ((0, 1 - down), (1, down)):
            inside = (x + across >= 0) & (x + across < size) & (y + below >= 0) & (y + below < size)
            cell = torch.where(inside, first + (y + below) * size + x + across, 0)
            told = values * (share_x * share_y * inside)[:, None]
            total = total.index_add(0, cell.flatten(), told.movedim(1, -1).flatten(0, 2))
    return total.view(count, size, size, channels).movedim(-1, 1)
