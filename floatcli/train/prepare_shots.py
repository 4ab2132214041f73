"""Where one shot of a video ends and the next begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

_SEEN = (64, 36)  # pictures are compared at this size
_CUT = 27.0  # mean change of hue, saturation and value from frame to frame, as in PySceneDetect's ContentDetector


class Frame(NamedTuple):
    """A picture uint8 (H, W, 3) RGB, and its place in the video and in its shot."""

    number: int
    picture: np.ndarray
    first: int  # number of the shot's first frame
    last: bool  # whether it is the shot's last frame


def frames_of_shots(pictures: Iterable[np.ndarray]) -> Iterator[Frame]:
    """Pictures uint8 (H, W, 3) RGB with their places. One is held, until the next tells whether its shot goes on."""
    held, before, first, number = None, None, 0, -1
    for number, picture in enumerate(pictures):
        now = _seen(picture)
        if held is not None and before is not None:
            cut = bool(np.abs(now - before).mean() > _CUT)
            yield Frame(number - 1, held, first, cut)
            first = number if cut else first
        held, before = picture, now
    if held is not None:
        yield Frame(number, held, first, True)


def _seen(picture: np.ndarray) -> np.ndarray:
    """What is compared of a picture: float32 (36, 64, 3)."""
    small = cv2.resize(picture, _SEEN, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.float32)
