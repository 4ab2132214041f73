"""What reads the drawn set's parameters back from whole pictures, in VGG-19's place where that can't be had."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.motion_encoder import MotionEncoder
from floatcli.train.coefficients import all_coeffs, coefficient_losses
from floatcli.train.drawn_data import FRAMES, Batch
from floatcli.train.loop import Losses
from floatcli.train.sheets import save_curves


def start_apart(encoder: MotionEncoder) -> None:
    """Starts the layers to coefficients as rotations: five random ones in a row would let few directions through."""
    for layer in encoder.to_coeffs:
        weight = layer.get_parameter("weight")
        nn.init.orthogonal_(weight, math.sqrt(weight.shape[1]))


class EncoderPart(nn.Module):
    """A motion encoder, taught the renderer's true parameters as coefficients."""

    frames = tuple(range(FRAMES))

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.encoder = MotionEncoder(config)
        start_apart(self.encoder)
        self.size = config.image_size

    def read(self, batch: Batch) -> Tensor:
        """Coefficients (B, F, 20) of pictures."""
        identity, _ = self.encoder(batch.small_images(self.size))
        return self.encoder.coefficients(identity).float().view(*batch.parameters.shape)

    def sheet(self, batch: Batch, path: Path) -> None:
        """Sample curves: coefficients as drawn and as read, frame by frame."""
        save_curves(all_coeffs(batch.parameters), self.read(batch), path)

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """Of whole pictures."""
        return coefficient_losses(self.read(batch), all_coeffs(batch.parameters))
