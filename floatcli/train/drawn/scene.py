"""What does not move: the room behind and the clothes below, painted once for an identity."""

from __future__ import annotations

import numpy as np
import skia

from floatcli.train.drawn.brush import argb, blob, crescent, fill, polygon, smooth, stroke
from floatcli.train.drawn.identity import Colour, Identity, mix

BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
NECK = 1.32  # y of the base of the neck


def paint_room(identity: Identity, side: int) -> skia.Image:
    """The background, ``side`` pixels square."""
    surface = skia.Surface(side, side)
    canvas = surface.getCanvas()
    canvas.scale(side, side)
    rng = np.random.default_rng(identity.seed + 4)
    one, two = identity.walls
    canvas.clear(argb(one))
    ROOM_PAINTERS[identity.room](canvas, rng, one, two)
    if rng.random() < 0.5:
        blob(canvas, rng.uniform(0, 1, 2), (0.9, 0.9), WHITE, rng.uniform(0, 0.25))
    return surface.makeImageSnapshot()


def _gradient(canvas: skia.Canvas, rng: np.random.Generator, one: Colour, two: Colour) -> None:
    ends = [skia.Point(*rng.uniform(0, 1, 2).tolist()), skia.Point(*rng.uniform(0, 1, 2).tolist())]
    canvas.drawPaint(skia.Paint(Shader=skia.GradientShader.MakeLinear(ends, [argb(one), argb(two)])))


def _plain(canvas: skia.Canvas, rng: np.random.Generator, one: Colour, two: Colour) -> None:
    blob(canvas, (0.5, 0.45), (0.9, 0.9), mix(one, WHITE, rng.uniform(0, 0.4)), 0.8)


def _bokeh(canvas: skia.Canvas, rng: np.random.Generator, one: Colour, two: Colour) -> None:
    _gradient(canvas, rng, one, two)
    for _ in range(14):
        radius = rng.uniform(0.02, 0.12)
        blob(
            canvas,
            rng.uniform(0, 1, 2),
            (radius, radius),
            mix(two, WHITE, rng.uniform(0, 0.7)),
            rng.uniform(0.1, 0.6),
            core=0.8,
        )


def _stripes(canvas: skia.Canvas, rng: np.random.Generator, one: Colour, two: Colour) -> None:
    canvas.save()
    canvas.rotate(float(rng.choice([0, 90, 30])), 0.5, 0.5)
    step = rng.uniform(0.05, 0.2)
    for x in np.arange(-0.4, 1.4, step):
        canvas.drawRect(skia.Rect.MakeXYWH(float(x), -0.5, step * 0.5, 2), fill(two, rng.uniform(0.2, 0.7)))
    canvas.restore()


def _indoor(canvas: skia.Canvas, rng: np.random.Generator, one: Colour, two: Colour) -> None:
    _gradient(canvas, rng, one, mix(one, two, 0.5))
    for _ in range(int(rng.integers(2, 7))):
        x, y = rng.uniform(-0.2, 0.9, 2)
        w, h = rng.uniform(0.1, 0.6, 2)
        tone = mix(mix(one, two, rng.uniform(0, 1)), WHITE if rng.random() < 0.5 else BLACK, rng.uniform(0, 0.5))
        paint = fill(tone, rng.uniform(0.4, 1))
        if rng.random() < 0.7:
            paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, 0.012))
        canvas.drawRect(skia.Rect.MakeXYWH(float(x), float(y), float(w), float(h)), paint)


def _outdoor(canvas: skia.Canvas, rng: np.random.Generator, one: Colour, two: Colour) -> None:
    horizon = rng.uniform(0.3, 0.8)
    sky, ground = mix(one, (0.65, 0.8, 0.95), 0.6), mix(two, (0.25, 0.4, 0.18), 0.6)
    canvas.drawRect(skia.Rect.MakeLTRB(0, 0, 1, 1), fill(sky))
    blob(canvas, (0.5, 1.1), (1.4, 1.15 - horizon), ground, 1.0, core=0.75)
    for _ in range(26):
        tone = mix(ground, WHITE if rng.random() < 0.35 else BLACK, rng.uniform(0, 0.5))
        size = rng.uniform(0.03, 0.2, 2)
        blob(
            canvas,
            (rng.uniform(0, 1), horizon + abs(rng.normal(0, 0.2)) - 0.05),
            tuple(size),
            tone,
            rng.uniform(0.2, 0.7),
            core=0.3,
        )


def _noise(canvas: skia.Canvas, rng: np.random.Generator, one: Colour, two: Colour) -> None:
    cells = int(rng.choice([4, 8, 24, 64]))
    share = np.clip(rng.normal(0.5, 0.3, (cells, cells, 1)), 0, 1)
    rgb = np.array(one) * (1 - share) + np.array(two) * share
    pixels = np.dstack([np.round(255 * rgb), np.full((cells, cells, 1), 255)]).astype(np.uint8)
    image = skia.Image.fromarray(pixels, colorType=skia.kRGBA_8888_ColorType)
    canvas.drawImageRect(image, skia.Rect.MakeWH(1, 1), skia.SamplingOptions(skia.CubicResampler.Mitchell()))


ROOM_PAINTERS = {"plain": _plain, "gradient": _gradient, "bokeh": _bokeh, "stripes": _stripes, "indoor": _indoor,
                 "outdoor": _outdoor, "noise": _noise}  # fmt: skip


def paint_clothes(identity: Identity, side: int) -> skia.Image:
    """Shoulders and clothes on a clear ground: the lowest rows of a picture ``side`` pixels square."""
    framing = identity.framing
    top = min(max(int(side * (framing.y + framing.scale * (NECK - 0.4))), 0), side - 1)
    surface = skia.Surface(side, side - top)
    canvas = surface.getCanvas()
    canvas.clear(0)
    canvas.translate(side * framing.x, side * framing.y - top)
    canvas.scale(side * framing.scale, side * framing.scale)
    Wardrobe(identity, canvas).paint()
    return surface.makeImageSnapshot()


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
        lit = self.identity.light[0]
        blob(self.canvas, (lit * 1.1, NECK + 0.3), (0.9, 0.8), WHITE, 0.16)
        blob(self.canvas, (-lit * 1.2, NECK + 0.6), (1.0, 1.0), BLACK, 0.35)
        rng = np.random.default_rng(self.identity.seed + 5)
        for _ in range(7):
            x = rng.uniform(-wide, wide)
            fold = smooth(
                [(x, NECK + rng.uniform(0.05, 0.4)), (x * 0.8 + rng.normal(0, 0.1), NECK + 0.5), (x * 0.9, NECK + 0.9)],
                9,
            )
            self.canvas.drawPath(
                skia.Path.Polygon([skia.Point(*p) for p in fold.tolist()], False), stroke(BLACK, 0.07, 0.06)
            )
        self.canvas.restore()
        self.outline, self.neckline = outline, smooth(cut, 17)

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
