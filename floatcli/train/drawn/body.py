"""What carries the head: shoulders that come some of the way with it, and the neck between."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
import skia

from floatcli.config import POSE_SHIFT, POSE_ZOOM, TURN_DEGREES
from floatcli.train.drawn.brush import argb
from floatcli.train.drawn.colour import fold_tone, mix
from floatcli.train.drawn.complexion import complexion
from floatcli.train.drawn.identity import Identity
from floatcli.train.drawn.light import Light
from floatcli.train.drawn.mesh import Sheet, Surface, grid, texture
from floatcli.train.drawn.pose import Framing, Pose

NECK = 1.32  # y of the base of the neck
SEAT = np.array([0.0, NECK + 1.2, 0.0])  # about which the shoulders tilt
SHIFT, LEAN, GROW = 0.55, 0.14, 0.6  # how far they follow shift, roll and zoom
SWING, NOD = 0.05, 0.02  # how far they move for yaw and pitch, head units


class Body:
    """Where the shoulders are for the motion of the head: a similarity of the picture's plane."""

    def __init__(self, p: dict[str, float], framing: Framing) -> None:
        lean = radians(LEAN * TURN_DEGREES[2] * p["roll"])
        self.scale = 1 + GROW * POSE_ZOOM * p["zoom"]
        self.matrix = self.scale * np.array([[cos(lean), -sin(lean)], [sin(lean), cos(lean)]])
        self.shift = SHIFT * POSE_SHIFT / framing.scale * np.array([p["shift_x"], p["shift_y"]])
        self.shift += np.array([SWING * p["yaw"], NOD * p["pitch"]])

    def move(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the body where the motion puts them, head coordinates."""
        flat = (points - SEAT)[..., :2] @ self.matrix.T + SEAT[:2] + self.shift
        return np.concatenate([flat, points[..., 2:] * self.scale], -1)

    def place(self, canvas: skia.Canvas) -> None:
        """From now on the canvas, in head units, moves with the body."""
        (a, b), (c, d) = self.matrix.tolist()
        x, y = (SEAT[:2] + self.shift - self.matrix @ SEAT[:2]).tolist()
        canvas.concat(skia.Matrix.MakeAll(a, b, x, c, d, y, 0, 0, 1))


@dataclass(frozen=True)
class View:
    """One picture in the making: where everything is, the light, and the canvas of so many pixels a side."""

    canvas: skia.Canvas
    pose: Pose
    body: Body
    framing: Framing
    light: Light
    pixels: int

    def between(self, points: np.ndarray, follow: np.ndarray) -> np.ndarray:
        """Points (N, 3) that follow the head by their share (N, 1), and the body by the rest."""
        carried = self.body.move(points)
        return carried + follow * (self.pose.move(points) - carried)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3)."""
        return self.framing.project(points) * self.pixels

    @property
    def unit(self) -> float:
        """Pixels a head unit."""
        return self.framing.scale * self.pixels * self.pose.zoom


class Neck:
    """A tube that follows the head at its top and the shoulders at its foot."""

    ROWS, COLUMNS = 9, 13
    MARKS = ((4, 4), (4, 6), (4, 8), (6, 3), (6, 6), (6, 9))  # rows and columns that are followed between pictures

    def __init__(self, identity: Identity, density: float) -> None:
        v = np.linspace(0, 1, self.ROWS)[:, None]
        angle = np.linspace(-1.75, 1.75, self.COLUMNS)[None]
        radius = (0.385 + 0.14 * (identity.shoulders - 1.3)) * (1 + 0.16 * v**3)
        x, z = radius * np.sin(angle), -0.12 + 0.9 * radius * np.cos(angle) - 0.22 * v
        y = np.broadcast_to(0.5 + (NECK + 0.12 - 0.5) * v, x.shape)
        self.points = np.stack([x, y, z], -1).reshape(-1, 3)
        self.follow = 1 - np.clip((self.points[:, 1:2] - 0.72) / (NECK - 0.04 - 0.72), 0, 1) ** 1.2
        size = (int(1.2 * density), int(0.9 * density))
        self.paint = texture(_paint(identity, *size))
        across = np.broadcast_to((angle + 1.75) / 3.5 * size[0], x.shape)
        down = np.broadcast_to(v * size[1], x.shape)
        self.sheet = Sheet(np.stack([across, down], -1).reshape(-1, 2), grid(self.ROWS, self.COLUMNS))

    def marks(self) -> tuple[np.ndarray, np.ndarray]:
        """The places of ``MARKS`` at rest (N, 3), and how far they follow the head (N, 1)."""
        chosen = [row * self.COLUMNS + column for row, column in self.MARKS]
        return self.points[chosen], self.follow[chosen]

    def surface(self, view: View) -> Surface:
        """The neck in one picture."""
        return self._seen(view, view.between(self.points, self.follow))

    def draw(self, view: View) -> None:
        """Draw the neck."""
        moved = view.between(self.points, self.follow)
        xy, triangles, *_ = self._seen(view, moved)
        shade = view.light.shade(self.sheet.normals(moved), 1.0)
        self.sheet.draw(view.canvas, xy, triangles, shade, self.paint)

    def _seen(self, view: View, moved: np.ndarray) -> Surface:
        xy = view.project(moved)
        return Surface(xy, self.sheet.visible(xy, moved[:, 2]))


def _paint(identity: Identity, width: int, height: int) -> skia.Image:
    """Skin in the chin's shadow, with its sinews and the lines of age."""
    pixels = np.zeros((height, width, 4), np.uint8)
    canvas = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType).getCanvas()
    skin, dark = identity.skin, mix(identity.skin, fold_tone(identity.skin), 0.55)
    ends = [skia.Point(0, 0.42 * height), skia.Point(0, 0.95 * height)]
    shader = skia.GradientShader.MakeLinear(ends, [argb(dark), argb(mix(skin, dark, 0.15))])
    canvas.drawPaint(skia.Paint(Shader=shader))
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(0, 1, height))
    sinew = np.exp(-(((np.abs(x) - 0.42 + 0.3 * y) / 0.07) ** 2)) - np.exp(
        -(((np.abs(x) - 0.30 + 0.3 * y) / 0.10) ** 2)
    )
    rings = sum(np.exp(-(((y - at - 0.05 * x * x) / 0.012) ** 2)) for at in (0.62, 0.75, 0.86))
    relief = 1 + 0.09 * sinew * y - (0.015 + 0.08 * identity.age) * rings
    factor = complexion(identity, width, height) * relief[..., None]
    pixels[..., :3] = np.clip(pixels[..., :3] * factor, 0, 255)
    return skia.Image.fromarray(pixels, colorType=skia.kRGBA_8888_ColorType)
