"""The points of a face that edits are anchored at."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from floatcli.config import ANCHORS
from floatcli.device import turn
from floatcli.face.detect import FaceBox
from floatcli.face.networks import FAN_URL, SFD_URL, Notice, network_file

#: Which of the 68 points (numbered from 0, as in 300-W) an anchor is the mean of.
POINTS_OF_ANCHOR = {
    "left_eye": range(36, 42),
    "right_eye": range(42, 48),
    "mouth_left": (48,),
    "mouth_right": (54,),
    "upper_lip": (51,),
    "lower_lip": (57,),
    "chin": (8,),
}

#: How far the tip of a nose lies before the eyes' outer corners, over the distance of these: about 45 and 90 mm.
NOSE = 0.5

#: Where anchors lie in a face's box from brow to chin, as shares of its sides.
_TYPICAL = np.array([(0.3, 0.3), (0.7, 0.3), (0.34, 0.74), (0.66, 0.74), (0.5, 0.69), (0.5, 0.81), (0.5, 0.98)])


class AnchorFinder(Protocol):
    """Anything that finds a face's anchors."""

    def anchors(self, picture: np.ndarray, box: FaceBox) -> np.ndarray | None:
        """Anchors (7, 2) x, y in pixels of a picture uint8 (H, W, 3) RGB; None where it can't tell."""
        ...


def default_anchor_finder(device: str = "cpu", notice: Notice = print) -> LandmarkNetwork | None:
    """face-alignment's landmark network on ``device``; None where its files can't be had."""
    if network_file(SFD_URL, notice) is None:  # face-alignment loads its detector along with the landmark network
        return None
    return LandmarkNetwork(device) if network_file(FAN_URL, notice) is not None else None


class LandmarkNetwork:
    """face-alignment's 68 landmarks. Its files must be in torch's cache (see ``network_file``)."""

    def __init__(self, device: str) -> None:
        from face_alignment import FaceAlignment, LandmarksType

        self._network: Any = FaceAlignment(LandmarksType.TWO_D, device=str(device), compile=False)
        self._turn = turn(device)

    def anchors(self, picture: np.ndarray, box: FaceBox) -> np.ndarray | None:
        """Anchors (7, 2) float32, x, y in pixels of a picture uint8 (H, W, 3) RGB."""
        points = self.points(picture, box)
        return None if points is None else anchors_of_landmarks(points)

    def points(self, picture: np.ndarray, box: FaceBox) -> np.ndarray | None:
        """The 68 landmarks (68, 2), x, y in pixels of a picture uint8 (H, W, 3) RGB; None where there are none."""
        with self._turn:
            found = self._network.get_landmarks_from_image(picture, detected_faces=[np.array(box[:4])])
        return found[0] if found else None


def anchors_of_landmarks(points: np.ndarray) -> np.ndarray:
    """The anchors (7, 2) float32 of 68 landmarks (68, 2)."""
    assert points.shape == (68, 2)
    return np.stack([points[list(POINTS_OF_ANCHOR[name])].mean(axis=0) for name in ANCHORS]).astype(np.float32)


def anchors_of_box(box: FaceBox) -> np.ndarray:
    """Where the anchors (7, 2) of an upright face lie in its box, on average."""
    return np.array([box.x1, box.y1]) + _TYPICAL * (box.x2 - box.x1, box.y2 - box.y1)


def box_sides(anchors: np.ndarray) -> np.ndarray:
    """Width and height (..., 2) of the box that faces with these anchors (..., 7, 2) have on average."""
    eyes, chin = [ANCHORS.index(name) for name in ("left_eye", "right_eye")], ANCHORS.index("chin")

    def spans(points: np.ndarray) -> np.ndarray:
        apart = points[..., eyes[1], :] - points[..., eyes[0], :]
        below = points[..., chin, :] - points[..., eyes, :].mean(axis=-2)
        return np.linalg.norm(np.stack([apart, below], axis=-2), axis=-1)

    return (spans(anchors) / spans(_TYPICAL)).astype(anchors.dtype)


def yaw_of_landmarks(points: np.ndarray) -> float:
    """How far a head is turned, in degrees, positive to the right as seen, by 68 landmarks (68, 2).

    By how far the tip of the nose leaves the middle of the eyes' outer corners, along the line through these: good to
    a few degrees, as noses differ.
    """
    (left, right), tip = points[[36, 45]], points[30]
    across = right - left
    share = (tip - (left + right) / 2) @ across / max(float(across @ across), 1e-6)
    return float(np.degrees(np.arctan(share / NOSE)))


def tilt_of_anchors(anchors: np.ndarray) -> float:
    """How far a head is tilted by the line through its eyes, in degrees clockwise as seen."""
    across, down = anchors[ANCHORS.index("right_eye")] - anchors[ANCHORS.index("left_eye")]
    return float(np.degrees(np.arctan2(down, across)))
