"""Which file the weights are in. Imports no torch, so that a wrong path is told at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from floatcli.checkpoint.manifest import known_sets
from floatcli.checks import is_there
from floatcli.config import ModelConfig
from floatcli.errors import WeightsError

#: Folders beside a published file, with the audio model and the emotion model.
AUDIO_FOLDER, EMOTION_FOLDER = "wav2vec2-base-960h", "wav2vec-english-speech-emotion-recognition"

LARGEST_HEADER = 4_000_000  # bytes of a safetensors file's: thirty thousand tensors

#: Metadata of our own safetensors: the model's configuration as JSON.
CONFIG_KEY = "floatcli.config"


def find_weights(source: str | Path | None) -> Path:
    """The weights file to load.

    Args:
        source: A set's name as in the manifest, or a file (one that is called like a set: "./float", or a Path). None
            means the published set where it has been fetched, else the one that travels with the package.

    Raises:
        WeightsError: there is no such file, the set has not been fetched, or the installation carries no weights.
    """
    if source is None:
        return _fetched("float") or _embedded()
    wanted = known_sets().get(source) if isinstance(source, str) else None
    if wanted is not None:
        place = _fetched(str(source)) if wanted.sources else _embedded()
        if place is None:
            raise WeightsError(f"{source} has not been fetched and verified", f"floatcli weights fetch {source}")
        return place
    path = Path(source).expanduser()
    if not is_there(path):
        raise WeightsError(f"there are no weights at {path}", "see 'floatcli weights list'")
    if path.is_dir():
        said = "name the file in it, or make one file of it: floatcli weights convert"
        raise WeightsError(f"{path} is a folder", f"{said} {path} -o weights.safetensors")
    if not path.is_file():
        raise WeightsError(f"{path} is no regular file", "save the weights to one first: they are read several times")
    return path


def choice_of_weights(path: Path) -> str:
    """What people are told where they named no weights, and these were taken."""
    if path == find_weights("embedded"):
        return "using the embedded weights; the published ones: floatcli weights fetch float"
    return "using the published weights, for research only; --weights embedded takes the free ones"


def told_digest(path: Path) -> str | None:
    """SHA-256 of a weights file where it is known without reading it: of those that travel with the package."""
    return known_sets()["embedded"].sha256 if path in _carried() else None


def _fetched(name: str) -> Path | None:
    """The main file of a set in the hub's cache, if all of it is there and its digests were right."""
    from floatcli.checkpoint import hub

    found = hub.cached_origin(known_sets()[name])
    return found[1] if found and hub.is_verified(found[0]) else None


def _embedded() -> Path:
    carried = _carried()
    if not carried:
        raise WeightsError("this installation carries no weights", "give a file with --weights")
    return carried[0]


def _carried() -> list[Path]:
    return sorted(
        Path(str(entry)) for entry in files("floatcli.embedded").iterdir() if entry.name.endswith(".safetensors")
    )


def open_tensors(path: str | Path, framework: str = "numpy") -> Any:
    """A safetensors file, opened as ``safe_open`` does, unless its header is larger than that of any model.

    Raises:
        OSError: it can't be read.
        SafetensorError: it is none, or its header would take long and much memory to read.
    """
    with Path(path).open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if LARGEST_HEADER < header <= Path(path).stat().st_size:
        raise SafetensorError(f"its header has {header / 1e6:.1f} MB, and at most {LARGEST_HEADER / 1e6:g} are read")
    return safe_open(path, framework=framework)


def weights_files(path: Path) -> list[Path]:
    """All files that a set consists of: one that describes itself, or a published one and what its folders hold.

    Of a folder of components, all that it and these folders hold.
    """
    if path.is_dir():
        return _files_of([path, *(path / name for name in (AUDIO_FOLDER, EMOTION_FOLDER))])
    try:
        with open_tensors(path) as file:
            if CONFIG_KEY in (file.metadata() or {}):
                return [path]
    except (OSError, SafetensorError):
        pass  # a .pth, or damaged, which loading it tells
    return [path, *_files_of(path.parent / name for name in (AUDIO_FOLDER, EMOTION_FOLDER))]


def _files_of(folders: Iterable[Path]) -> list[Path]:
    return sorted(file for folder in folders if folder.is_dir() for file in folder.iterdir() if file.is_file())


def stated_config(path: Path) -> ModelConfig:
    """What a weights file says of its model, as far as it says so itself; else the published model."""
    try:
        with open_tensors(path) as file:
            return ModelConfig.from_json((file.metadata() or {})[CONFIG_KEY])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return ModelConfig()  # published weights describe nothing; what is wrong with a damaged file, loading it tells


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
