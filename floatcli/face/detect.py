"""Where the faces are in a picture: face-alignment's detector, else scikit-image's cascade."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import cv2
import numpy as np

from floatcli.device import turn
from floatcli.face.networks import SFD_URL, Notice, network_file

#: Detectors see the picture scaled to this height (SPEC section 5).
DETECTION_HEIGHT = 360
#: Boxes of one face a moment apart overlap by this at least.
FOLLOWED = 0.3

CASCADE_INSTEAD = (
    "face-alignment's detector can't be fetched: looking for frontal faces with scikit-image's cascade instead"
)


class FaceBox(NamedTuple):
    """A face from brow to chin, in pixels of the picture; it may reach beyond the picture's edges."""

    x1: float
    y1: float
    x2: float
    y2: float
    score: float = 1.0
    angle: float | None = None  # tilt in degrees, clockwise as seen; None where the detector doesn't tell

    @property
    def area(self) -> float:
        """Square pixels."""
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    def overlap(self, other: FaceBox) -> float:
        """The area both have in common, over that of both together."""
        across = min(self.x2, other.x2) - max(self.x1, other.x1)
        down = min(self.y2, other.y2) - max(self.y1, other.y1)
        common = max(across, 0.0) * max(down, 0.0)
        return common / (self.area + other.area - common)


class FaceDetector(Protocol):
    """Anything that finds faces."""

    name: str

    def detect(self, picture: np.ndarray) -> list[FaceBox]:
        """Faces in a picture uint8 (H, W, 3) RGB, the largest first."""
        ...

    def follow(self, picture: np.ndarray, box: FaceBox) -> FaceBox | None:
        """The face of a picture uint8 (H, W, 3) RGB that was at ``box`` a moment ago; None where it has gone."""
        ...


def default_detector(device: str = "cpu", notice: Notice = print, tilted: bool = True) -> FaceDetector:
    """face-alignment's detector on ``device``; where its network can't be had, the cascade, and ``notice`` says so.

    Without ``tilted`` the cascade leaves out heads far on one side, which takes most of its time where no face is.
    """
    path = network_file(SFD_URL, notice)
    if path is not None:
        return NetworkDetector(device, str(path))
    from floatcli.face.cascade import CascadeDetector

    notice(CASCADE_INSTEAD)
    return CascadeDetector(tilted)


class NetworkDetector:
    """face-alignment's SFD detector, which the published model was trained behind.

    Args:
        device: A torch device.
        path: The network's file.
    """

    name = "face-alignment"

    def __init__(self, device: str, path: str):
        from face_alignment.detection.sfd import FaceDetector as Sfd

        self._network = Sfd(device=str(device), path_to_detector=path)
        self._turn = turn(device)

    def detect(self, picture: np.ndarray) -> list[FaceBox]:
        """Faces in a picture uint8 (H, W, 3) RGB, the largest first."""
        small, scale = scaled(picture)
        with self._turn:
            found = self._network.detect_from_image(small)
        return largest_first([_box(row, scale) for row in found])

    def follow(self, picture: np.ndarray, box: FaceBox) -> FaceBox | None:
        """The face of a picture uint8 (H, W, 3) RGB that was at ``box`` a moment ago; None where it has gone."""
        nearest = max(self.detect(picture), key=box.overlap, default=None)
        return nearest if nearest is not None and box.overlap(nearest) >= FOLLOWED else None


def _box(row: np.ndarray, scale: float) -> FaceBox:
    x1, y1, x2, y2 = (float(v) / scale for v in row[:4])
    return FaceBox(x1, y1, x2, y2, score=float(row[4]))


def scaled(picture: np.ndarray) -> tuple[np.ndarray, float]:
    """The picture at the height detectors see, and the factor it was scaled by."""
    height, width = picture.shape[:2]
    scale = DETECTION_HEIGHT / height
    size = (max(1, round(width * scale)), DETECTION_HEIGHT)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), scale


def largest_first(boxes: list[FaceBox]) -> list[FaceBox]:
    return sorted(boxes, key=lambda box: -box.area)
