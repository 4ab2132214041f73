"""From head coordinates to the picture: the turn of the head, and the camera."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np

from floatcli.config import POSE_SHIFT, POSE_ZOOM, TURN_DEGREES

PIVOT = np.array([0.0, 0.6, -0.35])  # top of the neck, about which the head turns
CAMERA = 8.0  # distance of the camera


@dataclass(frozen=True)
class Framing:
    """How an identity sits in its picture.

    Args:
        scale: Head units to widths of the picture.
        x: Picture x of the head's origin, in widths.
        y: Picture y of the head's origin.
    """

    scale: float
    x: float
    y: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Picture coordinates (..., 2), 0 to 1, of points (..., 3)."""
        near = self.scale * CAMERA / (CAMERA - points[..., 2:])
        return points[..., :2] * near + (self.x, self.y)


class Pose:
    """The motion of the head as a whole, from the last six parameters."""

    def __init__(self, p: dict[str, float], framing: Framing) -> None:
        turns = zip(("yaw", "pitch", "roll"), TURN_DEGREES, strict=True)
        yaw, pitch, roll = (radians(degrees * p[name]) for name, degrees in turns)
        turn = np.array([[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, cos(pitch), sin(pitch)], [0, -sin(pitch), cos(pitch)]])
        tilt = np.array([[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]])
        self.matrix = tilt @ nod @ turn
        self.zoom = 1 + POSE_ZOOM * p["zoom"]
        self.shift = np.array([p["shift_x"], p["shift_y"], 0]) * POSE_SHIFT / framing.scale

    def move(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the head where the pose puts them, head coordinates."""
        return ((points - PIVOT) @ self.matrix.T + PIVOT) * self.zoom + self.shift

    def turn(self, directions: np.ndarray) -> np.ndarray:
        """Directions (..., 3) turned with the head."""
        return directions @ self.matrix.T
