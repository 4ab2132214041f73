"""scikit-image's cascade for frontal faces, made steadier: needs no network file."""

from __future__ import annotations

import cv2
import numpy as np

from floatcli.face.detect import FaceBox, largest_first, scaled

SMALLEST = 30  # side of the smallest window, at the detection height
SMALLEST_SEEN = 10  # and in pixels of the picture, which hold no face when there are fewer
SCALE_STEP = 1.12  # between window sizes
ASPECTS = (1.0, 0.87)  # faces are seen narrowed as well: many are longer than the cascade expects
TILTS = (-30.0, -15.0, 0.0, 15.0, 30.0)  # degrees

# How many windows must agree: 27 to 190 do on upright faces that were tried, and at most 14 elsewhere;
# summed over all tilts 23 to 480 on tilted faces, and up to 67 in pictures of other things.
SURE, PLAUSIBLE = 25, 20
MINOR = 0.25  # beside a face that has more, groups below this share of it are chance
RESIZED = 1.4  # a face that is followed is at most this many times as large as a moment ago, or as small

# From the cascade's windows (brow to mouth) to SFD's boxes (brow to chin), measured on skimage.data.astronaut, where
# SFD finds 175.3 72.8 272.9 186.2: shift of the centre towards the chin, width and height, in sides of the window.
DOWN, WIDTH, HEIGHT = 0.1275, 0.996, 1.157


class CascadeDetector:
    """Frontal faces by local binary patterns.

    A cascade says yes or no to each window. Around a face many windows, of both the picture and its mirror image,
    are accepted; elsewhere few. So windows are gathered unmerged, the densest groups are taken for faces, and the
    size of a group is its score. It looks at the red channel, where skin is bright and eyes and brows are dark
    whatever the complexion; at gray where that shows nothing (an overexposed picture); and for tilted faces only
    where there is no upright one.

    Args:
        tilted: Look for tilted faces at all.
    """

    name = "cascade"

    def __init__(self, tilted: bool = True) -> None:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade

        self._cascade = Cascade(lbp_frontal_face_cascade_filename())
        self._tilted = tilted

    def detect(self, picture: np.ndarray) -> list[FaceBox]:
        """Faces in a picture uint8 (H, W, 3) RGB, the largest first."""
        small, scale = scaled(picture)
        red = np.ascontiguousarray(small[..., 0])
        smallest = round(max(SMALLEST, SMALLEST_SEEN * scale))
        upright = self._windows(red, 0.0, smallest)
        groups = _groups(upright, SURE)
        if not groups:
            groups = _groups(self._windows(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), 0.0, smallest), SURE)
        if not groups and self._tilted:
            tilted = [self._windows(red, tilt, smallest) for tilt in TILTS if tilt]
            groups = _groups(np.concatenate([upright, *tilted]), PLAUSIBLE)
        return largest_first([_box(group, self._tilt(red, group), scale) for group in groups])

    def follow(self, picture: np.ndarray, box: FaceBox) -> FaceBox | None:
        """The upright face of a picture uint8 (H, W, 3) RGB that was at ``box`` a moment ago; None where it has gone.

        Only windows about where and as large as it was are looked at, which takes a fraction of ``detect``'s time.
        """
        small, scale = scaled(picture)
        side = (box.x2 - box.x1) * scale / WIDTH
        x = (box.x1 + box.x2) / 2 * scale
        y = (box.y1 + box.y2) / 2 * scale - DOWN * side
        left, top = max(0, round(x - side)), max(0, round(y - side))
        part = small[top : round(y + side) + 1, left : round(x + side) + 1, 0]
        groups = _groups(self._windows(part, 0.0, round(side / RESIZED), round(side * RESIZED)), SURE)
        if not groups:
            return None
        return _box(groups[0] + (left, top, 0, 0, 0), 0.0, scale)

    def _tilt(self, gray: np.ndarray, group: np.ndarray) -> float:
        """Degrees clockwise that a face is tilted by: the mean of the tilts it is accepted at."""
        x, y, side = group[:3]
        part = gray[max(0, int(y - side)) : int(y + side) + 1, max(0, int(x - side)) : int(x + side) + 1]
        found = [self._windows(part, tilt, round(side * 0.8), round(side * 1.25)) for tilt in TILTS]
        windows = np.concatenate(found)
        return float(windows[:, 3].mean()) if len(windows) else float(group[3])

    def _windows(self, gray: np.ndarray, tilt: float, smallest: int, largest: int | None = None) -> np.ndarray:
        """Accepted windows (n, 4) of a picture turned level from ``tilt``: centre x, y, side, tilt."""
        level, matrix = _levelled(gray, tilt)
        largest = min(largest or max(gray.shape), *gray.shape)
        found = [
            self._accepted(level, aspect, mirror, smallest, largest) for aspect in ASPECTS for mirror in (False, True)
        ]
        windows = np.concatenate(found)
        back = cv2.invertAffineTransform(matrix)
        centres = windows[:, :2] @ back[:, :2].T + back[:, 2]
        return np.column_stack([centres, windows[:, 2], np.full(len(windows), tilt)])

    def _accepted(self, gray: np.ndarray, aspect: float, mirror: bool, smallest: int, largest: int) -> np.ndarray:
        """Accepted windows (n, 3) of a picture, in its pixels: centre x, y, side."""
        height, width = gray.shape
        narrow = max(1, round(width * aspect))
        largest = min(largest, narrow, height)
        if largest < smallest:
            return np.zeros((0, 3))
        seen = cv2.resize(gray, (narrow, height), interpolation=cv2.INTER_AREA)
        found = self._cascade.detect_multi_scale(
            np.ascontiguousarray(seen[:, ::-1] if mirror else seen),
            scale_factor=SCALE_STEP,
            step_ratio=1,
            min_size=(smallest, smallest),
            max_size=(largest, largest),
            min_neighbor_number=1,
            intersection_score_threshold=2,  # out of reach, so that windows stay unmerged
        )
        rows = [(w["c"] + w["width"] / 2, w["r"] + w["height"] / 2, w["width"]) for w in found]
        windows = np.array(rows, dtype=float).reshape(-1, 3)
        if mirror:
            windows[:, 0] = narrow - windows[:, 0]
        windows[:, 0] *= width / narrow
        return windows


