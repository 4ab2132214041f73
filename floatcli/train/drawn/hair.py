"""Hair as two shells around the skull, one before the face and one behind the head, painted with strands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import skia

from floatcli.train.drawn.anatomy import profile
from floatcli.train.drawn.brush import argb, blob, fill, hairs, polygon, smooth, soften, stroke
from floatcli.train.drawn.identity import Colour, Identity, mix
from floatcli.train.drawn.mesh import Light, Sheet, grid, texture
from floatcli.train.drawn.pose import Framing, Pose

Line = Callable[[np.ndarray], np.ndarray]  # angles (N,) -> v at which the hair ends (N,)
BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
ROWS, COLUMNS = 22, 23
TOP, REACH = -1.04, 1.72  # first row, and the angle the front shell reaches to either side
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


def _shell(angle: np.ndarray, v: np.ndarray, volume: float, back: bool, loose: bool) -> np.ndarray:
    """Points (..., 3) of a shell around the skull; below the ears loose hair hangs down, other hair hugs the nape."""
    width, front, axis, y = np.moveaxis(profile(np.clip(v, TOP, 0.12)), -1, 0)
    width = width if loose else width * (1 - 0.45 * np.clip(v + 0.02, 0, 1))
    lift = np.clip((-0.15 - v) / 0.8, 0, 1)
    grow = volume * (0.75 + 0.35 * lift) + 0.012
    if not loose:  # sideburns lie flat
        grow = grow * np.clip(1 - 1.6 * (v + 0.35), 0.15, 1)
    hang = np.clip(v - 0.12, 0, None)
    x = (width + grow + 0.06 * hang * min(volume * 12, 1)) * np.sin(angle)
    depth = (np.clip(0.18 - axis, 0.3, None) + 0.25 * width) if back else (front - axis)
    bulge = np.cos(angle) * (1 + (0 if back else 0.22) * np.sin(angle) ** 2)
    z = axis + (-1 if back else 1) * (depth + grow) * bulge - 0.12 * hang
    return np.stack(np.broadcast_arrays(x, y - grow * lift + hang, z), -1)


def _times(colour: Colour, share: float) -> Colour:
    """A colour made darker, or lighter and paler."""
    lifted = max(share - 1, 0.0) * 0.06
    r, g, b = (min(c * share + lifted, 1.0) for c in colour)
    return r, g, b


class HairShells:
    """One identity's hair: shells and textures.

    Args:
        identity: Looks.
        density: Texture pixels a head unit.
    """

    def __init__(self, identity: Identity, density: float) -> None:
        self.identity, self.hair, self.density = identity, identity.hair, density
        self.rng = np.random.default_rng(identity.seed + 1)
        style = self.hair.style
        self.bottom = max(self.hair.length, 0.45) + 0.12
        even = np.linspace(0, 1, ROWS)
        self.v = TOP + (self.bottom - TOP) * (0.35 * even**2.5 + 0.65 * even)  # closer rows where the crown bends
        self.scale = np.array([0.68 * density, density])
        self.front = self._build(REACH, False, self._paint_front) if style != "bald" else None
        self.back = self._build(np.pi / 2, True, self._paint_back)

    def _build(
        self, reach: float, back: bool, paint: Callable[[skia.Canvas], None]
    ) -> tuple[Sheet, np.ndarray, skia.Paint, np.ndarray]:
        angle, style = np.linspace(-reach, reach, COLUMNS), self.hair.style
        volume = 0.0 if style in ("bald", "ring") and back else self.hair.volume
        points = _shell(angle[None, :], self.v[:, None], volume, back, style in LOOSE).reshape(-1, 3)
        if style in ("long", "bob"):  # loose hair swings out and in
            low = np.clip(np.repeat(self.v, COLUMNS) - 0.2, 0, None)
            points[:, 0] *= 1 + 0.13 * self.hair.wave * np.sin(4.5 * low) * np.exp(-0.5 * low)
        if style in ("curly", "afro"):
            points = points + self.rng.normal(0, 0.018 if style == "curly" else 0.012, points.shape)
        image = self._canvas(reach, paint)
        sheet_points = np.stack(np.meshgrid(angle + reach, self.v - TOP), -1).reshape(-1, 2) * self.scale
        follow = 1 - 0.85 * np.clip((np.repeat(self.v, COLUMNS) - 0.55) / 0.75, 0, 1)[:, None]
        return Sheet(sheet_points, grid(ROWS, COLUMNS), image), points, texture(image), follow

    def _canvas(self, reach: float, paint: Callable[[skia.Canvas], None]) -> skia.Image:
        size = np.ceil(np.array([2 * reach, self.bottom - TOP]) * self.scale).astype(int)
        surface = skia.Surface(int(size[0]), int(size[1]))
        canvas = surface.getCanvas()
        canvas.clear(0)
        canvas.scale(*self.scale.tolist())
        canvas.translate(reach, -TOP)
        paint(canvas)
        return surface.makeImageSnapshot()

    def _line(self, angle: np.ndarray) -> np.ndarray:
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
        return [_times(colour, share) for share in (0.45, 0.75, 1.0, 1.25, 1.55)]

    def _paint_front(self, canvas: skia.Canvas) -> None:
        if self.hair.style == "beanie":
            self._paint_beanie(canvas)
            return
        angle = np.linspace(-1.8, 1.8, 73)
        line = self._line(angle)
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
            self._curls(canvas, area, 1500 if self.hair.style == "afro" else 800)
        else:
            self._strands(canvas, self._line, 1.75, 760)
        self._sheen(canvas)
        if self.hair.style == "ring":  # bald above
            ends = [skia.Point(0, -0.66), skia.Point(0, -0.36)]
            gone = skia.GradientShader.MakeLinear(ends, [argb(BLACK), argb(BLACK, 0)])
            canvas.drawPaint(skia.Paint(Shader=gone, BlendMode=skia.BlendMode.kDstOut))

    def _paint_back(self, canvas: skia.Canvas) -> None:
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
            self._curls(canvas, area, 600)
        elif self.hair.style != "ring":
            self._strands(canvas, lambda a: np.full(len(a), end + 0.02), 1.6, 260, dark=0.3)
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
        t = np.linspace(0, 1, 9)[:, None]
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
        self._strands(canvas, self._line, 1.75, 300)
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

    def draw_back(self, canvas: skia.Canvas, pose: Pose, framing: Framing, light: Light, pixels: float) -> None:
        """The shell behind the head, and a bun above it."""
        if self.hair.style == "bun":
            centre = np.array([0.0, -1.02 - 0.1 * self.hair.wave, -0.45])
            x, y = (framing.project(pose.move(centre)) * pixels).tolist()
            radius = (0.24 + 0.08 * self.hair.wave) * framing.scale * pixels * pose.zoom
            for share, tone in ((1.0, 0.5), (0.88, 0.8), (0.6, 1.05)):
                wide, high = radius * share, 0.85 * radius * share
                box = skia.Rect.MakeLTRB(x - wide, y - high, x + wide, y + high)
                canvas.drawOval(box, fill(_times(self.hair.colour, tone)))
        self._draw(canvas, self.back, pose, framing, light, pixels, "both")

    def draw_inside(self, canvas: skia.Canvas, pose: Pose, framing: Framing, light: Light, pixels: float) -> None:
        """The inner side of loose hair, seen past the cheek of a turned head."""
        if self.front and self.hair.style in LOOSE:
            self._draw(canvas, self.front, pose, framing, light, pixels, "inside")

    def draw_front(self, canvas: skia.Canvas, pose: Pose, framing: Framing, light: Light, pixels: float) -> None:
        """The shell before the face, if there is any."""
        if self.front:
            self._draw(canvas, self.front, pose, framing, light, pixels, "outside")

    def _draw(
        self,
        canvas: skia.Canvas,
        shell: tuple[Sheet, np.ndarray, skia.Paint, np.ndarray],
        pose: Pose,
        framing: Framing,
        light: Light,
        pixels: float,
        seen: str,
    ) -> None:
        sheet, points, paint, follow = shell
        moved = points + follow * (pose.move(points) - points)
        xy = framing.project(moved) * pixels
        triangles = sheet.triangles if seen == "both" else sheet.visible(xy, moved[:, 2], seen == "inside")
        if len(triangles):
            shade = light.shade(sheet.normals(moved)) * (0.55 if seen == "inside" else 1.0)
            sheet.draw(canvas, xy, triangles, shade, paint)
