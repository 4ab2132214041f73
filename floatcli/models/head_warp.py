"""The turn of the head: a portrait's pixels placed in space, turned, and looked up in the picture again."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import ANCHORS, POSE, POSE_SHIFT, POSE_ZOOM, TURN_DEGREES, AnchoredSize
from floatcli.models.patches import full_precision, heatmaps, pixel_grid
from floatcli.models.splatting import splatted_flow
from floatcli.models.unet import EditDecoder, SourceEncoder

INVERSIONS = 4  # steps in which the head's displacement is inverted
STRAYED = 1.0  # cells from where it began, after which the inverse has come upon another place that moves there
CARRIED = 0.2  # logit of how far what is below a head goes along with its shift, as one expects it
LIGHT_GAIN = 0.3  # what the network draws becomes light
OUTPUTS = (3, 2, 2, 1, 27)  # maps that the network draws: of place, shares, growth, matte, light
MATTE_GAIN = 6.0  # what the network draws becomes logits of a matte, which has sharp edges
MATTE_MARGIN = 0.5  # on top of it: hair that is left behind looks worse than backdrop that comes along


class Oval(NamedTuple):
    """An ellipse about a place in space, in distances between the eyes, from the point that the head turns about."""

    width: float
    height: float
    centre: tuple[float, float, float]  # right, down, towards the camera


# A head as one expects it.
OUTLINE = Oval(1.25, 1.7, (0.0, -0.85, 0.55))
FACE, FACE_DEPTH = Oval(1.2, 2.4, (0.0, -0.5, 0.55)), 1.2
EYES = (0.0, -0.92, 1.7)  # the middle between them
PIVOT_DOWN, PIVOT_AHEAD = 0.95, -0.56  # from the point that the head grows about to the one that it turns about
CAMERA = 12.8  # how far away the camera is


def head_rotation(pose: Tensor) -> Tensor:
    """Rotations (N, 3, 3) of heads in poses (N, 6), in parameters: x right, y down, z towards the camera."""
    yaw, pitch, roll = (pose[:, :3] * torch.deg2rad(pose.new_tensor(TURN_DEGREES))).unbind(1)
    one, zero = torch.ones_like(yaw), torch.zeros_like(yaw)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, 1).view(-1, 3, 3)

    turn = matrix(yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos())
    nod = matrix(one, zero, zero, zero, pitch.cos(), pitch.sin(), zero, -pitch.sin(), pitch.cos())
    tilt = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    return tilt @ nod @ turn


class Head(NamedTuple):
    """A head in space, pixel by pixel, in grid coordinates."""

    place: Tensor  # (B, 3, S, S), from the point that the head turns about
    share: Tensor  # (B, 1, S, S), logits of following the head, and of hiding what lies behind
    pivot: Tensor  # (B, 3, 1, 1), the point that the head turns about, from the one that it grows about
    camera: Tensor  # (B, 3), the point that it looks at, and how far away it is


class HeadMaps(NamedTuple):
    """What stays the same in every frame of a portrait, by places in the source."""

    moves: Tensor  # (B, 6, S, S): w X, w' and g
    camera: Tensor  # (B, 3): c, and d
    light: Tensor  # (B, 27, S, S): of each of three colours, by the entries of a rotation less the identity
    matte: Tensor  # (B, 1, S, S), logits of how far the person hides what lies behind

    def repeated(self, count: int) -> HeadMaps:
        """The same, each portrait's ``count`` times in a row."""
        return HeadMaps(*(maps.repeat_interleave(count, 0) for maps in self))


