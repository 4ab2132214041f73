"""The published weights: their names and their folders (SPEC section 6).

The only place that knows the published names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from floatcli.checkpoint.sizes import infer_config
from floatcli.checkpoint.store import AUDIO_FOLDER, EMOTION_FOLDER
from floatcli.checkpoint.tensors import check_names, read_tensors
from floatcli.checks import is_there, values_of
from floatcli.config import ModelConfig
from floatcli.errors import InputError, WeightsError
from floatcli.models.float_model import FloatModel
from floatcli.models.fmt import position_table

_ENCODER = "motion_autoencoder.enc"
_DECODER = "motion_autoencoder.dec"
_PROJECTION = "audio_encoder.audio_projection"
_EMOTION = "emotion_encoder.wav2vec2_for_emotion"
_POSITIONS = "fmt.pos_embed"

#: The wav2vec2 networks keep the names of their library, behind these prefixes: ours and the published one.
_BACKBONES = {
    "audio_encoder.backbone.": "audio_encoder.wav2vec2.",
    "emotion_encoder.backbone.": f"{_EMOTION}.wav2vec2.",
}

#: Folder beside ``float.pth``, prefix of its tensors in the whole model, prefix that they have there instead.
_FOLDERS = (
    (AUDIO_FOLDER, "audio_encoder.wav2vec2.", "wav2vec2."),
    (EMOTION_FOLDER, f"{_EMOTION}.", ""),
)

#: What whole models' names begin with, and how files of components end.
_PARTS = ("motion_autoencoder", "audio_encoder", "emotion_encoder", "fmt")
_FILES = (".safetensors", ".pth", ".pt", ".bin")

#: Stored but recomputed or unused: filters, masks, noise strengths, a first colour head, training's mask vector,
#: the letters of the speech recogniser.
_IGNORED = re.compile(
    r"motion_autoencoder\..*\.kernel|fmt\.alignment_mask|fmt\.pos_embed|.*\.noise\.weight"
    r"|motion_autoencoder\.dec\.to_rgb1\..*|.*\.masked_spec_embed|.*lm_head\.(weight|bias)"
)

#: The older spelling of weight normalisation.
_NORM_SPELLING = {
    "conv.weight_g": "conv.parametrizations.weight.original0",
    "conv.weight_v": "conv.parametrizations.weight.original1",
}


class Name(NamedTuple):
    """One tensor's name here and as published, and how the published shape differs."""

    ours: str
    theirs: str
    shape: str = ""  # "bias": (1, C, 1, 1) for (C,); "stack": a leading 1

    def their_shape(self, ours: torch.Size) -> torch.Size:
        """The published shape of a tensor of our shape."""
        return torch.Size({"bias": (1, *ours, 1, 1), "stack": (1, *ours)}.get(self.shape, ours))


def name_map(levels: int, depth: int) -> Iterator[Name]:
    """Names outside the wav2vec2 networks, for a number of decoder levels and of field blocks."""
    yield from _auto_encoder_names(levels)
    yield from _field_names(depth)
    yield from _linear("audio_encoder.projection", f"{_PROJECTION}.0")
    yield from _linear("audio_encoder.norm", f"{_PROJECTION}.1")
    yield from _linear("emotion_encoder.dense", f"{_EMOTION}.classifier.dense")
    yield from _linear("emotion_encoder.output", f"{_EMOTION}.classifier.out_proj")


