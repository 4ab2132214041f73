"""Stage 1 of the embedded set: each part of the anchored auto-encoder learns from drawn sets.

The parts share no weights, so they train one by one, or side by side in processes of their own:
``encoder`` (motion encoder), ``landmarks``, ``mouth``, ``eyes`` and ``warp``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.anchored_decoder import (
    LEFT_EYE,
    MOUTH,
    POSE,
    RIGHT_EYE,
    Edit,
    HeadWarp,
    PatchEditor,
    apply_edit,
    mirror_gaze,
    warp_picture,
)
from floatcli.models.landmark_net import LandmarkNet
from floatcli.models.motion_encoder import MotionEncoder
from floatcli.models.patches import eye_frames, mouth_frame, pixel_grid, soft_window, to_patch, to_picture
from floatcli.train.drawn import LANDMARKS
from floatcli.train.drawn_data import EXPRESSIONS, FRAMES, POSES, SOURCE, Batch, DrawnSets, anchor_columns
from floatcli.train.loop import LoopConfig, Losses, Run
from floatcli.train.parameters import INDEX, SCALE
from floatcli.train.settings import Settings

ANCHOR_COLUMNS = anchor_columns(LANDMARKS)
SCALES = torch.from_numpy(SCALE)


def coeffs_of(parameters: Tensor, names: tuple[str, ...]) -> Tensor:
    """Parameters (..., 20) -> the coefficients that one part follows (..., P)."""
    return (parameters / SCALES)[..., [INDEX[name] for name in names]]


class EncoderPart(nn.Module):
    """The motion encoder, taught the renderer's true parameters as coefficients."""

    frames = tuple(range(FRAMES))

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.encoder = MotionEncoder(config)
        self.size = config.image_size

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """Squares of coefficients, and of their differences within a set: change matters more than place."""
        identity, _ = self.encoder(batch.small_images(self.size))
        coeffs = self.encoder.coefficients(identity).float().view(*batch.parameters.shape)
        truth = batch.parameters / SCALES
        change, true_change = coeffs - coeffs.mean(1, True), truth - truth.mean(1, True)
        return {
            "coeffs": F.mse_loss(coeffs, truth),
            "change": 2 * F.mse_loss(change, true_change),
        }


class LandmarksPart(nn.Module):
    """The anchor finder, taught the renderer's true landmarks."""

    frames = tuple(range(FRAMES))

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.net = LandmarkNet(config.anchored)

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """L1 in grid coordinates (x 10: of the order of one)."""
        anchors = self.net(batch.small_images(self.net.input_size))
        truth = batch.landmarks[:, :, ANCHOR_COLUMNS].flatten(0, 1)
        return {"anchors": 10 * (anchors - truth).abs().mean()}


def jitter(anchors: Tensor, rng: np.random.Generator) -> Tensor:
    """Anchors (B, 7, 2) as a network might find them: a little off, in proportion to the eyes' distance."""
    distance = (anchors[:, 1] - anchors[:, 0]).norm(dim=-1)[:, None, None]
    return anchors + torch.randn_like(anchors) * distance * rng.uniform(0, 0.06)


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences between neighbouring pixels along x and y."""
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def picture_losses(edited: Tensor, truth: Tensor, source: Tensor, window: Tensor) -> Losses:
    """L1 of values and of gradients, heavier where the truth differs from the source."""
    changed = F.avg_pool2d((truth - source).abs().mean(1, True), 5, 1, 2)
    weight = window * (1 + 6 * (4 * changed).clamp(max=1))
    dx, dy = gradients(edited - truth)
    return {
        "l1": 2 * ((edited - truth).abs() * weight).mean(),
        "gradient": 2 * ((dx.abs() * weight[..., 1:]).mean() + (dy.abs() * weight[..., 1:, :]).mean()),
    }


def flow_loss(flow: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """L1 between a backward flow (N, 2, S, S) at target landmarks (N, P, 2) and the way to their source places."""
    looked = F.grid_sample(flow, here[:, :, None], align_corners=False)[..., 0].mT
    inside = ((here.abs().amax(-1) < 0.95) & (there.abs().amax(-1) < 1.4)).float()
    return ((looked - (there - here)).abs().sum(-1) * inside).sum() / inside.sum().clamp(min=1)


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
        soft_window(grid)[:, None],
        to_patch(wide, batch.landmarks[:, EXPRESSIONS].flatten(0, 1)),
        to_patch(frame, batch.landmarks[:, SOURCE]).repeat_interleave(count, 0),
    )


def patch_losses(trial: PatchTrial) -> Losses:
    """Picture losses, the flow at landmarks, and a small price on paint."""
    losses = picture_losses(trial.edited, trial.truth, trial.source, trial.window)
    losses["flow"] = 4 * flow_loss(trial.edit.flow, trial.here, trial.there)
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

    def sheet(self, batch: Batch) -> list[Tensor]:
        """Rows of sample pictures: source, edited, truth, mask."""
        with torch.inference_mode():
            trial = self.edits(batch, np.random.default_rng(0))
        return [trial.source, trial.edited, trial.truth, trial.edit.mask.expand(-1, 3, -1, -1) * 2 - 1]


class MouthPart(PatchPart):
    """The mouth editor."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.editor = PatchEditor(len(MOUTH), config.anchored.mouth_patch, config.anchored)

    def edits(self, batch: Batch, rng: np.random.Generator) -> PatchTrial:
        """Edits of the source's mouth."""
        anchors = jitter(batch.landmarks[:, SOURCE, ANCHOR_COLUMNS], rng)
        coeffs = coeffs_of(batch.parameters[:, EXPRESSIONS], MOUTH)
        return try_patch(self.editor, batch, mouth_frame(anchors), anchors, coeffs)


