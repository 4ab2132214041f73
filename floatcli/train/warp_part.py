"""The turn of the head, in training."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import POSE, ModelConfig
from floatcli.models.backdrop import apart, opacity
from floatcli.models.compose import along_flow, look_up, resized
from floatcli.models.head_warp import HeadWarp
from floatcli.models.patches import pixel_grid
from floatcli.train.coefficients import as_read, coeffs_of
from floatcli.train.drawn_data import ANCHOR_COLUMNS, POSES, SOURCE, Batch, jitter
from floatcli.train.likeness import displacement_loss, gradients, in_cells, picture_losses
from floatcli.train.loop import Losses
from floatcli.train.parameters import INDEX, SCALE
from floatcli.train.sheets import save_pictures

MISREAD = 0.3  # how far poses of sources are, at most
ASTRAY = 2.0  # cells: from further off nothing comes back


class Turn(NamedTuple):
    """Turned sources beside the truth, (N, 3, H/2, H/2), and how: backwards and forwards (N, 2, S, S)."""

    source: Tensor
    turned: Tensor
    truth: Tensor
    flow: Tensor
    displacement: Tensor
    head: Tensor  # (N, 1, H/2, H/2), its opacity where it has turned to
    light: Tensor  # (N, 3, S, S)
    matte: Tensor  # (N, 1, S, S), logits in the source


class WarpPart(nn.Module):
    """The head warp."""

    frames = (SOURCE, *range(POSES.start, POSES.stop))

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.warp = HeadWarp(config.anchored, tuple(float(SCALE[INDEX[name]]) for name in POSE))

    def turn(self, batch: Batch, rng: np.random.Generator) -> Turn:
        """Turns each set's source to its other poses, at half the size."""
        source, targets = batch.images(0), batch.images(slice(1, 3))
        count = targets.shape[1]
        anchors = jitter(batch.landmarks[:, 0, ANCHOR_COLUMNS], rng)
        pose = coeffs_of(batch.parameters, POSE)
        seen, wanted = as_read(pose[:, :1], pose[:, 1:], MISREAD)
        maps = self.warp.prepare(source, anchors, seen[:, 0]).repeated(count)
        turn = maps, seen.expand_as(wanted).flatten(0, 1), wanted.flatten(0, 1)
        flow, light = self.warp(*turn), self.warp.light(*turn)
        half = F.interpolate(source, scale_factor=0.5, mode="area").repeat_interleave(count, 0)
        truth = F.interpolate(targets.flatten(0, 1), scale_factor=0.5, mode="area")
        at = along_flow(flow, half.shape[-1])
        fine, lit = (resized(each, half.shape[-1]) for each in (maps.matte, light))
        colours, backdrop = apart(half, opacity(fine))
        head = look_up(opacity(fine), at)
        turned = torch.lerp(backdrop, look_up(colours + lit, at), head)
        return Turn(half, turned, truth, flow, self.warp.displacement(*turn), head, light, maps.matte)

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """The turned source against the truth; where every cell of it goes, and how it is lit there; smoothness."""
        turn = self.turn(batch, rng)
        losses = picture_losses(turn.turned, turn.truth, turn.source, torch.ones_like(turn.source[:, :1]))
        dx, dy = gradients(turn.displacement)
        moves = batch.displacements[:, 1:].flatten(0, 1)
        losses["displacement"] = 40 * displacement_loss(turn.displacement, moves)
        losses["smooth"] = 10 * (gradients(dx)[0].abs().mean() + gradients(dy)[1].abs().mean())
        losses["light"] = torch.stack([each.abs().mean() for each in gradients(turn.light)]).sum()
        losses["shade"] = 4 * shade_loss(turn, moves)
        return losses | self.matte_losses(turn, batch)

    @staticmethod
    def matte_losses(turn: Turn, batch: Batch) -> Losses:
        """The person's opacity in the source, and where it has turned to."""
        here, there = batch.opacity(SOURCE), batch.opacity(slice(1, None))
        truth = F.interpolate(here, size=turn.matte.shape[-2:], mode="area").repeat_interleave(there.shape[1], 0)
        return {
            "matte": 0.3 * F.binary_cross_entropy_with_logits(turn.matte, truth),
            "silhouette": (turn.head - there.flatten(0, 1)).abs().mean(),
        }

    def sheet(self, batch: Batch, path: Path) -> None:
        """Sample pictures: source, turned, truth, opacity of the head."""
        turn = self.turn(batch, np.random.default_rng(0))
        save_pictures([turn.source, turn.turned, turn.truth, turn.head.expand_as(turn.turned) * 2 - 1], path)


def shade_loss(turn: Turn, moves: Tensor) -> Tensor:
    """L1 between what light adds to cells of the sources and how those change on their true ways (N, S', S', 2).

    Only where the flow comes back to them, which it does not from where something hides them.
    """
    size = turn.light.shape[-1]
    moves = in_cells(moves, size).movedim(1, -1)
    at = pixel_grid(size, turn.light) + moves.nan_to_num()
    before, after = (F.interpolate(each, size=(size, size), mode="area") for each in (turn.source, turn.truth))
    astray = (look_up(turn.flow, at).movedim(1, -1) + moves).abs().amax(-1) * size / 2  # NaN where nothing is known
    weight = ((astray < ASTRAY) & (at.abs().amax(-1) < 1))[:, None] * opacity(turn.matte).detach()
    off = (before + turn.light - look_up(after, at)).abs()
    return (off * weight).sum() / (3 * weight.sum()).clamp(min=1)
