"""How hair is painted: locks and strands, curls and caps, on the unrolled shells around the skull."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import skia

from floatcli.train.drawn.brush import argb, blob, fill, hairs, polygon, smooth, soften, stroke
from floatcli.train.drawn.colour import BLACK, WHITE, Colour, mix
from floatcli.train.drawn.identity import Identity

Line = Callable[[np.ndarray], np.ndarray]  # angles (N,) -> v at which the hair ends (N,)
TOP = -1.04  # first row of the shells
LOOSE = ("bob", "long", "curly", "afro")  # hair that hangs beside the face

# Hairline of the front shell: angle from the middle, v where the hair ends; the middle is the identity's own.
_SHORT = (
    (0.35, -0.60),
    (0.62, -0.52),
    (0.85, -0.36),
    (1.02, -0.10),
    (1.12, 0.16),
    (1.30, 0.18),
    (1.38, -0.14),
    (1.8, -0.10),
)
_RING = ((0.0, -1.4), (0.8, -1.4), (1.0, -0.42), (1.08, -0.05), (1.14, 0.14), (1.30, 0.14), (1.38, -0.14), (1.8, -0.10))


def times(colour: Colour, share: float) -> Colour:
    """A colour made darker, or lighter and paler."""
    lifted = max(share - 1, 0.0) * 0.06
    r, g, b = (min(c * share + lifted, 1.0) for c in colour)
    return r, g, b


class Locks:
    """Paints one identity's hair, down to ``bottom``."""

    def __init__(self, identity: Identity, bottom: float) -> None:
        self.identity, self.hair, self.bottom = identity, identity.hair, bottom
        self.rng = np.random.default_rng(identity.seed + 1)

    def textures(self, reach: float, scale: np.ndarray, size: np.ndarray, back: bool) -> tuple[skia.Image, skia.Image]:
        """The painted shell, and where its strands shine: pictures of ``size`` at ``scale`` pixels a unit."""
        pixels = np.zeros((int(size[1]), int(size[0]), 4), np.uint8)
        canvas = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType).getCanvas()
        canvas.scale(*scale.tolist())
        canvas.translate(reach, -TOP)
        if back:
            self.back(canvas)
        else:
            self.front(canvas)
        streaks = self._streaks(reach, scale, size)
        if self.hair.style not in ("bald", "beanie") and not (back and self.hair.style == "ring"):
            lit = pixels[..., :3] * np.clip(1 + 0.26 * streaks, 0.4, 1.8)[..., None]
            pixels[..., :3] = np.minimum(lit, pixels[..., 3:])  # colours are premultiplied
        if self.hair.swept and not back and self.hair.style not in ("beanie", "afro", "curly"):
            self._thin(pixels, streaks, reach, scale)
        grey = pixels[..., 3] * np.clip(0.5 + 0.42 * streaks, 0, 1) * (0.15 if self.hair.style == "beanie" else 1)
        shine = np.dstack([grey] * 4).astype(np.uint8)  # it adds where hair is, and nothing between
        kind = skia.kRGBA_8888_ColorType
        return skia.Image.fromarray(pixels, colorType=kind), skia.Image.fromarray(shine, colorType=kind)

    def _thin(self, pixels: np.ndarray, streaks: np.ndarray, reach: float, scale: np.ndarray) -> None:
        """Hair combed back begins strand by strand: thin and clear at the hairline above the forehead."""
        height, width = streaks.shape
        angle, v = np.linspace(-reach, reach, width), TOP + np.arange(height)[:, None] / scale[1]
        inside = (self.line(angle) - v) / 0.09 + 0.28 * streaks + 0.1
        brow = np.clip((1.0 - np.abs(angle)) / 0.15, 0, 1)  # not beside the face
        pixels[...] = pixels * (1 - brow * (1 - np.clip(inside, 0, 1)))[..., None]

    def _streaks(self, reach: float, scale: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Locks and strands as noise that runs along the hair, of about unit size."""
        width, height = size.tolist()
        angle, v = np.meshgrid(np.linspace(-reach, reach, width), TOP + np.arange(height) / scale[1])
        t = np.sqrt(np.clip((v - TOP) / (self.line(angle) - TOP + 0.05), 0.02, 1))
        wave = 0.06 * self.hair.wave * np.sin(7 * (v - TOP) + 3 * angle) * t
        end = (angle - wave - 0.55 * self.hair.parting * (1 - t)) / (0.45 + 0.55 * t)  # where a strand comes to hang
        total = np.zeros((height, width), np.float32)
        curly = self.hair.style in ("curly", "afro")
        for strands, bends, weight in ((26, 4, 0.8), (80, 6, 0.6), (260, 8, 0.6)):
            noise = self.rng.standard_normal((strands if curly else bends, strands)).astype(np.float32)
            x = ((end / (2 * reach) + 0.5) * (strands - 1)).astype(np.float32)
            y = ((v - TOP) / (self.bottom - TOP) * (len(noise) - 1)).astype(np.float32)
            total += weight * cv2.remap(noise, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return total

    def line(self, angle: np.ndarray) -> np.ndarray:
        """v at which the hair of the front shell ends, at angles (N,)."""
        hair = self.hair
        if hair.style == "ring":
            table = np.array(_RING)
        elif hair.style in LOOSE and hair.style != "afro" and hair.length > 0.3:
            fringe = hair.line > -0.5
            drop = ((0.45, hair.line + 0.03), (0.75, hair.line + 0.12)) if fringe else ((0.35, -0.56), (0.62, -0.42))
            table = np.array(
                [(0.0, hair.line), *drop, (0.92, -0.12), (1.02, 0.2), (1.08, hair.length), (1.8, hair.length + 0.05)]
            )
        else:
            low = max(hair.line + 0.03, -0.60)
            table = np.array([(0.0, hair.line), (0.35, low), (0.62, max(low, -0.5)), *_SHORT[2:]])
        parted = hair.line < -0.5 and hair.style not in ("ring", "crop", "afro")
        from_parting = angle - (hair.parting * np.exp(-((angle / 0.8) ** 2)) if parted else 0)
        return np.interp(np.abs(from_parting), table[:, 0], table[:, 1])

    def _tones(self) -> list[Colour]:
        """From the dark between the strands to their light."""
        colour = self.hair.colour
        soft = 1.0 - 0.55 * max(colour)  # light hair has no black between its strands
        return [times(colour, share) for share in (1 + soft * off for off in (-0.55, -0.25, 0.0, 0.25, 0.55))]

    def front(self, canvas: skia.Canvas) -> None:
        """The shell before and around the face."""
        if self.hair.style == "beanie":
            self._paint_beanie(canvas)
            return
        angle = np.linspace(-1.8, 1.8, 73)
        line = self.line(angle)
        area = np.concatenate([np.stack([angle, line - 0.03], 1), [(1.8, TOP - 0.1), (-1.8, TOP - 0.1)]])
        if self.hair.swept:
            soft = np.concatenate([np.stack([angle, line + 0.005], 1), area[-2:]])
            canvas.drawPath(polygon(soft), soften(fill(self.hair.colour, 0.75), 0.02))
        tones = self._tones()
        shadow = tuple(c * s for c, s in zip(self.identity.skin, (0.5, 0.34, 0.30), strict=True))
        for width in (0.14, 0.08):
            canvas.drawPath(polygon(area), stroke(shadow, width, 0.14))  # type: ignore[arg-type]
        if self.hair.style != "crop":
            canvas.drawPath(polygon(area), stroke(tones[1], 0.03, 0.5))
            canvas.drawPath(polygon(area), skia.Paint(Color=argb(tones[1]), AntiAlias=True))
        else:
            canvas.drawPath(polygon(area), stroke(tones[1], 0.06, 0.3))
            canvas.drawPath(polygon(area), skia.Paint(Color=argb(tones[1], 0.85), AntiAlias=True))
        if self.hair.style in ("curly", "afro"):
            self._curls(canvas, area, 900 if self.hair.style == "afro" else 500)
        else:
            self._strands(canvas, self.line, 1.75, 440)
        self._sheen(canvas)
        if self.hair.style == "ring":  # bald above
            ends = [skia.Point(0, -0.66), skia.Point(0, -0.36)]
            gone = skia.GradientShader.MakeLinear(ends, [argb(BLACK), argb(BLACK, 0)])
            canvas.drawPaint(skia.Paint(Shader=gone, BlendMode=skia.BlendMode.kDstOut))

    def back(self, canvas: skia.Canvas) -> None:
        """The shell behind the head."""
        if self.hair.style in ("bald", "ring"):
            canvas.clear(argb(mix(self.identity.skin, BLACK, 0.12)))
            if self.hair.style == "bald":
                return
        end = self.hair.length if self.hair.style in LOOSE else 0.36
        tones = [mix(tone, BLACK, 0.25) for tone in self._tones()]
        top = TOP - 0.1 if self.hair.style != "ring" else -0.35
        area = np.array([(-1.7, top), (1.7, top), (1.7, end), (-1.7, end)])
        canvas.drawPath(polygon(area), skia.Paint(Color=argb(tones[1]), AntiAlias=True))
        if self.hair.style in ("curly", "afro"):
            self._curls(canvas, area, 320)
        elif self.hair.style != "ring":
            self._strands(canvas, lambda a: np.full(len(a), end + 0.02), 1.6, 150, dark=0.3)
        for sign in (-1, 1):  # darker towards the neck
            blob(
                canvas, (sign * 0.35, 0.6), (0.95, 1.1), mix(self.hair.colour, BLACK, 0.8), 0.5, skia.BlendMode.kSrcATop
            )

    def _strands(self, canvas: skia.Canvas, line: Line, reach: float, count: int, dark: float = 0.0) -> None:
        """Strands from the parting down to the hairline, in five tones."""
        rng, hair = self.rng, self.hair
        ends = rng.uniform(-reach, reach, count)
        over = (-0.01, 0.010) if self.hair.swept else (0.015, 0.03)
        low = line(ends) + rng.normal(*over, count)
        t = np.linspace(0, 1, 7)[:, None]
        root = hair.parting + 0.45 * (ends - hair.parting)
        sway = 0.05 * hair.wave * np.sin(7 * t * (low + 1.2) + rng.normal(0, 0.5, count) + 3 * ends) * t
        angle = root + (ends - root) * np.sqrt(t) + sway
        v = TOP - 0.02 + (low - TOP) * t
        lines = np.stack([angle, v], -1)
        for k, tone in enumerate(self._tones()):
            part = lines[:, k::5]
            tone = mix(tone, BLACK, dark)
            width = 0.008 if k else 0.014
            paint = skia.Paint(
                Color=argb(tone, 0.55), AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=width
            )
            hairs(canvas, part[:-1].reshape(-1, 2), part[1:].reshape(-1, 2), paint)

    def _curls(self, canvas: skia.Canvas, area: np.ndarray, count: int) -> None:
        """Small hooks all over the area, dark first and light last."""
        rng = self.rng
        at = rng.uniform((-1.75, TOP), (1.75, self.bottom), (count * 2, 2))
        at = (
            at[at[:, 1] < np.interp(at[:, 0], area[: len(area) - 2, 0], area[: len(area) - 2, 1]) + 0.03]
            if len(area) > 4
            else at
        )
        at = at[at[:, 1] < max(area[:, 1].max(), -0.1) + 0.04][:count]
        turn = rng.uniform(0, 6.28, (1, len(at))) + np.linspace(0, 3.9, 7)[:, None]
        size = rng.uniform(0.025, 0.06, len(at)) * (0.6 if self.hair.style == "afro" else 1)
        hooks = at + np.stack([1.3 * np.cos(turn), np.sin(turn)], -1) * size[:, None]
        for k, tone in enumerate(self._tones()):
            part = hooks[:, k::5]
            hairs(
                canvas,
                part[:-1].reshape(-1, 2),
                part[1:].reshape(-1, 2),
                stroke(mix(tone, self.hair.colour, 0.35), 0.013, 0.65),
            )

    def _sheen(self, canvas: skia.Canvas) -> None:
        """A band of light round the crown and darkness at the ends, only where there is hair."""
        for x in (-0.8, 0.0, 0.8):
            blob(
                canvas,
                (x + self.hair.parting * 0.5, -0.78),
                (0.75, 0.16),
                mix(self.hair.colour, WHITE, 0.5),
                0.16,
                skia.BlendMode.kSrcATop,
            )
        dark = mix(self.hair.colour, BLACK, 0.7)
        for sign in (-1, 1):
            blob(canvas, (sign * 1.1, 0.5), (0.4, 0.9), dark, 0.35, skia.BlendMode.kSrcATop)

    def _paint_beanie(self, canvas: skia.Canvas) -> None:
        cloth = self.identity.cloth
        self._strands(canvas, self.line, 1.75, 300)
        brim = smooth([(-1.8, -0.2), (-0.9, -0.38), (0, -0.46), (0.9, -0.38), (1.8, -0.2)], 41)
        area = np.concatenate([brim, [(1.8, TOP - 0.1), (-1.8, TOP - 0.1)]])
        canvas.drawPath(polygon(area), skia.Paint(Color=argb(cloth), AntiAlias=True))
        for x in np.linspace(-1.75, 1.75, 71):
            end = float(np.interp(x, brim[:, 0], brim[:, 1]))
            canvas.drawLine(x * 0.9, TOP, x, end, stroke(mix(cloth, BLACK, 0.35), 0.008, 0.6))
        canvas.drawPath(
            polygon(np.concatenate([brim, brim[::-1] - (0, 0.2)])), skia.Paint(Color=argb(mix(cloth, WHITE, 0.08), 0.5))
        )
        canvas.drawPath(
            skia.Path.Polygon([skia.Point(x, y - 0.2) for x, y in brim.tolist()], False),
            stroke(mix(cloth, BLACK, 0.5), 0.015, 0.6),
        )
