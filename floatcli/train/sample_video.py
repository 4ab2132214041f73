"""Sample videos with sound, of a run as far as it has come."""

from __future__ import annotations

import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from floatcli.config import CropConfig, ModelConfig
from floatcli.errors import InputError
from floatcli.files import replacing
from floatcli.models.float_model import FloatModel
from floatcli.pipeline import FloatPipeline
from floatcli.train.export import whole_model
from floatcli.train.prepare_clips import wav
from floatcli.train.prepare_settings import RATE

SECONDS = 4  # of an example's speech

_PICTURE, _SOUND = "example.png", "example.wav"  # of a cache


class Example(NamedTuple):
    """A face, and what it is to say."""

    picture: np.ndarray  # (S, S, 3) uint8 RGB, cropped as training data are
    sound: np.ndarray  # (n,) float32 in [-1, 1], 16 kHz


def keep_example(folder: Path, example: Example) -> None:
    """Puts an example beside cached clips, unless they have one. Raises OutputError."""
    if kept_example(folder, lambda line: None) is not None:
        return
    with replacing(folder / _PICTURE) as temporary:
        Image.fromarray(example.picture).save(temporary, "png")
    with replacing(folder / _SOUND) as temporary:
        temporary.write_bytes(wav(np.round(example.sound[: SECONDS * RATE] * 32767).astype(np.int16)))


def kept_example(folder: Path, log: Callable[[str], None]) -> Example | None:
    """The example of a cache; None where it has none, or a damaged one, which is told."""
    if not (folder / _PICTURE).exists() or not (folder / _SOUND).exists():
        return None
    try:
        with wave.open(str(folder / _SOUND)) as file:
            sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32767
        return Example(np.asarray(Image.open(folder / _PICTURE).convert("RGB")), sound)
    except (OSError, EOFError, ValueError, SyntaxError, wave.Error) as error:  # a broken PNG is a SyntaxError
        log(f"no sample videos: the example in {folder} is damaged: {str(error) or 'it is cut off'}")
        return None


@dataclass(frozen=True)
class SampleVideo:
    """Shows an example by the last checkpoints of a run, and what it started from."""

    config: ModelConfig
    run: Path
    init: FloatModel | None
    example: Example | None

    def save(self, path: Path, log: Callable[[str], None]) -> None:
        """Writes an mp4, as ``floatcli animate`` would make it; tells where the run can't show anything yet."""
        if self.example is None:
            return
        try:
            model = whole_model(self.config, self.run, self.init)
        except InputError as error:
            log(f"no sample video: {error}")
            return
        picture, sound = self.example
        FloatPipeline(model).animate(picture, sound[: SECONDS * RATE], CropConfig("none")).save(path)
