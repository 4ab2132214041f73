"""The skin's texture, painted once for an identity on the unrolled sheet of the head."""

from __future__ import annotations

import numpy as np
import skia

from floatcli.train.drawn.anatomy import EYE, MOUTH_Y, SHEET, SIDES, Template, ring, to_sheet
from floatcli.train.drawn.beard import paint_beard
from floatcli.train.drawn.brush import argb, blob, crescent, dots, fill, hairs, polygon, smooth, soften, stroke
from floatcli.train.drawn.colour import BLACK, WHITE, fold_tone, mix
from floatcli.train.drawn.complexion import complexion
from floatcli.train.drawn.identity import Identity

# Soft shades: x, y, radius x, radius y, kind, strength; those off the midline stand on both sides.
_SHADES = (
    (0.36, 0.26, 0.20, 0.17, "blush", 0.22), (0.0, 0.36, 0.11, 0.10, "blush", 0.20),
    (0.0, 0.96, 0.16, 0.09, "blush", 0.10),
    (0.0, -0.45, 0.5, 0.22, "pale", 0.10), (0.0, 0.16, 0.045, 0.2, "pale", 0.10),
    (0.285, -0.075, 0.17, 0.085, "deep", 0.20),
    (0.17, -0.03, 0.07, 0.10, "deep", 0.22), (0.285, 0.10, 0.15, 0.06, "deep", 0.12),
    (0.0, 0.475, 0.16, 0.055, "deep", 0.20),
    (0.0, 0.885, 0.16, 0.04, "deep", 0.16), (0.155, 0.40, 0.035, 0.06, "deep", 0.22),
    (0.26, 0.69, 0.05, 0.06, "deep", 0.15),
    (0.0, 0.56, 0.02, 0.08, "deep", 0.08), (0.60, 0.45, 0.15, 0.5, "deep", 0.10), (0.0, 1.2, 0.3, 0.16, "deep", 0.40),
)  # fmt: skip

# Lines of age: points, strength, age at which they begin.
_LINES = (
    (((0.15, 0.40), (0.20, 0.46), (0.25, 0.54), (0.28, 0.62)), 0.30, 0.15),
    (((0.18, 0.10), (0.25, 0.145), (0.34, 0.14), (0.40, 0.10)), 0.28, 0.25),
    (((0.46, 0.0), (0.52, 0.02), (0.57, 0.05)), 0.22, 0.45), (((0.45, 0.03), (0.50, 0.07), (0.54, 0.12)), 0.18, 0.5),
    (((0.27, 0.72), (0.30, 0.79), (0.31, 0.86)), 0.22, 0.5),
)  # fmt: skip
# Shadows that light from above casts: x, y, radii, strength.
_FROM_ABOVE = ((0.0, 0.485, 0.15, 0.08, 0.6), (0.0, 0.84, 0.17, 0.07, 0.4), (0.24, -0.10, 0.16, 0.09, 0.35))
# What shines more than the rest, or less where the chin folds: place, radii, how much.
_GLOSS = (((0.0, 0.33), (0.09, 0.12), 0.9), ((0.0, -0.5), (0.4, 0.2), 0.35), ((0.42, 0.17), (0.15, 0.1), 0.4),
          ((0.0, 0.97), (0.28, 0.12), -0.6))  # fmt: skip
_FOREHEAD = (-0.33, -0.42, -0.51)


def sheet_pixels(sheet: np.ndarray, density: float) -> np.ndarray:
    """Texture pixels (..., 2) of sheet coordinates (..., 2)."""
    return (sheet - SHEET[:2]) * density


def gloss(template: Template, makeup: float) -> np.ndarray:
    """How much the template's vertices shine, (V,): wet lips and oily noses most."""
    x, y = template.rest[:, 0], template.rest[:, 1]
    shine = np.full(len(x), 0.75)
    for at, radii, amount in _GLOSS:
        for sign in (1, -1) if at[0] else (1,):
            shine += amount * np.exp(-(((x - sign * at[0]) / radii[0]) ** 2) - ((y - at[1]) / radii[1]) ** 2)
    for name in ("middle_up", "middle_low"):
        shine[template.groups[name][3:-3]] = 1.8 + 1.5 * makeup
    return shine


