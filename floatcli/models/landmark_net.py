"""A small network that finds the points of a face, for where face-alignment's weights are not at hand.

It looks twice: at the whole picture, then, as close as eyes and lips tell, at the face alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import ANCHORS, AnchoredSize
from floatcli.models.patches import cut_out, face_frame, pixel_grid, to_picture
from floatcli.models.unet import ConvBlock, SourceEncoder

_LEFT_EYE, _RIGHT_EYE, *_CORNERS, _UPPER_LIP, _LOWER_LIP, _ = range(len(ANCHORS))
#: What the second look is for: the anchors, and what else makes a face. Whoever finds all of it errs less.
POINTS = (
    *ANCHORS,
    *(f"{name}_{side}" for side in ("left", "right") for name in (
        "eye_inner", "eye_outer", "lid_top", "lid_bottom", "brow_inner", "brow_middle", "brow_outer", "jaw",
        "jaw_corner", "chin_side", "wing",
    )),
    "iris_left", "iris_right", "bridge", "nose_tip", "nose_base",
)  # fmt: skip
CORNER_OUT = 0.42  # of a mouth at rest from its middle, in distances between the eyes
CORNER_SPREAD = 0.3  # standard deviation about there, in the same


def centres(heat: Tensor) -> Tensor:
    """Logits (B, P, S, S) -> the centres of mass (B, P, 2) of the heatmaps they make, in grid coordinates."""
    return heat.flatten(2).softmax(-1) @ pixel_grid(heat.shape[-1], heat).flatten(0, 1)


def near_lips(heat: Tensor, anchors: Tensor) -> Tensor:
    """Logits (B, P, S, S) with those of the mouth's corners weighed by how likely they are beside these lips.

    On photographs a corner is what is most easily mistaken, for a fold or for a collar; eyes and lips are not.

    Args:
        heat: Logits as the network gives them.
        anchors: Their ``centres``, (B, P, 2).
    """
    along = anchors[:, _RIGHT_EYE] - anchors[:, _LEFT_EYE]
    middle = anchors[:, [_UPPER_LIP, _LOWER_LIP]].mean(1)
    expected = middle[:, None] + CORNER_OUT * torch.stack([-along, along], 1)
    away = pixel_grid(heat.shape[-1], heat) - expected[:, :, None, None]  # (B, 2, S, S, 2)
    spread = CORNER_SPREAD * along.norm(dim=-1)[:, None, None, None]
    weighed = heat.clone()
    weighed[:, _CORNERS] -= away.square().sum(-1) / (2 * spread**2)
    return weighed


class Look(nn.Module):
    """Picture -> one heatmap a point -> the heatmaps' centres of mass (soft argmax)."""

    def __init__(self, channels: tuple[int, ...], points: int):
        super().__init__()
        self.encoder = SourceEncoder(3, channels)
        self.down = nn.Sequential(ConvBlock(channels[-1], channels[-1], 2), ConvBlock(channels[-1], channels[-1]))
        self.lateral = nn.Conv2d(channels[-2], channels[-1], 1)
        self.mid = ConvBlock(channels[-1], channels[-1])
        self.up = ConvBlock(channels[-1], channels[-2])
        self.heat = nn.Conv2d(channels[-2], points, 1)

    def logits(self, picture: Tensor) -> Tensor:
        """(B, 3, H, H) in [-1, 1] -> logits of one heatmap a point, (B, P, S, S)."""
        *_, fine, coarse = self.encoder(picture)
        deep = F.interpolate(self.down(coarse), scale_factor=2.0, mode="nearest")
        x = self.mid(coarse + deep)
        x = self.up(F.interpolate(x, scale_factor=2.0, mode="nearest") + self.lateral(fine))
        return self.heat(x).float()

    def forward(self, picture: Tensor) -> Tensor:
        """(B, 3, H, H) in [-1, 1] -> points (B, P, 2) in grid coordinates."""
        heat = self.logits(picture)
        return centres(near_lips(heat, centres(heat)))


class LandmarkNet(nn.Module):
    """Two looks at a face, by networks of the same kind."""

    def __init__(self, size: AnchoredSize):
        super().__init__()
        self.input_size = size.landmark_size
        self.whole, self.face = (Look(size.landmark_channels, len(points)) for points in (ANCHORS, POINTS))

    def forward(self, picture: Tensor) -> Tensor:
        """(B, 3, H, H) in [-1, 1] -> anchors (B, 7, 2) in grid coordinates."""
        small = F.interpolate(picture, size=(self.input_size, self.input_size), mode="bilinear", antialias=True)
        frame = face_frame(self.whole(small))
        return to_picture(frame, self.face(cut_out(picture, frame, self.input_size))[:, : len(ANCHORS)])
