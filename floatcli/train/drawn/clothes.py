"""Clothes and shoulders, painted once for an identity."""

from __future__ import annotations

import cv2
import numpy as np
import skia

from floatcli.train.drawn.backdrop import clouds
from floatcli.train.drawn.body import NECK, Body
from floatcli.train.drawn.brush import argb, blob, crescent, fill, polygon, smooth, stroke
from floatcli.train.drawn.colour import BLACK, WHITE, Colour, mix
from floatcli.train.drawn.identity import Identity
from floatcli.train.drawn.light import Light
from floatcli.train.drawn.mesh import Surface

MARGIN = 0.16  # beyond the picture, in its widths: what the shoulders may bring in


class Clothes:
    """Shoulders and clothes of one identity on a clear ground, in a picture ``side`` pixels square."""

    def __init__(self, identity: Identity, light: Light, side: int) -> None:
        framing = identity.framing
        self.unit = side * framing.scale
        self.x, self.y = side * framing.x, side * framing.y
        self.left, self.top = -MARGIN * side, max(self.y + self.unit * (NECK - 0.42), 0.0)
        width, height = int((1 + 2 * MARGIN) * side), max(int((1 + MARGIN) * side - self.top), 1)
        pixels = np.zeros((height, width, 4), np.uint8)
        canvas = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType).getCanvas()
        canvas.translate(self.x - self.left, self.y - self.top)
        canvas.scale(self.unit, self.unit)
        Wardrobe(identity, canvas).paint()
        pixels[..., :3] = np.minimum(pixels[..., :3] * self._light(identity, light, width, height), pixels[..., 3:])
        self.image, self.opacity = skia.Image.fromarray(pixels, colorType=skia.kRGBA_8888_ColorType), pixels[..., 3]

    def _light(self, identity: Identity, light: Light, width: int, height: int) -> np.ndarray:
        """Light on chest and shoulders, folds and weave: factors (height, width, 3)."""
        rng, side = np.random.default_rng(identity.seed + 5), 96
        x, y = np.meshgrid(np.linspace(0, width, side), np.linspace(0, height, side))
        x = (x + self.left - self.x) / self.unit
        y = (y + self.top - self.y) / self.unit - NECK
        folds = clouds(rng, side, 3, 0.7)
        slope = np.clip(0.75 * x / identity.shoulders + 0.22 * cv2.Sobel(folds, cv2.CV_32F, 1, 0), -0.97, 0.97)
        up = -0.75 * np.exp(-y / 0.35) + 0.18 * cv2.Sobel(folds, cv2.CV_32F, 0, 1)
        normals = np.stack([slope, up, np.sqrt(np.clip(1.05 - slope**2, 0.05, 1))], -1).reshape(-1, 3)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        shade = cv2.resize(light.shade(normals).reshape(side, side, 3).astype(np.float32), (width, height))
        weave = rng.standard_normal((height // 2 + 1, width // 2 + 1)).astype(np.float32)
        return 1.12 * shade * (1 + rng.choice([0.02, 0.05, 0.10]) * cv2.resize(weave, (width, height)))[..., None]

    def surface(self, body: Body) -> Surface:
        """The clothes where the body is: a rectangle."""
        height, width = self.opacity.shape
        texels = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
        corners = (texels + np.array([self.left - self.x, self.top - self.y])) / self.unit
        moved = body.move(np.concatenate([corners, np.zeros((4, 1))], 1))[:, :2] * self.unit + (self.x, self.y)
        return Surface(moved, np.array([(0, 1, 2), (0, 2, 3)]), texels, self.opacity)

    def draw(self, canvas: skia.Canvas, body: Body) -> None:
        """Draw the clothes where the body is."""
        canvas.save()
        canvas.translate(self.x, self.y)
        canvas.scale(self.unit, self.unit)
        body.place(canvas)
        canvas.scale(1 / self.unit, 1 / self.unit)
        sampling = skia.SamplingOptions(skia.FilterMode.kLinear)
        canvas.drawImage(self.image, self.left - self.x, self.top - self.y, sampling)
        canvas.restore()


class Wardrobe:
    """Paints one identity's shoulders in head units."""

    def __init__(self, identity: Identity, canvas: skia.Canvas) -> None:
        self.identity, self.canvas = identity, canvas
        self.cloth, self.trim = identity.cloth, identity.trim

    def paint(self) -> None:
        """Chest, clothes, collar."""
        deep = {"vee": 0.45, "shirt": 0.22, "suit": 0.2, "crew": 0.14, "hoodie": 0.2, "polo": 0.0}[
            self.identity.clothes
        ]
        if deep:
            chest = smooth(
                [
                    (-0.40, NECK - 0.08),
                    (-0.3, NECK + deep),
                    (0, NECK + deep + 0.3),
                    (0.3, NECK + deep),
                    (0.40, NECK - 0.08),
                ],
                21,
            )
            skin = mix(self.identity.skin, BLACK, 0.12)
            shader = skia.GradientShader.MakeLinear(
                [skia.Point(0, NECK - 0.06), skia.Point(0, NECK + 0.16)], [argb(skin, 0), argb(skin)]
            )
            self.canvas.drawPath(polygon(chest), skia.Paint(Shader=shader, AntiAlias=True))
            for sign in (-1, 1):
                blob(self.canvas, (sign * 0.18, NECK + 0.16), (0.16, 0.07), mix(skin, BLACK, 0.4), 0.22)
        self._body(deep)
        getattr(self, f"_{self.identity.clothes}")()

    def _body(self, deep: float) -> None:
        wide = self.identity.shoulders
        cut = [
            (-0.40, NECK - 0.12),
            (-0.22, NECK + 0.35 * deep),
            (0, NECK + deep),
            (0.22, NECK + 0.35 * deep),
            (0.40, NECK - 0.12),
        ]
        if self.identity.clothes == "crew":
            cut = [
                (-0.42, NECK - 0.10),
                (-0.26, NECK + 0.08),
                (0, NECK + 0.13),
                (0.26, NECK + 0.08),
                (0.42, NECK - 0.10),
            ]
        right = smooth(
            [
                (0.40, NECK - 0.12),
                (0.62, NECK + 0.02),
                (wide * 0.85, NECK + 0.18),
                (wide, NECK + 0.5),
                (wide * 1.05, NECK + 1.5),
            ],
            21,
        )
        left = right[::-1] * (-1, 1)
        outline = np.concatenate([left, smooth(cut, 17), right])
        self.canvas.drawPath(polygon(outline), fill(self.cloth))
        self.canvas.save()
        self.canvas.clipPath(polygon(outline), True)
        self._pattern()
        self.canvas.restore()
        self.outline, self.neckline = outline, smooth(cut, 17)

    def _pattern(self) -> None:
        """Stripes, checks or nothing, and the shadow of the head."""
        rng, wide = np.random.default_rng(self.identity.seed + 10), self.identity.shoulders * 1.1
        kind, step = rng.choice(["none", "none", "none", "stripes", "checks"]), rng.uniform(0.05, 0.16)
        if kind != "none":
            for y in np.arange(NECK - 0.2, NECK + 1.6, step):
                self.canvas.drawLine(-wide, y, wide, y, stroke(self.trim, 0.4 * step, 0.55))
        if kind == "checks":
            for x in np.arange(-wide, wide, step):
                self.canvas.drawLine(x, NECK - 0.2, x, NECK + 1.6, stroke(mix(self.trim, BLACK, 0.3), 0.4 * step, 0.45))
        blob(self.canvas, (0.0, NECK), (0.6, 0.45), BLACK, 0.35)

    def _edge(self, width: float, colour: Colour) -> None:
        path = skia.Path.Polygon([skia.Point(*p) for p in self.neckline.tolist()], False)
        self.canvas.drawPath(path, stroke(mix(colour, BLACK, 0.5), width * 1.35, 0.5))
        self.canvas.drawPath(path, stroke(colour, width))

    def _crew(self) -> None:
        self._edge(0.05, mix(self.cloth, BLACK, 0.15))

    def _vee(self) -> None:
        self._edge(0.035, mix(self.cloth, BLACK, 0.2))

    def _polo(self) -> None:
        roll = smooth([(-0.40, NECK - 0.34), (0, NECK - 0.20), (0.40, NECK - 0.34)], 15)
        base = smooth([(0.43, NECK - 0.02), (0, NECK + 0.14), (-0.43, NECK - 0.02)], 15)
        tube = polygon(np.concatenate([roll, base]))
        ends = [skia.Point(-0.45, 0), skia.Point(0.45, 0)]
        tones = [argb(mix(self.cloth, BLACK, share)) for share in (0.42, 0.0, 0.36)]
        self.canvas.drawPath(tube, skia.Paint(Shader=skia.GradientShader.MakeLinear(ends, tones), AntiAlias=True))
        for (x, y), (x2, y2) in zip(roll.tolist(), base[::-1].tolist(), strict=True):
            self.canvas.drawLine(x, y + 0.02, x2, y2, stroke(mix(self.cloth, BLACK, 0.6), 0.012, 0.25))
        self.canvas.drawPath(crescent(roll, 0.05, 0.0), fill(mix(self.cloth, BLACK, 0.4), 0.6))

    def _shirt(self) -> None:
        for sign in (-1, 1):
            flap = np.array([(0.38, NECK - 0.20), (0.45, NECK + 0.04), (0.30, NECK + 0.36), (0.03, NECK + 0.20)]) * (
                sign,
                1,
            )
            self.canvas.drawPath(polygon(flap), stroke(BLACK, 0.03, 0.15))
            self.canvas.drawPath(polygon(flap), fill(mix(self.trim, WHITE, 0.25)))
            self.canvas.drawPath(polygon(flap), stroke(mix(self.trim, BLACK, 0.5), 0.008, 0.5))
        self.canvas.drawLine(0, NECK + 0.2, 0, NECK + 1.5, stroke(mix(self.cloth, BLACK, 0.5), 0.01, 0.6))

    def _suit(self) -> None:
        chest = polygon(np.array([(-0.36, NECK - 0.1), (0.36, NECK - 0.1), (0.1, NECK + 1.4), (-0.1, NECK + 1.4)]))
        self.canvas.drawPath(chest, fill(mix(self.trim, WHITE, 0.7)))
        tie = np.array(
            [
                (-0.07, NECK + 0.16),
                (0.07, NECK + 0.16),
                (0.05, NECK + 0.3),
                (0.12, NECK + 1.4),
                (-0.12, NECK + 1.4),
                (-0.05, NECK + 0.3),
            ]
        )
        if self.identity.seed % 3:
            self.canvas.drawPath(polygon(tie), fill(self.trim))
        for sign in (-1, 1):
            flap = np.array([(0.36, NECK - 0.18), (0.42, NECK + 0.02), (0.24, NECK + 0.32), (0.02, NECK + 0.16)]) * (
                sign,
                1,
            )
            self.canvas.drawPath(polygon(flap), fill(mix(self.trim, WHITE, 0.8)))
            self.canvas.drawPath(polygon(flap), stroke(BLACK, 0.008, 0.3))
            lapel = np.array(
                [(0.40, NECK - 0.1), (0.62, NECK + 0.25), (0.5, NECK + 0.4), (0.56, NECK + 0.5), (0.1, NECK + 1.5)]
            ) * (sign, 1)
            self.canvas.drawPath(polygon(lapel), fill(mix(self.cloth, BLACK, 0.12)))
            self.canvas.drawPath(polygon(lapel), stroke(BLACK, 0.012, 0.4))

    def _hoodie(self) -> None:
        for sign in (-1, 1):
            hood = smooth(
                [(sign * 0.36, NECK - 0.2), (sign * 0.56, NECK), (sign * 0.4, NECK + 0.25), (sign * 0.06, NECK + 0.3)],
                15,
            )
            self.canvas.drawPath(polygon(hood), fill(mix(self.cloth, WHITE, 0.10)))
            self.canvas.drawPath(polygon(hood), stroke(BLACK, 0.02, 0.25))
            self.canvas.drawLine(sign * 0.13, NECK + 0.26, sign * 0.16, NECK + 0.9, stroke(WHITE, 0.025, 0.6))
