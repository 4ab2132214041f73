"""Speech from files, whatever their format, as mono samples."""

from __future__ import annotations

import math
import struct
import subprocess
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torchaudio
from torch import Tensor

from floatcli.checks import check_source
from floatcli.errors import FfmpegError, InputError
from floatcli.files import nameless
from floatcli.media.ffmpeg import (
    LONGEST_HOURS,
    PATIENCE,
    MediaInfo,
    Patient,
    begun,
    ffmpeg_executable,
    file_input,
    killed,
    last_word,
    media_info,
)  # fmt: skip

#: Speech shorter than one frame of video says nothing, seconds.
SHORTEST = 0.04

#: Full scale is 1, and float recordings reach 10 or so; beyond this, 60 dB above it, encoders of sound fail.
LOUDEST = 1000.0

LOWEST_RATE = 1000  # Hz: nothing of a voice is left at half of it

_EXPORT = "export it again, as 16-bit WAV for example"
_AT_ONCE = 60  # seconds that are resampled at a time
_BLOCK = 1 << 18  # numbers taken from ffmpeg at a time, of all channels together
_WIDEST_RATIO = 1000  # torchaudio's resampling kernel grows with the square of the reduced ratio of rates
_COMMON_RATE = 48000
_PLAIN, _OPEN_END = (1, 3, 0xFFFE), 0x7FFF0000  # codecs of WAV whose samples all have one size; bytes
_MOST_CHUNKS = 10_000  # of a WAV file that are looked through; what comes before the sound is a handful
_FILTER_WIDTH, _ROLLOFF = 6, 0.99  # torchaudio's own, written here as the kernel's reach follows from them


def load_speech(path: str | Path, sample_rate: int, notice: Callable[[str], None] = lambda line: None) -> Tensor:
    """All of ``speech_blocks`` at once: float32 (samples,). Arguments and errors as there."""
    return torch.cat(list(speech_blocks(path, sample_rate, notice)))


def speech_blocks(
    path: str | Path, sample_rate: int, notice: Callable[[str], None] = lambda line: None
) -> Iterator[Tensor]:
    """The first sound of a file: mono (the average of its channels), from its first sample on, never all held.

    Args:
        path: Any file ffmpeg reads; the sound of a video will do.
        sample_rate: Of the result, in Hz.
        notice: Told in one line where the recording breaks off.

    Yields:
        float32 (samples,), in [-1, 1] up to overshoot; all zeros where the recording is digital silence. The first
        minute comes in one.

    Raises:
        InputError: there is no usable sound.
        FfmpegError: ffmpeg is missing, or was ended by others.
    """
    path = Path(path)
    info = inspect_recording(path)
    with _Recording(path, info) as recording:
        yield from _resampled(recording.blocks(), recording.rate, sample_rate)
    seconds, told = recording.samples / recording.rate, _wav_seconds(path) or info.sound_seconds
    broken = recording.broken
    if not broken and told is not None and info.start + seconds < 0.99 * told - 0.1:
        broken = f"its header tells of {told:.1f} s"
    if not recording.samples:
        reason = recording.broken or "no samples in it"
        raise InputError(f"the sound of {path} can't be decoded: {reason}", "convert it to WAV, or record it again")
    if broken:
        notice(f"{path} breaks off after {seconds:.1f} s: {broken}")
    if recording.samples < SHORTEST * recording.rate:
        length = math.floor(10_000 * seconds) / 10  # rounded up, it might seem long enough
        raise InputError(f"{path} is too short ({length:g} ms)", f"it takes at least {1000 * SHORTEST:.0f} ms")


def pieces(blocks: Iterable[Tensor], core: int, context: int) -> Iterator[tuple[Tensor, int, int]]:
    """Samples in pieces of ``core``, each with up to ``context`` more on either side, as far as there are any.

    Args:
        blocks: Samples (n,), in order.
        core: Samples of a piece; the last one has fewer.
        context: Samples that neighbours share.

    Yields:
        Samples (m,), how many of them are context before the piece, and how many are the piece.
    """
    held, first, at = torch.zeros(0), 0, 0  # held samples, the position of the first of them, that of the next piece
    for block in chain(blocks, [None]):
        if block is not None:
            held = torch.cat((held, block))
        end = first + len(held)
        while at + core + context <= end if block is not None else at < end:
            stop, before = min(at + core, end), min(at, context)
            yield held[at - before - first : stop + context - first], before, stop - at
            at = stop
        keep = max(at - context, 0)
        held, first = held[keep - first :], keep


