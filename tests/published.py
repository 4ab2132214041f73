"""Small weights in the published layouts."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from floatcli.checkpoint.store import AUDIO_FOLDER, EMOTION_FOLDER

AUDIO, EMOTION = "audio_encoder.wav2vec2.", "emotion_encoder.wav2vec2_for_emotion."


def older_spelling(name: str) -> str:
    """A tensor's name where weight normalisation is spelt as it was."""
    prefix = "conv.parametrizations.weight.original"
    return name.replace(f"{prefix}0", "conv.weight_g").replace(f"{prefix}1", "conv.weight_v")


def write_folders(place: Path, published: dict[str, Tensor], settings: dict[str, object]) -> Path:
    """``float.pth`` and the two folders beside it, of a whole model under its published names."""
    flat = {name: tensor for name, tensor in published.items() if not name.startswith((AUDIO, EMOTION))}
    torch.save(flat, place / "float.pth")
    audio = {name.replace(AUDIO, "wav2vec2."): t for name, t in published.items() if name.startswith(AUDIO)}
    (place / AUDIO_FOLDER).mkdir()
    save_file(audio | {"lm_head.weight": torch.zeros(4, 16)}, place / AUDIO_FOLDER / "model.safetensors")
    (place / AUDIO_FOLDER / "config.json").write_text(json.dumps(settings))
    emotion = {name.removeprefix(EMOTION): t for name, t in published.items() if name.startswith(EMOTION)}
    (place / EMOTION_FOLDER).mkdir()
    torch.save({older_spelling(name): t for name, t in emotion.items()}, place / EMOTION_FOLDER / "pytorch_model.bin")
    return place / "float.pth"
