"""The parts of a run, put together as one set of weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from floatcli.checkpoint.load import save_model
from floatcli.config import ModelConfig
from floatcli.errors import InputError
from floatcli.models.float_model import FloatModel
from floatcli.train import checkpoints
from floatcli.train.parts import PARTS

#: Where the running average of each part goes in a FloatModel, by the prefix it has in its checkpoint; and by the same
#: table back, where a part starts from weights.
PLACES = (
    ("encoder", "reader.", "motion_encoder.reader."),
    ("landmarks", "net.", "motion_encoder.landmarks."),
    ("mouth", "editor.", "decoder.mouth."),
    ("eyes", "editor.", "decoder.eye."),
    ("warp", "warp.", "decoder.warp."),
    ("autoencoder", "motion_encoder.", "motion_encoder."),
    ("autoencoder", "basis.", "basis."),
    ("autoencoder", "decoder.", "decoder."),
    ("audio", "encoder.", "audio_encoder."),
    ("emotion", "encoder.", "emotion_encoder."),
    ("flow", "field.", "field."),
    ("flow", "projection.", "audio_encoder.projection."),  # stage 2 trained these two further
    ("flow", "norm.", "audio_encoder.norm."),
    ("flow", "basis.", "basis."),
)

#: What models with other decoders are put together from.
_OTHERS = {"anchored": ("autoencoder",), "warped": PARTS["anchored"]}


def places(config: ModelConfig) -> list[tuple[str, str, str]]:
    """The rows of PLACES that a model is put together from."""
    return [row for row in PLACES if row[0] not in _OTHERS[config.decoder]]


def read_average(run: Path, part: str) -> dict[str, Tensor]:
    """The running average that a part's checkpoint holds.

    Raises:
        InputError: The part has no checkpoint yet, or a damaged one.
    """
    there = checkpoints.checkpoints(run, part)
    if not there:
        said = f"{run} has no checkpoint of {part}"
        raise InputError(said, f"train it first: floatcli train autoencoder|flow ... --run {run}")
    average = checkpoints.load(there[-1]).get("average")
    if not isinstance(average, dict):
        raise checkpoints.unfit(there[-1])
    return average


def part_of(model: FloatModel, part: str) -> dict[str, Tensor]:
    """What a model's weights say of a part, under the names of its checkpoint; heads that only train are not in it."""
    state: dict[str, Tensor] = {}
    for name, old, new in places(model.config):
        if name == part:
            top = new.partition(".")[0]
            found = getattr(model, top).state_dict(prefix=f"{top}.")
            state |= {old + key.removeprefix(new): tensor for key, tensor in found.items() if key.startswith(new)}
    return state


def export_run(config: ModelConfig, run: Path, output: Path, init: FloatModel | None = None) -> None:
    """Writes a run's parts as one self-describing file of 16-bit numbers; see ``whole_model``."""
    save_model(whole_model(config, run, init), output, torch.float16)


def whole_model(config: ModelConfig, run: Path, init: FloatModel | None = None) -> FloatModel:
    """A run's parts as one model; those it has not trained are those of ``init``.

    Raises:
        InputError: a part is missing.
    """
    model, state = FloatModel(config), dict[str, Tensor]()
    if init is not None:
        init.prepare()
        state |= init.state_dict()
    rows = places(config)
    for part in dict.fromkeys(name for name, _, _ in rows):
        if init is None or checkpoints.checkpoints(run, part):
            average = read_average(run, part)
            for old, new in ((old, new) for name, old, new in rows if name == part):
                found = {name.removeprefix(old): tensor for name, tensor in average.items() if name.startswith(old)}
                state = {name: tensor for name, tensor in state.items() if not name.startswith(new)}
                state |= {new + name: tensor for name, tensor in found.items()}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        said = f"{run} makes no whole model: {str(error).splitlines()[-1].strip()}"
        raise InputError(said, "train what is missing: floatcli train autoencoder|flow") from error
    return model
