"""What those who judge pictures are shown of them: the whole, eyes and lips, or the middle of a patch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from floatcli.config import ModelConfig
from floatcli.models.patches import Extent, pixel_grid, soft_window
from floatcli.train.settings import WarpedSettings

_SMALLEST_CROP = 16  # pixels a side
_LEAST_BOX = 0.05  # in grid coordinates: a box that is smaller has nothing to see
_LEAST_CANVAS = 32  # pixels a side that a motion encoder reads
_WITHIN = 0.9  # share of a patch's extent that has to fit: at its very edge the window is next to nothing


@dataclass(frozen=True)
class View:
    """What one discriminator is shown of pictures, and how much it counts."""

    show: Callable[..., Tensor]  # of pictures (N, 3, S, S), and of what it needs to know besides
    channels: tuple[int, ...]  # of the discriminator, from the view's resolution to 4
    loss: str  # that its verdict is part of
    adversarial: float
    gram: float = 0.0


def picture_views(config: ModelConfig, settings: WarpedSettings) -> dict[str, View]:
    """The whole on two scales, eyes and lips, as far as they are switched on; boxes tell where these are."""

    def channels(size: int) -> tuple[int, ...]:
        return tuple(
            config.channels_at(resolution) for resolution in reversed(config.resolutions) if resolution <= size
        )

    views = {}
    if settings.adversarial:
        for name, size in (("full_size", config.image_size), ("half_size", config.image_size // 2)):
            views[name] = View(partial(whole, size=size), channels(size), "adversarial", settings.adversarial)
    if settings.part_adversarial or settings.gram:
        size = max(config.image_size // 4, _SMALLEST_CROP)
        for name, show in (("eyes", eyes), ("lips", lips)):
            weights = settings.part_adversarial, settings.gram
            views[name] = View(partial(show, size=size), channels(size), "parts", *weights)
    return views


def whole(pictures: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, S, S) at a size."""
    return F.interpolate(pictures, size=(size, size), mode="area")


def eyes(pictures: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Left eyes, then mirrored right ones, (2 N, 3, size, size), by boxes (N, 3, 4) of left eye, right eye, mouth."""
    left, right = (crop(pictures, boxes[:, k], size) for k in (0, 1))
    return torch.cat([left, right.flip(-1)])  # one network for both sides


def lips(pictures: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Mouths (N, 3, size, size), by the same boxes."""
    return crop(pictures, boxes[:, 2], size)


def crop(pictures: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Boxes (N, 4) x1, y1, x2, y2 in grid coordinates out of pictures (N, C, H, W), as (N, C, size, size)."""
    centre, half = (boxes[:, 2:] + boxes[:, :2]) / 2, (boxes[:, 2:] - boxes[:, :2]).clamp(min=_LEAST_BOX) / 2
    matrix = torch.cat([torch.diag_embed(half), centre[..., None]], -1)
    grid = F.affine_grid(matrix, [len(pictures), pictures.shape[1], size, size], align_corners=False)
    return F.grid_sample(pictures, grid.to(pictures.dtype), padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class Middle:
    """What a picture takes of patches: all behind their soft window, about its middle, on a power of two pixels.

    No pixel is computed anew, so that what is as sharp as the truth looks so.
    """

    patch: int  # pixels a side
    extent: Extent

    @property
    def size(self) -> int:
        """Pixels a side."""
        reach = self.patch * max(self.extent.side, (1 + self.extent.bottom) / 2)
        return max(_LEAST_CANVAS, 2 ** math.ceil(math.log2(_WITHIN * reach)))

    def __call__(self, patches: Tensor) -> Tensor:
        """Patches (N, 3, S, S) as (N, 3, size, size)."""
        seen = patches * soft_window(pixel_grid(self.patch, patches), self.extent)
        left = (self.patch - self.size) // 2
        top = round((1 + self.extent.bottom) / 4 * self.patch - self.size / 2)
        over = self.size - self.patch
        return F.pad(seen, (-left, left + over, -top, top + over))


def middle_channels(middle: Middle, channels: tuple[int, ...]) -> tuple[int, ...]:
    """Channels of a network that looks at middles, from their resolution to 4: an editor's, the last as often."""
    levels = middle.size.bit_length() - 2
    return (channels + channels[-1:] * levels)[:levels]
