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
from floatcli.train.flow_stage import named_basis
from floatcli.train.parts import PARTS
from floatcli.train.settings import Settings

#: Where the running average of each part goes in a FloatModel, by the prefix it has in its checkpoint.
PLACES = (
    ("encoder", "encoder.", "motion_encoder."),
    ("landmarks", "net.", "decoder.landmarks."),
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
)

#: What models with other decoders are put together from.
_OTHERS = {"anchored": ("autoencoder",), "warped": PARTS["anchored"]}


def places(config: ModelConfig) -> list[tuple[str, str, str]]:
    """The rows of PLACES that a model is put together from."""
    return [row for row in PLACES if row[0] not in _OTHERS[config.decoder]]


def read_average(run: Path, part: str) -> dict[str, Tensor]:
    """The running average that a part's checkpoint holds.

    Raises:
        InputError: The part has no checkpoint yet.
    """
    there = checkpoints.checkpoints(run, part)
    if not there:
        said = f"{run} has no checkpoint of {part}"
        raise InputError(said, f"train it first: floatcli train autoencoder|flow ... --run {run}")
    return checkpoints.load(there[-1])["average"]


def export_run(settings: Settings, run: Path, output: Path) -> None:
    """Writes a run's parts as one self-describing file of 16-bit numbers."""
    model = FloatModel(settings.model)
    state = {f"basis.{name}": tensor for name, tensor in named_basis(settings.model).state_dict().items()}
    for part, old, new in places(settings.model):  # a learnt basis takes the place of the named one
        for name, tensor in read_average(run, part).items():
            if name.startswith(old):
                state[new + name.removeprefix(old)] = tensor
    model.load_state_dict(state)
    save_model(model, output, torch.float16)
