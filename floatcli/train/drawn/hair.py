"""Hair as two shells around the skull, one before the face and one behind the head, painted with strands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import skia

from floatcli.train.drawn.anatomy import profile
from floatcli.train.drawn.body import View
from floatcli.train.drawn.brush import fill, hairs, stroke
from floatcli.train.drawn.colour import Colour, mix
from floatcli.train.drawn.identity import Identity
from floatcli.train.drawn.locks import LOOSE, TOP, Locks, times
from floatcli.train.drawn.mesh import Sheet, Surface, grid, texture

ROWS, COLUMNS = 22, 23
REACH = 1.72  # angle that the front shell reaches to either side
_STRAYS = {"crop": 60, "beanie": 20, "ring": 30, "curly": 220, "afro": 320, "bald": 0}  # single hairs, by style
#: Places on the front shell, angle and v, that are followed from picture to picture.
MARKS = (
    *((angle, v) for v in (-0.92, -0.75, -0.58) for angle in (-1.2, -0.6, 0.0, 0.6, 1.2)),
    *((sign * 1.25, v) for v in (0.2, 0.5, 0.8) for sign in (-1, 1)),
)
_BENDS = 5  # points of a single hair


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


class Shell(NamedTuple):
    """A sheet of hair, its points at rest, its texture, how far they follow the head, and where strands shine."""

    sheet: Sheet
    points: np.ndarray
    paint: skia.Paint
    follow: np.ndarray
    glints: skia.Paint


class HairShells:
    """One identity's hair: shells, textures and single hairs.

    Args:
        identity: Looks.
        density: Texture pixels a head unit.
    """

    def __init__(self, identity: Identity, density: float) -> None:
        self.hair = identity.hair
        self.rng = np.random.default_rng(identity.seed + 9)
        self.bottom = max(self.hair.length, 0.45) + 0.12
        even = np.linspace(0, 1, ROWS)
        self.v = TOP + (self.bottom - TOP) * (0.35 * even**2.5 + 0.65 * even)  # closer rows where the crown bends
        self.scale = np.array([0.68 * density, density])
        locks = Locks(identity, self.bottom)
        self.front = self._build(REACH, False, locks) if self.hair.style != "bald" else None
        self.back = self._build(np.pi / 2, True, locks)
        self.strays, self.stray_follow = self._strays(locks)

    def _build(self, reach: float, back: bool, locks: Locks) -> Shell:
        angle, style = np.linspace(-reach, reach, COLUMNS), self.hair.style
        points = self._points(angle[None, :], self.v[:, None], back).reshape(-1, 3)
        if style in ("curly", "afro"):
            points = points + self.rng.normal(0, 0.018 if style == "curly" else 0.012, points.shape)
        size = np.ceil(np.array([2 * reach, self.bottom - TOP]) * self.scale).astype(int)
        image, glints = locks.textures(reach, self.scale, size, back)
        sheet_points = np.stack(np.meshgrid(angle + reach, self.v - TOP), -1).reshape(-1, 2) * self.scale
        shine = texture(glints)
        shine.setBlendMode(skia.BlendMode.kPlus)
        sheet = Sheet(sheet_points, grid(ROWS, COLUMNS), image)
        return Shell(sheet, points, texture(image), _follow(np.repeat(self.v, COLUMNS)), shine)

    def _points(self, angle: np.ndarray, v: np.ndarray, back: bool) -> np.ndarray:
        """Points (..., 3) of a shell, loose hair swinging out and in."""
        style = self.hair.style
        volume = -0.06 if style in ("bald", "ring") and back else self.hair.volume
        points = _shell(angle, v, volume, back, style in LOOSE)
        if style in ("long", "bob"):
            low = np.clip(v - 0.2, 0, None)
            points[..., 0] *= 1 + 0.13 * self.hair.wave * np.sin(4.5 * low) * np.exp(-0.5 * low)
        return points

    def _strays(self, locks: Locks) -> tuple[np.ndarray, np.ndarray]:
        """Single hairs that leave the shells: points (BENDS, N, 3), and how far they follow the head (BENDS, N, 1)."""
        rng, count = self.rng, _STRAYS.get(self.hair.style, 130)
        angle, t = rng.uniform(-1.65, 1.65, count), np.linspace(0, 1, _BENDS)[:, None]
        angle = angle[locks.line(angle) > TOP + 0.2]
        count, end = len(angle), np.minimum(locks.line(angle), self.bottom - 0.1)
        start = TOP + 0.04 + (end - TOP) * rng.uniform(0, 0.85, count)
        length = rng.uniform(0.08, 0.24, count) * (0.5 if self.hair.style in ("crop", "ring") else 1)
        v = np.minimum(start + length * t, np.maximum(end, start) + 0.03)
        path = self._points(angle + rng.normal(0, 0.12, count) * t, v, False)
        curl = 2.5 if self.hair.style in ("curly", "afro") else 0.7
        out = np.stack([np.sin(angle), np.full(count, -0.45), np.cos(angle)], -1) * rng.exponential(0.02, (count, 1))
        wiggle = np.cumsum(rng.normal(0, 0.010 * curl, (_BENDS, count, 3)), 0)
        return path + out * t[..., None] ** 1.5 + wiggle * t[..., None], _follow(v)

    def marks(self) -> tuple[np.ndarray, np.ndarray]:
        """The places of ``MARKS`` at rest (N, 3), and how far they follow the head (N, 1); NaN where no hair is."""
        angle, v = np.array(MARKS).T
        points, hair = self._points(angle, v, False), self.hair
        hangs = hair.style in LOOSE and hair.style != "afro"
        there = (hair.style not in ("bald", "ring")) & ((v < -0.4) | (hangs & (v < hair.length - 0.1)))
        return np.where(there[:, None], points, np.nan), _follow(v)

    def draw_back(self, view: View) -> None:
        """The shell behind the head, and a bun above it."""
        if self.hair.style == "bun":
            x, y = view.project(view.pose.move(np.array([0.0, -1.02 - 0.1 * self.hair.wave, -0.45]))).tolist()
            radius = (0.24 + 0.08 * self.hair.wave) * view.unit
            for share, tone in ((1.0, 0.4), (0.88, 0.6), (0.6, 0.8)):
                wide, high = radius * share, 0.85 * radius * share
                box = skia.Rect.MakeLTRB(x - wide, y - high, x + wide, y + high)
                view.canvas.drawOval(box, fill(times(self.hair.colour, tone)))
        self._draw(view, self.back, "both")

    def draw_inside(self, view: View) -> None:
        """The inner side of loose hair, seen past the cheek of a turned head."""
        if self.front and self.hair.style in LOOSE:
            self._draw(view, self.front, "inside")

    def draw_front(self, view: View) -> None:
        """The shell before the face, and single hairs, if there are any."""
        if self.front:
            self._draw(view, self.front, "outside")
            self._draw_strays(view)

    def surfaces(self, view: View) -> tuple[Surface | None, Surface | None, Surface | None]:
        """The shell behind the head, the inner side of the one before the face, and that shell, as far as they are."""
        loose = self.hair.style in LOOSE
        shells = (self.back, "both"), (self.front if loose else None, "inside"), (self.front, "outside")
        back, inside, outside = (
            self._surface(view, shell, view.between(shell.points, shell.follow), seen) if shell else None
            for shell, seen in shells
        )
        return back, inside, outside

    @staticmethod
    def _surface(view: View, shell: Shell, moved: np.ndarray, seen: str) -> Surface:
        sheet, xy = shell.sheet, view.project(moved)
        triangles = sheet.triangles if seen == "both" else sheet.visible(xy, moved[:, 2], seen == "inside")
        return Surface(xy, triangles, sheet.texels, sheet.opacity)

    def _draw(self, view: View, shell: Shell, seen: str) -> None:
        sheet = shell.sheet
        moved = view.between(shell.points, shell.follow)
        xy, triangles, *_ = self._surface(view, shell, moved, seen)
        if not len(triangles):
            return
        normals = sheet.normals(moved)
        normals *= np.where(normals[:, 2:] < 0, -1, 1)  # the side that is seen
        shade = view.light.shade(normals) * (0.55 if seen == "inside" else 1.0)
        along = np.gradient(moved.reshape(ROWS, COLUMNS, 3), axis=0).reshape(-1, 3)
        along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
        shine = view.light.strand_shine(along, normals) if seen == "outside" else None
        sheet.draw(view.canvas, xy, triangles, shade, shell.paint, shine, shell.glints)

    def _draw_strays(self, view: View) -> None:
        """Single hairs in the light of where they grow, from left to right in groups."""
        moved = view.between(self.strays, self.stray_follow)
        xy = view.project(moved)
        outward = moved[0] - view.pose.move(np.array([0.0, -0.2, -0.15]))
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        light = view.light.shade(outward) + view.light.strand_shine(0 * outward, outward)
        for group in np.array_split(np.argsort(moved[0, :, 0]), 8):
            if len(group):
                colour: Colour = tuple(
                    (np.array(mix(self.hair.colour, (0.5, 0.45, 0.4), 0.12)) * light[group].mean(0)).tolist()
                )
                paint = stroke(colour, 0.0048 * view.unit, 0.55)
                hairs(view.canvas, xy[:-1, group].reshape(-1, 2), xy[1:, group].reshape(-1, 2), paint)


def _follow(v: np.ndarray) -> np.ndarray:
    """Share (..., 1) by which hair at ``v`` follows the head; what lies on the shoulders follows those."""
    return 1 - 0.85 * np.clip((v - 0.55) / 0.75, 0, 1)[..., None]
