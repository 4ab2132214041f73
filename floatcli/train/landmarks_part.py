"""What finds a face's points, in training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.landmark_net import POINTS, LandmarkNet, Look, centres
from floatcli.models.patches import cut_out, face_frame, heatmaps, to_patch
from floatcli.train.drawn import LANDMARKS
from floatcli.train.drawn_data import ANCHOR_COLUMNS, OTHERS, SOURCE, Batch
from floatcli.train.loop import Losses
from floatcli.train.sheets import mark_points, save_pictures

POINT_COLUMNS = [LANDMARKS.index(name) for name in POINTS]
HEAT_SPOT = 0.04  # standard deviation of the spot that a heatmap should show, in grid coordinates
ASTRAY = 0.12  # standard deviation of anchors that the second look starts from, in distances between the eyes


class LandmarksPart(nn.Module):
    """The anchor finder, taught the renderer's true landmarks."""

    frames = (SOURCE, OTHERS.start)  # many faces teach more than many states of one

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.net = LandmarkNet(config.anchored)

    def sheet(self, batch: Batch, path: Path) -> None:
        """Sample pictures: anchors as drawn in green, as found in red."""
        pictures = batch.images(slice(None)).flatten(0, 1)
        truth = batch.landmarks[:, :, ANCHOR_COLUMNS].flatten(0, 1)
        marked = mark_points(mark_points(pictures, truth, (-1, 1, -1)), self.net(pictures), (1, -1, -1))
        save_pictures(list(marked.unflatten(0, batch.landmarks.shape[:2]).unbind(1)), path)

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """Of both looks; the second is at the face as a first that is a little astray would have it."""
        truth = batch.landmarks[:, :, POINT_COLUMNS].flatten(0, 1)
        anchors = batch.landmarks[:, :, ANCHOR_COLUMNS].flatten(0, 1)
        distance = (anchors[:, 1] - anchors[:, 0]).norm(dim=-1)[:, None, None]
        frame = face_frame(anchors + ASTRAY * distance * torch.randn_like(anchors))
        close = cut_out(batch.images(slice(None)).flatten(0, 1), frame, self.net.input_size)
        whole = look_losses(self.net.whole, batch.small_images(self.net.input_size), anchors)
        face = look_losses(self.net.face, close, to_patch(frame, truth))
        return {f"{name}_{kind}": loss for name, each in (("whole", whole), ("face", face)) for kind, loss in each}


def look_losses(look: Look, pictures: Tensor, truth: Tensor) -> Iterator[tuple[str, Tensor]]:
    """L1 in grid coordinates (x 10: of the order of one), and cross entropy against a spot at the truth.

    The centre of mass alone is content with two guesses on either side; the cross entropy is not. Points that are not
    in the picture do not count.
    """
    heat = look.logits(pictures)
    there = (truth.abs().amax(-1) < 1).float()
    spots = heatmaps(truth, heat.shape[-1], HEAT_SPOT).flatten(2)
    spots = spots / spots.sum(-1, keepdim=True).clamp(min=1e-6)
    away = (centres(heat) - truth).abs().mean(-1)
    entropy = -(spots * heat.flatten(2).log_softmax(-1)).sum(-1)
    yield "points", 10 * (away * there).sum() / there.sum()
    yield "heat", 0.2 * (entropy * there).sum() / there.sum()
