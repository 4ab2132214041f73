"""Files of tensors: read without running anything they contain, checked name by name."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from floatcli.checkpoint.store import open_tensors
from floatcli.errors import WeightsError

SHOWN = 4  # names spelt out in an error before it counts the rest


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a ``.safetensors`` file or a flat PyTorch state dict, mapped rather than copied.

    Raises:
        WeightsError: the file is missing, damaged, or holds anything but named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        return _read_pytorch(path), {}
    except FileNotFoundError:
        raise WeightsError(f"there are no weights at {path}", "check the path") from None
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read: {_first_line(error)}", "fetch the file again") from error


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with open_tensors(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def _read_pytorch(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as stream:
        mapped = zipfile.is_zipfile(stream)  # the older format cannot be mapped
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles that it then refuses
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except OSError:
        raise
    except Exception as error:  # whatever a damaged or foreign pickle raises: none of it is worth running
        raise WeightsError(
            f"{path} is damaged or holds more than tensors", "fetch the file again; only plain tensors are loaded"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} is no flat dictionary of tensors", "give the published file as it was published")
    return state


def check_names(found: Mapping[str, torch.Size], wanted: Mapping[str, torch.Size], source: Path) -> None:
    """Raise WeightsError that names tensors which are missing, surplus or of another shape."""
    missing = [name for name in wanted if name not in found]
    surplus = [name for name in found if name not in wanted]
    misshapen = [
        f"{name} {list(found[name])} instead of {list(wanted[name])}"
        for name in wanted
        if name in found and found[name] != wanted[name]
    ]
    faults = (("lacks", missing), ("has surplus", surplus), ("has misshapen", misshapen))
    message = "; ".join(f"{what} {_some(names)}" for what, names in faults if names)
    if message:
        raise WeightsError(f"{source} {message}", "the file belongs to another model or version; fetch it again")


def _some(names: Iterable[str]) -> str:
    names = list(names)
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
