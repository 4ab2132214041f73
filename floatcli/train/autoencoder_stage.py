"""Stage 1 of the embedded set: each part of the anchored auto-encoder learns from drawn sets.

The parts share no weights, so they train one by one, or side by side in processes of their own:
``encoder`` (motion encoder), ``landmarks``, ``mouth``, ``eyes`` and ``warp``. What mouth and eyes are compared by
learns before them, where it is needed: ``mouth_reader`` and ``eyes_reader``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from floatcli.errors import UsageError
from floatcli.models.float_model import FloatModel
from floatcli.models.motion_encoder import MotionEncoder
from floatcli.train.drawn_data import Batch, DrawnAnew, DrawnSets, check_drawings, draw_shards, drawn_sets
from floatcli.train.encoder_part import EncoderPart
from floatcli.train.face_reader_part import FaceReaderPart
from floatcli.train.initial import begin
from floatcli.train.landmarks_part import LandmarksPart
from floatcli.train.learning import Learning
from floatcli.train.loop import Run, processes
from floatcli.train.loop_config import LoopConfig
from floatcli.train.parts import DRAWN, check_parts
from floatcli.train.patch_parts import EyesPart, MouthPart
from floatcli.train.patch_readers import EyesReader, MouthReader
from floatcli.train.perceptual import Perceptual, check_network, choose_perceptual
from floatcli.train.settings import VGG, PatchSettings, Settings
from floatcli.train.warp_part import WarpPart

MODULES: dict[str, type] = {
    "encoder": FaceReaderPart,
    "landmarks": LandmarksPart,
    "mouth": MouthPart,
    "eyes": EyesPart,
    "warp": WarpPart,
}
READERS: dict[str, type] = {"mouth_reader": MouthReader, "eyes_reader": EyesReader}
_KINDS: dict[str, dict[str, type]] = {"anchored": MODULES | READERS, "warped": {"encoder": EncoderPart}}


def check_stage(
    settings: Settings,
    parts: Sequence[str],
    data: str,
    folder: Path,
    log: Callable[[str], None],
    init: FloatModel | None = None,
) -> None:
    """What ``train_stage`` could not do is told before it draws, trains or writes anything.

    Raises:
        UsageError: A part is not one of an anchored model, or the data are other than DRAWN.
        InputError: Drawings or a checkpoint can't be used, or VGG-19 is asked for by name and can't be had.
        WeightsError: Those of ``init`` are of other sizes.
    """
    check_parts(parts, settings.model.decoder)
    if data != DRAWN:
        said = "the anchored decoder learns from true motion parameters, which prepared clips have none of"
        raise UsageError(said, 'leave --data out, or set decoder = "warped" under [model]')
    for name in parts or MODULES:
        check_part(name, settings, folder, log, init)


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
        InputError: The drawings or a checkpoint can't be used.
    """
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


def check_part(
    name: str, settings: Settings, folder: Path, log: Callable[[str], None], init: FloatModel | None = None
) -> None:
    """As ``check_stage``, of one part and of what it is compared by."""
    check_drawings(settings.autoencoder.drawn)
    loop: LoopConfig = getattr(settings.autoencoder, name)
    if isinstance(loop, PatchSettings) and loop.perceptual:
        check_network(loop.network, log)
        if loop.network != VGG:
            check_part(f"{name}_reader", settings, folder, log)
    part, against = _made(name, settings, None, init)
    Learning(name, part, loop, folder, *against)


def train_part(
    name: str, settings: Settings, folder: Path, log: Callable[[str], None], init: FloatModel | None = None
) -> nn.Module:
    """Trains one part to its end, from its last checkpoint in ``folder``, else from ``init``; its running average."""
    loop: LoopConfig = getattr(settings.autoencoder, name)
    sets = drawn_sets(settings.autoencoder.drawn)
    part, against = _made(name, settings, _compared(name, loop, settings, folder, log), init)
    folder.mkdir(parents=True, exist_ok=True)

    def sample(module: nn.Module, path: Path) -> None:
        with torch.inference_mode():
            module.sheet(sets.sample(np.random.default_rng(0), 8, module.frames), path)  # type: ignore[operator,arg-type]

    run = Run(name, part, loop, folder, *against)
    run.train(DrawPart(sets, loop.batch, part.frames), log, sample, settings.autoencoder.workers)  # type: ignore[arg-type]
    return run.average.eval().cpu()


def _compared(
    name: str, loop: LoopConfig, settings: Settings, folder: Path, log: Callable[[str], None]
) -> Perceptual | None:
    """What a part's pictures are compared by, if by anything."""
    if not (isinstance(loop, PatchSettings) and loop.perceptual):
        return None

    def learn() -> MotionEncoder:
        return train_part(f"{name}_reader", settings, folder, log).encoder  # type: ignore[return-value]

    return choose_perceptual(loop.network, f"patches of the {name}", learn, log)


def _made(
    name: str, settings: Settings, perceptual: Perceptual | None, init: FloatModel | None
) -> tuple[nn.Module, tuple[Any, ...]]:
    """A part as it begins; what it is to win against, and from which step on."""
    loop: LoopConfig = getattr(settings.autoencoder, name)
    torch.manual_seed(loop.seed)
    against: tuple[Any, ...] = ()
    if isinstance(loop, PatchSettings):
        part = MODULES[name](settings.model, loop, perceptual)
        against = (part.adversary(), loop.joining) if loop.contested else ()
    else:
        part = _KINDS[settings.model.decoder][name](settings.model)
    begin(name, part, init)
    return part, against
