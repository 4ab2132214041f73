"""What a run starts from: any weights that animate loads, remembered in its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from floatcli.checkpoint.load import load_model
from floatcli.checkpoint.manifest import known_sets
from floatcli.checkpoint.store import file_digest, find_weights
from floatcli.checks import is_there, values_of
from floatcli.errors import InputError, UsageError, WeightsError
from floatcli.files import replacing
from floatcli.models.float_model import FloatModel
from floatcli.poses import tells_pose
from floatcli.train.export import part_of, places

RECORD = "initial.json"
_WIDENED, _POSE = "field.condition_in.weight", "field.pose_in."


@dataclass(frozen=True)
class Initial:
    """Weights to start from, of which each network is read when it is first used, and the file that they are in."""

    model: FloatModel
    path: Path
    digest: str


def initial_weights(source: str | None, run: Path, say: Callable[[str], None]) -> Initial | None:
    """The weights that a run starts from, or started from; None for a run from nothing.

    Args:
        source: A weights file or a set's name; None takes what the run remembers.
        run: The run's folder.
        say: Told which weights these are, and their licence where it is known.

    Raises:
        WeightsError: there are no such weights, or they can't be loaded.
        InputError: the run started from other weights.
    """
    record = run / RECORD
    before = _remembered(record)
    if source is None and not before:
        return None
    path = find_weights(Path(before["weights"]) if source is None else source)
    digest = file_digest(path)
    if before and before["digest"] != digest:
        raise InputError(f"{run} started from other weights than {path}", "name another --run folder")
    model = load_model(path, lazily=True)
    known = known_sets().get(model.config.name)
    say(f"starting from {path}" + (f": {model.config.name}, {known.licence}" if known else ""))
    return Initial(model, path, digest)


def remember(initial: Initial, run: Path) -> None:
    """Writes down, in a run's folder, what it starts from. Raises OutputError."""
    if not (run / RECORD).exists():
        with replacing(run / RECORD) as temporary:
            told = {"weights": os.path.abspath(initial.path), "digest": initial.digest}
            temporary.write_text(json.dumps(told) + "\n")


def _remembered(record: Path) -> dict[str, str]:
    """Weights and digest that a run started from; empty for one from nothing."""
    if not is_there(record):
        return {}
    try:
        told = values_of(record, "record of weights")
        return {name: str(told[name]) for name in ("weights", "digest")}
    except (InputError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{record} can't be read: {error}", "remove it, and name the weights again with --init"
        ) from error


def begin(part: str, module: nn.Module, init: FloatModel | None) -> None:
    """Have a part start from weights, where there are any. What it needs to train alone stays as it is.

    A field that shall follow a pose takes one that does not: its new columns start at zero.

    Raises:
        WeightsError: the part has other sizes.
    """
    if init is None:
        return
    state, wanted = part_of(init, part), module.state_dict()
    if f"{_POSE}0.weight" in wanted and f"{_POSE}0.weight" not in state:
        more = wanted[_WIDENED].shape[1] - state[_WIDENED].shape[1]
        state[_WIDENED] = F.pad(state[_WIDENED], (0, more))
        state |= {name: tensor for name, tensor in wanted.items() if name.startswith(_POSE)}
    taken = tuple(old for name, old, _ in places(init.config) if name == part)
    check_fit(part, state, {name: tensor for name, tensor in wanted.items() if name.startswith(taken)})
    module.load_state_dict(wanted | state)


def check_fit(part: str, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise WeightsError where a part's tensors are not exactly those that are wanted of it."""
    hint = "leave [model] out of the settings: without it, the weights say what the model is"
    for name in sorted(state.keys() | wanted.keys()):
        found, asked = (_size(tensors.get(name)) for tensors in (state, wanted))
        if found != asked:
            said = f"the weights to start from are not of this [model]: {part}'s {name} is {found}, not {asked}"
            raise WeightsError(said, hint)


def _size(tensor: Tensor | None) -> str:
    return "not there" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"


def pose_model(source: str | None) -> FloatModel | None:
    """Weights whose coefficients tell a head's pose; None where no source is named.

    Raises:
        UsageError: their coefficients do not.
    """
    if source is None:
        return None
    model = load_model(source, lazily=True)
    if not tells_pose(model.config):
        raise UsageError(f"the coefficients of {source} do not tell a pose by name", "those of embedded do")
    return model
