"""How far mouth and eyes are open, from pixels alone: what is open is dark inside."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from floatcli.evaluate.curves import count_spells

SHUT = 0.9  # of its usual darkness, lashes and brow included, below which an eye is shut
_DEVIATION = 1.4826  # of a normal distribution, over the median of what it is off
_INSIDE = np.array([0.8, 0.6])  # of the mouth's box, its middle: width and height


def mouth_opening(frames: Iterable[np.ndarray], boxes: np.ndarray) -> np.ndarray:
    """How dark the middle of the mouth is on each of F frames (H, H, 3) uint8, by its boxes (F, 4): (F,)."""
    return np.array([darkness(frame, box, _INSIDE) for frame, box in zip(frames, boxes, strict=True)])


def eye_opening(frames: Iterable[np.ndarray], boxes: np.ndarray) -> np.ndarray:
    """Likewise of an eye, with lashes and brow."""
    return np.array([darkness(frame, box, np.ones(2)) for frame, box in zip(frames, boxes, strict=True)])


def darkness(frame: np.ndarray, box: np.ndarray, inside: np.ndarray) -> float:
    """How much of the middle of a box x1, y1, x2, y2 is dark, and how dark: 0 where it is even.

    The mean of what luma lies below the median of the whole box, over that median: the median is skin, so that light
    and skin matter little, and what is always there adds the same to every frame. Out of the picture it is 0.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64)
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    around, within = _part(grey, middle, half), _part(grey, middle, half * inside)
    if not within.size:
        return 0.0
    return float((1 - within / max(float(np.median(around)), 1.0)).clip(min=0).mean())


def blink_count(opening: np.ndarray) -> int:
    """Times that an eye, whose opening is (F,), shuts: comes down past SHUT of what it usually is.

    And further than it flickers otherwise, as it does in small pictures that a box does not follow evenly: by more than
    four standard deviations, as the median of what it is off tells them.
    """
    usual = np.median(opening)
    flicker = _DEVIATION * np.median(np.abs(opening - usual))
    return count_spells(opening < min(SHUT * usual, usual - 4 * flicker))


def _part(picture: np.ndarray, middle: np.ndarray, half: np.ndarray) -> np.ndarray:
    """What a picture (H, W) shows of a box around x, y."""
    (x1, y1), (x2, y2) = ((middle + side * half).round().clip(0).astype(int) for side in (-1, 1))
    return picture[y1:y2, x1:x2]
