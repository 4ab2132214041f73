"""The editors of mouth and eyes, in training."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.anchored_decoder import (
    LEFT_EYE,
    MOUTH,
    RIGHT_EYE,
    Edit,
    PatchEditor,
    apply_edit,
    mirror_gaze,
)
from floatcli.models.patches import (
    EYE_EXTENT,
    MOUTH_EXTENT,
    eye_frames,
    mouth_frame,
    pixel_grid,
    soft_window,
    to_patch,
    to_picture,
)
from floatcli.train.drawn_data import ANCHOR_COLUMNS, EXPRESSIONS, SOURCE, Batch, jitter
from floatcli.train.encoder_part import coeffs_of
from floatcli.train.likeness import change_between, flow_loss, picture_losses
from floatcli.train.loop import Losses
from floatcli.train.sheets import save_pictures


class PatchTrial(NamedTuple):
    """Edited patches beside the truth, (N, 3, S, S), and what their losses need."""

    edit: Edit
    edited: Tensor
    truth: Tensor
    source: Tensor
    window: Tensor
    here: Tensor  # landmarks of the target, patch coordinates (N, P, 2)
    there: Tensor  # the same of the source


def try_patch(editor: PatchEditor, batch: Batch, frame: Tensor, anchors: Tensor, coeffs: Tensor) -> PatchTrial:
    """Edits each set's source towards its other expressions, coefficients (B, F, P)."""
    source, targets = batch.images(SOURCE), batch.images(EXPRESSIONS)
    count = targets.shape[1]
    wide, sources = frame.repeat_interleave(count, 0), source.repeat_interleave(count, 0)
    grid = pixel_grid(editor.patch, source).expand(len(wide), -1, -1, -1)
    at = to_picture(wide, grid)
    prepared = [m.repeat_interleave(count, 0) for m in editor.prepare(source, frame, anchors)]
    edit = editor(prepared, coeffs.flatten(0, 1))
    return PatchTrial(
        edit,
        apply_edit(sources, edit, wide, grid),
        F.grid_sample(targets.flatten(0, 1), at, padding_mode="border", align_corners=False),
        F.grid_sample(sources, at, padding_mode="border", align_corners=False),
        soft_window(grid, editor.extent)[:, None],
        to_patch(wide, batch.landmarks[:, EXPRESSIONS].flatten(0, 1)),
        to_patch(frame, batch.landmarks[:, SOURCE]).repeat_interleave(count, 0),
    )


def patch_losses(trial: PatchTrial) -> Losses:
    """Picture losses, the flow at landmarks, and prices on moving what stays and on paint."""
    losses = picture_losses(trial.edited, trial.truth, trial.source, trial.window)
    losses["flow"] = 4 * flow_loss(trial.edit.flow, trial.here, trial.there)
    stays = trial.window * (1 - change_between(trial.source, trial.truth))
    losses["still"] = 5 * (trial.edit.flow.abs().sum(1, True) * stays).mean()
    losses["mask"] = 0.005 * (trial.edit.mask * trial.window).mean()
    return losses


class PatchPart(nn.Module):
    """An editor in training: what mouth and eyes have in common."""

    frames = (SOURCE, 1, 2, 3)
    editor: PatchEditor

    def edits(self, batch: Batch, rng: np.random.Generator) -> PatchTrial:
        """Edits of one kind of patch beside the truth."""
        raise TypeError("only mouth and eyes have edits")

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """See ``patch_losses``."""
        return patch_losses(self.edits(batch, rng))

    def sheet(self, batch: Batch, path: Path) -> None:
        """Sample pictures: source, edited, truth, mask."""
        trial = self.edits(batch, np.random.default_rng(0))
        mask = trial.edit.mask.expand(-1, 3, -1, -1) * 2 - 1
        save_pictures([trial.source, trial.edited, trial.truth, mask], path)


class MouthPart(PatchPart):
    """The mouth editor."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.editor = PatchEditor(len(MOUTH), config.anchored.mouth_patch, config.anchored, MOUTH_EXTENT)

    def edits(self, batch: Batch, rng: np.random.Generator) -> PatchTrial:
        """Edits of the source's mouth."""
        anchors = jitter(batch.landmarks[:, SOURCE, ANCHOR_COLUMNS], rng)
        coeffs = coeffs_of(batch.parameters[:, EXPRESSIONS], MOUTH)
        return try_patch(self.editor, batch, mouth_frame(anchors), anchors, coeffs)


class EyesPart(PatchPart):
    """The eye editor, one network for both sides."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.editor = PatchEditor(len(LEFT_EYE), config.anchored.eye_patch, config.anchored, EYE_EXTENT)

    def edits(self, batch: Batch, rng: np.random.Generator) -> PatchTrial:
        """Edits of the source's left or (mirrored) right eye."""
        anchors = jitter(batch.landmarks[:, SOURCE, ANCHOR_COLUMNS], rng)
        side = int(rng.integers(2))
        coeffs = coeffs_of(batch.parameters[:, EXPRESSIONS], (LEFT_EYE, RIGHT_EYE)[side])
        if side:
            coeffs = mirror_gaze(coeffs)
        return try_patch(self.editor, batch, eye_frames(anchors)[side], anchors, coeffs)
