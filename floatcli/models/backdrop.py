"""A head and what lies behind it, told apart: the picture with the head cut out of it is filled from around."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_HOLE = 0.3  # opacity from which on nothing is taken for backdrop
_LEAST = 0.02  # opacity, or what it leaves, that still tells a colour
_BESIDE = 5 / 256  # sides of a picture that what a matte leaves out may lie off the head
_PLAIN, _CLEAR = 0.1, 0.4  # opacity that a pixel needs for its colour: a backdrop's own texture, and surely a head's
_ROUGH = 2.0  # times the root mean square of a backdrop's texture that a pixel may differ from what is behind it
_SMALLEST = 4  # pixels a side at which there is nothing coarser to fill from


def opacity(matte: Tensor) -> Tensor:
    """How far pixels belong to the head, from 0 to 1, of a matte's logits (N, 1, H, W)."""
    return matte.sigmoid()


def apart(picture: Tensor, opacity: Tensor) -> tuple[Tensor, Tensor]:
    """A head's own colours and the backdrop behind it, of a picture (B, 3, H, H) and the head's opacity (B, 1, H, H).

    Where both are seen in a pixel, the colours are what is left once the backdrop is taken out of it, so that neither
    keeps a rim of the other. Over its own backdrop, unmoved, the head gives the picture back.
    """
    hole = (opacity / _HOLE).clamp(max=1)
    filled = torch.lerp(picture, fill(picture, 1 - hole), hole)
    colours = (picture + (1 - opacity) / opacity.clamp(min=_LEAST) * (picture - filled)).clamp(-1, 1)
    left = picture - torch.lerp(filled, colours, opacity)  # of colours beyond black and white
    return colours, filled + left / (1 - opacity).clamp(min=_LEAST)


def completed(picture: Tensor, opacity: Tensor) -> Tensor:
    """The opacity of a head and of what is seen right beside it that its backdrop does not explain, as hair.

    Arguments as for ``apart``. Left behind, it would show as an outline of where the head was.
    """
    reach = round(_BESIDE * picture.shape[-1])
    near = F.max_pool2d(opacity, 2 * reach + 1, 1, reach)
    known = 1 - (near / _HOLE).clamp(max=1)
    behind = fill(picture, known)
    coarse = F.avg_pool2d(picture, 2 * reach + 1, 1, reach, count_include_pad=False)
    texture = fill((picture - coarse).square(), known).sqrt()
    room = torch.where(picture > behind, 1 - behind, 1 + behind).clamp(min=_LEAST)
    needed = (((picture - behind).abs() - _ROUGH * texture) / room).amax(1, True)
    return torch.maximum(opacity, near * ((needed - _PLAIN) / (_CLEAR - _PLAIN)).clamp(0, 1))


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