class SkinPainter:
    """Paints one identity's skin at ``density`` texture pixels a head unit."""

    def __init__(self, identity: Identity, template: Template, density: float) -> None:
        self.identity, self.template, self.density = identity, template, density
        size = np.ceil((np.array(SHEET[2:]) - SHEET[:2]) * density).astype(int)
        self.pixels = np.zeros((int(size[1]), int(size[0]), 4), np.uint8)
        self.surface = skia.Surface(self.pixels, colorType=skia.kRGBA_8888_ColorType)
        self.canvas = self.surface.getCanvas()
        self.canvas.scale(density, density)
        self.canvas.translate(-SHEET[0], -SHEET[1])
        self.rng = np.random.default_rng(identity.seed)
        skin = identity.skin
        self.shades = {
            "blush": mix(skin, (skin[0] * 0.98, skin[1] * 0.55, skin[2] * 0.52), 1.0),
            "pale": mix(skin, WHITE, 0.35),
            "deep": fold_tone(skin),
        }

    def paint(self) -> skia.Image:
        """The finished texture."""
        skin = self.identity.skin
        self.canvas.clear(argb(skin))
        self._shades()
        self._cast()
        self._grain()
        self._ageing()
        self._freckles()
        paint_beard(self.canvas, self.identity, self.rng)
        self._nostrils()
        self._eyelids()
        self._lips()
        self._brows()
        return self.surface.makeImageSnapshot()

    def _both(self, curve: tuple[tuple[float, float], ...]) -> list[np.ndarray]:
        """A frontal polyline smoothed, mirrored and laid on the sheet."""
        line = smooth(curve)
        return [to_sheet(sign * line[:, 0], line[:, 1]) for sign in SIDES.values()]

    def _shades(self) -> None:
        for x, y, rx, ry, kind, strength in _SHADES:
            for sign in (1, -1) if x else (1,):
                at = to_sheet(np.array(sign * x), np.array(y))
                blob(self.canvas, at, (rx, ry), self.shades[kind], strength * (0.9 if kind == "blush" else 1.4))
        for _ in range(10):
            tone = mix(self.identity.skin, self.shades["blush" if self.rng.random() < 0.5 else "deep"], 0.6)
            at = self.rng.uniform((-0.7, -0.8), (0.7, 1.0))
            blob(self.canvas, at, tuple(self.rng.uniform(0.05, 0.25, 2)), tone, self.rng.uniform(0.05, 0.2))

    def _cast(self) -> None:
        """Shadows that nose, brow and lip throw away from the key light."""
        x, y, z = self.identity.lighting.lamps[0].direction
        hard = (1 - self.identity.lighting.lamps[0].wrap) * (1.3 - z)
        deep, below = self.shades["deep"], max(-y, 0.0)
        nose = to_sheet(np.array(-0.15 * np.sign(x)), np.array(0.33 + 0.16 * below))
        blob(self.canvas, nose, (0.09, 0.17), deep, 0.75 * hard * abs(x), core=0.2)
        socket = to_sheet(np.array(-0.19 * np.sign(x)), np.array(-0.02))
        blob(self.canvas, socket, (0.10, 0.15), deep, 0.6 * hard * abs(x))
        for x, y, wide, high, strength in _FROM_ABOVE:
            for sign in (1, -1) if x else (1,):
                at = to_sheet(np.array(sign * x), np.array(y))
                blob(self.canvas, at, (wide, high), deep, strength * below * (0.4 + hard))

    def _grain(self) -> None:
        rgb = self.pixels[..., :3]
        rgb[...] = np.clip(rgb * complexion(self.identity, rgb.shape[1], rgb.shape[0]), 0, 255)

    def _ageing(self) -> None:
        age, deep, pale = self.identity.age, self.shades["deep"], self.shades["pale"]
        for curve, strength, start in _LINES:
            shown = strength * min(max((age - start) * 2.2, 0), 1)
            if shown > 0.02:
                for line in self._both(curve):
                    self.canvas.drawPath(crescent(line, 0.05), soften(fill(deep, 0.4 * shown), 0.010))
                    self.canvas.drawPath(crescent(line, 0.012), soften(fill(deep, 0.75 * shown), 0.002))
                    self.canvas.drawPath(
                        crescent(line + np.array([0, 0.014]), 0.014), soften(fill(pale, 0.35 * shown), 0.004)
                    )
        for y in _FOREHEAD:
            if age > 0.45:
                x = np.linspace(-0.33, 0.33, 13) * self.rng.uniform(0.7, 1.1)
                wave = y + 0.012 * np.sin(9 * x + self.rng.uniform(0, 6)) + 0.05 * x * x
                line = to_sheet(x, wave)
                self.canvas.drawPath(crescent(line, 0.014), soften(fill(deep, 0.5 * (age - 0.45)), 0.003))

    def _freckles(self) -> None:
        count = int(160 * self.identity.freckles) + int(self.rng.integers(0, 7))
        spread = (0.30, 0.13) if self.identity.freckles else (0.4, 0.5)
        at = self.rng.normal((0, 0.2), spread, (count, 2))
        tone = mix(self.identity.skin, (0.32, 0.15, 0.08), 0.5)
        for part, width in zip(np.array_split(at, 3), (0.009, 0.014, 0.019), strict=True):
            dots(self.canvas, part, stroke(tone, width, 0.5))

    def _nostrils(self) -> None:
        deep = mix(fold_tone(self.identity.skin), BLACK, 0.45)
        for sign in SIDES.values():
            at = to_sheet(np.array(sign * 0.064), np.array(0.428))
            blob(self.canvas, at, (0.055, 0.035), deep, 0.5)
            blob(self.canvas, at, (0.034, 0.019), mix(deep, BLACK, 0.3), 0.95, core=0.4)
            curve = smooth(((0.135, 0.33), (0.168, 0.375), (0.155, 0.425), (0.115, 0.432)))
            wing = to_sheet(sign * curve[:, 0], curve[:, 1])
            self.canvas.drawPath(crescent(wing, 0.018), soften(fill(deep, 0.4), 0.003))

    def _eyelids(self) -> None:
        skin, groups, sheet = self.identity.skin, self.template.groups, self.template.sheet
        deep = fold_tone(skin)
        shadow = mix(deep, (0.35, 0.2, 0.35), 0.5 * self.identity.makeup)
        for side, sign in SIDES.items():
            upper, lower = sheet[groups[f"lid_up_{side}"]], sheet[groups[f"lid_low_{side}"]]
            crease = sheet[groups[f"crease_up_{side}"]]
            lid = np.concatenate([upper, crease[::-1]])
            tint = soften(fill(shadow, 0.12 + 0.45 * self.identity.makeup), 0.008)
            self.canvas.drawPath(polygon(lid), tint)
            self.canvas.drawPath(crescent(crease, 0.028), soften(fill(deep, 0.40), 0.005))
            self.canvas.drawPath(crescent(crease, 0.010), soften(fill(mix(deep, BLACK, 0.3), 0.6), 0.0015))
            rosy = mix(skin, (0.75, 0.35, 0.33), 0.4)
            self.canvas.drawPath(crescent(lower + np.array([0, 0.006]), 0.02), soften(fill(rosy, 0.6), 0.003))
            corner = to_sheet(np.array(sign * (EYE[0] - 0.14)), np.array(0.01))
            blob(self.canvas, corner, (0.03, 0.025), rosy, 0.7)

    def _lips(self) -> None:
        groups, sheet = self.template.groups, self.template.sheet
        lips, deep = self.identity.lips, mix(self.identity.lips, BLACK, 0.5)
        outer = sheet[ring(groups, "outer_up", "outer_low")]
        soft = 0.35 + 0.5 * self.identity.makeup
        self.canvas.drawPath(polygon(outer), soften(fill(lips, 0.3 + 0.7 * soft), 0.004))
        inner = sheet[ring(groups, "middle_up", "middle_low")]
        self.canvas.drawPath(polygon(inner), fill(lips, 0.9))
        self.canvas.drawPath(polygon(outer), stroke(lips, 0.012, 0.25))
        for name, edge, middle, count in (("up", "outer_up", "inner_up", 26), ("low", "outer_low", "inner_low", 34)):
            top, bottom = sheet[groups[edge]], sheet[groups[middle]]
            at = self.rng.uniform(0.1, 0.9, count) * (len(top) - 1)
            k, share = at.astype(int), (at % 1)[:, None]
            a, b = top[k] + (top[k + 1] - top[k]) * share, bottom[k] + (bottom[k + 1] - bottom[k]) * share
            hairs(self.canvas, a + 0.15 * (b - a), a + 0.9 * (b - a), stroke(deep, 0.004, 0.22))
            self.canvas.drawPath(polygon(np.concatenate([bottom, (bottom + 0.3 * (top - bottom))[::-1]])),
                                 fill(deep, 0.25 if name == "up" else 0.15))  # fmt: skip
        for sign in SIDES.values():
            corner = to_sheet(np.array(sign * 0.238), np.array(MOUTH_Y + 0.003))
            blob(self.canvas, corner, (0.03, 0.022), mix(fold_tone(self.identity.skin), BLACK, 0.3), 0.55)

    def _brows(self) -> None:
        identity, sheet, groups = self.identity, self.template.sheet, self.template.groups
        for side, sign in SIDES.items():
            spine = smooth([tuple(sheet[groups[f"brow{k}_{side}"][0]]) for k in range(5)], 41)
            swell = (
                np.interp(np.linspace(0, 1, 41), [0, 0.15, 0.55, 1], [0.75, 1, 0.75, 0.15])
                * 0.062
                * identity.brow_weight
            )
            edge = np.stack([np.zeros(41), swell], 1)
            body = np.concatenate([spine - 0.5 * edge, (spine + 0.5 * edge)[::-1]])
            self.canvas.drawPath(polygon(body), stroke(identity.brow, 0.02, 0.10))
            self.canvas.drawPath(polygon(body), fill(identity.brow, 0.4))
            count = int(170 + 150 * identity.brow_weight)
            k = self.rng.integers(0, 39, count)
            share = k[:, None] / 40
            start = spine[k] + edge[k] * self.rng.uniform(-0.5, 0.6, (count, 1))
            lean = np.concatenate([sign * (0.010 + 0.035 * share), -0.030 + 0.036 * share], 1)
            lean *= self.rng.uniform(0.7, 1.15, (count, 1))
            for part in range(3):
                tone = mix(identity.brow, identity.skin, (0.0, 0.15, 0.35)[part])
                hairs(self.canvas, start[part::3], (start + lean)[part::3], stroke(tone, 0.0042, 0.7))
