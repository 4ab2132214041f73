"""What shows between parted lips: teeth in their gums and the tongue, recorded once for an identity."""

from __future__ import annotations

import numpy as np
import skia

from floatcli.train.drawn.brush import argb, blob, dots, fill, stroke
from floatcli.train.drawn.colour import BLACK, WHITE, Colour, mix
from floatcli.train.drawn.identity import Identity

# Teeth from the middle outwards: inner edge and width, in half widths of the arch.
_UPPER = ((0.0, 0.225), (0.225, 0.18), (0.405, 0.195), (0.60, 0.17), (0.77, 0.14), (0.91, 0.10))
_LOWER = ((0.0, 0.14), (0.14, 0.15), (0.29, 0.17), (0.46, 0.17), (0.63, 0.16), (0.79, 0.15))
_DARK = (0.15, 0.03, 0.03)


def paint_upper_teeth(canvas: skia.Canvas, identity: Identity) -> None:
    """Upper teeth hanging from the gum: the square's bottom is their edge at the middle."""
    _teeth(canvas, identity, _UPPER, 1.0, 0.45)


def paint_lower_teeth(canvas: skia.Canvas, identity: Identity) -> None:
    """Lower teeth: the square's top is their edge."""
    canvas.scale(1, -1)
    _teeth(canvas, identity, _LOWER, 0.82, 0.12)


def _teeth(canvas: skia.Canvas, identity: Identity, table: tuple[tuple[float, float], ...], brightness: float,
           arch: float) -> None:  # fmt: skip
    rng = np.random.default_rng(identity.seed + 3)
    crooked, gap = float(rng.uniform(0, 1)) ** 2, 0.045 * float(rng.random() < 0.08)
    gum = mix((0.74 * brightness, 0.40 * brightness, 0.38 * brightness), identity.lips, 0.25)
    canvas.drawRect(skia.Rect.MakeLTRB(-1.05, -1.3, 1.05, -0.3), fill(gum))
    for x, width in reversed(table):  # the middle ones stand before those beside them
        far = x + width / 2
        shade = mix(identity.teeth, (0.30, 0.16, 0.12), min(0.85 * far**2.2, 0.85) + (1 - brightness) * 0.5)
        shade = mix(shade, (0.88, 0.76, 0.56), 0.22) if 0.38 < x < 0.45 else shade  # canines are yellower
        shorter = 0.08 if 0.2 < x < 0.3 and brightness == 1 else 0.0
        for sign in (-1, 1):
            lean, off = crooked * rng.normal(0, 5), crooked * rng.normal(0, 0.05)
            canvas.save()
            canvas.translate(sign * (far + gap), 0)
            canvas.rotate(float(lean))
            _tooth(canvas, width, 0.97 - arch * far**2 - shorter + float(off), mix(shade, BLACK, 0.05 * rng.random()))
            canvas.restore()
    ends = [skia.Point(0, -1.3), skia.Point(0, -0.1)]
    shadow = skia.GradientShader.MakeLinear(ends, [argb(_DARK, 0.8), argb(_DARK, 0.0)])
    canvas.drawRect(skia.Rect.MakeLTRB(-1.05, -1.3, 1.05, -0.1), skia.Paint(Shader=shadow))


def _tooth(canvas: skia.Canvas, width: float, bottom: float, shade: Colour) -> None:
    """One tooth about x = 0: rooted in a scalloped gum, brightest in its middle, clear at its edge."""
    half, top = width / 2, -0.68
    path = skia.Path()
    path.moveTo(-0.72 * half, top + 0.22)
    path.cubicTo(-0.6 * half, top - 0.1, 0.6 * half, top - 0.1, 0.72 * half, top + 0.22)
    path.cubicTo(half, 0.0, 1.02 * half, bottom - 0.35, 0.98 * half, bottom - 0.16)
    path.cubicTo(0.95 * half, bottom + 0.02, -0.95 * half, bottom + 0.02, -0.98 * half, bottom - 0.16)
    path.cubicTo(-1.02 * half, bottom - 0.35, -half, 0.0, -0.72 * half, top + 0.22)
    tones = [mix(shade, (0.72, 0.52, 0.40), 0.35), mix(shade, WHITE, 0.10), shade, mix(shade, (0.70, 0.70, 0.72), 0.25)]
    ends = [skia.Point(0, top), skia.Point(0, bottom)]
    body = skia.GradientShader.MakeLinear(ends, [argb(tone) for tone in tones], [0.0, 0.42, 0.85, 1.0])
    canvas.drawPath(path, skia.Paint(Shader=body, AntiAlias=True))
    sides = skia.GradientShader.MakeLinear([skia.Point(-half, 0), skia.Point(half, 0)],
                                           [argb(_DARK, 0.13), argb(_DARK, 0), argb(_DARK, 0), argb(_DARK, 0.13)],
                                           [0.0, 0.28, 0.72, 1.0])  # fmt: skip
    canvas.drawPath(path, skia.Paint(Shader=sides, AntiAlias=True))
    canvas.drawPath(path, stroke((0.28, 0.14, 0.10), 0.009, 0.16))
    blob(canvas, (-0.12 * half, 0.05), (0.34 * half, 0.36), WHITE, 0.5)


def paint_tongue(canvas: skia.Canvas, identity: Identity) -> None:
    """A wet tongue with its groove, darker behind."""
    rng = np.random.default_rng(identity.seed + 6)
    tongue = mix((0.74, 0.36, 0.36), identity.lips, 0.2)
    canvas.drawOval(skia.Rect.MakeLTRB(-1, -1, 1, 1.2), fill(mix(tongue, _DARK, 0.5)))
    blob(canvas, (0, 0.3), (0.98, 0.95), tongue, 0.95, core=0.3)
    turn, reach = rng.uniform(0, 2 * np.pi, 90), np.sqrt(rng.uniform(0, 0.75, 90))
    buds = np.stack([reach * np.cos(turn), 0.25 + 0.8 * reach * np.sin(turn)], 1)
    dots(canvas, buds[:45], stroke(mix(tongue, BLACK, 0.35), 0.05, 0.35))
    dots(canvas, buds[45:], stroke(mix(tongue, WHITE, 0.35), 0.05, 0.35))
    blob(canvas, (0, 0.0), (0.12, 0.8), (0.42, 0.13, 0.15), 0.55)
    for x in (-0.38, 0.33):
        blob(canvas, (x, 0.45), (0.22, 0.12), WHITE, 0.35)
