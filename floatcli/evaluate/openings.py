"""How far mouth and eyes are open, from pixels alone: what is open is dark inside."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from floatcli.evaluate.pictures import Box

SHUT = 0.6  # of its usual opening, below which an eye is shut


def darkness(frames: Iterable[np.ndarray], boxes: Iterable[Box | None]) -> np.ndarray:
    """How much of a box is dark, and how dark, on each of F frames (H, H, 3) uint8: (F,), 0 of an even one.

    The mean over its pixels of what their luma lies below the box's median, over that median: the median is skin, so
    light and skin matter little, and a lip that is always there adds the same to every frame. A box that is None, as of
    what is out of the picture, is 0.
    """
    return np.array([_darkness(frame, box) for frame, box in zip(frames, boxes, strict=True)])


def _darkness(frame: np.ndarray, box: Box | None) -> float:
    if box is None:
        return 0.0
    luma = cv2.cvtColor(frame[box], cv2.COLOR_RGB2GRAY).astype(np.float64)
    skin = max(float(np.median(luma)), 1.0)
    return float((1 - luma / skin).clip(min=0).mean())


def blink_count(opening: np.ndarray) -> int:
    """Times that an eye, whose opening is (F,), shuts: comes down past SHUT of what it usually is."""
    shut = opening < SHUT * np.median(opening)
    return int((shut[1:] & ~shut[:-1]).sum() + shut[0])
