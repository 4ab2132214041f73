"""What shows through the skin's openings and what sits on the head: eyes, mouth and ears."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import cos, radians, sin

import numpy as np
import skia

from floatcli.train.drawn.anatomy import SIDES, Template, ring
from floatcli.train.drawn.brush import argb, blob, crescent, fill, hairs, polygon, polyline, stroke
from floatcli.train.drawn.colour import BLACK, WHITE, Colour, mix
from floatcli.train.drawn.expression import Shape, jaw_drop
from floatcli.train.drawn.glasses import Glasses
from floatcli.train.drawn.identity import Identity
from floatcli.train.drawn.light import Light
from floatcli.train.drawn.pose import Pose
from floatcli.train.drawn.teeth import paint_lower_teeth, paint_tongue, paint_upper_teeth

IRIS = 0.056  # radius
EAR = (0.655, 0.13, -0.13)


def sprite(paint: Callable[[skia.Canvas], None]) -> skia.Picture:
    """A drawing in the square -1 .. 1, recorded once."""
    recorder = skia.PictureRecorder()
    canvas = recorder.beginRecording(skia.Rect.MakeLTRB(-1.5, -1.5, 1.5, 1.5))
    paint(canvas)
    return recorder.finishRecordingAsPicture()


def paint_iris(canvas: skia.Canvas, identity: Identity) -> None:
    """Iris with fibres, a dark rim and the pupil."""
    rng = np.random.default_rng(identity.seed + 2)
    iris = identity.iris
    stops = [argb(mix(iris, WHITE, 0.18)), argb(iris), argb(mix(iris, BLACK, 0.72))]
    shader = skia.GradientShader.MakeRadial(skia.Point(0, 0.15), 1.0, stops, [0.25, 0.7, 1.0])
    canvas.drawCircle(0, 0, 1, skia.Paint(Shader=shader, AntiAlias=True))
    turn = rng.uniform(0, 2 * np.pi, 70)
    ray = np.stack([np.cos(turn), np.sin(turn)], 1)
    hairs(canvas, ray[:35] * 0.38, ray[:35] * 0.85, stroke(mix(iris, WHITE, 0.45), 0.05, 0.35))
    hairs(canvas, ray[35:] * 0.45, ray[35:] * 0.95, stroke(mix(iris, BLACK, 0.6), 0.05, 0.35))
    canvas.drawCircle(0, 0, 0.95, stroke(mix(iris, BLACK, 0.8), 0.11, 0.6))
    blob(canvas, (0, -0.9), (1.1, 0.8), BLACK, 0.45)
    canvas.drawCircle(0, 0, float(rng.uniform(0.3, 0.46)), fill((0.02, 0.02, 0.025)))


def paint_ear(canvas: skia.Canvas, skin: Colour) -> None:
    """A right ear seen from the front, of a lit skin's colour: its left edge joins the head."""
    deep = (skin[0] * 0.52, skin[1] * 0.34, skin[2] * 0.30)
    rim = skia.Path()
    rim.moveTo(-1, -0.55)
    rim.cubicTo(-0.6, -1.15, 0.75, -1.15, 0.95, -0.35)
    rim.cubicTo(1.05, 0.15, 0.55, 0.40, 0.25, 0.75)
    rim.cubicTo(0.05, 1.05, -0.55, 1.1, -0.9, 0.7)
    rim.close()
    canvas.drawPath(rim, fill(mix(skin, (skin[0], skin[1] * 0.7, skin[2] * 0.66), 0.3)))
    blob(canvas, (0.05, -0.15), (0.65, 0.62), deep, 0.75)
    blob(canvas, (-0.35, 0.15), (0.4, 0.35), mix(deep, BLACK, 0.3), 0.7)
    canvas.drawPath(rim, stroke(mix(skin, WHITE, 0.1), 0.13, 0.45))
    blob(canvas, (-0.95, 0.1), (0.5, 1.1), deep, 0.45)


