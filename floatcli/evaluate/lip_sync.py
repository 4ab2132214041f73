"""Whether a mouth opens with the speech: its opening against the loudness, frame by frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

REACH = 10  # frames that one is looked for before and behind the other
_LOUDNESS = 0.6  # Stevens: loudness grows with sound pressure to this power


class Sync(NamedTuple):
    """Mouth and speech of a clip."""

    correlation: float  # Pearson's r where it is highest
    offset: int  # frames by which the mouth comes after the speech there


def loudness(audio: np.ndarray, frames: int) -> np.ndarray:
    """Loudness (F,) of speech (n,) on each of F frames that it lasts, as far as sound pressure tells it."""
    parts = np.array_split(audio.astype(np.float64), frames)
    return np.array([np.sqrt(np.square(part).mean()) for part in parts]) ** _LOUDNESS


def synchrony(opening: np.ndarray, loud: np.ndarray) -> Sync | None:
    """Where two curves (F,) go together best, within REACH frames; None where one doesn't move, or is too short."""
    shifts = range(-REACH, REACH + 1)
    if len(opening) < 2 * REACH or min(np.ptp(opening), np.ptp(loud)) < 1e-9:
        return None
    rs = [_correlation(opening[max(0, k) :], loud[max(0, -k) :]) for k in shifts]
    best = int(np.argmax(rs))
    return Sync(rs[best], shifts[best])


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r over what both have; of something that doesn't move, zero."""
    length = min(len(a), len(b))
    a, b = a[:length] - a[:length].mean(), b[:length] - b[:length].mean()
    size = np.sqrt(np.square(a).sum() * np.square(b).sum())
    return float((a * b).sum() / size) if size else 0.0
