"""Stage 2's data out of clips of people: what ``cache`` made of them, read from disk window by window."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError

from floatcli.checkpoint.store import open_tensors
from floatcli.checks import is_there, values_of
from floatcli.config import ModelConfig
from floatcli.errors import InputError
from floatcli.models.float_model import FloatModel
from floatcli.train.flow_data import FIRST, LABELS, FlowBatch, choose_emotion
from floatcli.train.frozen import encoders_digest
from floatcli.train.prepare import is_length, is_plain

INDEX, VERSION = "cache.json", 1
AGAIN = "make it again: floatcli train cache"
_HELD_OUT = 20  # one clip of so many


class CachedClip(NamedTuple):
    """What the index knows of a clip."""

    key: str
    frames: int
    emotion: str | None  # its label, where it has one


class _Rows(NamedTuple):
    """Some frames of a clip, as its file has them."""

    coefficients: np.ndarray  # (n, M) float32
    features: np.ndarray  # (n, F) float16
    pose: np.ndarray  # (n, 6) float32; (n, 0) where it is not asked for
    ref: np.ndarray  # (M,), the coefficients of another frame
    emotion: np.ndarray  # (E,) probabilities


def clip_file(folder: Path, key: str) -> Path:
    """Where a clip of a cache is."""
    return folder / f"{key}.safetensors"


def read_index(folder: Path) -> dict[str, Any]:
    """What a cache's index says: ``encoders``, their digest; whether there is a ``pose``; ``clips``, a CachedClip each.

    Raises:
        InputError: there is none, or it can't be read.
    """
    if not is_there(folder / INDEX):
        raise InputError(f"{folder} is no cache, or none that is finished", AGAIN)
    try:
        index = values_of(folder / INDEX, "cache's index")
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / INDEX} can't be read: {error}", AGAIN) from error
    if not isinstance(index, dict) or index.get("version") != VERSION:
        raise InputError(f"{folder} is a cache of another version", AGAIN)
    try:
        clips = [CachedClip(*told) for told in index["clips"]]
        if odd := next((clip for clip in clips if not _is_sound(clip)), None):
            raise ValueError(f"a clip called {odd.key!r:.80} of {odd.frames!r:.80} frames")
        return {"encoders": index["encoders"], "pose": index["pose"], "clips": clips}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / INDEX} is damaged: {type(error).__name__}: {error}", AGAIN) from error


def _is_sound(clip: CachedClip) -> bool:
    """Whether a clip is named and counted as ``cache`` does, so that its file is in the cache's own folder."""
    return is_plain(clip.key) and is_length(clip.frames) and (clip.emotion is None or isinstance(clip.emotion, str))


