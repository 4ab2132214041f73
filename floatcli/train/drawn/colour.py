"""Colours as three numbers, mixed and thrown."""

from __future__ import annotations

import numpy as np

Colour = tuple[float, float, float]  # red, green, blue, 0 to 1

BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """``a`` with ``share`` of ``b``, clipped to 0 .. 1."""
    r, g, b_ = (min(max(x + (y - x) * share, 0.0), 1.0) for x, y in zip(a, b, strict=True))
    return r, g, b_


def clipped(rgb: np.ndarray) -> Colour:
    """A colour of three numbers, clipped to 0 .. 1."""
    r, g, b = np.clip(np.asarray(rgb, float), 0, 1).round(4).tolist()
    return r, g, b


def fold_tone(skin: Colour) -> Colour:
    """The colour of a skin's folds."""
    return skin[0] * 0.52, skin[1] * 0.36, skin[2] * 0.32


def ramp(table: tuple[tuple[int, int, int], ...], at: float, rng: np.random.Generator, jitter: float) -> Colour:
    """A colour between those of a table (0 to 255), a little off it."""
    stops = np.array(table, float) / 255
    place = at * (len(stops) - 1)
    colour = [np.interp(place, np.arange(len(stops)), stops[:, k]) for k in range(3)]
    return clipped(np.array(colour) * (1 + jitter * rng.standard_normal() + 0.4 * jitter * rng.standard_normal(3)))


def vivid(rng: np.random.Generator, low: float, high: float, saturation: float) -> Colour:
    """A random hue of a value between ``low`` and ``high``."""
    hue = np.abs((rng.uniform(0, 6) + np.array([0, 4, 2])) % 6 - 3) - 1
    tint = 1 - rng.uniform(0, saturation) * (1 - np.clip(hue, 0, 1))
    return clipped(rng.uniform(low, high) * tint)
