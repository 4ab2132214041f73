"""Light on a drawn person: lamps over an ambient hemisphere, of many kinds, and what they do to a surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floatcli.train.drawn.colour import Colour, clipped

Direction = tuple[float, float, float]
TONE = 0.66  # exponent from light to the picture's values
RIM = -0.05  # z below which a lamp stands behind the head


@dataclass(frozen=True)
class Lamp:
    """One light: unit direction towards it, its colour times its strength, and how softly it wraps around, 0 to 1."""

    direction: Direction
    colour: Colour
    wrap: float


@dataclass(frozen=True)
class Lighting:
    """All light of a picture; the first lamp is the key."""

    kind: str
    lamps: tuple[Lamp, ...]
    sky: Colour  # ambient light from above
    ground: Colour  # and from below
    exposure: float


#: Kinds of light: reach of the key's x (either side), y and z; wrap; ambient strength; what else shines.
_KINDS: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float], float, float, str]] = {
    "window": ((0.35, 1.0), (-0.5, 0.05), (0.4, 1.0), 0.55, 0.36, ""),
    "overcast": ((0.0, 0.35), (-1.2, -0.6), (0.5, 1.0), 0.95, 0.62, ""),
    "sun": ((0.1, 0.9), (-1.0, -0.4), (0.4, 1.0), 0.12, 0.42, ""),
    "studio": ((0.3, 0.8), (-0.7, -0.2), (0.7, 1.1), 0.45, 0.25, "fill rim"),
    "split": ((0.8, 1.2), (-0.5, 0.0), (0.15, 0.4), 0.3, 0.20, "fill"),
    "backlit": ((0.0, 0.5), (-0.5, 0.0), (0.8, 1.2), 0.8, 0.45, "rim rim"),
    "neon": ((0.5, 1.0), (-0.4, 0.2), (0.4, 0.9), 0.4, 0.28, "colour"),
    "lamp": ((0.2, 0.9), (-0.7, 0.3), (0.5, 1.0), 0.35, 0.26, ""),
    "flash": ((0.0, 0.12), (-0.25, 0.0), (1.0, 1.0), 0.15, 0.20, ""),
    "below": ((0.0, 0.5), (0.3, 0.8), (0.6, 1.0), 0.5, 0.36, "fill"),
}
KINDS = tuple(_KINDS)
_ODDS = np.array([5, 4, 4, 5, 2, 3, 1.2, 3, 2, 0.8])
_WARM = {"sun": 0.10, "lamp": 0.20, "overcast": -0.05, "window": -0.02, "flash": -0.02}


def random_lighting(rng: np.random.Generator) -> Lighting:
    """Light of a random kind from a random side."""
    kind = str(rng.choice(KINDS, p=_ODDS / _ODDS.sum()))
    x, y, z, wrap, ambient, more = _KINDS[kind]
    side = float(rng.choice([-1, 1]))
    key = _towards(side * rng.uniform(*x), rng.uniform(*y), rng.uniform(*z))
    warmth = _WARM.get(kind, 0.0) + rng.normal(0, 0.05)
    lamps = [Lamp(key, _warm(1.0, warmth), float(np.clip(wrap + rng.normal(0, 0.1), 0.05, 1)))]
    lamps += [_further(name, rng, side, warmth) for name in more.split()]
    if kind == "neon":
        lamps[0] = Lamp(key, _hue(rng, 1.0), wrap)
    if not more and rng.random() < 0.3:
        lamps.append(_further("rim", rng, side, warmth))
    ambient *= rng.uniform(0.75, 1.35)
    sky, ground = _warm(ambient, -0.6 * warmth), _warm(0.72 * ambient, 0.5 * warmth + rng.uniform(0, 0.08))
    return Lighting(kind, tuple(lamps), sky, ground, round(float(rng.uniform(0.84, 1.06)), 3))


def _further(name: str, rng: np.random.Generator, side: float, warmth: float) -> Lamp:
    """A lamp beside the key, which stands on ``side``."""
    if name == "fill":
        return Lamp(_towards(-side * rng.uniform(0.3, 1), rng.uniform(-0.2, 0.3), 0.9),
                    _warm(rng.uniform(0.15, 0.5), -warmth), 0.8)  # fmt: skip
    if name == "colour":
        return Lamp(_towards(-side * rng.uniform(0.6, 1), rng.uniform(-0.3, 0.2), 0.5), _hue(rng, 0.8), 0.4)
    where = _towards(rng.choice([-1, 1]) * rng.uniform(0.5, 1), rng.uniform(-0.8, -0.1), -rng.uniform(0.25, 0.7))
    return Lamp(where, _warm(rng.uniform(0.4, 1.0), rng.normal(0.03, 0.12)), 0.1)


def _towards(x: float, y: float, z: float) -> Direction:
    a, b, c = (np.array([x, y, z], float) / np.linalg.norm([x, y, z])).round(4).tolist()
    return a, b, c


def _warm(strength: float, warmth: float) -> Colour:
    return clipped(strength * np.array([1 + 0.6 * warmth, 1, 1 - warmth]))


def _hue(rng: np.random.Generator, strength: float) -> Colour:
    hue = np.clip(np.abs((rng.uniform(0, 6) + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return clipped(strength * (0.45 + 0.55 * hue))


class Light:
    """What a lighting does to surfaces. Light wanders under skin, so its dark sides keep some red.

    Args:
        lighting: The lamps.
        gloss: How much skin shines, about 0 to 0.5.
    """

    def __init__(self, lighting: Lighting, gloss: float) -> None:
        self.gloss, self.gain = gloss, 1.0
        self.directions = np.array([lamp.direction for lamp in lighting.lamps])
        self.colours = np.array([lamp.colour for lamp in lighting.lamps])
        self.wraps = np.array([lamp.wrap for lamp in lighting.lamps])
        self.ahead = self.directions[:, 2] > RIM
        self.sky, self.ground = np.array(lighting.sky), np.array(lighting.ground)
        half = self.directions + np.array([0, 0, 1])
        self.halves = half / np.linalg.norm(half, axis=1, keepdims=True)
        self.gain = lighting.exposure / float(np.quantile(self._light(_front(), 0).mean(1), 0.9))

    def _light(self, normals: np.ndarray, warmth: float) -> np.ndarray:
        up = 0.5 - 0.5 * normals[:, 1:2]
        total = (self.ground + (self.sky - self.ground) * up) * (0.88 + 0.12 * normals[:, 2:3])
        facing = np.clip(
            (normals @ self.directions[self.ahead].T + self.wraps[self.ahead]) / (1 + self.wraps[self.ahead]), 0, 1
        )
        for k in range(3):
            total[:, k] += (facing ** (1.25 - warmth * (0.25 - 0.16 * k))) @ self.colours[self.ahead, k]
        return total

    def shade(self, normals: np.ndarray, warmth: float = 0.0) -> np.ndarray:
        """Light (N, 3), 0 to 1, that falls on unit normals (N, 3)."""
        return np.clip(self.gain * self._light(normals, warmth), 0.0, 1.0) ** TONE

    def shine(self, normals: np.ndarray, gloss: np.ndarray | float = 1.0) -> np.ndarray:
        """Highlights and light from behind (N, 3), 0 to 1, on unit normals (N, 3) as glossy as ``gloss`` (N,)."""
        cosine = np.clip(normals @ self.halves.T, 0, 1)
        lobes = (0.42 * cosine**34 + 0.2 * cosine**9) * self.gloss * np.reshape(gloss, (-1, 1))
        edge = np.clip(1 - normals[:, 2:3], 0, 1) ** 2.2
        rims = 0.75 * edge * np.clip(normals @ self.directions.T, 0, 1) * np.clip(np.reshape(gloss, (-1, 1)), 0, 1)
        return np.clip(self.gain * np.where(self.ahead, lobes, rims) @ self.colours, 0, 1)

    def strand_shine(self, tangents: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Highlights (N, 3), 0 to 1, along hair that runs by unit tangents (N, 3)."""
        across = 1 - np.clip(tangents @ self.halves.T, -1, 1) ** 2
        lobes = 0.24 * across**14 * np.clip(normals @ self.directions.T + 0.35, 0, 1)
        rims = 0.8 * np.clip(1 - normals[:, 2:3], 0, 1) ** 1.6 * np.clip(normals @ self.directions.T + 0.1, 0, 1)
        return np.clip(self.gain * np.where(self.ahead, lobes, rims) @ self.colours, 0, 1)


def _front() -> np.ndarray:
    """Unit normals (N, 3) that a face shows."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-0.8, 0.8, 9), np.linspace(-0.5, 0.5, 7)))
    return np.stack([x, y, np.sqrt(np.clip(1 - x * x - y * y, 0.01, 1))], 1)
