"""Recordings that tests synthesise, and a way to look into the files they get."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from floatcli.media.ffmpeg import ffmpeg_executable, file_argument

Ffmpeg = Callable[..., bytes]


@pytest.fixture(scope="session")
def ffmpeg() -> Ffmpeg:
    """Runs ffmpeg with arguments and returns its stdout."""

    def run(*arguments: str | Path, stdin: bytes = b"") -> bytes:
        words = [file_argument(word) if isinstance(word, Path) else word for word in arguments]
        return subprocess.run(
            [ffmpeg_executable(), "-v", "error", "-y", *words], check=True, capture_output=True, input=stdin
        ).stdout

    return run


@pytest.fixture
def recording(tmp_path: Path, ffmpeg: Ffmpeg) -> Callable[..., Path]:
    """Writes samples (n, channels) of a rate as an audio file of the kind its name says."""

    def write(name: str, samples: np.ndarray, rate: int, *options: str | Path) -> Path:
        path = tmp_path / name
        raw = ("-f", "f32le", "-ar", str(rate), "-ac", str(samples.shape[1]), "-i", "pipe:0")
        ffmpeg(*raw, *options, path, stdin=samples.astype("<f4").tobytes())
        return path

    return write


def tone(seconds: float, rate: int, hertz: float = 300.0) -> np.ndarray:
    """A sine (n,) of amplitude 0.5."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
