"""Where eyes and mouth go as a head moves: their boxes on the first frame, carried along by what is around them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from floatcli.train.prepare_settings import PARTS

_CORNERS: dict[str, Any] = {"maxCorners": 120, "qualityLevel": 0.01, "minDistance": 3}
_FLOW: dict[str, Any] = {"winSize": (21, 21), "maxLevel": 4, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
_FEWEST = 6  # points that a movement can be told by
_MOUTH = PARTS.index("mouth")


def follow(frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes (F, 3, 4) of PARTS on frames (F, H, H, 3) uint8 by those of the first, (3, 4).

    Corners between brows and mouth are found on each frame again by optical flow (Lucas and Kanade), from the first on,
    so that nothing adds up; the shift, turn and scale that most of them agree on moves all boxes. Where too few are
    found, boxes stay where they were.
    """
    first = cv2.cvtColor(frames[0], cv2.COLOR_RGB2GRAY)
    start = cv2.goodFeaturesToTrack(first, mask=_upper_face(first.shape, boxes), **_CORNERS)
    if start is None:
        return np.repeat(boxes[None], len(frames), axis=0)
    moved, found = [boxes], start.copy()
    for frame in frames[1:]:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        found, seen, _ = cv2.calcOpticalFlowPyrLK(first, grey, start, found, **_FLOW)
        kept = seen[:, 0] == 1
        found[~kept] = start[~kept]  # where it is looked for next
        matrix = cv2.estimateAffinePartial2D(start[kept], found[kept])[0] if kept.sum() >= _FEWEST else None
        moved.append(moved[-1] if matrix is None else _moved(boxes, matrix))
    return np.stack(moved)


def _upper_face(shape: tuple[int, ...], boxes: np.ndarray) -> np.ndarray:
    """255 from a little above the eyes to the mouth, and as wide as the eyes; 0 else."""
    eyes = np.delete(boxes, _MOUTH, axis=0)
    left, top = eyes[:, :2].min(axis=0)
    right, height = eyes[:, 2].max(), eyes[:, 3].max() - top
    mask = np.zeros(shape, np.uint8)
    x1, y1, x2, y2 = np.array([left, top - height / 2, right, boxes[_MOUTH, 1]]).round().clip(0).astype(int)
    mask[y1:y2, x1:x2] = 255
    return mask


def _moved(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) whose middles are moved, and whose sides are scaled, by a similarity (2, 3)."""
    scale = np.hypot(matrix[0, 0], matrix[1, 0])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * scale
    return np.hstack([middles - halves, middles + halves])