def model_names(config: ModelConfig) -> dict[Name, torch.Size]:
    """Every tensor of a model with the published decoder, with its shape here."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in FloatModel(config).state_dict().items()}
    names = {name.ours: name for name in name_map(len(config.resolutions) - 1, config.field.depth)}
    for ours, theirs in _BACKBONES.items():
        names |= {name: Name(name, theirs + name[len(ours) :]) for name in shapes if name.startswith(ours)}
    return {names[ours]: shape for ours, shape in shapes.items()}


def _auto_encoder_names(levels: int) -> Iterator[Name]:
    convs = f"{_ENCODER}.net_app.convs"
    yield Name("motion_encoder.stem.weight", f"{convs}.0.0.weight")
    yield Name("motion_encoder.stem.bias", f"{convs}.0.1.bias", "bias")
    for i in range(levels):
        ours, theirs = f"motion_encoder.blocks.{i}", f"{convs}.{i + 1}"
        yield Name(f"{ours}.conv1.weight", f"{theirs}.conv1.0.weight")
        yield Name(f"{ours}.conv1.bias", f"{theirs}.conv1.1.bias", "bias")
        yield Name(f"{ours}.conv2.weight", f"{theirs}.conv2.1.weight")
        yield Name(f"{ours}.conv2.bias", f"{theirs}.conv2.2.bias", "bias")
        yield Name(f"{ours}.skip.weight", f"{theirs}.skip.1.weight")
    yield Name("motion_encoder.to_identity.weight", f"{convs}.{levels + 1}.weight")
    for i in range(5):
        yield from _linear(f"motion_encoder.to_coeffs.{i}", f"{_ENCODER}.fc.{i}")
    yield Name("basis.weight", f"{_DECODER}.direction.weight")
    yield Name("decoder.start", f"{_DECODER}.input.input")
    yield from _styled("decoder.first", f"{_DECODER}.conv1")
    for i in range(levels):
        ours = f"decoder.levels.{i}"
        yield from _styled(f"{ours}.up", f"{_DECODER}.convs.{2 * i}")
        yield from _styled(f"{ours}.conv", f"{_DECODER}.convs.{2 * i + 1}")
        flow, rgb = f"{_DECODER}.to_flows.{i}", f"{_DECODER}.to_rgbs.{i}"
        yield from _modulated(f"{ours}.flow", flow)
        yield Name(f"{ours}.flow.bias", f"{flow}.bias", "bias")
        yield Name(f"{ours}.rgb.weight", f"{rgb}.conv.0.weight")
        yield Name(f"{ours}.rgb.bias", f"{rgb}.conv.1.bias", "bias")
        yield Name(f"{ours}.rgb.output_bias", f"{rgb}.bias", "bias")


def _styled(ours: str, theirs: str) -> Iterator[Name]:
    yield from _modulated(ours, theirs)
    yield Name(f"{ours}.bias", f"{theirs}.activate.bias", "bias")


def _modulated(ours: str, theirs: str) -> Iterator[Name]:
    yield Name(f"{ours}.weight", f"{theirs}.conv.weight", "stack")
    yield from _linear(f"{ours}.style", f"{theirs}.conv.modulation")


def _linear(ours: str, theirs: str) -> Iterator[Name]:
    yield Name(f"{ours}.weight", f"{theirs}.weight")
    yield Name(f"{ours}.bias", f"{theirs}.bias")


def _field_names(depth: int) -> Iterator[Name]:
    pairs = {
        "motion_in": "x_embedder.proj",
        "condition_in": "c_embedder",
        "time_in.hidden": "t_embedder.mlp.0",
        "time_in.output": "t_embedder.mlp.2",
        "head.modulation": "decoder.adaLN_modulation.1",
        "head.output": "decoder.linear",
    }
    for i in range(depth):
        pairs[f"blocks.{i}.modulation"] = f"blocks.{i}.adaLN_modulation.1"
        pairs[f"blocks.{i}.qkv"] = f"blocks.{i}.attn.qkv"
        pairs[f"blocks.{i}.attended"] = f"blocks.{i}.attn.proj"
        pairs[f"blocks.{i}.hidden"] = f"blocks.{i}.mlp.fc1"
        pairs[f"blocks.{i}.output"] = f"blocks.{i}.mlp.fc2"
    for ours, theirs in pairs.items():
        yield from _linear(f"field.{ours}", f"fmt.{theirs}")


def from_published(tensors: Mapping[str, Tensor], config: ModelConfig, source: Path) -> dict[str, Tensor]:
    """Tensors under our names and in our shapes, from all tensors under the published names.

    Raises:
        WeightsError: some are missing, surplus or misshapen for this configuration, or the stored table of
            positions is not the one that the field uses.
    """
    tensors = {_canonical(name): tensor for name, tensor in tensors.items()}
    if _POSITIONS in tensors:
        _check_positions(tensors[_POSITIONS], config, source)
    tensors = {name: tensor for name, tensor in tensors.items() if not _IGNORED.fullmatch(name)}
    names = model_names(config)
    wanted = {name.theirs: name.their_shape(shape) for name, shape in names.items()}
    check_names({name: tensor.shape for name, tensor in tensors.items()}, wanted, source)
    return {name.ours: tensors[name.theirs].view(shape) for name, shape in names.items()}


def read_published(tensors: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], ModelConfig]:
    """A published file, completed from the folders beside it, under our names; with the sizes its shapes state.

    Args:
        tensors: what the file holds, under the published names.
        path: the file, or the folder of its components. The wav2vec2 folders are looked for beside the file or in
            the folder, for what is lacking and for their ``config.json``, which knows what no shape tells.

    Raises:
        WeightsError: it is another kind of file, a folder is missing, or the tensors are not exactly a model's.
    """
    if f"{_DECODER}.direction.weight" not in tensors:
        raise WeightsError(f"{path} holds neither floatcli's nor FLOAT's published weights", "check the path")
    tensors = {_canonical(name): tensor for name, tensor in tensors.items()}
    settings = []
    for folder, prefix, top in _FOLDERS:
        place = (path if path.is_dir() else path.parent) / folder
        if not any(name.startswith(prefix) for name in tensors):
            tensors |= _read_folder(place, prefix, top)
        settings.append(_folder_settings(place))
    try:
        config = infer_config(_our_shapes(tensors), *settings)
    except KeyError as error:
        raise WeightsError(f"{path} lacks {_their_name(error.args[0])}", "fetch the file again") from error
    except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        raise WeightsError(f"{path} has shapes of no model: {error}", "fetch the file again") from error
    return from_published(tensors, config, path), config


def read_components(folder: Path) -> dict[str, Tensor]:
    """The tensors of all files in a folder under the published names.

    A component's tensors have their names in the whole model, or those less the component's, which is the file's:
    ``blocks.0.attn.qkv.weight`` in ``fmt.safetensors``.

    Raises:
        WeightsError: there is none, one can't be read, or two hold the same tensor.
    """
    found: dict[str, Tensor] = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix in _FILES and path.is_file()):
        for name, tensor in read_tensors(path)[0].items():
            whole = name if name.split(".")[0] in _PARTS else f"{path.stem}.{name}"
            if whole in found:
                raise WeightsError(f"{path} holds {whole}, as another file beside it does", "keep one of them")
            found[whole] = tensor
    if not found:
        raise WeightsError(f"{folder} holds no weights", f"its files should end in {', '.join(_FILES)}")
    return found


def _our_shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """Shapes under our names, of what can be named before the sizes are known."""
    levels = sum(name.startswith(f"{_DECODER}.to_flows.") and name.endswith("conv.weight") for name in tensors)
    depth = sum(name.startswith("fmt.blocks.") and name.endswith("qkv.weight") for name in tensors)
    ours = {name.theirs: name.ours for name in name_map(levels, depth)} | {_POSITIONS: "field.positions"}
    for backbone, prefix in _BACKBONES.items():
        ours |= {name: backbone + name[len(prefix) :] for name in tensors if name.startswith(prefix)}
    return {ours[name]: tensor.shape for name, tensor in tensors.items() if name in ours}


def _their_name(ours: str) -> str:
    """The published name of one of ours, in a file too incomplete to tell its sizes."""
    for backbone, prefix in _BACKBONES.items():
        ours = ours.replace(backbone, prefix)
    names = {name.ours: name.theirs for name in name_map(1, 1)} | {"field.positions": _POSITIONS}
    return names.get(ours, ours)


def _canonical(name: str) -> str:
    for older, newer in _NORM_SPELLING.items():
        if name.endswith(older):
            return name.removesuffix(older) + newer
    return name


def _check_positions(table: Tensor, config: ModelConfig, source: Path) -> None:
    ours = position_table(config.preceding + config.window, config.field.width)[None]
    if table.shape != ours.shape or (table.float() - ours).abs().max() > 1e-2:  # 16 bits are within 4e-3
        raise WeightsError(f"{source} has another {_POSITIONS} than FLOAT", "fetch the file again")


def _read_folder(place: Path, prefix: str, top: str) -> dict[str, Tensor]:
    """Tensors of one wav2vec2 folder under their names in the whole model."""
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (place / name).exists():
            tensors, _ = read_tensors(place / name)
            return {prefix + _canonical(key).removeprefix(top): tensor for key, tensor in tensors.items()}
    raise WeightsError(
        f"there is no {place}/model.safetensors (nor pytorch_model.bin)",
        "put the two wav2vec2 folders of the published weights beside the file",
    )


def _folder_settings(place: Path) -> dict[str, Any]:
    """The folder's ``config.json``; empty without one."""
    path = place / "config.json"
    try:
        settings = values_of(path, "configuration") if is_there(path) else {}
    except (InputError, OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: {error}", "fetch it again") from error
    return settings if isinstance(settings, dict) else {}
