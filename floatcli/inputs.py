"""What a clip is made from: pictures and speech, as files or as arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor

from floatcli.checkpoint.store import file_digest
from floatcli.checks import is_track, match_emotion
from floatcli.config import CropConfig
from floatcli.errors import InputError, UsageError
from floatcli.media.audio import load_speech
from floatcli.media.image import load_picture
from floatcli.motion import FileSource
from floatcli.tracks import EmotionTrack, read_track

Source: TypeAlias = "str | PathLike[str] | np.ndarray | Tensor"
ARRAYS: Final = (np.ndarray, Tensor)


def read_picture(face: Source, crop: CropConfig) -> np.ndarray:
    """A picture uint8 (H, W, 3) RGB."""
    if not isinstance(face, ARRAYS):
        return load_picture(Path(face), crop.background)
    picture = face.cpu().numpy() if isinstance(face, Tensor) else face
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        found = f"{picture.dtype} {picture.shape}"
        raise InputError(f"a face as an array must be uint8 (H, W, 3), not {found}", "convert it to 8-bit RGB")
    return picture


def read_speech(speech: Source, sample_rate: int, notice: Callable[[str], None] = lambda line: None) -> Tensor:
    """Speech (1, samples) float32 on the CPU."""
    if not isinstance(speech, ARRAYS):
        return load_speech(Path(speech), sample_rate, notice)[None]
    samples = torch.as_tensor(speech).cpu().float()
    if samples.ndim != 1 or not len(samples) or not samples.isfinite().all():
        shape = tuple(samples.shape)
        raise InputError(f"speech as an array must be finite samples (n,), not {shape}", "mix it down to mono")
    return samples[None]


def read_emotion(emotion: str | Path | EmotionTrack, labels: tuple[str, ...]) -> int | EmotionTrack | None:
    """A label's number, None for what is to be heard, or a track of exactly these labels."""
    if isinstance(emotion, EmotionTrack):
        if emotion.labels != labels:
            said = f"a track of {', '.join(emotion.labels)} is not of this model's emotions"
            raise UsageError(said, f"they are {', '.join(labels)}")
        return emotion
    return read_track(emotion, labels) if is_track(emotion) else match_emotion(str(emotion), labels)


def file_source(source: Source) -> FileSource | None:
    """A file with its digest; None for arrays."""
    if isinstance(source, ARRAYS):
        return None
    return FileSource(os.path.abspath(source), file_digest(Path(source)))
