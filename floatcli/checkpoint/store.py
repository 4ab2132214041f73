"""Which file the weights are in. Imports no torch, so that a wrong path is told at once."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from safetensors import SafetensorError, safe_open

from floatcli.checks import is_there
from floatcli.config import EMOTIONS, ModelConfig
from floatcli.errors import WeightsError

#: Metadata of our own safetensors: the model's configuration as JSON.
CONFIG_KEY = "floatcli.config"


def find_weights(source: str | Path | None) -> Path:
    """The weights file to load; None means the set that travels with the package.

    Raises:
        WeightsError: there is no such file, or the installation carries no weights.
    """
    if source is None:
        return _embedded()
    path = Path(source).expanduser()
    if not is_there(path):
        raise WeightsError(f"there are no weights at {path}", "leave --weights out to use the embedded set")
    return path


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
