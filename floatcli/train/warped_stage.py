"""Stage 1 for the published decoder: encoder, basis and decoder learn together to make one frame of a face another.

Two frames of one face; the source, moved by what the driving frame's coefficients say, is to become the driving frame
(SPEC section 7).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.decoder import Level, WarpedDecoder
from floatcli.models.float_model import FloatModel
from floatcli.models.motion_basis import MotionBasis
from floatcli.models.motion_encoder import MotionEncoder
from floatcli.train.autoencoder_stage import check_part, train_part
from floatcli.train.discriminators import Adversary
from floatcli.train.drawn_data import check_drawings, check_drawn_size, draw_shards, drawn_sets
from floatcli.train.encoder_part import start_apart
from floatcli.train.initial import begin
from floatcli.train.learning import Learning
from floatcli.train.loop import Losses, Run, processes
from floatcli.train.pairs import DrawnPairs, Pairs, PreparedPairs
from floatcli.train.parameters import NAMES
from floatcli.train.parts import DRAWN, check_parts
from floatcli.train.perceptual import Perceptual, check_network, choose_perceptual, component_loss, perceptual_loss
from floatcli.train.prepared_data import PreparedFrames, check_size, prepared_videos
from floatcli.train.settings import VGG, Settings, WarpedSettings
from floatcli.train.sheets import save_pictures
from floatcli.train.views import picture_views

Log = Callable[[str], None]


class WarpedPart(nn.Module):
    """A FloatModel's motion encoder, basis and decoder, under its names, and their losses."""

    def __init__(self, config: ModelConfig, settings: WarpedSettings, perceptual: Perceptual | None):
        super().__init__()
        self.settings, self.perceptual = settings, perceptual
        self.motion_encoder = MotionEncoder(config)
        start_apart(self.motion_encoder)
        self.basis = MotionBasis(config)
        self.decoder = WarpedDecoder(config)
        for level in self.decoder.levels:
            assert isinstance(level, Level)
            nn.init.zeros_(level.flow.weight)  # to begin with, everything stays where it is

    def forward(self, source: Tensor, driving: Tensor) -> Tensor:
        """Sources in the motion of driving pictures, all (B, 3, S, S): w = w_S + V lambda(w_D)."""
        identity, features = self.motion_encoder(source)
        driven, _ = self.motion_encoder(driving)
        return self.decoder(identity, self.basis.motion(self.motion_encoder.coefficients(driven)), features)

    def losses(self, pairs: Pairs, adversary: Adversary | None = None) -> Losses | tuple[Losses, tuple[Any, ...]]:
        """The losses that are switched on; with an adversary, also what it learns from."""
        made = self(pairs.source, pairs.driving)
        losses = self._likeness(made.float(), pairs)
        if adversary is None:
            return losses
        losses |= adversary.fool(made, pairs.driving, pairs.boxes)
        return losses, (made.detach(), pairs.driving, pairs.boxes)

    def _likeness(self, made: Tensor, pairs: Pairs) -> Losses:
        """How far made pictures are from driving ones."""
        losses, settings = {}, self.settings
        if settings.l1:
            losses["l1"] = settings.l1 * (made - pairs.driving).abs().mean()
        if self.perceptual is None:
            return losses
        maps = self.perceptual(made)
        with torch.no_grad():
            truth = self.perceptual(pairs.driving)
        if settings.perceptual:
            losses["perceptual"] = settings.perceptual * perceptual_loss(maps, truth)
        if settings.component:
            losses["component"] = settings.component * component_loss(maps, truth, pairs.boxes)
        return losses

    def sheet(self, pairs: Pairs, path: Path) -> None:
        """Sample pictures: source, driving, made."""
        save_pictures([pairs.source, pairs.driving, self(pairs.source, pairs.driving)], path)


