"""Checkpoints of a part in training: written whole or not at all, the last few kept."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from floatcli.errors import InputError
from floatcli.files import replacing


def place(folder: Path, name: str, step: int) -> Path:
    """Where the checkpoint of a part after ``step`` steps is, in a run's folder."""
    return folder / f"{name}-{step:07d}.pt"


def checkpoints(folder: Path, name: str) -> list[Path]:
    """Those of a part, oldest first."""
    return sorted(folder.glob(f"{name}-{'[0-9]' * 7}.pt"))


def _part_of(path: Path) -> str:
    """The name of the part that a checkpoint is of."""
    return path.stem.rpartition("-")[0]


def save(state: dict[str, Any], path: Path, keep: int) -> None:
    """Writes a checkpoint; of the part's others, the last ``keep - 1`` stay.

    Raises:
        OutputError: It cannot be written, as on a full disk; those before it are as they were.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(state, file)  # a file of Python's: its errors tell why
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # with which a write failed, so that the archive has no end
                raise error.__context__ from None
            raise
    for old in checkpoints(path.parent, _part_of(path))[:-keep]:
        old.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """What a checkpoint holds.

    Raises:
        InputError: It is damaged.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise unfit(path) from error
    if not isinstance(state, dict):
        raise unfit(path)
    return state


def way_back(folder: Path, name: str, step: int) -> str:
    """What to do where a part's training has broken down at a step: its weights may have been spoilt before."""
    there = checkpoints(folder, name)
    if not there:
        return "start again with a lower lr, or another seed"
    if there[-1] == place(folder, name, step):
        way = "start again" if len(there) == 1 else "go on"
        return f"remove {there[-1]}, whose weights are spoilt already, and {way} with a lower lr"
    return f"go on with a lower lr; where that does not help, remove {there[-1]}, to go on from before it"


def unfit(path: Path) -> InputError:
    """The word for a checkpoint that is damaged."""
    said = f"{path} cannot be resumed: it is damaged"
    way = "to begin anew" if checkpoints(path.parent, _part_of(path)) == [path] else "to go on from the one before"
    return InputError(said, f"remove it, {way}, or train in another --run folder")


def of_other_sizes(path: Path) -> InputError:
    """The word for a checkpoint that is whole, but not of this model."""
    said = f"{path} cannot be resumed: it is of a model of other sizes"
    before = path.parent / "settings.json"
    return InputError(said, f"put the settings back to what {before} says, or train in another --run folder")


def unopposed(path: Path) -> InputError:
    """The word for a checkpoint of a part that was to have learnt against discriminators by then."""
    said = f"{path} cannot be resumed: discriminators were to have joined in before it, and it has none"
    return InputError(said, "set a larger adversarial_from, or 1 for none, or train in another --run folder")