def _levelled(gray: np.ndarray, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture turned so that what was tilted clockwise by ``tilt`` degrees is upright; the matrix (2, 3) used."""
    height, width = gray.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), tilt, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (round(width * cosine + height * sine), round(width * sine + height * cosine))
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return cv2.warpAffine(gray, matrix, size, borderMode=cv2.BORDER_REPLICATE), matrix


def _groups(windows: np.ndarray, enough: int, same: float = 0.5, apart: float = 0.3) -> list[np.ndarray]:
    """Means of the groups of windows (n, 4) that agree, each with how many they are: rows of 5.

    Windows agree when their intersection is ``same`` of their union or more; those that cover a group already taken by
    ``apart`` of the smaller of both belong to no other. Groups of fewer than ``enough`` are dropped.
    """
    groups: list[np.ndarray] = []
    while len(windows) >= enough:
        agree = np.stack([_overlap(window, windows)[0] >= same for window in windows])
        near = agree[agree.sum(axis=1).argmax()]
        if near.sum() < enough:
            break
        mean = windows[near].mean(axis=0)
        groups.append(np.append(mean, near.sum()))
        windows = windows[~near & (_overlap(mean, windows)[1] < apart)]
    return [group for group in groups if group[-1] >= MINOR * groups[0][-1]]


def _overlap(window: np.ndarray, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection of a window with each of (n, 4) windows, over their union, and over the smaller of both."""
    side, sides = window[2], windows[:, 2]
    reach = (side + sides) / 2 - np.abs(window[:2] - windows[:, :2]).T
    common = np.prod(np.clip(reach, 0, np.minimum(side, sides)), axis=0)
    return common / (side**2 + sides**2 - common), common / np.minimum(side, sides) ** 2


def _box(group: np.ndarray, tilt: float, scale: float) -> FaceBox:
    """A group, in pixels of the scaled picture, as SFD's box in pixels of the picture."""
    x, y, side, _, score = (float(v) for v in group)
    x -= np.sin(np.deg2rad(tilt)) * DOWN * side
    y += np.cos(np.deg2rad(tilt)) * DOWN * side
    across, down = WIDTH * side / 2, HEIGHT * side / 2
    return FaceBox(
        (x - across) / scale, (y - down) / scale, (x + across) / scale, (y + down) / scale, score=score, angle=tilt
    )
