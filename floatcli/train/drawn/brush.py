"""Small strokes on a skia canvas that everything painted is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import skia

from floatcli.train.drawn.colour import Colour


def argb(colour: Colour, alpha: float = 1.0) -> int:
    """A skia colour."""
    r, g, b = (round(255 * min(max(c, 0.0), 1.0)) for c in colour)
    return skia.Color(r, g, b, round(255 * min(max(alpha, 0.0), 1.0)))


def fill(colour: Colour, alpha: float = 1.0) -> skia.Paint:
    """Paint that fills."""
    return skia.Paint(Color=argb(colour, alpha), AntiAlias=True)


def stroke(colour: Colour, width: float, alpha: float = 1.0) -> skia.Paint:
    """Paint that draws round-ended lines."""
    return skia.Paint(Color=argb(colour, alpha), AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=width,
                      StrokeCap=skia.Paint.kRound_Cap, StrokeJoin=skia.Paint.kRound_Join)  # fmt: skip


def soften(paint: skia.Paint, sigma: float) -> skia.Paint:
    """The paint with blurred edges; slow, for textures that are painted once."""
    paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, sigma))
    return paint


def points(xy: np.ndarray) -> list[skia.Point]:
    """Skia points of an (N, 2) array."""
    return [skia.Point(x, y) for x, y in xy.tolist()]


def polygon(xy: np.ndarray) -> skia.Path:
    """Closed path through (N, 2) points."""
    return skia.Path.Polygon(points(xy), True)


def polyline(xy: np.ndarray) -> skia.Path:
    """Open path through (N, 2) points."""
    return skia.Path.Polygon(points(xy), False)


@cache
def _taper(count: int) -> np.ndarray:
    return np.sin(np.pi * np.linspace(0, 1, count)) ** 0.7


def crescent(xy: np.ndarray, width: float | np.ndarray, lean: float = 0.5) -> skia.Path:
    """A line through (N, 2) points that swells to ``width`` in its middle and tapers to nothing at its ends."""
    along = np.empty_like(xy)
    along[1:-1] = xy[2:] - xy[:-2]
    along[0], along[-1] = xy[1] - xy[0], xy[-1] - xy[-2]
    length = np.sqrt((along * along).sum(1)) + 1e-9
    swell = np.stack([-along[:, 1], along[:, 0]], 1) * (_taper(len(xy)) * width / length)[:, None]
    return polygon(np.concatenate([xy - lean * swell, (xy + (1 - lean) * swell)[::-1]]))


def smooth(xy: Sequence[tuple[float, float]], count: int = 13) -> np.ndarray:
    """Catmull-Rom curve of ``count`` points through a few."""
    knots = np.asarray(xy, float)
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    at = np.linspace(0, len(knots) - 1, count)
    k = np.minimum(at.astype(int), len(knots) - 2)
    t = (at - k)[:, None]
    a, b, c, d = (padded[k + j] for j in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def blob(canvas: skia.Canvas, at: Iterable[float], radii: tuple[float, float], colour: Colour, alpha: float,
         blend: skia.BlendMode = skia.BlendMode.kSrcOver, core: float = 0.0) -> None:  # fmt: skip
    """A soft ellipse: ``alpha`` at its middle (out to the share ``core`` of its radius), nothing at its edge."""
    x, y = at
    stops = [argb(colour, alpha), argb(colour, alpha), argb(colour, alpha * 0.42), argb(colour, 0)]
    shader = skia.GradientShader.MakeRadial(skia.Point(0, 0), 1.0, stops, [0.0, core, core + 0.5 * (1 - core), 1.0])
    canvas.save()
    canvas.translate(float(x), float(y))
    canvas.scale(*radii)
    canvas.drawCircle(0, 0, 1, skia.Paint(Shader=shader, AntiAlias=True, BlendMode=blend))
    canvas.restore()


def hairs(canvas: skia.Canvas, starts: np.ndarray, ends: np.ndarray, paint: skia.Paint) -> None:
    """Many short straight lines from (N, 2) to (N, 2) in one call."""
    both = np.stack([starts, ends], 1).reshape(-1, 2)
    canvas.drawPoints(skia.Canvas.kLines_PointMode, points(both), paint)


def dots(canvas: skia.Canvas, at: np.ndarray, paint: skia.Paint) -> None:
    """Many dots of the paint's stroke width at (N, 2)."""
    canvas.drawPoints(skia.Canvas.kPoints_PointMode, points(at), paint)
