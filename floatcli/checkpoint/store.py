"""Which file the weights are in. Imports no torch, so that a wrong path is told at once."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from safetensors import SafetensorError, safe_open

from floatcli.checkpoint.manifest import known_sets
from floatcli.checks import is_there
from floatcli.config import EMOTIONS, ModelConfig
from floatcli.errors import WeightsError

#: Metadata of our own safetensors: the model's configuration as JSON.
CONFIG_KEY = "floatcli.config"


def find_weights(source: str | Path | None, embedded: bool = False) -> Path:
    """The weights file to load.

    Args:
        source: A file, or a set's name as in the manifest. None means the published set where it has been fetched,
            else the one that travels with the package.
        embedded: Never the published set, where ``source`` is None.

    Raises:
        WeightsError: there is no such file, the set has not been fetched, or the installation carries no weights.
    """
    if source is None:
        return (None if embedded else _fetched("float")) or _embedded()
    name = str(source)
    if name in known_sets() and not is_there(Path(name)):
        place = _embedded() if not known_sets()[name].sources else _fetched(name)
        if place is None:
            raise WeightsError(f"{name} has not been fetched", f"floatcli weights fetch {name}")
        return place
    path = Path(source).expanduser()
    if not is_there(path):
        raise WeightsError(f"there are no weights at {path}", "leave --weights out to use the embedded set")
    return path


def _fetched(name: str) -> Path | None:
    """The main file of a set in the hub's cache, if all of it is there."""
    from floatcli.checkpoint.hub import cached_origin

    found = cached_origin(known_sets()[name])
    return found[1] if found else None


def _embedded() -> Path:
    carried = sorted(
        Path(str(entry)) for entry in files("floatcli.embedded").iterdir() if entry.name.endswith(".safetensors")
    )
    if not carried:
        raise WeightsError("this installation carries no weights", "give a file with --weights")
    return carried[0]


def emotion_labels(path: Path) -> tuple[str, ...]:
    """The emotions that a weights file knows, as far as it says so itself; else those of the published model."""
    try:
        with safe_open(path, framework="numpy") as file:
            return ModelConfig.from_json((file.metadata() or {})[CONFIG_KEY]).emotions
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return EMOTIONS  # published weights describe nothing; what is wrong with a damaged file, loading it tells


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