def open_cache(folder: Path, model: FloatModel, emotion_from: str) -> CachedClips:
    """The clips of a cache that are learnt from, and with them those that are held out: one of twenty.

    Args:
        folder: Of the cache.
        model: Whose encoders it has to be made with, and whose basis makes motion of coefficients.
        emotion_from: One of ``EMOTION_SOURCES``.

    Raises:
        InputError: the cache is missing, stale or of another version, or lacks clips, labels or poses.
    """
    index, config = read_index(folder), model.config
    if index["encoders"] != encoders_digest(model):
        raise InputError(f"{folder} was made with other encoders than this run's", AGAIN)
    clips = learnable(folder, index["clips"], index["pose"], config, emotion_from)
    clips.sort(key=lambda clip: hashlib.sha256(clip.key.encode()).digest())  # the same ones on every machine
    apart = -(-len(clips) // _HELD_OUT)
    matrix = model.basis.matrix.detach().numpy().T
    held_out = CachedClips(folder, clips[:apart], config, matrix, emotion_from)
    return CachedClips(folder, clips[apart:], config, matrix, emotion_from, held_out)


def learnable(
    folder: Path, clips: Sequence[CachedClip], poses: bool, config: ModelConfig, emotion_from: str
) -> list[CachedClip]:
    """Those clips that are long enough for a window of the field.

    Args:
        folder: Where they are.
        clips: What is known of them.
        poses: Whether the head's pose is known.
        config: The model's.
        emotion_from: One of ``EMOTION_SOURCES``.

    Raises:
        InputError: they are too few, lack labels or poses that are asked for, or have labels that the model does not
            tell.
    """
    if config.field.pose and not poses:
        raise InputError(f"{folder} holds no poses", "have them read: floatcli train cache ... --pose-from embedded")
    enough = [clip for clip in clips if clip.frames >= config.window]
    if len(enough) < 2:
        said = f"{folder} has {len(enough)} clips of at least {config.window} frames, a window of the field"
        raise InputError(said, "two are the fewest: one to learn from, one held out")
    if odd := next((clip for clip in enough if clip.emotion not in (None, *config.emotions)), None):
        said = f"{folder}: clip {odd.key} is labelled {odd.emotion!r:.80}, which the model does not tell"
        raise InputError(said, f"choose from {', '.join(config.emotions)}")
    bare = sum(clip.emotion is None for clip in enough)
    if emotion_from == LABELS and bare:
        said = f"{bare} of {len(enough)} clips in {folder} have no label"
        raise InputError(said, 'name them: floatcli train cache ... --emotions FILE; or set emotion_from = "mixed"')
    return enough


class CachedClips:
    """Windows at random places of random clips.

    Args:
        folder: Of the cache.
        clips: Of at least a window's frames.
        config: The model's.
        matrix: (M, D), which makes motion of coefficients.
        emotion_from: One of ``EMOTION_SOURCES``.
        held_out: Other clips.
    """

    def __init__(
        self,
        folder: Path,
        clips: Sequence[CachedClip],
        config: ModelConfig,
        matrix: np.ndarray,
        emotion_from: str,
        held_out: CachedClips | None = None,
    ):
        self.folder, self.clips, self.config, self.matrix = folder, clips, config, matrix
        self.emotion_from, self.held_out = emotion_from, held_out

    def draw(self, batch: int, rng: np.random.Generator) -> FlowBatch:
        """Windows with the frames before them, and the reference motion of a random frame of their clip."""
        before, window = self.config.preceding, self.config.window
        clips = [self.clips[k] for k in rng.integers(len(self.clips), size=batch)]
        first, read = rng.random(batch) < FIRST, list[_Rows]()
        for k, clip in enumerate(clips):
            latest = clip.frames - window
            first[k] |= latest < before
            start = 0 if first[k] else int(rng.integers(before, latest + 1))
            read.append(self._read(clip, start, before, window, int(rng.integers(clip.frames))))
        return self._batch(clips, read, first, rng)

    def examples(self, clips: int = 3, windows: int = 2) -> FlowBatch:
        """The beginnings of the first clips that are held out, as long as the shortest of them."""
        source = self.held_out or self
        chosen = source.clips[:clips]
        frames = min(windows * self.config.window, *(clip.frames for clip in chosen))
        read = [source._read(clip, 0, 0, frames, 0) for clip in chosen]
        return source._batch(chosen, read, np.ones(len(chosen), bool), np.random.default_rng(0))

    def _read(self, clip: CachedClip, start: int, before: int, count: int, ref: int) -> _Rows:
        """Frames from ``start`` on and those before them; before a clip its first frame."""
        path, rows = clip_file(self.folder, clip.key), np.arange(start - before, start + count).clip(0)
        low, high = int(rows[0]), int(rows[-1]) + 1
        try:
            with open_tensors(path) as file:

                def some(name: str) -> np.ndarray:
                    return file.get_slice(name)[low:high][rows - low]

                pose = some("pose") if self.config.field.pose else np.zeros((len(rows), 0), np.float32)
                frame = file.get_slice("coefficients")[ref : ref + 1][0]
                return _Rows(some("coefficients"), some("features"), pose, frame, file.get_tensor("emotion"))
        except (OSError, SafetensorError, IndexError) as error:
            raise InputError(f"{path} can't be read: {error}", AGAIN) from error

    def _batch(
        self, clips: Sequence[CachedClip], read: Sequence[_Rows], first: np.ndarray, rng: np.random.Generator
    ) -> FlowBatch:
        coefficients, features, pose, ref, heard = (np.stack(column) for column in zip(*read, strict=True))
        named = np.zeros_like(heard)
        for row, clip in zip(named, clips, strict=True):
            if clip.emotion is not None:
                row[self.config.emotions.index(clip.emotion)] = 1
        emotion = choose_emotion(self.emotion_from, heard, named, np.zeros(len(clips), bool), rng)
        arrays = coefficients @ self.matrix, ref @ self.matrix, features.astype(np.float32), emotion, first, pose
        return FlowBatch(*map(torch.from_numpy, arrays))
