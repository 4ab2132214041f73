"""The face of every take of a video: followed from look to look, and known in between by straight lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from floatcli.config import ANCHORS, CropConfig
from floatcli.face.crop import Crop, square_around
from floatcli.face.detect import CASCADE_INSTEAD, FOLLOWED, FaceBox, FaceDetector, default_detector
from floatcli.face.landmarks import (
    LandmarkNetwork,
    anchors_of_box,
    anchors_of_landmarks,
    default_anchor_finder,
    yaw_of_landmarks,
)
from floatcli.face.networks import FAN_URL, SFD_URL, network_file
from floatcli.train.prepare_shots import Frame

EVERY = 5  # frames from look to look
SEARCH = 25  # frames from look to look where there was no face
PATIENCE = 2 * EVERY  # frames from one sight of a face to the next: one look may miss it

LANDMARKS, PROPORTIONS = "landmarks", "proportions"  # how eyes and mouth are found

# What the boxes of eyes and mouth add around their anchors, in sides of the face's box.
_AROUND_EYE, _AROUND_MOUTH = (0.15, 0.09), (0.1, 0.12)
_LIPS = [ANCHORS.index(name) for name in ("mouth_left", "mouth_right", "upper_lip", "lower_lip")]
_EYES = [ANCHORS.index(name) for name in ("left_eye", "right_eye")]


class Look(NamedTuple):
    """A face as it was seen on one frame."""

    frame: int
    box: FaceBox
    anchors: np.ndarray  # (7, 2) x, y in pixels of the picture
    yaw: float | None  # degrees; None where nothing tells it


def fetch_networks(notice: Callable[[str], None]) -> None:
    """Fetch what finders look with, once for all processes, and tell what they do without."""
    if network_file(SFD_URL, notice) is None:
        notice(CASCADE_INSTEAD)
    elif network_file(FAN_URL, notice) is not None:
        return
    notice("landmarks can't be had: eyes and mouth are placed by a face's proportions, and no yaw is measured")


class FaceFinder:
    """face-alignment's networks on a device; where they can't be had, the cascade, and a face's usual proportions."""

    def __init__(self, device: str):
        self._detector: FaceDetector = default_detector(device, _told_before, tilted=False)
        self._landmarks: LandmarkNetwork | None = default_anchor_finder(device, _told_before)

    @property
    def found_by(self) -> str:
        """What finds faces."""
        return self._detector.name

    @property
    def parts_from(self) -> str:
        """How eyes and mouth are found."""
        return LANDMARKS if self._landmarks is not None else PROPORTIONS

    def look(self, frame: Frame, last: Look | None) -> Look | None:
        """The face that was last seen, else the largest there is; None where there is none."""
        box = None if last is None else self._detector.follow(frame.picture, last.box)
        if box is None:
            box = next(iter(self._detector.detect(frame.picture)), None)
        if box is None:
            return None
        if self._landmarks is None:
            return Look(frame.number, box, anchors_of_box(box), None)
        points = self._landmarks.points(frame.picture, box)
        if points is None:
            return None
        return Look(frame.number, box, anchors_of_landmarks(points), yaw_of_landmarks(points))


def _told_before(line: str) -> None:
    """``fetch_networks`` has said it, once for all processes."""


def takes(frames: Iterable[Frame], look: Callable[[Frame, Look | None], Look | None]) -> Iterator[list[Look]]:
    """Looks at one face each, without a cut or a loss in between; an empty one for every shot that shows no face."""
    take: list[Look] = []
    shown, next_look = False, 0
    for frame in frames:
        if frame.number == frame.first:
            shown, next_look = False, frame.number
        if frame.number >= next_look or frame.last:
            seen = look(frame, take[-1] if take else None)
            if take and not _goes_on(take, seen, frame.number):
                yield take
                take = []
            if seen is not None:
                take.append(seen)
                shown = True
            next_look = frame.number + (EVERY if take else SEARCH)
        if frame.last and (take or not shown):
            yield take
            take = []


def _goes_on(take: list[Look], seen: Look | None, frame: int) -> bool:
    """Whether a take is not over with what a look saw, or missed."""
    if seen is None:
        return frame - take[-1].frame < PATIENCE
    return take[-1].box.overlap(seen.box) >= FOLLOWED


@dataclass(frozen=True)
class Track:
    """A face on F frames in a row, in pixels of the picture.

    Attributes:
        start: The first frame.
        boxes: (F, 4) x1, y1, x2, y2.
        anchors: (F, 7, 2) x, y.
        yaw: The most that it was turned to a side, in degrees; None where nothing tells it.
    """

    start: int
    boxes: np.ndarray
    anchors: np.ndarray
    yaw: float | None

    @property
    def stop(self) -> int:
        """The frame after the last."""
        return self.start + len(self.boxes)

    def crop(self) -> Crop:
        """The one square for all its frames: SPEC section 5 around the union of its boxes."""
        union = FaceBox(*self.boxes[:, :2].min(axis=0), *self.boxes[:, 2:].max(axis=0))
        return square_around(union, CropConfig.margin)

    def parts(self) -> np.ndarray:
        """Boxes (F, 3, 4) x1, y1, x2, y2 of left eye, right eye and mouth."""
        return parts_of_anchors(self.anchors, self.boxes[:, 2:] - self.boxes[:, :2])


def parts_of_anchors(anchors: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Boxes (F, 3, 4) x1, y1, x2, y2 of left eye, right eye and mouth of faces.

    Args:
        anchors: (F, 7, 2) x, y.
        sides: (F, 2) width and height of the faces' boxes.
    """
    sides = sides[:, None]
    eyes, lips = anchors[:, _EYES], anchors[:, _LIPS]
    around_eye, around_mouth = (sides * np.array(share, sides.dtype) for share in (_AROUND_EYE, _AROUND_MOUTH))
    low = np.concatenate([eyes - around_eye, lips.min(axis=1)[:, None] - around_mouth], axis=1)
    high = np.concatenate([eyes + around_eye, lips.max(axis=1)[:, None] + around_mouth], axis=1)
    return np.concatenate([low, high], axis=2)


def tracks(take: list[Look], most: int) -> list[Track]:
    """A take as equal parts of at most so many frames, one after the other."""
    start, stop = take[0].frame, take[-1].frame + 1
    edges = np.linspace(start, stop, -(-(stop - start) // most) + 1).round().astype(int)
    return [_track(take, int(a), int(b)) for a, b in pairwise(edges)]


def _track(take: list[Look], start: int, stop: int) -> Track:
    frames = np.arange(start, stop)
    boxes = _between(take, frames, [np.array(look.box[:4]) for look in take])
    anchors = _between(take, frames, [look.anchors for look in take])
    yaw = None
    if all(look.yaw is not None for look in take):
        yaw = float(np.abs(_between(take, frames, [np.array(look.yaw) for look in take])).max())
    return Track(start, boxes, anchors, yaw)


def _between(take: list[Look], frames: np.ndarray, values: list[np.ndarray]) -> np.ndarray:
    """Values of looks on all frames (F,), by straight lines: (F, *shape of a value)."""
    known = np.stack(values).reshape(len(take), -1)
    columns = [np.interp(frames, [look.frame for look in take], column) for column in known.T]
    return np.stack(columns, axis=-1).reshape(len(frames), *values[0].shape)
