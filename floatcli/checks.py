"""Settings that cannot be meant, found before anything heavy is imported. Imports no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from floatcli.config import CropConfig, RunConfig, SampleConfig, VideoConfig, parsed
from floatcli.errors import InputError, UsageError
from floatcli.flow.solvers import solver_steps

AUTO = "auto"
_RECTANGLE = re.compile(r"\s*-?[0-9]+\s*(,\s*-?[0-9]+\s*){3}")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")
LARGEST_SCALE, LARGEST_MARGIN, LARGEST_BATCH = 1000.0, 10.0, 4096  # beyond which nothing can be meant
MOST_TOGETHER = 64  # clips, whose threads a machine has to carry
LARGEST_TEXT, MOST_LINES, LONGEST_LINE = 64_000_000, 400_000, 100_000  # bytes; lines, four hours of frames; letters
DTYPES = (AUTO, "float32", "bfloat16", "float16")
PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip


def check_sample(sample: SampleConfig) -> None:
    """Raise UsageError where no motion can be sampled with these settings."""
    for name in ("audio_scale", "emotion_scale", "ref_scale"):
        value = getattr(sample, name)
        if not abs(value) <= LARGEST_SCALE:
            said = f"{_spoken(name)} must lie in {-LARGEST_SCALE:g}..{LARGEST_SCALE:g}, not {value}"
            raise UsageError(said, "1 is neutral, 0 ignores it")
    solver_steps(sample)
    if not -(2**63) <= sample.seed < 2**63:
        raise UsageError(f"seed must fit 64 bits, {sample.seed} does not", "take a smaller number")


def check_crop(crop: CropConfig) -> None:
    """Raise UsageError where these settings describe no crop."""
    if not 0 < crop.margin <= LARGEST_MARGIN:
        said = f"margin must be above 0 and at most {LARGEST_MARGIN:g}, not {crop.margin}"
        raise UsageError(said, "1.6 shows head and shoulders")
    if crop.face < 0:
        raise UsageError(f"face must be at least 0, not {crop.face}", "0 is the largest face")
    if crop.align and crop.mode != AUTO:
        raise UsageError("a head can be levelled only where a face is looked for", "--align goes with --crop auto")
    if crop.mode != AUTO and (crop.margin, crop.face) != (CropConfig.margin, CropConfig.face):
        raise UsageError("margin and face say which face is cut out, and how widely", "they go with --crop auto")
    if crop.mode in (AUTO, "none"):
        return
    parse_rectangle(crop.mode)


def parse_rectangle(text: str) -> tuple[int, int, int, int]:
    """x, y, width, height of "x,y,w,h". Raises UsageError where it is no rectangle."""
    if not _RECTANGLE.fullmatch(text):
        raise UsageError(f"crop {text!r} is not understood", "give auto, none or x,y,w,h in whole pixels")
    if re.search("[0-9]{10}", text):
        raise UsageError(f"crop {text[:80]!r} is larger than any picture", "give x,y,w,h in its pixels")
    x, y, w, h = (int(part) for part in text.split(","))
    if min(w, h) < 1:
        raise UsageError(f"crop {text!r} has no area", "width and height must be at least 1")
    return x, y, w, h


def parse_colour(text: str) -> tuple[int, int, int]:
    """RGB of a colour's name or #rrggbb. Raises UsageError where it is none."""
    from PIL import ImageColor

    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        raise UsageError(f"there is no colour {text!r}", "give a name such as white, or #rrggbb") from None


def check_video(video: VideoConfig) -> None:
    """Raise UsageError where no encoder takes these settings."""
    if not 0 <= video.crf <= 51:
        raise UsageError(f"crf must lie in 0..51, not {video.crf}", "18 looks lossless, 28 is small")
    if video.preset not in PRESETS:
        raise UsageError(f"there is no preset {video.preset!r}", f"choose from {', '.join(PRESETS)}")
    if not 8 <= video.audio_bitrate <= 512:
        raise UsageError(f"audio-bitrate must lie in 8..512 kbit/s, not {video.audio_bitrate}", "192 is plenty")