def guess_head(grid: Tensor, anchors: Tensor, pose: Tensor) -> Head:
    """A mask for a face and an oval for a head, which the network then makes the portrait's own.

    Args:
        grid: Pixels (B, 2, S, S).
        anchors: (B, 7, 2).
        pose: The head's, (B, 6), in parameters.
    """
    level = pose * pose.new_tensor([1, 1, 0, 0, 0, 0])  # the tilt is seen in the eyes
    turn = head_rotation(level)
    along = (anchors[:, 1] - anchors[:, 0]) / turn[:, 0, :1]  # as long as if seen from the front
    distance = along.norm(dim=-1)[:, None, None]
    axes = torch.stack([along, torch.stack([-along[:, 1], along[:, 0]], 1)], 2)  # (B, 2, 2): across, down the face
    to_eyes = turn @ turn.new_tensor(EYES)
    middle = anchors[:, :2].mean(1) - (axes @ to_eyes[:, :2, None])[..., 0]
    place = grid - middle[:, :, None, None]
    right, down = torch.einsum("bck,bchw->bkhw", axes / distance**2, place).unbind(1)

    def radius(oval: Oval) -> Tensor:
        x, y = (turn @ turn.new_tensor(oval.centre))[:, :2, None, None].unbind(1)
        return ((right - x) / oval.width) ** 2 + ((down - y) / oval.height) ** 2

    depth = distance * (FACE.centre[2] + FACE_DEPTH * (1 - radius(FACE)).clamp(min=0.01).sqrt())
    share = 5 * (1.7 - radius(OUTLINE))
    pivot = torch.cat([PIVOT_DOWN * axes[..., 1], PIVOT_AHEAD * distance[:, 0]], 1)
    ahead = middle - zoom(pose) * pivot[:, :2] - 2 * POSE_SHIFT * pose[:, 3:5]
    camera = torch.cat([ahead, CAMERA * distance[:, 0] / zoom(pose)], 1)
    return Head(torch.cat([place, depth[:, None]], 1), share[:, None], pivot[..., None, None], camera)