def check_stage(
    settings: Settings, parts: Sequence[str], data: str, folder: Path, log: Log, init: FloatModel | None = None
) -> None:
    """What ``train_stage`` could not do is told before it draws, trains or writes anything.

    Raises:
        UsageError: A part is not one of a warped model, or drawings or clips are smaller than its pictures.
        InputError: Data, weights of VGG-19 that were asked for by name, or a checkpoint can't be used.
        WeightsError: Those of ``init`` are of other sizes.
    """
    check_parts(parts, settings.model.decoder)
    if "encoder" in parts:
        check_part("encoder", _reading(settings), folder, log)
    if parts and "autoencoder" not in parts:
        return
    loop, size, drawn = settings.autoencoder.warped, settings.model.image_size, settings.autoencoder.drawn
    if data != DRAWN:
        prepared_videos(Path(data))
        check_size(Path(data), size)
    else:
        check_drawn_size(drawn, size)
        check_drawings(drawn)
    if loop.perceptual or loop.component:
        check_network(loop.network, log)
        if loop.network != VGG:
            check_part("encoder", _reading(settings), folder, log)
    part, adversary = _made(settings, None, init)
    Learning("autoencoder", part, loop, folder, adversary, loop.joining)


def train_stage(
    settings: Settings, parts: Sequence[str], data: str, folder: Path, log: Log, init: FloatModel | None = None
) -> None:
    """Trains what is asked for, or all there is to train, from the last checkpoints in ``folder``.

    Args:
        settings: Of a model with the warped decoder.
        parts: Of ``PARTS["warped"]``; none: the autoencoder, and the encoder first where it is needed.
        data: DRAWN, or a folder of prepared clips.
        folder: Of the run.
        log: Receives lines.
        init: Weights that the autoencoder starts from.

    Raises:
        InputError: Data, weights of VGG-19 that were asked for by name, or a checkpoint can't be used.
    """
    if "encoder" in parts:
        train_encoder(settings, folder, log)
    if not parts or "autoencoder" in parts:
        train_autoencoder(settings, data, folder, log, init)


def train_encoder(settings: Settings, folder: Path, log: Log) -> MotionEncoder:
    """Trains the network that stands in for VGG-19, on drawn sets."""
    draw_once(settings, log)
    return train_part("encoder", _reading(settings), folder, log).encoder  # type: ignore[return-value]


def _reading(settings: Settings) -> Settings:
    """Those of the network that stands in for VGG-19: its coefficients are the drawings' parameters."""
    model = settings.model
    model = dataclasses.replace(model, basis_size=len(NAMES), motion_dim=max(model.motion_dim, len(NAMES)))
    return dataclasses.replace(settings, model=model)


def train_autoencoder(
    settings: Settings, data: str, folder: Path, log: Log, init: FloatModel | None = None
) -> WarpedPart:
    """Trains motion encoder, basis and decoder; their running average."""
    loop = settings.autoencoder.warped
    draw = choose_pairs(settings, data, log)
    perceptual = None
    if loop.perceptual or loop.component:
        perceptual = choose_perceptual(loop.network, "pictures", lambda: train_encoder(settings, folder, log), log)
    part, adversary = _made(settings, perceptual, init)
    folder.mkdir(parents=True, exist_ok=True)

    def sample(module: nn.Module, path: Path) -> None:
        with torch.inference_mode():
            module.sheet(draw(np.random.default_rng(0))[0], path)  # type: ignore[operator]

    run = Run("autoencoder", part, loop, folder, adversary, loop.joining)
    run.train(draw, log, sample, settings.autoencoder.workers)
    return run.average.eval().cpu()  # type: ignore[return-value]


def _made(
    settings: Settings, perceptual: Perceptual | None, init: FloatModel | None
) -> tuple[WarpedPart, Adversary | None]:
    """The autoencoder as it begins, and what it is to win against."""
    loop = settings.autoencoder.warped
    torch.manual_seed(loop.seed)
    part = WarpedPart(settings.model, loop, perceptual)
    begin("autoencoder", part, init)
    return part, Adversary(picture_views(settings.model, loop), loop) if loop.contested else None


def choose_pairs(settings: Settings, data: str, log: Log) -> DrawnPairs | PreparedPairs:
    """What the autoencoder learns from."""
    batch, size, drawn = settings.autoencoder.warped.batch, settings.model.image_size, settings.autoencoder.drawn
    if data != DRAWN:
        return PreparedPairs(PreparedFrames(Path(data)), batch, size)
    draw_once(settings, log)
    return DrawnPairs(drawn_sets(drawn), batch, size)


def draw_once(settings: Settings, log: Log) -> None:
    """Draws what is not drawn yet, in one process while others wait."""
    with processes().main_process_first():
        draw_shards(settings.autoencoder.drawn, log)