def ear(side: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle of an ear (3,), and half its width and its height, in the head."""
    sign = SIDES[side]
    middle = np.array([sign * (EAR[0] + 0.055), EAR[1], EAR[2] - 0.05])
    return middle, np.array([sign * 0.07, 0, -0.08]), np.array([0.0, 0.20, -0.02])


class Features:
    """Draws one identity's eyes, mouth and ears."""

    def __init__(self, identity: Identity, shape: Shape, template: Template, light: Light) -> None:
        self.identity, self.shape, self.groups = identity, shape, template.groups
        self.glasses = Glasses(identity, shape)
        painters = {"iris": paint_iris, "upper": paint_upper_teeth, "lower": paint_lower_teeth, "tongue": paint_tongue}
        self.sprites = {name: sprite(partial(paint, identity=identity)) for name, paint in painters.items()}
        for side, sign in SIDES.items():
            r, g, b = light.shade(np.array([[0.5 * sign, 0.0, 0.87]]), 1.0)[0].tolist()
            lit = (identity.skin[0] * r, identity.skin[1] * g, identity.skin[2] * b)
            self.sprites[f"ear_{side}"] = sprite(partial(paint_ear, skin=lit))

    def stage(self, canvas: skia.Canvas, pose: Pose, pixels: float, gloom: float) -> Stage:
        """Where to draw, for one picture; ``gloom`` is the share of light that does not reach the face's front."""
        return Stage(self, canvas, pose, pixels, gloom)

    def iris(self, side: str, p: dict[str, float]) -> np.ndarray:
        """Head position (3,) of the middle of an iris."""
        across, down = radians(20 * p["gaze_x"]), radians(14 * p["gaze_y"])
        look = np.array([sin(across), sin(down), cos(across) * cos(down)])
        return self.eyeball(side) + (self.shape.ball - 0.005) * look

    def eyeball(self, side: str) -> np.ndarray:
        """Head position (3,) of the middle of an eyeball."""
        return np.array([SIDES[side] * self.shape.eye_x, self.shape.eye_y, self.shape.eye_depth])

    def socket(self, side: str) -> np.ndarray:
        """Head position (3,) of the middle of the eye's opening, whatever the lids do."""
        ahead = np.sqrt(max(self.shape.ball**2 - self.shape.eye_width**2, 0.0))
        return self.eyeball(side) + np.array([0, 0, ahead])


class Stage:
    """Features drawn in one picture."""

    def __init__(self, features: Features, canvas: skia.Canvas, pose: Pose, pixels: float, gloom: float) -> None:
        self.features, self.canvas, self.pose, self.pixels, self.gloom = features, canvas, pose, pixels, gloom
        self.framing = framing = features.identity.framing
        self.unit = framing.scale * pixels * pose.zoom
        self.identity, self.groups = features.identity, features.groups

    def place(self, head: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of head points (..., 3)."""
        return self.framing.project(self.pose.move(head)) * self.pixels

    def put(self, name: str, origin: np.ndarray, ex: np.ndarray, ey: np.ndarray) -> None:
        """A sprite whose square is spanned by head vectors ``ex`` and ``ey`` about ``origin``."""
        o, x, y = self.place(np.stack([origin, origin + ex, origin + ey]))
        a, b, c, d = x[0] - o[0], y[0] - o[0], x[1] - o[1], y[1] - o[1]
        self.canvas.save()
        self.canvas.concat(skia.Matrix.MakeAll(a, b, o[0], c, d, o[1], 0, 0, 1))
        self.canvas.drawPicture(self.features.sprites[name])
        self.canvas.restore()

    def eyes(self, xy: np.ndarray, shade: np.ndarray, p: dict[str, float]) -> None:
        """Eyeballs behind the lids; ``xy`` are pixels of the skin's vertices, ``shade`` (V, 3) the light on them."""
        for side, sign in SIDES.items():
            opening = xy[ring(self.groups, f"lid_up_{side}", f"lid_low_{side}")]
            around = ring(self.groups, f"crease_up_{side}", f"lid_low_{side}")
            r, g, b = np.clip(shade[around].mean(0) * 0.94, 0, 1).tolist()
            white = (0.88, 0.86, 0.84)
            self.canvas.drawPath(polygon(opening), fill(white))
            self.canvas.drawPath(polygon(opening), stroke(white, 0.02 * self.unit))
            for end in (0, -1):
                corner = xy[self.groups[f"lid_up_{side}"][end]]
                blob(self.canvas, corner, (0.10 * self.unit, 0.08 * self.unit), (0.55, 0.33, 0.30), 0.6)
            iris = self.features.iris(side, p)
            look = (iris - self.features.eyeball(side)) / (self.features.shape.ball - 0.005)
            self.put(
                "iris",
                iris,
                np.array([IRIS * look[2], 0, -IRIS * look[0]]),
                np.array([0, IRIS * look[2], -IRIS * look[1]]),
            )
            dim = skia.Paint(Color=argb((r, g, b)), AntiAlias=True, BlendMode=skia.BlendMode.kMultiply)
            self.canvas.drawPath(polygon(opening), dim)
            self._catchlights(iris, sign)
            upper = xy[self.groups[f"lid_up_{side}"]]
            for width, alpha in ((0.07, 0.22), (0.04, 0.25)):
                self.canvas.drawPath(polyline(upper), stroke((0.1, 0.05, 0.04), width * self.unit, alpha))

    def _catchlights(self, iris: np.ndarray, sign: float) -> None:
        """The lamps before the face, mirrored by the cornea, and the room in the other half."""
        lamps = [lamp for lamp in self.identity.lighting.lamps if lamp.direction[2] > 0]
        for lamp, strength in zip(lamps, (0.95, 0.45, 0.3), strict=False):
            x, y, _ = lamp.direction
            at, wide = self.place(iris + np.array([0.026 * x, 0.03 * y - 0.004, 0.004])), 0.006 + 0.010 * lamp.wrap
            bright = min(1.3 * max(lamp.colour), 1.0) * strength
            high = wide * (1.5 if self.identity.lighting.kind == "window" else 1.0)
            box = skia.Rect.MakeXYWH(-wide, -high, 2 * wide, 2 * high)
            self.canvas.save()
            self.canvas.translate(*at.tolist())
            self.canvas.scale(self.unit, self.unit)
            shape = self.canvas.drawRect if self.identity.seed % 3 == 0 else self.canvas.drawOval
            shape(box, fill(mix(lamp.colour, WHITE, 0.5), bright))
            self.canvas.restore()
        at = self.place(iris + np.array([-0.008 * sign, 0.03, 0.0]))
        blob(self.canvas, at, (0.04 * self.unit, 0.022 * self.unit), WHITE, 0.22)

    def lashes(self, xy: np.ndarray, p: dict[str, float]) -> None:
        """Lash lines on the margins, and lashes that stand up from open lids and hang from shut ones."""
        dark = mix(self.identity.brow, BLACK, 0.75)
        weight, unit = self.identity.lashes, self.unit
        for side, sign in SIDES.items():
            upper, lower = xy[self.groups[f"lid_up_{side}"]], xy[self.groups[f"lid_low_{side}"]]
            self.canvas.drawPath(crescent(lower, 0.012 * unit, 0.8 if sign > 0 else 0.2), fill((0.85, 0.62, 0.57), 0.5))
            self.canvas.drawPath(polyline(lower[3:]), stroke(dark, 0.006 * unit, 0.3 + 0.3 * weight))
            self.canvas.drawPath(polyline(upper), stroke(dark, 0.010 * unit, 0.75))
            self.canvas.drawPath(crescent(upper[1:], (0.014 + 0.014 * weight) * unit), fill(dark, 0.9))
            if weight > 0.35:
                self._upright(upper, sign, min(max(p[f"lid_{side}"], 0), 1), dark)

    def _upright(self, upper: np.ndarray, sign: float, shut: float, dark: Colour) -> None:
        """Single lashes along an upper lid margin (N, 2)."""
        roots = np.concatenate([upper[2:], 0.5 * (upper[2:-1] + upper[3:])])
        q = np.concatenate([np.linspace(-0.66, 1, len(upper) - 2), np.linspace(-0.6, 0.93, len(upper) - 3)])[:, None]
        out = (upper[-1] - upper[0]) / (np.linalg.norm(upper[-1] - upper[0]) + 1e-9)
        up = np.array([out[1], -out[0]]) * sign
        reach = 0.055 * self.identity.lashes * self.unit * (0.75 + 0.3 * q)
        hairs(
            self.canvas,
            roots,
            roots + (0.6 * q * out + up * (1 - 1.9 * shut)) * reach,
            stroke(dark, 0.005 * self.unit, 0.6),
        )

    def mouth(self, xy: np.ndarray, p: dict[str, float]) -> None:
        """Dark, tongue and teeth behind the lips."""
        opening = xy[ring(self.groups, "inner_up", "inner_low")]
        path = polygon(opening)
        self.canvas.drawPath(path, fill((0.13, 0.03, 0.035)))
        shape, jaw = self.features.shape, p["jaw"]
        drop = jaw_drop(p)
        if not (drop or p["upper_lip"] or p["lower_lip"] or p["smile"] or p["sneer"]):
            return
        self.canvas.save()
        self.canvas.clipPath(path, True)
        y, unit = shape.mouth_y, self.unit
        low = y + 0.90 * drop + 0.05 * p["lower_lip"]
        self.put(
            "tongue",
            np.array([0, low + 0.045 - 0.03 * jaw, 0.46]),
            np.array([0.14, 0, 0]),
            np.array([0, 0.05 + 0.06 * jaw, 0]),
        )
        self.put("lower", np.array([0, low + 0.035, 0.53 - 0.05 * jaw]), np.array([0.2, 0, 0]), np.array([0, 0.06, 0]))
        self.put("upper", np.array([0, y - 0.022, 0.56]), np.array([0.205, 0, 0]), np.array([0, 0.066, 0]))
        self.canvas.drawPath(path, fill((0.08, 0.01, 0.01), min(0.7 * self.gloom + 0.5 * p["round"], 0.9)))
        upper, lower = xy[self.groups["inner_up"]], xy[self.groups["inner_low"]]
        wide = float(np.linalg.norm(lower - upper, axis=1).max())  # shadows no wider than the opening allows
        for share, alpha in ((0.7, 0.25), (0.35, 0.3)):
            width = min(share * wide, share * 0.14 * unit)
            self.canvas.drawPath(polyline(upper), stroke((0.08, 0.01, 0.01), width, alpha))
        self.canvas.drawPath(polyline(lower), stroke((0.08, 0.01, 0.01), min(0.3 * wide, 0.05 * unit), 0.3))
        for end in (0, -1):
            blob(self.canvas, upper[end], (0.10 * unit, 0.08 * unit), (0.08, 0.01, 0.01), 0.8)
        self.canvas.restore()

    def seam(self, xy: np.ndarray) -> None:
        """The dark line where the lips meet, or their inner edges."""
        dark = mix(self.identity.lips, (0.08, 0.01, 0.01), 0.75)
        for name in ("inner_up", "inner_low"):
            line = xy[self.groups[name]]
            self.canvas.drawPath(polyline(line), stroke(dark, 0.007 * self.unit, 0.5))
            self.canvas.drawPath(crescent(line, 0.012 * self.unit), fill(dark, 0.4))

    def ears(self) -> None:
        """Ears beside the head, with their rings."""
        for side in SIDES:
            at, across, down = ear(side)
            self.put(f"ear_{side}", at, across, down)
            if self.identity.earring:
                x, y = self.place(at + np.array([0, 0.21 + self.identity.earring, 0.02])).tolist()
                self.canvas.drawCircle(x, y, self.identity.earring * self.unit, fill((0.80, 0.68, 0.36)))
                self.canvas.drawCircle(x - 1, y - 1, 0.4 * self.identity.earring * self.unit, fill((1, 0.95, 0.8)))