def _resampled(blocks: Iterable[Tensor], rate: int, target: int) -> Iterator[Tensor]:
    """Blocks at another rate: the same samples as if they were resampled in one."""
    divisor = math.gcd(rate, target)
    old, new = rate // divisor, target // divisor
    reach = math.ceil(_FILTER_WIDTH * old / (min(old, new) * _ROLLOFF))
    # Cut at multiples of the reduced rate, where old and new samples coincide.
    context, core = old * math.ceil((reach + old) / old), old * math.ceil(_AT_ONCE * rate / old)
    for samples, before, count in pieces(blocks, core, context if old != new else 0):
        resampled = torchaudio.functional.resample(samples, rate, target, _FILTER_WIDTH, _ROLLOFF)
        start = before // old * new
        yield resampled[start : start + -(-count * new // old)]


def inspect_recording(path: Path) -> MediaInfo:
    """What ffmpeg says about a file that has sound. Raises InputError where it hasn't."""
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):  # bytes that are no UTF-8
        raise InputError(f"{str(path)!r} is a name that ffmpeg does not understand", "rename it")
    check_source(path, "recording")
    info = media_info(path)
    if info is None:
        raise InputError(f"{path} is no recording that ffmpeg can read", "use WAV, MP3, M4A, or a video with sound")
    if not info.audio:
        raise InputError(f"{path} has no sound", "give a recording of speech, or a video with sound")
    if 0 < info.audio_rate < LOWEST_RATE:
        raise InputError(f"{path} has {info.audio_rate} samples a second, too few for speech", "record it at 16000 Hz")
    if info.estimated and info.duration is not None and info.duration > 3600 * LONGEST_HOURS:
        raise _too_long(path)
    return info


def _too_long(path: Path) -> InputError:
    return InputError(f"{path} holds more than {LONGEST_HOURS} hours of sound", "cut it into shorter recordings")


def _wav_seconds(path: Path) -> float | None:
    """Seconds of sound that a plain WAV file's header tells of; None where it is another file, or leaves it open.

    ffmpeg tells what is there instead. Who writes to a pipe doesn't know the length, and tells of 2 or 4 GB.
    """
    with path.open("rb") as file:
        head, bytes_a_second, codec = file.read(12), 0, 0
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        for _ in range(_MOST_CHUNKS):
            if len(chunk := file.read(8)) < 8:
                break
            name, size = struct.unpack("<4sI", chunk)
            if name == b"data":
                plain = codec in _PLAIN and bytes_a_second
                return size / bytes_a_second if plain and size < _OPEN_END else None
            start = file.tell()
            if name == b"fmt ":
                codec, bytes_a_second = struct.unpack("<H6xI", file.read(12).ljust(12, b"\0"))
            file.seek(start + size + size % 2)
    return None


class _Recording:
    """Mono samples of a file's first sound, decoded by ffmpeg while they are asked for.

    Rates with hardly a common factor with others are left to ffmpeg's resampler.

    Attributes:
        rate: In Hz; 1 where there are no samples.
        samples: How many there were so far.
        broken: Why there are no more, if something broke.
    """

    def __init__(self, path: Path, info: MediaInfo):
        self.path, self.rate, self.samples, self.broken, self._channels = path, 1, 0, "", 1
        unusual = info.audio_rate // math.gcd(info.audio_rate, _COMMON_RATE) > _WIDEST_RATIO
        self._command = (
            # AU: the one plain format of floats whose header tells rate and channels and doesn't need seeking
            file_input(path)
            .output("pipe:1", map="0:a:0", format="au", acodec="pcm_f32be", **({"ar": _COMMON_RATE} if unusual else {}))
            .global_args("-nostdin", "-v", "error")
            .compile(cmd=ffmpeg_executable())
        )

    def __enter__(self) -> _Recording:
        self._said = nameless()
        self._process = begun(self._command, stdout=subprocess.PIPE, stderr=self._said)
        assert self._process.stdout is not None
        self._stream = Patient(self._process.stdout)
        header = self._stream.read(24)
        if len(header) == 24:
            _, offset, _, _, self.rate, self._channels = struct.unpack(">4s5I", header)
            self._stream.read(offset - 24)
        return self

    def blocks(self) -> Iterator[Tensor]:
        """float32 (n,). Raises InputError where samples are no numbers, none that sound can have, or too many."""
        size = max(1, _BLOCK // self._channels) * self._channels * 4  # room that is set apart, whatever comes
        while self.rate > 1 and (block := self._stream.read(size)):
            whole = (
                len(block) // (self._channels * 4) * self._channels * 4
            )  # of a last frame that was cut short, nothing
            frames = np.frombuffer(block[:whole], ">f4").reshape(-1, self._channels)
            self._check_level(float(np.abs(frames).max(initial=0)))
            mono = torch.from_numpy(frames.mean(axis=1, dtype=np.float32))
            self.samples += len(mono)
            if self.samples > 3600 * LONGEST_HOURS * self.rate:
                raise _too_long(self.path)
            yield mono

    def _check_level(self, peak: float) -> None:
        if not math.isfinite(peak):
            raise InputError(f"{self.path} holds samples that are no numbers", _EXPORT)
        if peak > LOUDEST:
            raise InputError(f"{self.path} holds samples of {peak:.3g}, where 1 is full scale", _EXPORT)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        ended = kind is not None or self._stream.silent  # nobody wants the rest, or waits for it any longer
        if ended:
            self._process.kill()
        self._stream.close()
        self._process.wait()
        if self._stream.silent:
            self.broken = f"ffmpeg finds nothing more within {PATIENCE:g} s"
        elif self._process.returncode:
            self._said.seek(0)
            self.broken = last_word(self._said.read())
        self._said.close()
        if not ended and (reason := killed(self._process.returncode)):  # the recording has no part in that
            raise FfmpegError(f"ffmpeg failed to read {self.path}: {reason}", "mend that, and retry")
