"""Finding and running ffmpeg, and reading what it says. imageio-ffmpeg brings no ffprobe, so none is used."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import ffmpeg

from floatcli.errors import FfmpegError, InputError

#: How long ffmpeg may look into a file, or look for more of its sound or pictures, in seconds.
PATIENCE = 60.0
LONGEST_HOURS = 24  # of a recording or a video: longer ones are mostly files that hold something else
_WAITS = 6  # that it is made of

#: What names of videos end in.
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts"}


@cache
def ffmpeg_executable() -> str:
    """Path of the ffmpeg to run: the one on the PATH, else imageio-ffmpeg's.

    Raises:
        FfmpegError: there is neither.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError, OSError) as error:
        raise FfmpegError("ffmpeg is not there", "install ffmpeg, or: pip install imageio-ffmpeg") from error


def file_argument(path: Path) -> str:
    """A path as ffmpeg takes it: with its protocol, so that no character of a name means anything."""
    return f"file:{path}"


#: Formats that hold their sound and pictures themselves. Others, playlists and scripts above all, name files or
#: addresses that ffmpeg would then read: a file from a stranger shall not have that done.
_FORMATS = (
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "av1", "avi", "caf", "dts", "dv", "eac3",
    "flac", "flv", "gif", "gsm", "h264", "hevc", "ivf", "m4v", "matroska", "mlp", "mov", "mp3", "mpc", "mpc8", "mpeg",
    "mpegts", "mpegvideo", "mxf", "nut", "ogg", "rm", "sox", "tak", "truehd", "tta", "voc", "w64", "wav", "wtv", "wv",
)  # fmt: skip
_ALONE = {"protocol_whitelist": "file", "format_whitelist": ",".join(_FORMATS)}


def file_input(path: Path) -> Any:
    """A file as ffmpeg-python's input, which reads it and nothing else."""
    return ffmpeg.input(file_argument(path), **_ALONE)


