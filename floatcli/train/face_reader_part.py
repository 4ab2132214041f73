"""The embedded set's motion encoder, in training: it reads the drawn set's parameters back from faces."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.face_reader import FaceReader
from floatcli.models.patches import cut_out, face_frame
from floatcli.train.coefficients import all_coeffs, coefficient_losses
from floatcli.train.drawn_data import ANCHOR_COLUMNS, FRAMES, Batch, jitter
from floatcli.train.loop import Losses
from floatcli.train.parameters import MIRROR_SIGN, MIRRORED
from floatcli.train.sheets import save_curves

CONTRAST, BRIGHTNESS = 0.2, 0.15  # standard deviations of what sets' light is changed by


class Faces(NamedTuple):
    """Faces cut out of B sets of F pictures, where they were, and what they show."""

    faces: Tensor  # (B F, 3, S, S)
    frames: Tensor  # (B F, 2, 3)
    coeffs: Tensor  # (B, F, 20)


class FaceReaderPart(nn.Module):
    """The face reader, taught the renderer's true parameters as coefficients."""

    frames = tuple(range(FRAMES))

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.reader = FaceReader(config)

    def faces(self, batch: Batch, rng: np.random.Generator) -> Faces:
        """All faces of a batch, at anchors as a network might find them."""
        frames = face_frame(jitter(batch.landmarks[:, :, ANCHOR_COLUMNS].flatten(0, 1), rng))
        faces = cut_out(batch.images(slice(None)).flatten(0, 1), frames, self.reader.size)
        return Faces(faces, frames, all_coeffs(batch.parameters))

    def read(self, seen: Faces) -> Tensor:
        """Coefficients (B, F, 20) of faces."""
        identity = self.reader(seen.faces, seen.frames)
        return self.reader.coefficients(identity).float().view_as(seen.coeffs)

    def sheet(self, batch: Batch, path: Path) -> None:
        """Sample curves: coefficients as drawn and as read, frame by frame."""
        seen = self.faces(batch, np.random.default_rng(0))
        save_curves(seen.coeffs, self.read(seen), path)

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """Of faces, half of them mirrored, in other light."""
        seen = relit(mirrored(self.faces(batch, rng), rng), rng)
        return coefficient_losses(self.read(seen), seen.coeffs)


def mirrored(seen: Faces, rng: np.random.Generator) -> Faces:
    """The same faces, those of about half of the sets as in a mirror."""
    sets, count = seen.coeffs.shape[:2]
    turned = torch.from_numpy(rng.random(sets) < 0.5).to(seen.coeffs.device)
    each = turned.repeat_interleave(count)[:, None, None]
    signs = seen.frames.new_tensor([[1, -1, -1], [-1, 1, 1]])  # of axes and centres, seen in a mirror
    other = seen.coeffs[..., MIRRORED] * torch.from_numpy(MIRROR_SIGN).to(seen.coeffs)
    return Faces(
        torch.where(each[..., None], seen.faces.flip(-1), seen.faces),
        torch.where(each, seen.frames * signs, seen.frames),
        torch.where(turned[:, None, None], other, seen.coeffs),
    )


def relit(seen: Faces, rng: np.random.Generator) -> Faces:
    """The same faces, those of every set brighter or darker, of more or less contrast, in every colour a little."""
    sets, count = seen.coeffs.shape[:2]
    contrast = np.exp(CONTRAST * rng.standard_normal((sets, 1)) + CONTRAST / 4 * rng.standard_normal((sets, 3)))
    brightness = BRIGHTNESS * rng.standard_normal((sets, 1)) + BRIGHTNESS / 4 * rng.standard_normal((sets, 3))
    gain, lift = (
        torch.from_numpy(each).to(seen.faces).repeat_interleave(count, 0)[..., None, None]
        for each in (contrast, brightness)
    )
    return seen._replace(faces=(seen.faces * gain + lift).clamp(-1, 1))
