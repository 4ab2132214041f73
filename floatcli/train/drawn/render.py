"""Draws an identity at a motion: the picture, and where its landmarks fall."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import skia

from floatcli.train.drawn.anatomy import Template, template
from floatcli.train.drawn.brush import argb
from floatcli.train.drawn.creases import Creases
from floatcli.train.drawn.expression import TRAIT_NAMES, Shape, values
from floatcli.train.drawn.features import Features
from floatcli.train.drawn.hair import HairShells
from floatcli.train.drawn.identity import Identity, mix
from floatcli.train.drawn.landmarks import LandmarkReader
from floatcli.train.drawn.mesh import Light, Sheet, grid, texture
from floatcli.train.drawn.pose import Framing, Pose
from floatcli.train.drawn.scene import NECK, paint_clothes, paint_room
from floatcli.train.drawn.skin import SkinPainter, sheet_pixels

OVERSAMPLING = 2


class Drawing(NamedTuple):
    """One picture of a drawn person.

    Attributes:
        picture: (size, size, 3) uint8, RGB.
        landmarks: (P, 2) float32, x and y of LANDMARKS from 0 to 1 across the picture; they may lie outside it.
    """

    picture: np.ndarray
    landmarks: np.ndarray


def draw(identity: Identity, parameters: np.ndarray, size: int = 256) -> Drawing:
    """Draw a person.

    Args:
        identity: Looks.
        parameters: (20,) motion parameters, in their ranges (floatcli.train.parameters).
        size: Side of the picture, pixels.
    """
    return _portrait(identity, size).draw(values(parameters))


@lru_cache(maxsize=16)
def _portrait(identity: Identity, size: int) -> Portrait:
    return Portrait(identity, size)


class Neck:
    """A tube that follows the head at its top and stays at its foot."""

    ROWS, COLUMNS = 9, 13

    def __init__(self, identity: Identity, density: float) -> None:
        v = np.linspace(0, 1, self.ROWS)[:, None]
        angle = np.linspace(-1.75, 1.75, self.COLUMNS)[None]
        radius = (0.37 + 0.08 * (identity.shoulders - 1.3)) * (1 + 0.12 * v**3)
        x, z = radius * np.sin(angle), -0.12 + 0.9 * radius * np.cos(angle) - 0.22 * v
        y = np.broadcast_to(0.5 + (NECK + 0.12 - 0.5) * v, x.shape)
        self.points = np.stack([x, y, z], -1).reshape(-1, 3)
        self.follow = 1 - np.clip((self.points[:, 1:2] - 0.72) / (NECK - 0.04 - 0.72), 0, 1) ** 1.2
        size = (int(1.2 * density), int(0.9 * density))
        surface = skia.Surface(*size)
        dark = mix(identity.skin, (identity.skin[0] * 0.45, identity.skin[1] * 0.30, identity.skin[2] * 0.27), 0.85)
        ends = [skia.Point(0, 0.42 * size[1]), skia.Point(0, 0.9 * size[1])]
        shader = skia.GradientShader.MakeLinear(ends, [argb(dark), argb(mix(identity.skin, dark, 0.2))])
        surface.getCanvas().drawPaint(skia.Paint(Shader=shader))
        self.paint = texture(surface.makeImageSnapshot())
        across = np.broadcast_to((angle + 1.75) / 3.5 * size[0], x.shape)
        down = np.broadcast_to(v * size[1], x.shape)
        self.sheet = Sheet(np.stack([across, down], -1).reshape(-1, 2), grid(self.ROWS, self.COLUMNS))

    def draw(self, canvas: skia.Canvas, pose: Pose, framing: Framing, light: Light, pixels: float) -> None:
        """Draw the neck for a pose of the head."""
        moved = self.points + self.follow * (pose.move(self.points) - self.points)
        xy = framing.project(moved) * pixels
        shade = light.shade(self.sheet.normals(moved), 1.0)
        self.sheet.draw(canvas, xy, self.sheet.visible(xy, moved[:, 2]), shade, self.paint)


class Portrait:
    """Everything of an identity that is worked out once, and the drawing of one motion."""

    def __init__(self, identity: Identity, size: int) -> None:
        self.identity, self.size, self.pixels = identity, size, size * OVERSAMPLING
        self.template: Template = template()
        self.shape = Shape(self.template, dict(zip(TRAIT_NAMES, identity.traits, strict=True)))
        self.light = Light(identity)
        density = 240.0 * size / 256
        self.skin = texture(SkinPainter(identity, self.template, density).paint())
        self.sheet = Sheet(sheet_pixels(self.template.sheet, density), self.template.triangles)
        self.hair = HairShells(identity, 0.8 * density)
        self.neck = Neck(identity, 0.5 * density)
        self.features = Features(identity, self.shape, self.template)
        self.creases = Creases(identity, self.template)
        self.room, self.clothes = paint_room(identity, self.pixels), paint_clothes(identity, self.pixels)
        self.reader = LandmarkReader(identity, self.template, self.features)
        self.canvas_pixels = np.zeros((self.pixels, self.pixels, 4), np.uint8)
        self.surface = skia.Surface(self.canvas_pixels, colorType=skia.kRGBA_8888_ColorType)

    def draw(self, p: dict[str, float]) -> Drawing:
        """The picture at named parameter values."""
        framing, pose = self.identity.framing, Pose(p, self.identity.framing)
        skin = self.template.rest + self.template.spread @ self.shape.controls(p).astype(np.float32)
        moved = pose.move(skin)
        self._paint(p, pose, moved, framing.project(moved) * self.pixels)
        small = cv2.resize(self.canvas_pixels, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return Drawing(np.ascontiguousarray(small[..., :3]), self.reader.read(moved, pose, p))

    def _paint(self, p: dict[str, float], pose: Pose, moved: np.ndarray, xy: np.ndarray) -> None:
        canvas, framing, light = self.surface.getCanvas(), self.identity.framing, self.light
        canvas.drawImage(self.room, 0, 0)
        self.hair.draw_back(canvas, pose, framing, light, self.pixels)
        self.neck.draw(canvas, pose, framing, light, self.pixels)
        canvas.drawImage(self.clothes, 0, self.pixels - self.clothes.height())
        self.hair.draw_inside(canvas, pose, framing, light, self.pixels)
        ahead = light.shade(pose.turn(np.array([[0.0, 0.0, 1.0]])))
        stage = self.features.stage(canvas, pose, self.pixels, 0.9 * (1 - float(ahead.mean())))
        stage.ears()
        stage.eyes(xy, p)
        stage.mouth(xy, p)
        normals = self.sheet.normals(moved)
        triangles = self.sheet.visible(xy, moved[:, 2])
        self.sheet.draw(canvas, xy, triangles, light.shade(normals, 1.0), self.skin)
        self.sheet.gleam(canvas, xy, triangles, light.shine(normals))
        self.creases.draw(canvas, xy, p, stage.unit)
        stage.seam(xy)
        stage.lashes(xy, p)
        self.hair.draw_front(canvas, pose, framing, light, self.pixels)
        stage.glasses()
