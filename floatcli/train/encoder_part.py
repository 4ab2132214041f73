"""What reads the drawn set's parameters back from pictures: the embedded set's motion encoder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.motion_encoder import MotionEncoder
from floatcli.train.drawn_data import FRAMES, Batch
from floatcli.train.loop import Losses
from floatcli.train.parameters import INDEX, SCALE
from floatcli.train.sheets import save_curves

SCALES = torch.from_numpy(SCALE)


def all_coeffs(parameters: Tensor) -> Tensor:
    """Parameters (..., 20) as coefficients."""
    return parameters / SCALES.to(parameters.device)


def coeffs_of(parameters: Tensor, names: tuple[str, ...]) -> Tensor:
    """Parameters (..., 20) -> the coefficients that one part follows (..., P)."""
    return all_coeffs(parameters)[..., [INDEX[name] for name in names]]


def as_read(own: Tensor, wanted: Tensor, most: float, alike: float = 1.0) -> tuple[Tensor, Tensor]:
    """Coefficients of sources (B, 1, P) and targets (B, F, P) as they are asked for by who can only read the source's.

    Args:
        own, wanted: As drawn.
        most: Standard deviation by which the worst read source is misread.
        alike: Share of sources that are misread like their targets, as of a motion about the source's; of others the
            target is what it is, as of a mouth that shall be shut, whatever it looks like.
    """
    off = most * torch.rand_like(own[..., :1]) * torch.randn_like(own)
    return own + off, wanted + off * (torch.rand_like(own[..., :1]) < alike)


def start_apart(encoder: MotionEncoder) -> None:
    """Starts the layers to coefficients as rotations: five random ones in a row would let few directions through."""
    for layer in encoder.to_coeffs:
        weight = layer.get_parameter("weight")
        nn.init.orthogonal_(weight, math.sqrt(weight.shape[1]))


class EncoderPart(nn.Module):
    """The motion encoder, taught the renderer's true parameters as coefficients."""

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
        """Squares of coefficients, and of their differences within a set: change matters more than place."""
        coeffs, truth = self.read(batch), all_coeffs(batch.parameters)
        change, true_change = coeffs - coeffs.mean(1, True), truth - truth.mean(1, True)
        return {
            "coeffs": F.mse_loss(coeffs, truth),
            "change": 2 * F.mse_loss(change, true_change),
        }
