"""Draws an identity at a motion: the picture, and where its landmarks fall."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import skia

from floatcli.train.drawn.anatomy import SIDES, Template, holes, template
from floatcli.train.drawn.backdrop import paint_backdrop
from floatcli.train.drawn.beard import Whiskers
from floatcli.train.drawn.body import Body, Neck, View
from floatcli.train.drawn.camera import Development
from floatcli.train.drawn.clothes import Clothes
from floatcli.train.drawn.complexion import glints
from floatcli.train.drawn.creases import Creases
from floatcli.train.drawn.displacement import see
from floatcli.train.drawn.expression import TRAIT_NAMES, Shape, values
from floatcli.train.drawn.features import Features, ear
from floatcli.train.drawn.hair import HairShells
from floatcli.train.drawn.identity import Identity
from floatcli.train.drawn.landmarks import LandmarkReader
from floatcli.train.drawn.light import Light
from floatcli.train.drawn.mesh import Sheet, Surface, texture
from floatcli.train.drawn.pose import Pose
from floatcli.train.drawn.skin import SkinPainter, gloss, sheet_pixels

OVERSAMPLING = 2


class Drawing(NamedTuple):
    """One picture of a drawn person.

    Attributes:
        picture: (size, size, 3) uint8, RGB.
        matte: (size, size) uint8, how far the person hides what is behind.
        landmarks: (P, 2) float32, x and y of LANDMARKS from 0 to 1 across the picture; they may lie outside it, and do
            so where they are hidden.
    """

    picture: np.ndarray
    matte: np.ndarray
    landmarks: np.ndarray


def draw(identity: Identity, parameters: np.ndarray, size: int = 256) -> Drawing:
    """Draw a person.

    Args:
        identity: Looks.
        parameters: (20,) motion parameters, in their ranges (floatcli.train.parameters).
        size: Side of the picture, pixels.
    """
    return _portrait(identity, size).draw(values(parameters))


def place_landmarks(identity: Identity, parameters: np.ndarray, size: int = 256) -> np.ndarray:
    """The landmarks (P, 2) of ``draw``, without the picture: in a small part of its time."""
    return _portrait(identity, size).landmarks(values(parameters))


def displacements(identity: Identity, source: np.ndarray, targets: np.ndarray, size: int = 256) -> np.ndarray:
    """Where what is seen in one drawing goes in others.

    Args:
        identity: Looks.
        source: (20,) motion parameters of the one.
        targets: (F, 20) of the others.
        size: As for ``draw``.

    Returns:
        (F, S, S, 2) float32, S = ``CELLS``: how far what the middles of cells show goes to the right and down, 1 being
        the whole picture; NaN where that is the backdrop.
    """
    return _portrait(identity, size).displacements(values(source), [values(row) for row in targets])


@lru_cache(maxsize=16)
def _portrait(identity: Identity, size: int) -> Portrait:
    return Portrait(identity, size)


class Portrait:
    """Everything of an identity that is worked out once, and the drawing of one motion."""

    def __init__(self, identity: Identity, size: int) -> None:
        self.identity, self.size, self.pixels = identity, size, size * OVERSAMPLING
        self.template: Template = template()
        self.shape = Shape(self.template, dict(zip(TRAIT_NAMES, identity.traits, strict=True)))
        self.light = Light(identity.lighting, identity.gloss)
        density = 240.0 * size / 256
        self.skin = texture(SkinPainter(identity, self.template, density).paint())
        self.sheet = Sheet(sheet_pixels(self.template.sheet, density), self.template.triangles)
        self.gloss = gloss(self.template, identity.makeup)
        self.hair, self.neck = HairShells(identity, 0.8 * density), Neck(identity, 0.5 * density)
        self.features = Features(identity, self.shape, self.template, self.light)
        self.creases, self.whiskers = Creases(identity, self.template), Whiskers(identity)
        self.backdrop, self.clothes = paint_backdrop(identity, self.pixels), Clothes(identity, self.light, self.pixels)
        self.reader = LandmarkReader(identity, self.template, self.features, self.hair, self.neck)
        self.development = Development(identity.camera, size)
        rings = holes(self.template.groups)
        self.plates = np.array([(a, b, c) for a, *rest in rings for b, c in pairwise(rest)])
        self.canvas_pixels = np.zeros((self.pixels, self.pixels, 4), np.uint8)
        self.surface = skia.Surface(self.canvas_pixels, colorType=skia.kRGBA_8888_ColorType)

    def draw(self, p: dict[str, float]) -> Drawing:
        """The picture at named parameter values."""
        view = self._view(p)
        canvas, moved = view.canvas, self._moved(view, p)
        canvas.clear(0)
        self._paint(view, p, moved)
        matte = cv2.resize(self.canvas_pixels[..., 3], (self.size, self.size), interpolation=cv2.INTER_AREA)
        canvas.drawImage(self.backdrop, 0, 0, skia.SamplingOptions(), skia.Paint(BlendMode=skia.BlendMode.kDstOver))
        small = cv2.resize(self.canvas_pixels, (self.size, self.size), interpolation=cv2.INTER_AREA)
        noise = np.random.default_rng((self.identity.seed, *np.array(list(p.values())).view(np.uint64)))
        picture = self.development.picture(np.ascontiguousarray(small[..., :3]), noise)
        return Drawing(picture, matte, self.reader.read(moved, view, p))

    def landmarks(self, p: dict[str, float]) -> np.ndarray:
        """Those of the drawing, without drawing it."""
        view = self._view(p)
        return self.reader.read(self._moved(view, p), view, p)

    def displacements(self, source: dict[str, float], targets: Sequence[dict[str, float]]) -> np.ndarray:
        """From the drawing at named parameter values to those at others, (F, S, S, 2)."""
        shown = self._surfaces(source)
        seen = see(shown, self.pixels)
        places = np.stack([seen.places(self._surfaces(p)) for p in targets])
        return ((places - seen.places(shown)) / self.pixels).astype(np.float32)

    def _surfaces(self, p: dict[str, float]) -> list[Surface]:
        """What hides the backdrop, far ones first; eyes and the inside of the mouth as plates between their rims."""
        view = self._view(p)
        moved = self._moved(view, p)
        xy = view.project(moved)
        back, inside, front = self.hair.surfaces(view)
        ears = (_ear(view, side) for side in SIDES)
        skin = Surface(xy, self.plates), Surface(xy, self.sheet.visible(xy, moved[:, 2]))
        all_ = (back, self.neck.surface(view), self.clothes.surface(view.body), inside, *ears, *skin, front)
        return [each for each in all_ if each is not None]

    def _view(self, p: dict[str, float]) -> View:
        framing = self.identity.framing
        canvas = self.surface.getCanvas()
        return View(canvas, Pose(p, framing), Body(p, framing), framing, self.light, self.pixels)

    def _moved(self, view: View, p: dict[str, float]) -> np.ndarray:
        """The skin's vertices (V, 3), by expression and pose."""
        controls = self.shape.controls(p).astype(np.float32)
        return view.pose.move(self.template.rest + self.template.spread @ controls)

    def _paint(self, view: View, p: dict[str, float], moved: np.ndarray) -> None:
        canvas, light, xy = view.canvas, view.light, view.project(moved)
        self.hair.draw_back(view)
        self.neck.draw(view)
        self.clothes.draw(canvas, view.body)
        self.hair.draw_inside(view)
        ahead = light.shade(view.pose.turn(np.array([[0.0, 0.0, 1.0]])))
        stage = self.features.stage(canvas, view.pose, self.pixels, 0.9 * (1 - float(ahead.mean())))
        stage.ears()
        normals = self.sheet.normals(moved)
        shade = light.shade(normals, 1.0)
        stage.eyes(xy, shade, p)
        stage.mouth(xy, p)
        triangles = self.sheet.visible(xy, moved[:, 2])
        self.sheet.draw(canvas, xy, triangles, shade, self.skin, light.shine(normals, self.gloss), glints())
        self.creases.draw(canvas, xy, p, stage.unit)
        stage.seam(xy)
        stage.lashes(xy, p)
        self.whiskers.draw(canvas, xy, view.pose, stage.unit, ahead[0])
        glasses = self.features.glasses
        glasses.shadow(canvas, stage.place, stage.unit)
        self.hair.draw_front(view)
        glasses.draw(canvas, stage.place, view.pose, stage.unit)


def _ear(view: View, side: str) -> Surface:
    """An ear in one picture, as an ellipse."""
    middle, across, down = ear(side)
    turn = np.linspace(0, 2 * np.pi, 13)[:-1, None]
    rim = view.project(view.pose.move(middle + np.cos(turn) * across + np.sin(turn) * down))
    return Surface(rim, np.array([(0, k, k + 1) for k in range(1, 11)]))
