"""The square of a picture that is animated, and the way back from it (SPEC section 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from floatcli.checks import check_crop, parse_rectangle
from floatcli.config import CropConfig
from floatcli.errors import InputError, UsageError
from floatcli.face.detect import DETECTION_HEIGHT, FaceBox, FaceDetector
from floatcli.face.landmarks import AnchorFinder, tilt_of_anchors

#: Squares larger than this many times the picture are nearly all border.
LARGEST = 20


@dataclass(frozen=True)
class Crop:
    """A square of a picture, which may reach beyond its edges.

    Points are continuous: (0, 0) is the outer corner of the first pixel, whose centre is (0.5, 0.5).

    Attributes:
        left: Of the upright square, in pixels of the picture.
        top: Likewise.
        side: Likewise, at least 1.
        angle: Degrees clockwise, as seen, that the square is then turned by around its centre.
    """

    left: int
    top: int
    side: int
    angle: float = 0.0

    def cut(self, picture: np.ndarray, size: int) -> np.ndarray:
        """The square at another size; black beyond the picture's edges.

        Args:
            picture: uint8 (H, W, 3).
            size: Side of the result in pixels.

        Returns:
            uint8 (size, size, 3), by area interpolation where the picture is taller than 360 pixels, by cubic else.
        """
        square = self._turned(picture) if self.angle else self._upright(picture)
        tall = picture.shape[0] > DETECTION_HEIGHT
        return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if tall else cv2.INTER_CUBIC)

    def to_picture(self, points: np.ndarray, size: int) -> np.ndarray:
        """Points (..., 2) x, y of the square cut at ``size`` as points of the picture."""
        matrix = self._matrix(size)
        return points @ matrix[:, :2].T + matrix[:, 2]

    def from_picture(self, points: np.ndarray, size: int) -> np.ndarray:
        """Points (..., 2) x, y of the picture as points of the square cut at ``size``."""
        matrix = cv2.invertAffineTransform(self._matrix(size))
        return points @ matrix[:, :2].T + matrix[:, 2]

    def _matrix(self, size: int) -> np.ndarray:
        """(2, 3) from points of the square cut at ``size`` to points of the picture."""
        turn, half = np.deg2rad(self.angle), self.side / 2
        scaled = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * (self.side / size)
        centre = np.array([self.left + half, self.top + half])
        return np.column_stack([scaled, centre - scaled @ (size / 2, size / 2)])

    def _upright(self, picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        square = np.zeros((self.side, self.side, 3), np.uint8)
        x1, x2 = (min(max(x, 0), width) for x in (self.left, self.left + self.side))
        y1, y2 = (min(max(y, 0), height) for y in (self.top, self.top + self.side))
        square[y1 - self.top : y2 - self.top, x1 - self.left : x2 - self.left] = picture[y1:y2, x1:x2]
        return square

    def _turned(self, picture: np.ndarray) -> np.ndarray:
        matrix = self._matrix(self.side)
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # cv2 puts the first pixel's centre at (0, 0)
        return cv2.warpAffine(picture, matrix, (self.side, self.side), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def plan_crop(
    picture: np.ndarray,
    config: CropConfig,
    detector: FaceDetector | Callable[[], FaceDetector],
    notice: Callable[[str], None] = lambda line: None,
    name: str = "the picture",
    anchor_finder: AnchorFinder | None = None,
) -> Crop:
    """Choose the square of a picture to animate.

    Mode "auto" is section 5 around a detected face. Mode "none" is the whole picture, or of one that isn't square its
    central square. Mode "x,y,w,h" is this rectangle, its shorter side grown evenly to a square, which then moves into
    the picture as far as it fits.

    Args:
        picture: uint8 (H, W, 3) RGB.
        config: What to choose.
        detector: Finds faces, or makes what does; used in mode "auto" only.
        notice: Told in one line of several faces.
        name: Of the picture, for messages.
        anchor_finder: Tells a head's tilt more exactly than the detector does, for ``config.align``.

    Raises:
        UsageError: the settings can't be meant.
        InputError: no such face is in the picture, or the rectangle lies outside of it.
    """
    check_crop(config)
    if config.mode == "auto":
        finder = detector if hasattr(detector, "detect") else detector()
        face = _choose(finder.detect(picture), config.face, notice, name)
        anchors = anchor_finder.anchors(picture, face) if config.align and anchor_finder is not None else None
        tilt = face.angle if anchors is None else tilt_of_anchors(anchors)
        if config.align and tilt is None:
            notice(f"the tilt of the head in {name} can't be told: it is left as it is")
        crop = square_around(face, config.margin, tilt or 0.0 if config.align else 0.0)
        if crop.side > LARGEST * max(picture.shape):
            said = f"a margin of {config.margin} leaves nearly nothing of the face"
            raise UsageError(said, "1.6 shows head and shoulders")
        return crop
    height, width = picture.shape[:2]
    if config.mode == "none":
        side = min(width, height)
        return Crop((width - side) // 2, (height - side) // 2, side)
    return _rectangle(parse_rectangle(config.mode), width, height, name)


def _choose(faces: list[FaceBox], wanted: int, notice: Callable[[str], None], name: str) -> FaceBox:
    if not faces:
        raise InputError(f"no face found in {name}", "use --crop none, or --crop x,y,w,h around head and shoulders")
    if not 0 <= wanted < len(faces):
        if len(faces) == 1:
            raise InputError(f"1 face is in {name}: there is no face {wanted}", "leave --face out: it is face 0")
        said = f"{len(faces)} faces are in {name}: there is no face {wanted}"
        raise InputError(said, f"--face 0 to --face {len(faces) - 1}")
    if len(faces) > 1:
        notice(f"{len(faces)} faces in {name}: taking face {wanted}, 0 being the largest (choose with --face)")
    return faces[wanted]


def square_around(face: FaceBox, margin: float, tilt: float = 0.0) -> Crop:
    """The square around a face box, as the published model's crop: everything is truncated, then doubled.

    Raises:
        InputError: the box has no area.
    """
    x1, y1, x2, y2 = (int(value) for value in face[:4])
    half = int(max((y2 - y1) // 2, (x2 - x1) // 2) * margin)
    if half < 1:
        raise InputError("the face is too small", "use a larger picture, or a larger --margin")
    return Crop(int((x1 + x2) / 2) - half, int((y1 + y2) / 2) - half, 2 * half, tilt)


def _rectangle(rectangle: tuple[int, int, int, int], width: int, height: int, name: str) -> Crop:
    x, y, w, h = rectangle
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise InputError(f"crop {x},{y},{w},{h} lies outside {name}", f"it has {width}x{height} pixels")
    side = max(w, h)
    if side > LARGEST * max(width, height):
        raise InputError(f"crop {x},{y},{w},{h} is far larger than {name}", f"it has {width}x{height} pixels")
    return Crop(_slide(x + (w - side) // 2, side, width), _slide(y + (h - side) // 2, side, height), side)


def _slide(start: int, side: int, length: int) -> int:
    """A start moved so that the side lies within the length, where it fits."""
    return min(max(start, 0), length - side) if side <= length else start
