"""A motion that is kept: what a portrait does in a clip, with all that is needed to show it again. Imports no torch.

The file is a safetensors: ``latents`` (T, D), ``emotion``, ``portrait`` (the crop as a PNG file's bytes) and, where
they were found by a landmark network of others, ``anchors``; what made it is JSON in the metadata.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError

from floatcli.checkpoint.store import file_digest, open_tensors
from floatcli.checks import check_source, is_there
from floatcli.config import FASTEST, LONGEST, SampleConfig, build, parsed
from floatcli.errors import InputError
from floatcli.files import Draft, place, writing
from floatcli.media.picture_bounds import fault_of
from floatcli.spool import blocks

FORMAT_VERSION = 1
SMALLEST_PORTRAIT, LARGEST_PORTRAIT = 32, 4096  # pixels a side
SUFFIX = ".motion.safetensors"
_VERSION_KEY, _MAKING_KEY = "floatcli.motion", "floatcli.making"
_NAMES = ("latents", "emotion", "anchors", "portrait")
LARGEST_MOTION = 1 << 30  # bytes: five hours of the published model, forty of the embedded set
_FORMATS = {"float32": "F32", "uint8": "U8"}


@dataclass(frozen=True)
class FileSource:
    """A file that a clip was made from."""

    path: str
    digest: str  # SHA-256


@dataclass(frozen=True)
class Making:
    """How a motion came about."""

    weights: FileSource | None  # None where the model did not come from a file
    model: str
    fps: int
    emotions: tuple[str, ...]  # the labels that the emotion track counts
    coefficient_names: tuple[str, ...]
    basis_size: int
    window: int  # frames that were sampled, and are decoded, at a time
    face: FileSource | None  # None for arrays
    speech: FileSource | None
    crop: tuple[float, ...]  # left, top, side in pixels of the picture, degrees
    sample: SampleConfig
    edits: tuple[str, ...] = ()
    emotion: str | None = None  # what was asked for: a label, "auto" or "track"; None where nobody knows
    posed: bool = False  # whether the head followed a pose that was given
    video: str | None = None  # SHA-256 of the video it was kept beside


@dataclass(frozen=True, eq=False)
class Motion:
    """Latents of a clip, with the portrait that they move.

    Attributes:
        latents: (T, D) float32; of a clip that was just made, mapped from disk, not to be written to.
        emotion: What the field was told, (1, E) for the whole clip or (T, E) frame by frame, float32.
        portrait: The crop, uint8 (H, H, 3) RGB.
        anchors: Landmarks (7, 2) in grid coordinates; None where the set finds them itself.
        making: How it came about.
    """

    latents: np.ndarray
    emotion: np.ndarray
    portrait: np.ndarray
    anchors: np.ndarray | None
    making: Making

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.latents) / self.making.fps

    def save(self, path: str | Path) -> Path:
        """Write the motion through a temporary sibling.

        Raises:
            InputError: the place can't be written to.
        """
        path = Path(path)
        with self.drafted(path) as draft:
            place([draft])
        return path

    @contextmanager
    def drafted(self, path: Path) -> Iterator[Draft]:
        """The motion as a file that has yet to take its place. Raises OutputError."""
        arrays = {"latents": self.latents, "emotion": self.emotion}
        if self.anchors is not None:
            arrays["anchors"] = self.anchors
        arrays = {name: np.asanyarray(array, np.float32) for name, array in arrays.items()}
        arrays["portrait"] = np.frombuffer(_to_png(self.portrait), np.uint8)  # the last, as its end is not aligned
        metadata = {_VERSION_KEY: str(FORMAT_VERSION), _MAKING_KEY: json.dumps(dataclasses.asdict(self.making))}
        with ExitStack() as closing:
            with writing(path):
                draft = closing.enter_context(Draft(path))
                _write(draft.file, arrays, metadata)
            yield draft

    @classmethod
    def load(cls, path: str | Path) -> Motion:
        """Read a motion.

        Raises:
            InputError: the file is missing, truncated, of a newer version or no motion.
        """
        making = read_making(path)
        try:
            with _opened(path) as file:
                arrays = {name: file.get_tensor(name) for name in _NAMES if name in file.keys()}  # noqa: SIM118
        except (AttributeError, TypeError, SafetensorError) as error:  # of types of numbers that NumPy has not
            raise InputError(f"{path} holds no motion: {error}", "animate again") from error
        missing = [name for name in ("latents", "emotion", "portrait") if name not in arrays]
        if missing:
            raise InputError(f"{path} is no whole motion: it lacks {', '.join(missing)}", "animate again")
        portrait = _from_png(arrays["portrait"].tobytes())
        if not portrait.size:
            raise InputError(f"{path} holds no motion: its portrait is no picture that can be read", "animate again")
        motion = cls(arrays["latents"], arrays["emotion"], portrait, arrays.get("anchors"), making)
        fault = motion._fault()
        if fault:
            raise InputError(f"{path} holds no motion: {fault}", "animate again")
        return motion

    def _fault(self) -> str:
        """What of it cannot be; empty where all is well."""
        wanted = {
            "latents": self.latents.ndim == 2 and self.latents.size > 0,
            "emotion": self.emotion.ndim == 2 and self.emotion.shape[1] == len(self.making.emotions),
            "portrait": self.portrait.shape[0] == self.portrait.shape[1] >= SMALLEST_PORTRAIT,
            "anchors": self.anchors is None or self.anchors.shape == (7, 2),
        }
        for name, right in wanted.items():
            values = getattr(self, name)
            if not right:
                return f"{name} of shape {list(values.shape)}"
            if values is None or name == "portrait":
                continue
            if values.dtype != np.float32:
                return f"{name} of type {values.dtype}"
            if not np.isfinite(values).all():
                return f"{name} that are not finite"
        if len(self.emotion) not in (1, len(self.latents)):
            return f"{len(self.emotion)} emotions for {len(self.latents)} frames"
        return ""


def read_making(path: str | Path) -> Making:
    """How a motion came about, without reading the motion. Raises InputError as ``Motion.load``."""
    with _opened(path) as file:
        metadata = file.metadata() or {}
    version = metadata.get(_VERSION_KEY, "")
    if not re.fullmatch("[0-9]{1,9}", version):
        raise InputError(f"{path} is no motion of floatcli", f"give a {SUFFIX} file, as animate writes it")
    if int(version) > FORMAT_VERSION:
        raise InputError(f"{path} is of format {version}, newer than this floatcli's {FORMAT_VERSION}", "upgrade")
    try:
        making = build(Making, parsed(metadata[_MAKING_KEY]), "making")
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} does not say how it was made: {error}", "animate again") from error
    right = {
        "fps": 1 <= making.fps <= FASTEST,
        "window": 1 <= making.window <= LONGEST,
        "basis_size": 1 <= making.basis_size <= 10_000,
        "coefficient_names": len(making.coefficient_names) in (0, making.basis_size),
        "crop": len(making.crop) == 4,
    }
    wrong = [name for name, so in right.items() if not so]
    if wrong:
        raise InputError(f"{path} was not made by floatcli: {wrong[0]} is {getattr(making, wrong[0])}", "animate again")
    return making


def recording_of(making: Making) -> Path:
    """The recording that a motion was made from.

    Raises:
        InputError: it is unknown, gone, or not what it was.
    """
    if making.speech is None:
        raise InputError("the motion does not say which recording it belongs to", "give it with --speech")
    path = Path(making.speech.path)
    if not (is_there(path) and path.is_file()):
        raise InputError(f"the recording {path} is not there any more", "say where it is with --speech")
    check_source(path, "recording")
    if file_digest(path) != making.speech.digest:
        raise InputError(f"{path} has changed since the motion was made", "give the right one with --speech")
    return path


def motion_beside(video: str | Path) -> Path:
    """Where the motion of a video lies: out.mp4 has out.motion.safetensors."""
    return Path(video).with_suffix(SUFFIX)


def _write(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """A safetensors file. Its library would have all that is mapped in memory at once."""
    header, end = dict[str, Any](__metadata__=metadata), 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": _FORMATS[array.dtype.name], "shape": array.shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            for block in blocks(array):
                stream.write(block)


def _opened(path: str | Path) -> Any:
    if not is_there(Path(path)):
        raise InputError(f"{path} is not there", "animate writes it beside the video")
    check_source(Path(path), "motion")
    try:
        if Path(path).stat().st_size > LARGEST_MOTION:
            raise InputError(f"{path} is too large a motion", f"at most {LARGEST_MOTION >> 20} MB are read")
        return open_tensors(path)
    except (OSError, SafetensorError) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise InputError(f"{path} cannot be read: {reason}", "it is truncated or no motion; animate again") from error


def _from_png(data: bytes) -> np.ndarray:
    """uint8 (H, W, 3); of no size where it is no picture."""
    try:
        if fault_of(data):
            return np.zeros((0, 0, 3), np.uint8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's on size, which is checked here
            picture = Image.open(io.BytesIO(data), formats=["PNG"])
            if max(picture.size) > LARGEST_PORTRAIT:
                return np.zeros((0, 0, 3), np.uint8)
            return np.array(picture.convert("RGB"))
    except Exception:  # whatever Pillow's reader raises on what is damaged
        return np.zeros((0, 0, 3), np.uint8)


def _to_png(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "png", compress_level=6)
    return stream.getvalue()
