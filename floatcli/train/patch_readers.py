"""What reads the coefficients that show in a patch back from it: who compares patches where VGG-19 can't be had."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.motion_encoder import MotionEncoder
from floatcli.models.patches import cut_out
from floatcli.train.drawn_data import Batch
from floatcli.train.encoder_part import start_apart
from floatcli.train.loop import Losses
from floatcli.train.patch_cuts import EYE_PATCH, FRAMES, MOUTH_PATCH, PatchKind
from floatcli.train.sheets import save_curves
from floatcli.train.views import Middle, middle_channels


class PatchReader(nn.Module):
    """A motion encoder of the middles of true patches, in training. It is never exported."""

    frames = FRAMES
    kind: PatchKind

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.side = self.kind.side(config.anchored)
        self.middle = Middle(self.side, self.kind.extent)
        channels = middle_channels(self.middle, config.anchored.patch_channels)
        resolutions = [4 << k for k in range(len(channels))]
        reading = dataclasses.replace(
            config,
            decoder="warped",
            image_size=self.middle.size,
            channels=tuple(zip(resolutions, reversed(channels), strict=True)),
            basis_size=self.kind.coeffs,
            coefficient_names=(),
            coefficient_scales=(),
        )
        self.encoder = MotionEncoder(reading)
        start_apart(self.encoder)

    def read(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Coefficients (B, F, P) of patches, and the true ones."""
        cut = self.kind.cut(batch, rng)
        count = batch.pictures.shape[1]
        pictures, frames = batch.images(slice(None)).flatten(0, 1), cut.frame.repeat_interleave(count, 0)
        identity, _ = self.encoder(self.middle(cut_out(pictures, frames, self.side)))
        return self.encoder.coefficients(identity).float().view(*cut.coeffs.shape), cut.coeffs

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """Squares of coefficients."""
        return {"coeffs": F.mse_loss(*self.read(batch, rng))}

    def sheet(self, batch: Batch, path: Path) -> None:
        """Sample curves: coefficients as drawn and as read, frame by frame."""
        read, truth = self.read(batch, np.random.default_rng(0))
        save_curves(truth, read, path)


class MouthReader(PatchReader):
    """Of the mouth."""

    kind = MOUTH_PATCH


class EyesReader(PatchReader):
    """Of either eye."""

    kind = EYE_PATCH
