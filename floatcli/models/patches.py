"""Where patches lie on a face: similarity frames spanned by its anchors, soft windows, heatmaps.

Coordinates are grid_sample's with align_corners=False: -1 to 1 from the outer edge of the first pixel to that of
the last, x before y. Anchors are (B, 7, 2) in the order of ``ANCHORS``.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from floatcli.config import ANCHORS

_LEFT_EYE, _RIGHT_EYE = ANCHORS.index("left_eye"), ANCHORS.index("right_eye")
_CORNERS = [ANCHORS.index("mouth_left"), ANCHORS.index("mouth_right")]
_LIPS = [ANCHORS.index("upper_lip"), ANCHORS.index("lower_lip")]

# Half sides and offsets down the face, in distances between the eyes.
MOUTH_HALF, MOUTH_DOWN = 1.05, 0.2
EYE_HALF, EYE_DOWN = 0.6, -0.1
FACE_HALF, FACE_DOWN = 1.7, 0.1
LEAST_APART = 0.08  # in grid coordinates: eyes that are nearer were not found


def _frame(centre: Tensor, along: Tensor, half: float, down: float, mirrored: bool = False) -> Tensor:
    """Affine matrices (B, 2, 3) from patch to picture coordinates; ``along`` (B, 2) runs from eye to eye."""
    across = torch.stack([-along[:, 1], along[:, 0]], 1)
    centre = centre + down * across
    x_axis = -along if mirrored else along
    return torch.stack([half * x_axis, half * across, centre], 2)


def mouth_frame(anchors: Tensor) -> Tensor:
    """The mouth patch's frame (B, 2, 3): level with the eyes, centred a little below the mouth."""
    along = anchors[:, _RIGHT_EYE] - anchors[:, _LEFT_EYE]
    return _frame(anchors[:, _CORNERS].mean(1), along, MOUTH_HALF, MOUTH_DOWN)


def face_frame(anchors: Tensor) -> Tensor:
    """The whole face's frame (B, 2, 3): level with the eyes, about the middle between them and the lips.

    Where the eyes all but meet, it is upright, and as small as frames are made.
    """
    along = anchors[:, _RIGHT_EYE] - anchors[:, _LEFT_EYE]
    along = torch.where(along.norm(dim=1, keepdim=True) < LEAST_APART, along.new_tensor([LEAST_APART, 0.0]), along)
    middle = (anchors[:, [_LEFT_EYE, _RIGHT_EYE]].mean(1) + anchors[:, _LIPS].mean(1)) / 2
    return _frame(middle, along, FACE_HALF, FACE_DOWN)


def eye_frames(anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Frames (B, 2, 3) of the left and of the (mirrored) right eye, brow included."""
    left, right = anchors[:, _LEFT_EYE], anchors[:, _RIGHT_EYE]
    along = right - left
    return _frame(left, along, EYE_HALF, EYE_DOWN), _frame(right, along, EYE_HALF, EYE_DOWN, mirrored=True)


def full_precision(like: Tensor) -> AbstractContextManager[None]:
    """Where places are computed, whatever the networks run in: half precision is too coarse for them."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def to_picture(frame: Tensor, points: Tensor) -> Tensor:
    """Patch coordinates (B, ..., 2) -> picture coordinates, by frames (B, 2, 3)."""
    flat = points.flatten(1, -2)
    with full_precision(points):
        return (flat @ frame[:, :, :2].mT + frame[:, None, :, 2]).view_as(points)


def to_patch(frame: Tensor, points: Tensor) -> Tensor:
    """Picture coordinates (B, ..., 2) -> patch coordinates, by frames (B, 2, 3)."""
    flat = points.flatten(1, -2)
    inverse = torch.linalg.inv(frame[:, :, :2])
    with full_precision(points):
        return ((flat - frame[:, None, :, 2]) @ inverse.mT).view_as(points)


def cut_out(pictures: Tensor, frame: Tensor, side: int) -> Tensor:
    """Patches (N, 3, side, side) of frames (N, 2, 3), out of pictures (N, 3, H, W)."""
    grid = pixel_grid(side, pictures).expand(len(frame), -1, -1, -1)
    return F.grid_sample(pictures, to_picture(frame, grid), padding_mode="border", align_corners=False)


def pixel_grid(size: int, like: Tensor) -> Tensor:
    """Coordinates (size, size, 2) of pixel centres, on the device and in the type of ``like``."""
    centres = (torch.arange(size, device=like.device, dtype=like.dtype) * 2 + 1) / size - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack([x, y], -1)


class Extent(NamedTuple):
    """How far a patch reaches to either side and down, in half sides."""

    side: float = 1.0
    bottom: float = 1.0


WHOLE = Extent()
MOUTH_EXTENT = Extent(0.75, 0.65)  # the face's outline, the neck and what it wears stay
EYE_EXTENT = Extent(0.6, 0.55)  # so do temples, nose and cheeks


def soft_window(points: Tensor, extent: Extent = WHOLE, soft: float = 0.28) -> Tensor:
    """Weight (...) of a patch at patch coordinates (..., 2): 1 inside, smoothly 0 at its edges and its extent's."""
    x, y = points.unbind(-1)
    inside = torch.minimum(extent.side - x.abs(), torch.minimum(1 + y, extent.bottom - y))
    ramp = (inside / soft).clamp(0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def heatmaps(points: Tensor, size: int, sigma: float = 0.08) -> Tensor:
    """Gaussians (B, P, size, size) at points (B, P, 2)."""
    grid = pixel_grid(size, points)
    squared = (grid[None, None] - points[:, :, None, None]).square().sum(-1)
    return torch.exp(-squared / (2 * sigma**2))
