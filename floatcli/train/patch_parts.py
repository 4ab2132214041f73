"""The editors of mouth and eyes, in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.anchored_decoder import Edit, PatchEditor, apply_edit
from floatcli.models.patches import cut_out, pixel_grid, soft_window, to_patch
from floatcli.train.coefficients import as_read
from floatcli.train.discriminators import Adversary
from floatcli.train.drawn_data import EXPRESSIONS, SOURCE, Batch
from floatcli.train.likeness import change_between, emphasis, flow_loss, gradient_loss, sharpness_loss, value_loss
from floatcli.train.loop import Losses
from floatcli.train.patch_cuts import EYE_PATCH, FRAMES, MOUTH_PATCH, Cut, PatchKind
from floatcli.train.perceptual import Perceptual, perceptual_loss
from floatcli.train.settings import PatchSettings
from floatcli.train.sheets import save_pictures
from floatcli.train.views import Middle, View, middle_channels

MISREAD, ALIKE = 0.5, 0.7  # how far sources are, at most, and the share of them whose targets are likewise
_DEFAULTS = PatchSettings()


class PatchTrial(NamedTuple):
    """Edited patches beside the truth, (N, 3, S, S), and what their losses need."""

    edit: Edit
    edited: Tensor
    truth: Tensor
    source: Tensor
    window: Tensor
    here: Tensor  # landmarks of the target, patch coordinates (N, P, 2)
    there: Tensor  # the same of the source


def try_patch(editor: PatchEditor, batch: Batch, cut: Cut) -> PatchTrial:
    """Edits each set's source towards its other expressions."""
    source, targets = batch.images(SOURCE), batch.images(EXPRESSIONS)
    count = targets.shape[1]
    wide, sources = cut.frame.repeat_interleave(count, 0), source.repeat_interleave(count, 0)
    grid = pixel_grid(editor.patch, source).expand(len(wide), -1, -1, -1)
    prepared = [m.repeat_interleave(count, 0) for m in editor.prepare(source, cut.frame, cut.anchors)]
    own, wanted = as_read(cut.coeffs[:, :1], cut.coeffs[:, EXPRESSIONS], MISREAD, ALIKE)
    edit = editor(prepared, wanted.flatten(0, 1), own.repeat_interleave(count, 1).flatten(0, 1))
    return PatchTrial(
        edit,
        apply_edit(sources, edit, wide, grid),
        cut_out(targets.flatten(0, 1), wide, editor.patch),
        cut_out(sources, wide, editor.patch),
        soft_window(grid, editor.extent)[:, None],
        to_patch(wide, batch.landmarks[:, EXPRESSIONS].flatten(0, 1)),
        to_patch(cut.frame, batch.landmarks[:, SOURCE]).repeat_interleave(count, 0),
    )


def patch_losses(trial: PatchTrial, settings: PatchSettings) -> Losses:
    """Values, gradients and their strength, the flow at landmarks, prices on moving what stays and on paint, if on."""
    truth = trial.edited, trial.truth, emphasis(trial.source, trial.truth, trial.window)
    stays = trial.window * (1 - change_between(trial.source, trial.truth))
    losses = {
        "l1": value_loss(*truth),
        "gradient": gradient_loss(*truth),
        "sharpness": sharpness_loss(*truth),
        "flow": flow_loss(trial.edit.flow, trial.here, trial.there),
        "still": (trial.edit.flow.abs().sum(1, True) * stays).mean(),
        "mask": (trial.edit.mask * trial.window).mean(),
    }
    weights = {name: getattr(settings, name) for name in losses}
    return {name: weights[name] * loss for name, loss in losses.items() if weights[name]}


class PatchPart(nn.Module):
    """An editor in training: what mouth and eyes have in common.

    Args:
        config: Of the model.
        settings: The weights of losses.
        perceptual: What middles of patches are compared by besides, where their weights ask for it.
    """

    frames = FRAMES
    kind: PatchKind

    def __init__(self, config: ModelConfig, settings: PatchSettings = _DEFAULTS, perceptual: Perceptual | None = None):
        super().__init__()
        self.settings, self.perceptual = settings, perceptual
        size, side = config.anchored, self.kind.side(config.anchored)
        self.editor = PatchEditor(self.kind.coeffs, side, size, self.kind.extent)
        self.middle = Middle(side, self.kind.extent)
        self.channels = middle_channels(self.middle, size.patch_channels)

    def adversary(self) -> Adversary:
        """A new one, who is to tell edited patches from true ones by their middles."""
        view = View(self.middle, self.channels, "adversarial", self.settings.adversarial, self.settings.gram)
        return Adversary({"middle": view}, self.settings)

    def edits(self, batch: Batch, rng: np.random.Generator) -> PatchTrial:
        """Edits of one kind of patch beside the truth."""
        return try_patch(self.editor, batch, self.kind.cut(batch, rng))

    def losses(
        self, batch: Batch, rng: np.random.Generator, adversary: Adversary | None = None
    ) -> Losses | tuple[Losses, tuple[Any, ...]]:
        """The losses that are switched on; with an adversary, also what it learns from."""
        trial = self.edits(batch, rng)
        losses = patch_losses(trial, self.settings)
        if self.perceptual is not None:
            maps = self.perceptual(self.middle(trial.edited))
            with torch.no_grad():
                truth = self.perceptual(self.middle(trial.truth))
            losses["perceptual"] = self.settings.perceptual * perceptual_loss(maps, truth)
        if adversary is None:
            return losses
        losses |= adversary.fool(trial.edited, trial.truth)
        return losses, (trial.edited.detach(), trial.truth)

    def sheet(self, batch: Batch, path: Path) -> None:
        """Sample pictures: source, edited, truth, mask."""
        trial = self.edits(batch, np.random.default_rng(0))
        mask = trial.edit.mask.expand(-1, 3, -1, -1) * 2 - 1
        save_pictures([trial.source, trial.edited, trial.truth, mask], path)


class MouthPart(PatchPart):
    """The mouth editor."""

    kind = MOUTH_PATCH


class EyesPart(PatchPart):
    """The eye editor, one network for both sides."""

    kind = EYE_PATCH