def begun(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """ffmpeg at work. Raises FfmpegError where it can't be run."""
    try:
        return subprocess.Popen(command, **options)
    except OSError as error:
        said = f"{command[0]} can't be run: {error.strerror}"
        raise FfmpegError(said, "install ffmpeg, or: pip install imageio-ffmpeg") from error


class Patient:
    """What ffmpeg writes to a pipe, read until nothing has come for ``PATIENCE`` seconds: that ends it.

    A file may be made so that ffmpeg looks through gigabytes of nothing.

    Attributes:
        silent: Whether it ended so.
    """

    def __init__(self, pipe: IO[bytes]):
        self._pipe, self.silent = pipe, False

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        taken = bytearray()
        while len(taken) < size and self._waited():
            some = os.read(self._pipe.fileno(), size - len(taken))
            if not some:
                break
            taken += some
        return bytes(taken)

    def readline(self) -> bytes:
        """A line, of those that a head of a few bytes has."""
        taken = b""
        while not taken.endswith(b"\n") and (letter := self.read(1)):
            taken += letter
        return taken

    def close(self) -> None:
        self._pipe.close()

    def _waited(self) -> bool:
        """Whether there is something to read, or the end. Waits by and by: a clock runs on while this one stands."""
        for _ in range(_WAITS):
            if self.silent or select.select([self._pipe], [], [], PATIENCE / _WAITS)[0]:
                return not self.silent
        self.silent = True
        return False


def killed(code: int) -> str:
    """What ended a program that did not end by itself, by its return code; empty where it did."""
    return f"it was ended by {signal.Signals(-code).name}" if code < 0 else ""


def pipe_input(format: str, **options: Any) -> Any:
    """What is written to ffmpeg's stdin, in a format that is known, as its input: it reads nothing else."""
    return ffmpeg.input("pipe:0", format=format, protocol_whitelist="pipe", **options)


def last_word(stderr: bytes) -> str:
    """The line of ffmpeg's stderr that tells a person most: the first that names a cause, else the last.

    Later lines mostly repeat the first failure in vaguer words.
    """
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    line = (telling or lines or ["ffmpeg gave no reason"])[0 if telling else -1]
    return re.sub(r"^(\[[^\]]*\]\s*)+", "", line)


_TELLING = re.compile(
    r"no space left|permission denied|read-only|file too large|quota|unknown encoder|no such file|not a directory|"
    r"invalid data|invalid argument|error (while )?(opening|decoding|writing|initializing)|does not contain",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class MediaInfo:
    """What ffmpeg says about a file.

    Attributes:
        duration: Seconds; None where it isn't known without reading all of the file.
        video: The moving pictures (cover art is none), a line each, as ffmpeg words them.
        audio: The sounds, likewise, e.g. "aac (LC) (mp4a / 0x6134706D), 44100 Hz, stereo, fltp, 128 kb/s".
        start: Seconds before the first of it, which some formats count as duration; never negative.
        estimated: Whether the duration is a guess from the file's size.
    """

    duration: float | None
    video: tuple[str, ...]
    audio: tuple[str, ...]
    start: float = 0.0
    estimated: bool = False

    @property
    def sound_seconds(self) -> float | None:
        """How long the file says that its one sound lasts; None where it doesn't say, or holds something else."""
        if self.duration is None or self.estimated or self.video or len(self.audio) != 1:
            return None
        return self.duration

    @property
    def audio_codec(self) -> str:
        """Codec of the first sound, e.g. "aac"; empty where there is none."""
        return re.split(r"[ ,]", self.audio[0], maxsplit=1)[0] if self.audio else ""

    @property
    def audio_rate(self) -> int:
        """Samples per second of the first sound; 0 where there is none."""
        found = re.search(r"(\d+) Hz", self.audio[0]) if self.audio else None
        return int(found[1]) if found else 0


_NO_PROGRAM = (126, 127)  # as where its libraries are missing


# What ffmpeg says stands two columns in, tags of the file further.
_STREAM = re.compile(r"^  Stream #0:\d+\S*: (Video|Audio): (.+)$", re.MULTILINE)
_STREAM_OF_OLD = re.compile(_STREAM.pattern.replace("  ", "    ", 1), re.MULTILINE)  # ffmpeg 4
_CLOCK = re.compile(r"^  Duration: (\d{1,9}):(\d\d):(\d\d\.?\d*)(?:, start: (-?\d+\.\d+))?", re.MULTILINE)


def media_info(path: Path) -> MediaInfo | None:
    """What ffmpeg says about a file; None where it can't make sense of it. Raises FfmpegError where it fails.

    Raises InputError where it takes too long.
    """
    alone = [word for name, value in _ALONE.items() for word in (f"-{name}", value)]
    command = [ffmpeg_executable(), "-hide_banner", "-nostdin", *alone, "-i", file_argument(path)]
    with begun(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            words = process.communicate(timeout=PATIENCE)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            said = f"ffmpeg does not see within {PATIENCE:g} s what {path} is"
            raise InputError(said, "convert it to WAV or MP4") from None
    if process.returncode < 0 or process.returncode in _NO_PROGRAM or not words.strip():
        reason = killed(process.returncode) or last_word(words)
        raise FfmpegError(f"ffmpeg failed to read {path}: {reason}", "mend that, and retry")
    said = words.replace(os.fsencode(file_argument(path)), b"").decode(errors="replace")  # names may look like lines
    if not re.search(r"^Input #0, ", said, re.MULTILINE):
        return None
    streams = _STREAM.findall(said) or _STREAM_OF_OLD.findall(said)
    clock = _CLOCK.search(said)
    return MediaInfo(
        duration=int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3]) if clock else None,
        video=tuple(line for kind, line in streams if kind == "Video" and "(attached pic)" not in line),
        audio=tuple(line for kind, line in streams if kind == "Audio"),
        start=max(float(clock[4] or 0), 0.0) if clock else 0.0,
        estimated=bool(re.search("duration from bitrate|bitrate for duration", said, re.IGNORECASE)),
    )