class HeadWarp(nn.Module):
    """Turns the head in space, with it what carries it, as far as that follows, and with both the light on them.

    For every pixel s of the source a network reads the place X(s) in space, from the point o that the head turns
    about, the shares w(s) and w'(s) in which the pixel follows the head's turn and shift, and the way g(s) that it goes
    where the head grows: in a face all of it and X / z + o, less in a neck, and in a shoulder little of the turn. With
    R the rotation from the source's pose to the wanted one, z' over z their zooms, t the shift, and
    k how much larger than in the plane that the head grows in a camera at the distance d sees X, the pixel moves by

        A(s) = w z'/z (R - 1) X + w' k t + (z' - z) g

    and where it comes nearer, by the third row n of w z'/z (R - 1) X, to a camera that looks at c,

        D(s) = A + (s - c + A) n / (d - n),

    exactly zero at rest, one small matrix product a frame; so is what a turn adds to its colours, linear in R - 1 as
    what a matt surface gives back of distant lamps. The flow of a frame's pixel q back to the source solves
    ``f(q) = -D(q + f(q))``; of several solutions it is that of the nearest place, about which it is looked for.
    """

    scales: Tensor

    def __init__(self, size: AnchoredSize, scales: tuple[float, ...]):
        super().__init__()
        self.input_size = size.warp_size
        self.register_buffer("scales", torch.tensor(scales, device="cpu"), persistent=False)
        # Normalised, it hides a spike in a corner of its maps to steer their scale, and the spike shows as a flow.
        self.encoder = SourceEncoder(3 + len(ANCHORS) + 2, size.warp_channels, normalised=False)
        self.embed = nn.Sequential(nn.Linear(len(POSE), size.condition), nn.SiLU())
        self.decoder = EditDecoder(size.warp_channels, sum(OUTPUTS), size.condition, normalised=False)

    def prepare(self, picture: Tensor, anchors: Tensor, pose: Tensor) -> HeadMaps:
        """The portraits' maps, from picture (B, 3, H, H), anchors (B, 7, 2), source pose (B, 6)."""
        small = F.interpolate(picture, size=(self.input_size,) * 2, mode="bilinear", antialias=True)
        grid = pixel_grid(self.input_size, picture).expand(len(picture), -1, -1, -1).permute(0, 3, 1, 2)
        maps = self.encoder(torch.cat([small, heatmaps(anchors, self.input_size), grid], 1))
        out = self.decoder(self.decoder.prepare(maps), self.embed(pose)).float()
        pose = pose * self.scales
        with full_precision(grid):
            guess = guess_head(grid, anchors, pose)
        place, shares, growth, matte, light = out.split(OUTPUTS, 1)
        turned, shifted = (shares + torch.cat([guess.share, guess.share.clamp(min=CARRIED)], 1)).sigmoid().split(1, 1)
        from_seat = guess.place[:, :2] / zoom(pose)[:, None, None] + guess.pivot[:, :2]
        growth = growth + guess.share.sigmoid() * from_seat
        place = place + guess.place
        nearness = 1 + (place[:, 2:] + guess.pivot[:, 2:]) / guess.camera[:, 2:, None, None]
        moves = torch.cat([turned * place, shifted * nearness, growth], 1)
        matte = MATTE_GAIN * (matte + 0.5 * guess.share + MATTE_MARGIN)
        return HeadMaps(moves, guess.camera, LIGHT_GAIN * light, matte)

    def displacement(self, maps: HeadMaps, source: Tensor, target: Tensor) -> Tensor:
        """Where the source's pixels go, D (N, 2, S, S) in grid coordinates; arguments as for ``forward``."""
        return self._moved(maps, source, target)[0]

    def _moved(self, maps: HeadMaps, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """``displacement``, and how near to the camera the pixels are then, (N, 1, S, S)."""
        with full_precision(source):
            source, target = source * self.scales, target * self.scales
            before, after = zoom(source)[..., None], zoom(target)[..., None]
            turn = after / before * rotation_between(source, target)
            shift = 2 * POSE_SHIFT * (target - source)[:, 3:5, None]
            growth = (after - before) * torch.eye(2, device=turn.device)
            across = torch.cat([shift, growth], 2)
            weights = torch.cat([turn, F.pad(across, (0, 0, 0, 1))], 2)
            moved, nearer = _mixed(weights, maps.moves).split([2, 1], 1)
            ahead, distance = maps.camera[..., None, None].split([2, 1], 1)
            place = pixel_grid(moved.shape[-1], moved).permute(2, 0, 1) - ahead
            return moved + (place + moved) * nearer / (distance - nearer), maps.moves[:, 2:3] + nearer

    def light(self, maps: HeadMaps, source: Tensor, target: Tensor) -> Tensor:
        """What is added to the source's colours, (N, 3, S, S); arguments as for ``forward``."""
        with full_precision(source):
            turn = rotation_between(source * self.scales, target * self.scales).flatten(1)
            lit = _mixed(turn[:, None], maps.light.unflatten(1, (9, 3)).flatten(2, 3))  # colours one below the other
            return lit.view(-1, 3, *maps.light.shape[2:])

    def forward(self, maps: HeadMaps, source: Tensor, target: Tensor) -> Tensor:
        """Flow (N, 2, S, S) in grid coordinates from poses (1 or N, 6) to (N, 6), over ``prepare``'s maps."""
        moved, depth = self._moved(maps, source, target)
        grid = pixel_grid(self.input_size, moved)
        begun = flow = splatted_flow(moved, depth, maps.matte.sigmoid())
        for _ in range(INVERSIONS):
            at = grid + flow.permute(0, 2, 3, 1)
            flow = -F.grid_sample(moved, at, padding_mode="border", align_corners=False)
        strayed = (flow - begun).abs().amax(1, True) * self.input_size / 2
        return torch.lerp(flow, begun, (strayed / STRAYED - 1).clamp(0, 1))


def zoom(pose: Tensor) -> Tensor:
    """How large heads are in poses (N, 6), in parameters: (N, 1)."""
    return 1 + POSE_ZOOM * pose[:, 5:]


def rotation_between(source: Tensor, target: Tensor) -> Tensor:
    """The rotations from poses (1 or N, 6) to (N, 6), in parameters, less the identity: (N, 3, 3), zero at rest."""
    return (head_rotation(target) - head_rotation(source)) @ head_rotation(source).mT


def _mixed(weights: Tensor, maps: Tensor) -> Tensor:
    """Weighted sums (N, C, S, S) of maps (1 or N, K, S, S), by weights (N, C, K)."""
    if len(maps) == 1:
        return (weights.flatten(0, 1) @ maps[0].flatten(1)).view(*weights.shape[:2], *maps.shape[2:])
    return torch.einsum("nck,nkhw->nchw", weights, maps)
