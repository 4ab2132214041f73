"""How far edited and turned pictures are from the truth, and their flows from the way that landmarks go."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from floatcli.train.loop import Losses

NEAR = 7  # pixels a side that gradients are averaged over where only their strength counts
UNEVEN = 0.01  # from the mean of its neighbours, in grid coordinates: more, and a displacement breaks off


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences between neighbouring pixels along x and y."""
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def change_between(source: Tensor, truth: Tensor) -> Tensor:
    """How much changes about each pixel, (N, 1, H, W) from 0 to 1."""
    return (4 * F.avg_pool2d((truth - source).abs().mean(1, True), 5, 1, 2)).clamp(max=1)


def emphasis(source: Tensor, truth: Tensor, window: Tensor) -> Tensor:
    """A window's weights (N, 1, H, W), heavier where the truth differs from the source."""
    return window * (1 + 6 * change_between(source, truth))


def value_loss(edited: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """L1 of values, weighted by pixel."""
    return ((edited - truth).abs() * weight).mean()


def gradient_loss(edited: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """L1 of gradients, weighted by pixel."""
    dx, dy = gradients(edited - truth)
    return (dx.abs() * weight[..., 1:]).mean() + (dy.abs() * weight[..., 1:, :]).mean()


def sharpness_loss(edited: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """L1 between how strong gradients are around each pixel, weighted by pixel.

    L1 of values and gradients blurs what it can't place; this asks for as much detail, wherever nearby it lies.
    """
    return ((_strength(edited) - _strength(truth)).abs() * weight).mean()


def _strength(x: Tensor) -> Tensor:
    """Root mean square of gradients around each pixel, (N, 1, H, W)."""
    dx, dy = gradients(x)
    energy = F.pad(dx.square(), (0, 1)) + F.pad(dy.square(), (0, 0, 0, 1))
    return (F.avg_pool2d(energy.mean(1, True), NEAR, 1, NEAR // 2) + 1e-4).sqrt()


def picture_losses(edited: Tensor, truth: Tensor, source: Tensor, window: Tensor) -> Losses:
    """L1 of values and of gradients, twice each, heavier where the truth differs from the source."""
    weight = emphasis(source, truth, window)
    return {"l1": 2 * value_loss(edited, truth, weight), "gradient": 2 * gradient_loss(edited, truth, weight)}


def flow_loss(flow: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """L1 between a backward flow (N, 2, S, S) at target landmarks (N, P, 2) and the way to their source places."""
    looked = F.grid_sample(flow, here[:, :, None], align_corners=False)[..., 0].mT
    inside = ((here.abs().amax(-1) < 0.95) & (there.abs().amax(-1) < 1.4)).float()
    return ((looked - (there - here)).abs().sum(-1) * inside).sum() / inside.sum().clamp(min=1)


def displacement_loss(moved: Tensor, truth: Tensor) -> Tensor:
    """L1 between displacements (N, 2, S, S) and the truth (N, S', S', 2), as far as that is known and just beyond.

    Where it breaks off, as at a chin before a neck, no flow can be the inverse of both sides: pictures decide there.
    """
    wanted, known = beyond(in_cells(truth, moved.shape[-1]))
    uneven = (wanted - F.avg_pool2d(wanted, 3, 1, 1, count_include_pad=False)).abs().amax(1, True)
    weight = known * (uneven < UNEVEN)
    return ((moved - wanted).abs() * weight).sum() / weight.sum().clamp(min=1)


def in_cells(truth: Tensor, size: int) -> Tensor:
    """True displacements (N, S', S', 2) of as many cells as a map has a side, (N, 2, size, size)."""
    return F.interpolate(truth.movedim(-1, 1).float(), size=(size, size), mode="nearest")


def beyond(maps: Tensor, cells: int = 2) -> tuple[Tensor, Tensor]:
    """Maps (N, C, S, S) carried on by so many cells past where they are NaN, and where they are known then."""
    known = maps.isfinite().all(1, True).float()
    maps = maps.nan_to_num() * known
    for _ in range(cells):
        near = F.avg_pool2d(known, 3, 1, 1)
        maps = torch.where(known > 0, maps, F.avg_pool2d(maps, 3, 1, 1) / near.clamp(min=1e-6))
        known = (near > 0).float()
    return maps, known
