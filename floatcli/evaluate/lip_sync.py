"""Whether a mouth opens with the speech: its opening against the loudness, frame by frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from floatcli.evaluate.curves import correlations

REACH = 10  # frames that one is looked for before and behind the other
_SLOW = 25  # frames: what changes more slowly is the head's and the light's doing, not speech
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
    """Where two curves (F,) go together best, within REACH frames; None where one doesn't move, or is too short.

    Of both only that counts which changes within a second: a mean over one, weighted by a Hann window, is taken off.
    """
    shifts = range(-REACH, REACH + 1)
    if len(opening) < 2 * REACH or min(np.ptp(opening), np.ptp(loud)) < 1e-9:
        return None
    length, opening, loud = len(opening), _quick(opening), _quick(loud)
    rs = [correlations(opening[None, max(0, k) : length + k], loud[None, max(0, -k) : length - k])[0] for k in shifts]
    best = int(np.argmax(rs))
    return Sync(float(rs[best]), shifts[best])


def _quick(curve: np.ndarray) -> np.ndarray:
    """A curve (F,) without what changes slowly in it."""
    weights = np.hanning(_SLOW + 2)[1:-1]
    around = np.pad(curve, _SLOW // 2, mode="reflect")
    return curve - np.convolve(around, weights / weights.sum(), mode="valid")
