"""Prepared clips of painted faces that speak, and weights to measure on them."""

from __future__ import annotations

import dataclasses
import io
import json
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from floatcli.checkpoint.load import save_model
from floatcli.config import AnchoredSize, ModelConfig
from floatcli.media.video import VideoWriter
from floatcli.models.float_model import FloatModel
from floatcli.train.parameters import NAMES, SCALE
from floatcli.train.shards import write_shard
from tests.conftest import TINY

SIZE = 64
EYES, MOUTH = ((23, 26), (41, 26)), (32, 46)  # x, y
BOXES = np.array([[17, 21, 29, 31], [35, 21, 47, 31], [20, 38, 44, 56]], np.float32)
SKIN = (200, 160, 140)
ANCHORED = dataclasses.replace(
    TINY,
    decoder="anchored",
    anchored=AnchoredSize(
        output_sizes=(64, 128), work_size=64, mouth_patch=16, eye_patch=16, patch_channels=(8, 8), condition=16,
        warp_size=16, warp_channels=(8, 8), landmark_size=32, landmark_channels=(8, 8, 8),
    ),
    coefficient_names=NAMES,
    coefficient_scales=tuple(map(float, SCALE)),
)  # fmt: skip


def painted(opening: float, shut: bool = False) -> np.ndarray:
    """A face (SIZE, SIZE, 3) uint8 with its mouth open so far, of 1."""
    picture = np.full((SIZE, SIZE, 3), (90, 110, 130), np.uint8)
    cv2.ellipse(picture, (32, 34), (20, 28), 0, 0, 360, SKIN, -1)
    for x, y in EYES:
        if not shut:
            cv2.ellipse(picture, (x, y), (4, 3), 0, 0, 360, (30, 20, 20), -1)
    cv2.ellipse(picture, MOUTH, (8, 1 + round(7 * opening)), 0, 0, 360, (60, 15, 15), -1)
    return picture


def syllables(frames: int, seed: int = 0) -> np.ndarray:
    """How far a mouth opens (F,) in 0..1, as in speech."""
    noise = np.random.default_rng(seed).standard_normal(frames + 8)
    smooth = np.convolve(noise, np.hanning(7), "valid")[:frames]
    return (smooth - smooth.min()) / np.ptp(smooth)


def sound_of(loud: np.ndarray) -> np.ndarray:
    """A tone (640 F,) in [-1, 1] whose loudness follows a curve (F,)."""
    return np.repeat(loud**2, 640) * np.sin(np.arange(640 * len(loud)) * 0.2) * 0.5


def files_of(frames: np.ndarray, audio: np.ndarray, told: dict, folder: Path) -> dict[str, bytes]:
    """A clip's files in a shard."""
    with VideoWriter(folder / "clip.mp4", SIZE, SIZE, 25) as writer:
        writer.write(frames)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((audio * 32767).astype("<i2").tobytes())
    boxes = np.repeat(BOXES[None], len(frames), 0)
    about = told | {"boxes": boxes.tolist()}
    return {
        "mp4": (folder / "clip.mp4").read_bytes(), "wav": buffer.getvalue(), "json": json.dumps(about).encode()
    }  # fmt: skip


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of two clips each, of 26 frames; the second clip of each has a label of its emotion."""
    folder, rows = tmp_path_factory.mktemp("prepared"), []
    for video in range(2):
        samples, clips = [], []
        for number in range(2):
            curve = syllables(26, 2 * video + number)
            told = {"key": f"{video}-{number}", "source": f"{video}.mp4", "frames": 26}
            frames = np.stack([painted(opening, shut=k in (9, 10)) for k, opening in enumerate(curve)])
            frames[..., 2] += np.uint8(40 * video)
            samples.append((told["key"], files_of(frames, sound_of(curve), told, tmp_path_factory.mktemp("clip"))))
            clips.append(told | ({"emotion": "Happy"} if number else {}))
        write_shard(shard := folder / f"{video}.tar", samples)
        about = {"source": f"{video}.mp4", "status": "done", "shard": shard.name, "bytes": shard.stat().st_size}
        rows.append(about | {"clips": clips})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def random_weights(config: ModelConfig, path: Path) -> Path:
    """A random model as a file."""
    torch.manual_seed(0)
    model = FloatModel(config)
    for parameter in model.field.parameters():  # a field starts from zeros, and would ignore its conditions
        torch.nn.init.normal_(parameter, std=0.1)
    if config.decoder == "anchored":  # anchors that lie apart, as those of a face do
        for look in (model.motion_encoder.landmarks.whole, model.motion_encoder.landmarks.face):
            torch.nn.init.normal_(look.heat.weight, std=20)
    save_model(model, path)
    return path


@pytest.fixture(scope="session")
def anchored_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with the anchored decoder and a named basis."""
    return random_weights(ANCHORED, tmp_path_factory.mktemp("weights") / "anchored.safetensors")
