"""Speech from files, whatever their format, as mono samples."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import ffmpeg
import numpy as np
import torch
import torchaudio

from floatcli.errors import InputError
from floatcli.media.ffmpeg import MediaInfo, ffmpeg_executable, file_argument, last_word, media_info

#: Speech shorter than one frame of video says nothing, seconds.
SHORTEST = 0.04

_BLOCK = 1 << 18  # samples (of all channels) taken from ffmpeg at a time
_WIDEST_RATIO = 1000  # torchaudio's resampling kernel grows with the square of the reduced ratio of rates
_COMMON_RATE = 48000


def load_speech(path: str | Path, sample_rate: int, notice: Callable[[str], None] = lambda line: None) -> torch.Tensor:
    """The first sound of a file: mono (the average of its channels), from its first sample on.

    Args:
        path: Any file ffmpeg reads; the sound of a video will do.
        sample_rate: Of the result, in Hz.
        notice: Told in one line where the recording breaks off.

    Returns:
        float32 (samples,), in [-1, 1] up to overshoot; all zeros where the recording is digital silence.

    Raises:
        InputError: there is no usable sound.
        FfmpegError: ffmpeg is missing.
    """
    path = Path(path)
    rate, samples, broken = _decode(path, inspect_recording(path))
    if broken:
        notice(f"{path} breaks off after {len(samples) / rate:.1f} s: {broken}")
    if len(samples) < SHORTEST * rate:
        raise InputError(
            f"{path} is too short ({1000 * len(samples) / rate:.0f} ms)", f"it takes at least {1000 * SHORTEST:.0f} ms"
        )
    speech = torch.from_numpy(samples)
    if not speech.isfinite().all():
        raise InputError(f"{path} holds samples that are no numbers", "export it again, as 16-bit WAV for example")
    return torchaudio.functional.resample(speech, rate, sample_rate)


def inspect_recording(path: Path) -> MediaInfo:
    """What ffmpeg says about a file that has sound. Raises InputError where it hasn't."""
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a recording", "name one recording in it")
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):  # bytes that are no UTF-8
        raise InputError(f"{str(path)!r} is a name that ffmpeg does not understand", "rename it")
    if not path.exists():
        raise InputError(f"{path} is not there", "check the recording's path")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read", "check the file's permissions")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty", "check the recording's path")
    info = media_info(path)
    if info is None:
        raise InputError(f"{path} is no recording that ffmpeg can read", "use WAV, MP3, M4A, or a video with sound")
    if not info.audio:
        raise InputError(f"{path} has no sound", "give a recording of speech, or a video with sound")
    return info


def _decode(path: Path, info: MediaInfo) -> tuple[int, np.ndarray, str]:
    """Sample rate, mono samples float32 (n,), decoded block by block, and why there are no more, if something broke.

    Rates with hardly a common factor with others are left to ffmpeg's resampler.
    """
    unusual = info.audio_rate // math.gcd(info.audio_rate, _COMMON_RATE) > _WIDEST_RATIO
    command = (
        # AU: the one plain format of floats whose header tells rate and channels and doesn't need seeking
        ffmpeg.input(file_argument(path))
        .output("pipe:1", map="0:a:0", format="au", acodec="pcm_f32be", **({"ar": _COMMON_RATE} if unusual else {}))
        .global_args("-nostdin", "-v", "error")
        .compile(cmd=ffmpeg_executable())
    )
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as process:
            assert process.stdout is not None
            rate, samples = _read_au(process.stdout)
        said.seek(0)
        broken = last_word(said.read()) if process.returncode else ""
    if not len(samples):
        reason = broken or "no samples in it"
        raise InputError(f"the sound of {path} can't be decoded: {reason}", "convert it to WAV, or record it again")
    return rate, samples, broken


def _read_au(stream: IO[bytes]) -> tuple[int, np.ndarray]:
    """Rate and mono samples of a stream of AU with 32-bit floats; only the mono samples are ever held."""
    header = stream.read(24)
    if len(header) < 24:
        return 1, np.zeros(0, np.float32)
    _, offset, _, _, rate, channels = struct.unpack(">4s5I", header)
    stream.read(offset - 24)
    mono = bytearray()
    while block := stream.read(_BLOCK * channels * 4):
        whole = len(block) // (channels * 4) * channels * 4  # of a last frame that was cut short, nothing
        mono += np.frombuffer(block[:whole], ">f4").reshape(-1, channels).mean(axis=1, dtype=np.float32).tobytes()
    return rate, np.frombuffer(mono, np.float32)
