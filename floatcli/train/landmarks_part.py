"""What finds a face's anchors, in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from floatcli.config import ModelConfig
from floatcli.models.landmark_net import LandmarkNet, centres
from floatcli.models.patches import heatmaps
from floatcli.train.drawn_data import ANCHOR_COLUMNS, OTHERS, SOURCE, Batch
from floatcli.train.loop import Losses
from floatcli.train.sheets import mark_points, save_pictures

HEAT_SPOT = 0.04  # standard deviation of the spot that a heatmap should show, in grid coordinates


class LandmarksPart(nn.Module):
    """The anchor finder, taught the renderer's true landmarks."""

    frames = (SOURCE, OTHERS.start)  # many faces teach more than many states of one

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.net = LandmarkNet(config.anchored)

    def sheet(self, batch: Batch, path: Path) -> None:
        """Sample pictures: anchors as drawn in green, as found in red."""
        pictures = batch.small_images(self.net.input_size)
        truth = batch.landmarks[:, :, ANCHOR_COLUMNS].flatten(0, 1)
        marked = mark_points(mark_points(pictures, truth, (-1, 1, -1)), self.net(pictures), (1, -1, -1))
        save_pictures(list(marked.unflatten(0, batch.landmarks.shape[:2]).unbind(1)), path)

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """L1 in grid coordinates (x 10: of the order of one), and cross entropy against a spot at the truth.

        The centre of mass alone is content with two guesses on either side; the cross entropy is not.
        """
        heat = self.net.logits(batch.small_images(self.net.input_size))
        truth = batch.landmarks[:, :, ANCHOR_COLUMNS].flatten(0, 1)
        spots = heatmaps(truth, heat.shape[-1], HEAT_SPOT).flatten(2)
        spots = spots / spots.sum(-1, keepdim=True).clamp(min=1e-6)
        return {
            "anchors": 10 * (centres(heat) - truth).abs().mean(),
            "heat": -0.2 * (spots * heat.flatten(2).log_softmax(-1)).sum(-1).mean(),
        }
