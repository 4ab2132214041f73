"""What is behind a drawn person: places of noise and simple shapes, out of focus as portrait lenses leave them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import skia

from floatcli.train.drawn.brush import fill, polygon
from floatcli.train.drawn.colour import BLACK, WHITE, Colour, clipped, mix, vivid
from floatcli.train.drawn.identity import Identity

WORK = 384  # most pixels a side that a place is painted at; what is blurred needs no more


def paint_backdrop(identity: Identity, side: int) -> skia.Image:
    """The background, ``side`` pixels square, in the light of the picture."""
    rng = np.random.default_rng(identity.seed + 4)
    work = min(side, WORK)
    picture = PLACES[identity.place](rng, work, *identity.walls)
    picture = _focus(picture, identity.blur * work, rng) if identity.blur else picture
    tint = np.array(identity.lighting.lamps[0].colour) ** 0.5
    picture = np.clip(picture * tint * _falloff(rng, work), 0, 1)
    pixels = np.dstack([np.round(255 * cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)),
                        np.full((side, side), 255)])  # fmt: skip
    return skia.Image.fromarray(pixels.astype(np.uint8), colorType=skia.kRGBA_8888_ColorType)


def _focus(picture: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Out of focus: a disc for every point, brighter for bright ones, as lenses make them."""
    reach = max(int(radius), 1)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (np.hypot(x, y) <= reach + 0.3).astype(np.float32)
    gamma = rng.uniform(2.5, 4.5)
    blurred = cv2.filter2D(picture.astype(np.float32) ** gamma, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT)
    return np.clip(blurred, 0, 1) ** (1 / gamma)


def _falloff(rng: np.random.Generator, side: int) -> np.ndarray:
    """Light from one side of the place, (side, side, 1)."""
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    angle = rng.uniform(0, 2 * np.pi)
    return (1 + rng.uniform(0, 0.3) * (np.cos(angle) * x + np.sin(angle) * y))[..., None]


def clouds(
    rng: np.random.Generator, side: int, coarsest: int = 3, fade: float = 0.55, stretch: float = 1
) -> np.ndarray:
    """Noise of many sizes, (side, side), about 0 and mostly within -1 to 1."""
    total, weight, cells = np.zeros((side, side), np.float32), 1.0, coarsest
    while cells < side / 2:
        grid = rng.standard_normal((max(int(cells / stretch), 2), cells)).astype(np.float32)
        total += weight * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        weight, cells = weight * fade, cells * 2
    return 0.55 * total


