"""The weights that floatcli knows by name: where they come from, under which licence. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from floatcli.config import build


@dataclass(frozen=True)
class RemoteFile:
    """One file in a repository of a Hugging Face hub."""

    repo: str
    path: str
    sha256: str | None = None  # where it is known from elsewhere than the hub
    bytes: int = 0  # about, where it is known


@dataclass(frozen=True)
class Origin:
    """One complete way to have a set: its files, and which of them is given to ``--weights``."""

    main: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True)
class WeightsSet:
    """A set of weights; ``sources`` are tried in order, none means that it travels with the package."""

    about: str
    licence: str
    ask: bool  # whether its licence has to be accepted
    sources: tuple[Origin, ...]
    bytes: int = 0  # about, of what is fetched
    sha256: str | None = None  # of the file that travels with the package


@cache
def known_sets() -> dict[str, WeightsSet]:
    """Every set by name, as ``manifest.json`` has them."""
    values = json.loads(files("floatcli.checkpoint").joinpath("manifest.json").read_text())
    return {name: build(WeightsSet, value, name) for name, value in values.items()}
