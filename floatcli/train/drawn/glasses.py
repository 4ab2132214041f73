"""Glasses: frames of many kinds, what their lenses reflect, and the shadow they cast."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import skia

from floatcli.train.drawn.anatomy import SIDES
from floatcli.train.drawn.brush import fill, polygon, polyline, stroke
from floatcli.train.drawn.colour import BLACK, WHITE, mix
from floatcli.train.drawn.expression import Shape
from floatcli.train.drawn.identity import Identity
from floatcli.train.drawn.pose import Pose

Place = Callable[[np.ndarray], np.ndarray]  # head points (N, 3) -> pixels (N, 2)


class Frame(NamedTuple):
    """A kind of frame: the power that squares its lens, half its size, width of its line, how far its outside rises."""

    power: float
    size: tuple[float, float]
    line: float
    rise: float = 0.0
    drop: float = 0.0  # how far its lower outside hangs


_FRAMES = {
    "round": Frame(1.0, (0.185, 0.175), 0.020), "square": Frame(0.45, (0.21, 0.145), 0.022),
    "half": Frame(0.55, (0.205, 0.125), 0.020), "rimless": Frame(0.6, (0.20, 0.125), 0.005),
    "aviator": Frame(0.75, (0.22, 0.17), 0.012, 0.0, 0.045), "cat-eye": Frame(0.7, (0.21, 0.135), 0.034, 0.05),
    "thick": Frame(0.5, (0.215, 0.15), 0.046),
}  # fmt: skip
_TURN = np.linspace(0, 2 * np.pi, 41)
_BEFORE = 0.69  # z of the lenses at the nose


class Glasses:
    """One identity's glasses; draws nothing for who wears none."""

    def __init__(self, identity: Identity, shape: Shape) -> None:
        self.identity, self.kind = identity, identity.glasses
        if self.kind == "none":
            return
        rng = np.random.default_rng(identity.seed + 8)
        self.frame = frame = _FRAMES[self.kind]
        wave = np.stack([np.cos(_TURN), np.sin(_TURN)], 1)
        rim = np.sign(wave) * np.abs(wave) ** frame.power * frame.size * rng.uniform(0.9, 1.1)
        out, down = np.clip(rim[:, 0] / frame.size[0], 0, 1), np.clip(rim[:, 1], 0, None)
        rim[:, 1] += frame.drop * down / frame.size[1] * out - frame.rise * out**2 * np.clip(
            0.5 - 0.5 * rim[:, 1] / frame.size[1], 0, 1
        )
        self.rim, self.x, self.y = rim, shape.eye_x + rng.uniform(-0.005, 0.02), shape.eye_y + rng.uniform(0.01, 0.06)
        tinted = rng.random() < 0.15
        self.tint = (
            (mix((0.25, 0.18, 0.12), WHITE, rng.uniform(0, 0.4)), rng.uniform(0.15, 0.5)) if tinted else (WHITE, 0.04)
        )
        self.panes = rng.uniform((-0.6, -0.8), (0.6, 0.1), (2, 2)), rng.uniform(0.25, 0.7, 2)
        self.key = np.array(identity.lighting.lamps[0].direction)

    def shadow(self, canvas: skia.Canvas, place: Place, unit: float) -> None:
        """The shadow of the frame on the skin, away from the key light."""
        if self.kind == "none":
            return
        away = np.array([-0.07 * self.key[0], 0.03 - 0.06 * self.key[1], -0.06])
        for lens in self._lenses():
            line = polyline(place(lens + away))
            canvas.drawPath(line, stroke((0.12, 0.05, 0.03), (self.frame.line + 0.03) * unit, 0.10))
            canvas.drawPath(line, stroke((0.12, 0.05, 0.03), self.frame.line * unit, 0.14))

    def draw(self, canvas: skia.Canvas, place: Place, pose: Pose, unit: float) -> None:
        """Lenses with their reflections, rims, bridge and arms."""
        if self.kind == "none":
            return
        colour, line = self.identity.glasses_colour, self.frame.line
        lenses = self._lenses()
        for sign, lens in zip(SIDES.values(), lenses, strict=True):
            self._lens(canvas, place, pose, lens)
            seen = place(lens)
            rim = polyline(seen if self.kind != "half" else seen[20:])
            canvas.drawPath(rim, stroke(mix(colour, BLACK, 0.45), line * unit))
            canvas.drawPath(rim, stroke(colour, 0.6 * line * unit))
            lit = polyline(seen[24:34] - (0, 0.2 * line * unit))
            canvas.drawPath(lit, stroke(mix(colour, WHITE, 0.6), 0.22 * line * unit, 0.7))
            hinge = self.x + self.frame.size[0]
            arm = np.array(
                [
                    [sign * hinge, self.y - 0.05, _BEFORE - 0.35 * hinge**2],
                    [sign * 0.66, -0.02, 0.2],
                    [sign * 0.70, 0.0, -0.1],
                ]
            )
            canvas.drawPath(polyline(place(arm)), stroke(mix(colour, BLACK, 0.3), max(line, 0.012) * unit))
        inner = self.x - self.frame.size[0]
        for rise in (0.02, -0.05) if self.kind == "aviator" else (0.0,):
            x = np.array([-inner, -0.4 * inner, 0.4 * inner, inner])
            bridge = np.stack(
                [x, self.y - 0.035 + rise - np.array([0, 0.025, 0.025, 0]), np.full(4, _BEFORE + 0.01)], 1
            )
            canvas.drawPath(polyline(place(bridge)), stroke(colour, max(0.8 * line, 0.012) * unit))

    def _lenses(self) -> list[np.ndarray]:
        """Rims (N, 3) in head coordinates, left and right."""
        lenses = []
        for sign in SIDES.values():
            x = sign * (self.x + self.rim[:, 0])
            lenses.append(np.stack([x, self.y + self.rim[:, 1], _BEFORE - 0.35 * x * x], 1))
        return lenses

    def _lens(self, canvas: skia.Canvas, place: Place, pose: Pose, lens: np.ndarray) -> None:
        """Tint, and reflected windows that wander over the lens as the head turns."""
        seen = place(lens)
        path, glare = polygon(seen), self.identity.glare
        canvas.drawPath(path, fill(*self.tint))
        if glare < 0.15:
            return
        canvas.save()
        canvas.clipPath(path, True)
        middle, half = seen.mean(0), 0.5 * (seen.max(0) - seen.min(0))
        ahead = pose.turn(np.array([0.0, 0.0, 1.0]))[:2]
        for at, wide in zip(*self.panes, strict=True):
            low = middle + half * (at - 2.5 * ahead - (0.5 * wide, 0.3))
            high = low + half * (wide, 1.1)
            slant = 0.25 * half[0]
            pane = np.array([low, (high[0], low[1]), (high[0] + slant, high[1]), (low[0] + slant, high[1])])
            canvas.drawPath(polygon(pane), fill(mix(WHITE, (0.7, 0.85, 1.0), 0.5), 0.5 * glare**1.5))
        canvas.restore()