def _blend(one: Colour, two: Colour, share: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) between two by ``share`` (H, W)."""
    share = np.clip(share, 0, 1)[..., None]
    return (np.array(one) * (1 - share) + np.array(two) * share).astype(np.float32)


def _on(ground: np.ndarray, paint: Callable[[skia.Canvas], None]) -> np.ndarray:
    """A picture painted over in the unit square."""
    side = len(ground)
    pixels = np.dstack([np.round(255 * np.clip(ground, 0, 1)), np.full((side, side), 255)]).astype(np.uint8)
    surface = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType)
    surface.getCanvas().scale(side, side)
    paint(surface.getCanvas())
    return pixels[..., :3].astype(np.float32) / 255


def _muted(rng: np.random.Generator, low: float, high: float) -> Colour:
    grey = rng.uniform(low, high)
    return mix((grey, grey * 0.97, grey * 0.93), vivid(rng, low, high, 0.7), rng.uniform(0, 0.5))


def _box(x: float, y: float, w: float, h: float) -> skia.Rect:
    return skia.Rect.MakeXYWH(float(x), float(y), float(w), float(h))


def _studio(rng: np.random.Generator, side: int, one: Colour, two: Colour) -> np.ndarray:
    """Seamless paper or painted muslin with a pool of light."""
    x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    pool = np.exp(-(((x - rng.uniform(0.3, 0.7)) / 0.6) ** 2) - ((y - rng.uniform(0.2, 0.6)) / 0.6) ** 2)
    mottle = rng.choice([0.0, 0.12, 0.3]) * clouds(rng, side, 4)
    return _blend(mix(one, BLACK, 0.45), mix(one, WHITE, rng.uniform(0, 0.5)), pool + mottle)


def _wall(rng: np.random.Generator, side: int, one: Colour, two: Colour) -> np.ndarray:
    """Plaster, planks, bricks or wallpaper."""
    kind = rng.integers(4)
    rough = clouds(rng, side, 4, 0.8)
    picture = _blend(mix(one, BLACK, 0.25), mix(one, WHITE, 0.2), 0.5 + 0.22 * rough)

    def paint(canvas: skia.Canvas) -> None:
        if kind == 1:
            for x in np.arange(-0.05, 1.05, step := rng.uniform(0.08, 0.2)):
                canvas.drawRect(_box(x, 0, step, 1), fill(mix(one, BLACK, rng.uniform(0, 0.5)), 0.5))
                canvas.drawRect(_box(x, 0, 0.006, 1), fill(BLACK, 0.5))
        if kind == 2:
            high, wide = 0.05, 0.14
            for row in range(21):
                for column in range(-1, 8):
                    tone = mix(one, (0.5, 0.25, 0.18), rng.uniform(0.1, 0.6))
                    at = _box((column + 0.5 * (row % 2)) * wide + 0.004, row * high + 0.004, wide - 0.008, high - 0.008)
                    canvas.drawRect(at, fill(mix(tone, BLACK, rng.uniform(0, 0.3)), 0.75))
        if kind == 3:
            for x in np.arange(0, 1, step := rng.uniform(0.05, 0.2)):
                canvas.drawRect(_box(x, 0, step * 0.5, 1), fill(two, 0.35))

    return _on(picture, paint)


def _room(rng: np.random.Generator, side: int, one: Colour, two: Colour) -> np.ndarray:
    """A wall with pictures, a window or door, shelves of books, a lamp, furniture."""
    picture = _blend(one, mix(one, BLACK, 0.35), np.linspace(0, 1, side)[:, None] + 0.1 * clouds(rng, side))

    def shelf(canvas: skia.Canvas) -> None:
        left, width = rng.uniform(-0.2, 0.8), rng.uniform(0.25, 0.6)
        canvas.drawRect(_box(left, 0, width, 1), fill(mix(_muted(rng, 0.1, 0.5), BLACK, 0.3)))
        for y in np.arange(0.02, 1, 0.17):
            x = left + 0.01
            while x < left + width - 0.03:
                wide, high = rng.uniform(0.012, 0.04), rng.uniform(0.09, 0.145)
                canvas.drawRect(_box(x, y + 0.15 - high, wide, high), fill(vivid(rng, 0.15, 0.85, 0.7)))
                x += wide + (0.03 if rng.random() < 0.1 else 0.001)

    def window(canvas: skia.Canvas) -> None:
        x, w = rng.uniform(-0.1, 0.75), rng.uniform(0.2, 0.45)
        canvas.drawRect(_box(x - 0.02, 0.0, w + 0.04, 0.62), fill(_muted(rng, 0.6, 0.95)))
        for k in range(2):
            canvas.drawRect(_box(x + k * w / 2, 0.0, w / 2 - 0.015, 0.58), fill((0.95, 0.98, 1.0)))
            canvas.drawRect(_box(x + k * w / 2, 0.4, w / 2 - 0.015, 0.18), fill((0.6, 0.72, 0.6), 0.6))
        for sign in (-1, 1):
            canvas.drawRect(_box(x + (w if sign > 0 else -0.13), -0.1, 0.13, 1), fill(mix(two, WHITE, 0.2), 0.9))

    def frames(canvas: skia.Canvas) -> None:
        for _ in range(int(rng.integers(1, 4))):
            x, y, w, h = rng.uniform(-0.1, 0.9), rng.uniform(0, 0.5), rng.uniform(0.12, 0.3), rng.uniform(0.12, 0.3)
            canvas.drawRect(_box(x, y, w, h), fill(_muted(rng, 0.05, 0.6)))
            canvas.drawRect(_box(x + 0.02, y + 0.02, w - 0.04, h - 0.04), fill(vivid(rng, 0.3, 0.95, 0.6)))

    def lamp(canvas: skia.Canvas) -> None:
        x, y = rng.choice([rng.uniform(0, 0.25), rng.uniform(0.75, 1)]), rng.uniform(0.2, 0.5)
        canvas.drawRect(_box(x - 0.008, y, 0.016, 0.6), fill((0.2, 0.17, 0.15)))
        shade = np.array([(x - 0.06, y), (x + 0.06, y), (x + 0.1, y + 0.14), (x - 0.1, y + 0.14)])
        canvas.drawPath(polygon(shade), fill((1.0, 0.88, 0.62)))

    def sofa(canvas: skia.Canvas) -> None:
        tone = _muted(rng, 0.1, 0.7)
        canvas.drawRect(_box(-0.1, y := rng.uniform(0.65, 0.85), 1.2, 1), fill(tone))
        canvas.drawRect(_box(-0.1, y, 1.2, 0.03), fill(mix(tone, WHITE, 0.25)))

    def paint(canvas: skia.Canvas) -> None:
        for thing in (shelf, window, frames, lamp, sofa):
            if rng.random() < 0.45:
                thing(canvas)

    return _on(picture, paint)


def _street(rng: np.random.Generator, side: int, one: Colour, two: Colour) -> np.ndarray:
    """Fronts of houses along a road, with windows, trees, cars and lights; by day or at night."""
    night = rng.random() < 0.35
    sky = (0.04, 0.05, 0.12) if night else mix((0.75, 0.85, 0.95), _muted(rng, 0.6, 0.95), 0.5)
    picture = np.broadcast_to(np.array(sky, np.float32), (side, side, 3)).copy()
    dim = 0.75 if night else 0.0

    def paint(canvas: skia.Canvas) -> None:
        x = -0.1
        while x < 1.0:
            wide, top = rng.uniform(0.12, 0.4), rng.uniform(-0.2, 0.4)
            tone = mix(_muted(rng, 0.25, 0.85), BLACK, dim)
            canvas.drawRect(_box(x, top, wide, 1), fill(tone))
            for wx in np.arange(x + 0.02, x + wide - 0.03, 0.06):
                for wy in np.arange(top + 0.03, 0.75, 0.09):
                    lit = rng.random() < 0.35
                    glass = (1, 0.85, 0.5) if night and lit else mix(tone, (0.2, 0.26, 0.34), 0.7)
                    canvas.drawRect(_box(wx, wy, 0.035, 0.055), fill(glass))
            x += wide
        canvas.drawRect(_box(0, 0.8, 1, 0.2), fill(mix((0.42, 0.42, 0.43), BLACK, dim)))
        for _ in range(int(rng.integers(1, 5))):
            canvas.drawRect(
                _box(rng.uniform(-0.1, 0.9), 0.7, 0.25, 0.13), fill(mix(vivid(rng, 0.1, 0.9, 0.8), BLACK, dim))
            )
        for _ in range(int(rng.integers(6, 30)) if night else int(rng.integers(0, 6))):
            lamp = clipped(np.array([1, rng.uniform(0.4, 1), rng.uniform(0.1, 0.9)]))
            canvas.drawCircle(*rng.uniform(0.02, 0.98, 2).tolist(), rng.uniform(0.003, 0.012), fill(lamp))

    return _on(picture, paint)


def _foliage(rng: np.random.Generator, side: int, one: Colour, two: Colour) -> np.ndarray:
    """Leaves or a hedge, with the sky between them, and grass."""
    leaf = mix((0.20, 0.36, 0.10), vivid(rng, 0.2, 0.6, 0.5), rng.uniform(0, 0.35))
    depth = clouds(rng, side, 3, 0.8)
    picture = _blend(mix(leaf, BLACK, 0.75), mix(leaf, (0.75, 0.85, 0.3), 0.45), 0.45 + 0.5 * depth)
    gaps = np.clip(4 * (clouds(rng, side, 5, 0.75) - rng.uniform(0.5, 1.1) - np.linspace(-0.4, 1, side)[:, None]), 0, 1)
    picture += gaps[..., None] * (np.array([0.92, 0.96, 1.0]) - picture)
    if rng.random() < 0.5:
        floor = np.clip((np.linspace(0, 1, side)[:, None] - rng.uniform(0.5, 0.8)) * 12, 0, 1) + np.zeros((1, side))
        grass = _blend((0.22, 0.32, 0.1), (0.5, 0.55, 0.25), 0.5 + 0.4 * clouds(rng, side, 12, 0.9, 0.4))
        picture += floor[..., None] * (grass - picture)
    return picture


def _open_air(rng: np.random.Generator, side: int, one: Colour, two: Colour) -> np.ndarray:
    """Sky with clouds over hills, fields or water."""
    y = np.linspace(0, 1, side)[:, None]
    blue = mix((0.35, 0.55, 0.85), (0.95, 0.75, 0.55), float(rng.choice([0, 0, 0.3, 0.8])))
    picture = _blend(blue, (0.95, 0.95, 0.96), 0.2 + 0.5 * y + 0.45 * clouds(rng, side, 2, 0.6, 2.5))
    horizon, x = rng.uniform(0.35, 0.75), np.linspace(0, 6, side)
    for k in range(3):
        line = horizon + 0.07 * k + 0.05 * np.sin(x * rng.uniform(0.5, 2) + rng.uniform(0, 6))
        land = mix(mix((0.25, 0.33, 0.16), vivid(rng, 0.2, 0.6, 0.6), 0.35), blue, 0.55 - 0.25 * k)
        texture = _blend(mix(land, BLACK, 0.3), mix(land, WHITE, 0.12), 0.5 + 0.4 * clouds(rng, side, 8, 0.8, 0.5))
        picture += np.clip((y - line[None]) * side, 0, 1)[..., None] * (texture - picture)
    return picture


def _lights(rng: np.random.Generator, side: int, one: Colour, two: Colour) -> np.ndarray:
    """Points of light in the dark, which a lens spreads to discs."""
    picture = _blend(mix(one, BLACK, 0.85), mix(two, BLACK, 0.6), 0.5 + 0.5 * clouds(rng, side, 2))

    def paint(canvas: skia.Canvas) -> None:
        warm = rng.random() < 0.6
        for _ in range(int(rng.integers(20, 90))):
            tone = (
                clipped(np.array([1, rng.uniform(0.55, 0.9), rng.uniform(0.2, 0.6)]))
                if warm
                else vivid(rng, 0.7, 1, 0.8)
            )
            canvas.drawCircle(*rng.uniform(0, 1, 2).tolist(), rng.uniform(0.003, 0.014), fill(tone))

    return _on(picture, paint)


def _plain(rng: np.random.Generator, side: int, one: Colour, two: Colour) -> np.ndarray:
    """Flat or graded, as in pictures that have been cut out, passports and drawings."""
    x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    angle = rng.uniform(0, 2 * np.pi)
    return _blend(
        one, two if rng.random() < 0.5 else one, 0.5 + (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
    )


PLACES = {"studio": _studio, "wall": _wall, "room": _room, "street": _street, "foliage": _foliage,
          "open air": _open_air, "lights": _lights, "plain": _plain}  # fmt: skip
