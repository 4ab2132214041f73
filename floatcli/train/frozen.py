"""What stage 2 leaves as it is: encoders and basis, of a run or of the weights that it starts from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.errors import InputError
from floatcli.models.float_model import FloatModel
from floatcli.models.motion_basis import MotionBasis
from floatcli.train import checkpoints
from floatcli.train.export import places, read_average
from floatcli.train.initial import check_fit

_ENCODERS = ("motion_encoder", "audio_encoder", "emotion_encoder")


def named_basis(config: ModelConfig) -> MotionBasis:
    """The basis of the embedded set: axis k of the latent is coefficient k, so each one keeps to itself."""
    basis = MotionBasis(config).requires_grad_(False)
    basis.weight.copy_(torch.eye(config.motion_dim, config.basis_size))
    return basis


def frozen_model(config: ModelConfig, run: Path, init: FloatModel | None) -> FloatModel:
    """A model of which encoders and basis can be used; its other networks have no numbers.

    Args:
        config: Of the model.
        run: A folder of checkpoints, which come first.
        init: Weights for what the run has not trained.

    Raises:
        InputError: neither has an encoder, or all parts of one.
        WeightsError: an encoder is of other sizes than the model.
    """
    with torch.device("meta"):
        model = FloatModel(config)
    named = named_basis(config).state_dict() if config.coefficient_names else None
    rows = places(config)
    states = {top: _state(top, rows, run, init, None) for top in _ENCODERS}
    states["basis"] = _state("basis", rows, run, init, named)
    for top, state in states.items():
        network = getattr(model, top)
        check_fit(top, state, network.state_dict())
        network.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def check_encoder(config: ModelConfig, run: Path, init: FloatModel | None) -> None:
    """Raise InputError where neither a run nor ``init`` has a motion encoder, or all parts of one."""
    _state("motion_encoder", places(config), run, init, None)


def _state(
    top: str,
    rows: list[tuple[str, str, str]],
    run: Path,
    init: FloatModel | None,
    otherwise: dict[str, Tensor] | None,
) -> dict[str, Tensor]:
    """The tensors of one of a FloatModel's networks, by their names in it."""
    parts = [(part, old, new.removeprefix(f"{top}.")) for part, old, new in rows if new.startswith(f"{top}.")]
    parts = [(part, old, new) for part, old, new in parts if part != "flow"]
    state = (otherwise or {}) if init is None else getattr(init, top).state_dict()
    for part, old, new in parts:
        if checkpoints.checkpoints(run, part):
            found = read_average(run, part).items()
            state = {name: tensor for name, tensor in state.items() if not name.startswith(new)}
            state |= {new + name.removeprefix(old): tensor for name, tensor in found if name.startswith(old)}
        elif not any(name.startswith(new) for name in state):
            command = f"flow --part {part}" if part in ("audio", "emotion") else "autoencoder"
            said = f"{run} has no checkpoint of {part}"
            raise InputError(said, f"name weights that have it, --init WEIGHTS, or train it: floatcli train {command}")
    return state


def digest_of(*networks: nn.Module) -> str:
    """SHA-256 of networks' weights."""
    digest = hashlib.sha256()
    for network in networks:
        for name, tensor in network.state_dict().items():
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def encoders_digest(model: FloatModel) -> str:
    """SHA-256 of what a cache is made with: all that encodes but for the audio projection, which trains on."""
    return digest_of(model.motion_encoder, model.audio_encoder.backbone, model.emotion_encoder)
