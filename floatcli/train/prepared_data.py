"""Prepared clips, streamed from disk for training."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from floatcli.checks import values_of
from floatcli.config import parsed
from floatcli.errors import InputError, UsageError
from floatcli.media.frames import decoded_frames
from floatcli.rows import Row
from floatcli.train.prepare import MANIFEST, SETTINGS, is_sound, read_manifest
from floatcli.train.shards import Sample, read_sample, read_shard

_Item = TypeVar("_Item")
_FARTHEST = 1e6  # pixels that a box may lie off


class PreparedClip(NamedTuple):
    """F frames of one face, and what is said meanwhile."""

    key: str
    frames: np.ndarray  # (F, S, S, 3) uint8 RGB, 25 a second
    audio: np.ndarray  # (640 F,) float32 in [-1, 1], 16 kHz
    boxes: np.ndarray  # (F, 3, 4) float32 x1, y1, x2, y2 in pixels, of the parts in PARTS
    told: Row  # its row in the manifest, and its source


class PreparedClips:
    """The clips of a folder that ``floatcli train prepare`` made.

    Args:
        folder: The folder.
        part: Of several readers, each with other shards: which one this is, and how many there are.

    Raises:
        InputError: there are none.
    """

    def __init__(self, folder: Path, part: tuple[int, int] = (0, 1)):
        self.shards = [folder / row["shard"] for row in prepared_videos(folder)]
        self._part, self._parts = part

    def stream(self, seed: int, held: int = 100) -> Iterator[PreparedClip]:
        """Every clip once, in an order that follows from ``seed`` alone: another one for another epoch.

        Shards come in random order. Of their clips ``held`` are kept, encoded, and one of these is next at random.
        """
        rng = np.random.default_rng(seed)
        shards = [self.shards[k] for k in rng.permutation(len(self.shards))][self._part :: self._parts]
        samples = (sample for shard in shards for sample in read_shard(shard))
        for key, sample in _mixed(samples, rng, held):
            yield read_clip(key, sample)


class PreparedFrames:
    """Single frames of the clips of a folder, wherever they are.

    Args:
        folder: The folder.

    Raises:
        InputError: there are none.
    """

    def __init__(self, folder: Path):
        clips = [(folder / row["shard"], clip) for row in prepared_videos(folder) for clip in row["clips"]]
        self._clips = [(shard, clip["key"]) for shard, clip in clips]
        self.lengths = [clip["frames"] for _, clip in clips]  # frames of each clip

    def __len__(self) -> int:
        return len(self._clips)

    def read(self, clip: int, frames: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Pictures (F, S, S, 3) uint8 RGB and boxes (F, 3, 4) as in a PreparedClip, of some frames of a clip.

        Raises:
            InputError: the clip can't be read.
        """
        shard, key = self._clips[clip]
        sample = read_sample(shard, key, "mp4", "json")
        with _undamaged(key):
            return decoded_frames(sample["mp4"], frames), _told(sample)[1][list(frames)]


def prepared_videos(folder: Path) -> list[Row]:
    """The manifest's rows of videos that have clips. Raises InputError where there are none, or a row is damaged."""
    rows = [row for row in read_manifest(folder).values() if row.get("shard")]
    if not rows:
        raise InputError(f"no clips are in {folder}", "prepare some first: floatcli train prepare VIDEOS -o DATA")
    for row in rows:
        if not is_sound(row):
            said = f"{folder / MANIFEST}: the row of {row.get('source')!r:.80} is damaged"
            raise InputError(said, "remove that row, and prepare that video again")
    return rows


def check_size(folder: Path, size: int) -> None:
    """Raise UsageError where a folder says that its clips are smaller than pictures of ``size`` pixels a side."""
    try:
        told = values_of(folder / SETTINGS, "list of settings")
        pixels = int(told["size"] if "size" in told else told["drawn"]["size"])
    except (InputError, OSError, ValueError, TypeError, LookupError):
        return  # it does not say
    if pixels < size:
        said = f"clips of {pixels} pixels a side, in {folder}, are too small for a model of {size}"
        raise UsageError(said, f"make them anew: floatcli train prepare VIDEOS --size {size} -o DATA")


def _mixed(items: Iterable[_Item], rng: np.random.Generator, held: int) -> Iterator[_Item]:
    """Items in random order, as far as that can be with so many of them at hand."""
    kept: list[_Item] = []
    for item in items:
        kept.append(item)
        if len(kept) >= held:
            yield kept.pop(rng.integers(len(kept)))
    while kept:
        yield kept.pop(rng.integers(len(kept)))


def read_clip(key: str, sample: Sample) -> PreparedClip:
    """A clip out of its files in a shard.

    Raises:
        InputError: they are no clip's.
    """
    with _undamaged(key):
        told, boxes = _told(sample)
        with wave.open(io.BytesIO(sample["wav"])) as file:
            sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        frames = decoded_frames(sample["mp4"])
        if len(boxes) != len(frames):
            raise ValueError(f"it has {len(frames)} frames, and boxes of {len(boxes)}")
        return PreparedClip(key, frames, sound.astype(np.float32) / 32768, boxes, told)


def _told(sample: Sample) -> tuple[Row, np.ndarray]:
    """What a clip's file tells of it, and the boxes of its parts, (F, 3, 4)."""
    told = parsed(sample["json"].decode())
    boxes = np.array(told.pop("boxes"), np.float64)
    if boxes.shape[1:] != (3, 4) or not (abs(boxes) < _FARTHEST).all():
        raise ValueError("its boxes are none")
    return told, boxes.astype(np.float32)


@contextmanager
def _undamaged(key: str) -> Iterator[None]:
    """Raise InputError where the files of a clip, read meanwhile, are none of a clip's."""
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError, EOFError, wave.Error) as error:
        raise InputError(f"{key} is damaged: {str(error) or 'it is cut off'}", "prepare its video again") from error
