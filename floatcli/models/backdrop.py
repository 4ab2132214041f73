"""What lies behind a head: the picture with the head cut out of it, filled from around."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_APART = 8.0  # logits between a pixel half opaque and one half taken for a hole
_SMALLEST = 4  # pixels a side at which there is nothing coarser to fill from


def opacity(matte: Tensor) -> Tensor:
    """How far pixels belong to the head, from 0 to 1, of a matte's logits (N, 1, H, W)."""
    return matte.sigmoid()


def behind(picture: Tensor, matte: Tensor) -> Tensor:
    """The picture (B, 3, H, H) without the head, of a matte's logits (B, 1, H, H).

    The hole lies well inside what is opaque: over its own backdrop, unmoved, the head gives the picture back.
    """
    hole = (matte - _APART).sigmoid()
    return torch.lerp(picture, fill(picture, 1 - hole), hole)


def fill(picture: Tensor, known: Tensor) -> Tensor:
    """Pixels that are not known, from those that are, by a pyramid of weighted means (push and pull).

    Args:
        picture: (B, C, H, H).
        known: Weights (B, 1, H, H), from 0 to 1.
    """
    size = picture.shape[-1]
    if size <= _SMALLEST:
        mean = (picture * known).sum((2, 3), True) / known.sum((2, 3), True).clamp(min=1e-4)
        return torch.lerp(mean.expand_as(picture), picture, known)
    half = -(-size // 2)
    weight = F.adaptive_avg_pool2d(known, half)
    coarse = F.adaptive_avg_pool2d(picture * known, half) / weight.clamp(min=1e-4)
    below = fill(coarse, (4 * weight).clamp(max=1))
    return torch.lerp(F.interpolate(below, size=(size, size), mode="bilinear"), picture, known)
