"""Stage 1 of the embedded set: each part of the anchored auto-encoder learns from drawn sets.

The parts share no weights, so they train one by one, or side by side in processes of their own:
``encoder`` (motion encoder), ``landmarks``, ``mouth``, ``eyes`` and ``warp``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import POSE, ModelConfig
from floatcli.errors import UsageError
from floatcli.models.anchored_decoder import (
    LEFT_EYE,
    MOUTH,
    RIGHT_EYE,
    Edit,
    PatchEditor,
    apply_edit,
    mirror_gaze,
)
from floatcli.models.backdrop import behind, opacity
from floatcli.models.compose import along_flow, look_up, resized
from floatcli.models.float_model import FloatModel
from floatcli.models.head_warp import HeadWarp
from floatcli.models.landmark_net import LandmarkNet, centres
from floatcli.models.patches import (
    EYE_EXTENT,
    MOUTH_EXTENT,
    eye_frames,
    heatmaps,
    mouth_frame,
    pixel_grid,
    soft_window,
    to_patch,
    to_picture,
)
from floatcli.train.drawn_data import (
    ANCHOR_COLUMNS,
    EXPRESSIONS,
    OTHERS,
    POSES,
    SOURCE,
    Batch,
    DrawnAnew,
    DrawnSets,
    draw_shards,
    drawn_sets,
)
from floatcli.train.encoder_part import EncoderPart, all_coeffs
from floatcli.train.initial import begin
from floatcli.train.loop import LoopConfig, Losses, Run, processes
from floatcli.train.parameters import INDEX, SCALE
from floatcli.train.parts import DRAWN, check_parts
from floatcli.train.settings import Settings
from floatcli.train.sheets import mark_points, save_pictures

HEAT_SPOT = 0.04  # standard deviation of the spot that a heatmap should show, in grid coordinates


def coeffs_of(parameters: Tensor, names: tuple[str, ...]) -> Tensor:
    """Parameters (..., 20) -> the coefficients that one part follows (..., P)."""
    return all_coeffs(parameters)[..., [INDEX[name] for name in names]]


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


def jitter(anchors: Tensor, rng: np.random.Generator) -> Tensor:
    """Anchors (B, 7, 2) as a network might find them: a little off, in proportion to the eyes' distance."""
    distance = (anchors[:, 1] - anchors[:, 0]).norm(dim=-1)[:, None, None]
    return anchors + torch.randn_like(anchors) * distance * rng.uniform(0, 0.06)


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences between neighbouring pixels along x and y."""
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def change_between(source: Tensor, truth: Tensor) -> Tensor:
    """How much changes about each pixel, (N, 1, H, W) from 0 to 1."""
    return (4 * F.avg_pool2d((truth - source).abs().mean(1, True), 5, 1, 2)).clamp(max=1)


def picture_losses(edited: Tensor, truth: Tensor, source: Tensor, window: Tensor) -> Losses:
    """L1 of values and of gradients, heavier where the truth differs from the source."""
    weight = window * (1 + 6 * change_between(source, truth))
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


class Turn(NamedTuple):
    """Turned sources beside the truth, (N, 3, H/2, H/2), and how: backwards and forwards (N, 2, S, S)."""

    source: Tensor
    turned: Tensor
    truth: Tensor
    flow: Tensor
    displacement: Tensor
    head: Tensor  # (N, 1, H/2, H/2), its opacity where it has turned to
    matte: Tensor  # (N, 1, S, S), its opacity in the source


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
        seen = pose[:, :1] + 0.3 * torch.randn_like(pose[:, :1])  # as an encoder might read it
        wanted = pose[:, 1:] - pose[:, :1] + seen
        maps, matte = (x.repeat_interleave(count, 0) for x in self.warp.prepare(source, anchors, seen[:, 0]))
        poses = seen.expand_as(wanted).flatten(0, 1), wanted.flatten(0, 1)
        flow = self.warp(maps, *poses)
        half = F.interpolate(source, scale_factor=0.5, mode="area").repeat_interleave(count, 0)
        truth = F.interpolate(targets.flatten(0, 1), scale_factor=0.5, mode="area")
        at = along_flow(flow, half.shape[-1])
        fine = resized(matte, half.shape[-1])
        head = look_up(opacity(fine), at)
        turned = torch.lerp(behind(half, fine), look_up(half, at), head)
        return Turn(half, turned, truth, flow, self.warp.displacement(maps, *poses), head, opacity(matte))

    def losses(self, batch: Batch, rng: np.random.Generator) -> Losses:
        """The turned source against the truth; landmarks both ways, those that never move included; smoothness."""
        turn = self.turn(batch, rng)
        losses = picture_losses(turn.turned, turn.truth, turn.source, torch.ones_like(turn.source[:, :1]))
        here = batch.landmarks[:, 1:].flatten(0, 1)
        there = batch.landmarks[:, :1].expand_as(batch.landmarks[:, 1:]).flatten(0, 1)
        dx, dy = gradients(turn.displacement)
        seen = resized(turn.head, turn.flow.shape[-1])  # elsewhere is the backdrop, which stays
        losses["flow"] = 10 * flow_loss(seen * turn.flow, here, there)
        losses["displacement"] = 40 * flow_loss(turn.matte * turn.displacement, there, here)
        losses["smooth"] = 10 * (gradients(dx)[0].abs().mean() + gradients(dy)[1].abs().mean())
        return losses

    def sheet(self, batch: Batch, path: Path) -> None:
        """Sample pictures: source, turned, truth, opacity of the head."""
        turn = self.turn(batch, np.random.default_rng(0))
        save_pictures([turn.source, turn.turned, turn.truth, turn.head.expand_as(turn.turned) * 2 - 1], path)


MODULES: dict[str, type] = {
    "encoder": EncoderPart,
    "landmarks": LandmarksPart,
    "mouth": MouthPart,
    "eyes": EyesPart,
    "warp": WarpPart,
}


def train_stage(
    settings: Settings,
    parts: Sequence[str],
    data: str,
    folder: Path,
    log: Callable[[str], None],
    init: FloatModel | None = None,
) -> None:
    """Trains parts, or all of them, from their last checkpoints in ``folder``, else from the weights of ``init``.

    Raises:
        UsageError: A part is not one of an anchored model, or the data are other than DRAWN.
        InputError: The drawings or a checkpoint can't be used.
    """
    check_parts(parts, settings.model.decoder)
    if data != DRAWN:
        said = "the anchored decoder learns from true motion parameters, which prepared clips have none of"
        raise UsageError(said, 'leave --data out, or set decoder = "warped" under [model]')
    with processes().main_process_first():  # the others find them drawn
        draw_shards(settings.autoencoder.drawn, log)
    for name in parts or MODULES:
        train_part(name, settings, folder, log, init)


@dataclass(frozen=True)
class DrawPart:
    """What a part learns from: batches of drawn sets, and chance."""

    sets: DrawnSets | DrawnAnew
    batch: int
    frames: tuple[int, ...]

    def __call__(self, rng: np.random.Generator) -> tuple[Batch, np.random.Generator]:
        """One batch."""
        return self.sets.sample(rng, self.batch, self.frames), rng


def train_part(
    name: str, settings: Settings, folder: Path, log: Callable[[str], None], init: FloatModel | None = None
) -> nn.Module:
    """Trains one part to its end, from its last checkpoint in ``folder``, else from ``init``; its running average."""
    loop: LoopConfig = getattr(settings.autoencoder, name)
    sets = drawn_sets(settings.autoencoder.drawn)
    torch.manual_seed(loop.seed)
    part = MODULES[name](settings.model)
    begin(name, part, init)
    folder.mkdir(parents=True, exist_ok=True)

    def sample(module: nn.Module, path: Path) -> None:
        with torch.inference_mode():
            module.sheet(sets.sample(np.random.default_rng(0), 8, module.frames), path)  # type: ignore[operator,arg-type]

    run = Run(name, part, loop, folder)
    run.train(DrawPart(sets, loop.batch, part.frames), log, sample, settings.autoencoder.workers)
    return run.average.eval().cpu()