class EyesPart(PatchPart):
    """The eye editor, one network for both sides."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.editor = PatchEditor(len(LEFT_EYE), config.anchored.eye_patch, config.anchored)

    def edits(self, batch: Batch, rng: np.random.Generator) -> PatchTrial:
        """Edits of the source's left or (mirrored) right eye."""
        anchors = jitter(batch.landmarks[:, SOURCE, ANCHOR_COLUMNS], rng)
        side = int(rng.integers(2))
        coeffs = coeffs_of(batch.parameters[:, EXPRESSIONS], (LEFT_EYE, RIGHT_EYE)[side])
        if side:
            coeffs = mirror_gaze(coeffs)
        return try_patch(self.editor, batch, eye_frames(anchors)[side], anchors, coeffs)


class WarpPart(nn.Module):
    """The head warp."""

    frames = (SOURCE, *range(POSES.start, POSES.stop))

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.warp = HeadWarp(config.anchored)

    def turn(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Sources, turned sources and truths (N, 3, H/2, H/2), and the flow between."""
        source, targets = batch.images(0), batch.images(slice(1, 3))
        count = targets.shape[1]
        anchors = jitter(batch.landmarks[:, 0, ANCHOR_COLUMNS], rng)
        pose = coeffs_of(batch.parameters, POSE)
        change = (pose[:, 1:] - pose[:, :1]).flatten(0, 1)
        seen = pose[:, 0] + 0.5 * torch.randn_like(pose[:, 0])  # as an encoder might read it
        maps = self.warp.prepare(source, anchors, seen).repeat_interleave(count, 0)
        flow = self.warp(maps, change)
        half = F.interpolate(source, scale_factor=0.5, mode="area").repeat_interleave(count, 0)
        truth = F.interpolate(targets.flatten(0, 1), scale_factor=0.5, mode="area")
        return half, warp_picture(half, flow), truth, flow

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """The turned source against the truth; landmarks, those that never move included; smoothness."""
        source, turned, truth, flow = self.turn(batch, rng)
        losses = picture_losses(turned, truth, source, torch.ones_like(source[:, :1]))
        here = batch.landmarks[:, 1:].flatten(0, 1)
        there = batch.landmarks[:, :1].expand_as(batch.landmarks[:, 1:]).flatten(0, 1)
        dx, dy = gradients(flow)
        losses["flow"] = 10 * flow_loss(flow, here, there)
        losses["smooth"] = 20 * (gradients(dx)[0].abs().mean() + gradients(dy)[1].abs().mean())
        return losses

    def sheet(self, batch: Batch) -> list[Tensor]:
        """Rows of sample pictures: source, turned, truth."""
        with torch.inference_mode():
            return list(self.turn(batch, np.random.default_rng(0))[:3])


PARTS: dict[str, type] = {
    "encoder": EncoderPart,
    "landmarks": LandmarksPart,
    "mouth": MouthPart,
    "eyes": EyesPart,
    "warp": WarpPart,
}


def train_part(name: str, settings: Settings, folder: Path, log: Callable[[str], None]) -> None:
    """Trains one part to its end, from its last checkpoint in ``folder``."""
    loop: LoopConfig = getattr(settings.autoencoder, name)
    sets = DrawnSets(settings.autoencoder.drawn)
    torch.manual_seed(loop.seed)
    part = PARTS[name](settings.model)
    folder.mkdir(parents=True, exist_ok=True)

    def losses(module: nn.Module, rng: np.random.Generator) -> Losses:
        return module.losses(sets.sample(rng, loop.batch, module.frames), rng)  # type: ignore[operator,arg-type]

    def sample(module: nn.Module, path: Path) -> None:
        if isinstance(module, MouthPart | EyesPart | WarpPart):
            batch = sets.sample(np.random.default_rng(0), 8, module.frames)
            save_sheet(module.sheet(batch), path)

    Run(name, part, loop, folder).train(losses, log, sample)


def save_sheet(rows: list[Tensor], path: Path) -> None:
    """Writes rows of pictures, each (N, 3, H, H) in [-1, 1], as one PNG."""
    sheet = torch.cat([torch.cat(list(row), -1) for row in rows], -2)
    array = ((sheet.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(array).save(path)