def check_run(run: RunConfig) -> None:
    """Raise UsageError where the networks cannot be run like this on any machine."""
    if run.dtype not in DTYPES:
        raise UsageError(f"there is no dtype {run.dtype!r}", f"choose from {', '.join(DTYPES)}")
    if not _DEVICE.fullmatch(run.device):
        raise UsageError(f"there is no device {run.device!r}", "choose from auto, cpu, cuda, cuda:N, mps")
    if run.batch_size is not None and not 1 <= run.batch_size <= LARGEST_BATCH:
        said = f"batch-size must lie in 1..{LARGEST_BATCH}, not {run.batch_size}"
        raise UsageError(said, "8 suits most machines")
    if not 1 <= run.together <= MOST_TOGETHER:
        said = f"together must lie in 1..{MOST_TOGETHER}, not {run.together}"
        raise UsageError(said, "1 makes every clip as animate does, 4 or 8 may suit a large GPU")


def check_source(path: Path, what: str) -> None:
    """Raise InputError where a file to be read is not there, or is no file."""
    if not is_there(path):
        address = re.match("[a-z]+:/", str(path))  # of two slashes, a path keeps one
        raise InputError(f"{path} is not there", "download it first" if address else f"check the {what}'s path")
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a {what}", f"name one {what} in it")
    if not path.is_file():
        raise InputError(f"{path} is no regular file", f"save the {what} to one first: it is read several times")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read", "check the file's permissions")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty", f"check the {what}'s path")


def text_of(
    path: Path, what: str, newline: str | None = None, largest: int = LARGEST_TEXT, longest: int = LONGEST_LINE
) -> str:
    """A text file in UTF-8, its line ends as ``open`` reads them.

    Raises:
        InputError: as ``check_source``; or it has more bytes or lines than can be meant, or a longer line.
        UnicodeDecodeError: it is in another encoding.
    """
    check_source(path, what)
    size = path.stat().st_size
    if size > largest:
        said = f"{path} is too large a {what} ({size / 1e6:.1f} MB)"
        raise InputError(said, f"at most {largest / 1e6:g} MB are read")
    with path.open(encoding="utf-8-sig", newline=newline) as file:
        text = file.read()
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        raise InputError(f"{path} has {len(lines)} lines", f"at most {MOST_LINES} are read: split it")
    number = next((number for number, line in enumerate(lines, 1) if len(line) > longest), None)
    if number is not None:
        raise InputError(f"{path}, line {number}: it is too long", f"at most {longest} letters a line are read")
    return text


def values_of(path: Path, what: str) -> Any:
    """The values of a JSON file, whose size is looked at before it is read.

    Raises:
        InputError: as ``text_of``.
        ValueError: it is no JSON.
    """
    return parsed(text_of(path, what, longest=LARGEST_TEXT))


def is_there(path: Path) -> bool:
    """Whether something has this path. Raises InputError where nobody can tell: too long a name, a closed folder."""
    try:
        path.stat()  # exists() takes links in a circle, and from Python 3.14 on all the others, for nothing there
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError as error:
        said = f"{path} can't be reached: {error.strerror}"
        raise InputError(said, "check the permissions of the folder it is in") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{str(path)[:80]!r} is no usable path: {reason}", "name it otherwise") from error


def is_track(emotion: str | Path) -> bool:
    """Whether an emotion is given as a file with a track of them."""
    return isinstance(emotion, Path) or emotion.lower().endswith(".csv")


def check_windows(window: float | None, hop: float) -> None:
    """Raise UsageError where speech cannot be heard in windows like these, in seconds."""
    if window is not None and not 0.1 <= window <= 3600:
        raise UsageError(f"window must lie in 0.1..3600 s, not {window}", "2 seconds tell an emotion")
    if not 0.02 <= hop <= 3600:
        raise UsageError(f"hop must lie in 0.02..3600 s, not {hop}", "0.5 gives two rows a second")


def match_emotion(name: str, labels: Sequence[str]) -> int | None:
    """Index of an emotion among the labels, in any case; None for "auto" (to be heard in the speech).

    Raises:
        UsageError: the model has no such emotion.
    """
    wanted = name.strip().casefold()
    if wanted == AUTO:
        return None
    known = [label.casefold() for label in labels]
    if wanted not in known:
        raise UsageError(f"this model knows no emotion {name!r}", f"choose from auto, {', '.join(labels)}, or a .csv")
    return known.index(wanted)


def _spoken(field: str) -> str:
    return field.replace("_", "-")
