"""Media and weights that tests make for themselves: nothing is fetched, nothing is trained."""

from __future__ import annotations

import os
import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from floatcli.config import FieldSize, ModelConfig, Wav2Vec2Size

os.environ.setdefault("FLOATCLI_OFFLINE", "1")
os.environ["HF_HOME"] = tempfile.mkdtemp()  # whatever this machine has fetched is not for tests

TINY_AUDIO = Wav2Vec2Size(
    hidden=32, layers=2, heads=2, intermediate=64, conv_dim=(16,) * 7, position_kernel=16, position_groups=4
)
#: The published architecture at the smallest sizes that are good for anything.
TINY = ModelConfig(
    name="tiny",
    image_size=64,
    channels=((4, 16), (8, 16), (16, 16), (32, 8), (64, 8)),
    motion_dim=32,
    basis_size=20,
    audio=TINY_AUDIO,
    audio_dim=32,
    emotion=TINY_AUDIO,
    field=FieldSize(width=32, depth=1, heads=2, time_features=32),
)


@contextmanager
def small_disk(room: int) -> Iterator[None]:
    """As on a full disk, no file grows beyond so many bytes meanwhile."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_wav(path: Path, seconds: float, rate: int = 16000, seed: int = 0) -> Path:
    """Noise that swells and fades, as a 16-bit mono WAV file."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(time)) * np.sin(2 * np.pi * time) * 0.2
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes((noise.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of ``TINY`` sizes, as a file."""
    import torch

    from floatcli.checkpoint.load import save_model
    from floatcli.models.float_model import FloatModel

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    model = FloatModel(TINY)
    for parameter in model.field.parameters():  # a field starts from zeros, and would ignore its conditions
        torch.nn.init.normal_(parameter, std=0.1)
    save_model(model, path)
    return path


@pytest.fixture(scope="session")
def face_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture without a face, 96x80."""
    path = tmp_path_factory.mktemp("face") / "face.png"
    shade = np.linspace(0, 255, 96 * 80 * 3).reshape(80, 96, 3)
    Image.fromarray(shade.astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def speech_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.5 s of sound: 63 frames, more than one window."""
    return write_wav(tmp_path_factory.mktemp("speech") / "speech.wav", 2.5)
