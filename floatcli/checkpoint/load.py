"""Weights to models and back. Our own files describe themselves: the configuration travels in their metadata."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from floatcli.checkpoint.published import read_components, read_published
from floatcli.checkpoint.store import CONFIG_KEY, find_weights
from floatcli.checkpoint.tensors import check_names, read_tensors
from floatcli.config import ModelConfig
from floatcli.errors import WeightsError
from floatcli.files import replacing
from floatcli.models.float_model import FloatModel

FORMAT_VERSION = 1
_VERSION_KEY = "floatcli.version"


def load_model(
    source: str | Path | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    lazily: bool = False,
) -> FloatModel:
    """A model in evaluation mode with its weights, whatever number format the file keeps them in.

    Args:
        source: our own safetensors; the published ``.pth`` with the two wav2vec2 folders beside it; the published
            safetensors with everything; a folder of its components; a set's name; None as in ``find_weights``.
        device: where its parameters go.
        dtype: what its parameters become.
        lazily: whether each part is read from the file when it is first used. The file is mapped: it may be replaced
            meanwhile, but not be written to.

    Raises:
        WeightsError: the file is missing, damaged, of a newer version, or not exactly the tensors of the model.
            Numbers that are none are found when they are read.
    """
    if source is not None and Path(source).is_dir():
        path, metadata = Path(source), dict[str, str]()
        tensors = read_components(path)
    else:
        path = find_weights(source)
        tensors, metadata = read_tensors(path)
    if CONFIG_KEY in metadata:
        config = _own_config(metadata, path)
    else:
        tensors, config = read_published(tensors, path)
    return build_model(config, tensors, path, device, dtype, lazily)


def build_model(
    config: ModelConfig,
    tensors: dict[str, Tensor],
    source: Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    lazily: bool = False,
) -> FloatModel:
    """A model of exactly these tensors, under our names. ``source`` is named in a WeightsError."""
    _check_field(config, tensors, source)
    try:
        with torch.device("meta"):  # no parameter is drawn at random only to be replaced
            model = FloatModel(config)
    except (ValueError, IndexError, RuntimeError) as error:
        raise WeightsError(f"{source} describes no model: {error}", "fetch the file again") from error
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    check_names({name: tensor.shape for name, tensor in tensors.items()}, wanted, source)
    for name in wanted:
        if not tensors[name].is_floating_point():
            raise _no_numbers(source, name)

    def place(name: str, part: nn.Module) -> None:
        placed = {}
        for below, tensor in part.state_dict().items():
            if not tensor.isfinite().all():
                raise _no_numbers(source, f"{name}.{below}")
            placed[below] = tensor.to(device, dtype)
        part.load_state_dict(placed, assign=True)
        part.to(device)

    model.load_state_dict(tensors, assign=True)
    model.eval().at_first_use(place)
    if not lazily:
        model.prepare()
    return model


def _check_field(config: ModelConfig, tensors: dict[str, Tensor], source: Path) -> None:
    """Raise WeightsError where the field's tables, which no file holds, would be made for sizes that are not there."""
    width, deepest = config.field.width, f"field.blocks.{config.field.depth - 1}."
    found = [tensor.shape for name, tensor in tensors.items() if name == "field.motion_in.weight"]
    if found and (found[0][:1] != (width,) or not any(name.startswith(deepest) for name in tensors)):
        said = f"{source} tells of a field of {config.field.depth} blocks, {width} wide, and holds none"
        raise WeightsError(said, "the file belongs to another model or version; fetch it again")


def _no_numbers(source: Path, name: str) -> WeightsError:
    return WeightsError(f"{source} holds {name} that is no finite numbers", "fetch the file again")


def save_model(model: FloatModel, path: str | Path, dtype: torch.dtype | None = None) -> None:
    """Write weights that describe themselves, through a temporary sibling.

    Args:
        model: any model; its configuration goes into the metadata.
        path: the ``.safetensors`` file to write or replace.
        dtype: number format in the file; None keeps the model's.

    Raises:
        InputError: the place can't be written to.
        WeightsError: a tensor has no finite numbers in this format.
    """
    tensors = {
        name: tensor.detach().to("cpu", dtype or tensor.dtype).contiguous()
        for name, tensor in model.state_dict().items()
    }
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            kind = str(tensor.dtype).removeprefix("torch.")
            hint = "take bfloat16 or float32, which have more room" if kind == "float16" else "train or fetch it again"
            raise WeightsError(f"{name} holds numbers that are not finite as {kind}", hint)
    metadata = {"format": "pt", _VERSION_KEY: str(FORMAT_VERSION), CONFIG_KEY: model.config.to_json()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata)


def _own_config(metadata: dict[str, str], path: Path) -> ModelConfig:
    version = metadata.get(_VERSION_KEY, "")
    if not re.fullmatch("[0-9]{1,9}", version):
        raise WeightsError(f"{path} states no format version", "it was not written by floatcli; fetch it again")
    if int(version) > FORMAT_VERSION:
        raise WeightsError(f"{path} is of format {version}, newer than this floatcli's {FORMAT_VERSION}", "upgrade")
    try:
        return ModelConfig.from_json(metadata[CONFIG_KEY])
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{path} describes no model: {error}", "upgrade floatcli or fetch the file again") from error
