"""Random changes of a set of drawn pictures that carry what is learnt over to photographs and paintings.

Every picture of the set gets the same warp, colours, light and style, so that the motion between them stays true;
only sensor noise and compression differ from picture to picture, as they do in a video.
"""

from __future__ import annotations

import cv2
import numpy as np

from floatcli.config import TURN_DEGREES
from floatcli.train.styles import Filter, random_style


def augment(pictures: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> tuple[np.ndarray, Warp]:
    """Change pictures of one identity alike.

    Args:
        pictures: (F, H, W, 3) uint8.
        rng: Where the chance comes from.
        strength: 0 leaves the geometry as it is, 1 is the usual amount; the looks change all the same.

    Returns:
        Such pictures, and the warp, which what else is known of them has to follow.
    """
    frames, height, width = pictures.shape[:3]
    warp = Warp(rng, height, width, strength)
    filters = [warp.filter(), *_looks(rng, height, width)]
    changed = np.empty_like(pictures)
    for k in range(frames):
        picture = pictures[k]
        for change in filters:
            picture = change(picture)
        changed[k] = picture
    return changed, warp


class Warp:
    """A random similarity, shear and perspective, and slow waves on top.

    It is defined backwards, as remapping needs it: source(q) = inverse(q) + waves(q) for a point q of the result.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int, strength: float) -> None:
        self.size = width, height
        self.turn, self.linear, homography = _homography(rng, strength)
        self.inverse = np.linalg.inv(homography)
        count = 4 if rng.random() < 0.6 else 0
        self.direction = rng.normal(0, 1, (count, 2))
        self.frequency = rng.uniform(-2.2, 2.2, (count, 2)) * 2 * np.pi
        self.phase = rng.uniform(0, 2 * np.pi, count)
        self.amount = 0.006 * strength * rng.uniform(0.2, 1, count)
        modes = (cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT, cv2.BORDER_REFLECT_101)
        self.border = modes[int(rng.choice(3, p=(0.5, 0.35, 0.15)))]
        self.colour = (int(rng.choice(np.array([0, 255, rng.integers(256)]))),) * 3

    def source(self, q: np.ndarray) -> np.ndarray:
        """Where points (..., 2) of the result come from; both from 0 to 1."""
        return _project(self.inverse, q) + self._waves(q)

    def points(self, p: np.ndarray) -> np.ndarray:
        """Where source points (..., 2) go: the inverse of ``source``, by fixed-point iteration (the waves are weak)."""
        forward = np.linalg.inv(self.inverse)
        q = _project(forward, p.astype(float))
        for _ in range(25 if self.phase.size else 0):
            q = _project(forward, p - self._waves(q))
        return q

    def displacements(self, moves: np.ndarray) -> np.ndarray:
        """How far cells of the first picture go in each (F, S, S, 2), as the warp leaves it."""
        size = moves.shape[1]
        at = self._maps(size, size)
        places = (at + 0.5) / size
        moved = np.full(moves.shape, np.nan)
        for k, each in enumerate(moves.astype(np.float32)):
            going = cv2.remap(each, at, None, cv2.INTER_LINEAR, borderValue=(np.nan,) * 2)  # type: ignore[call-overload]
            seen = np.isfinite(going).all(-1)
            moved[k][seen] = self.points(places[seen] + going[seen]) - centres(size, size)[seen]
        return moved

    def pose(self, tilt: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The tilts (F,) and shifts (F, 2) of heads, in parameters, as the warp leaves them."""
        return tilt + np.rad2deg(self.turn) / TURN_DEGREES[2], shift @ self.linear.T

    def filter(self) -> Filter:
        """The warp as a change of pictures."""
        maps = self._maps(*self.size)

        def change(picture: np.ndarray) -> np.ndarray:
            border = {"borderMode": self.border, "borderValue": self.colour}
            return cv2.remap(picture, maps, None, cv2.INTER_LINEAR, **border)  # type: ignore[call-overload]

        return change

    def matte(self, matte: np.ndarray) -> np.ndarray:
        """A matte (h, w) as the warp leaves it."""
        maps = self._maps(*matte.shape[::-1])
        return cv2.remap(matte, maps, None, cv2.INTER_LINEAR, borderMode=self.border)  # type: ignore[call-overload]

    def _maps(self, width: int, height: int) -> np.ndarray:
        """Where pixels of a picture come from, (height, width, 2), in pixels."""
        return (self.source(centres(height, width)) * (width, height) - 0.5).astype(np.float32)

    def _waves(self, q: np.ndarray) -> np.ndarray:
        return (np.sin(q @ self.frequency.T + self.phase) * self.amount) @ self.direction


def centres(height: int, width: int) -> np.ndarray:
    """Middles of pixels, (height, width, 2), from 0 to 1."""
    return np.stack(np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height), -1)


def _homography(rng: np.random.Generator, strength: float) -> tuple[float, np.ndarray, np.ndarray]:
    """A random 3x3 matrix near the identity, about the picture's middle; by what angle it turns, what it does there."""
    turn = strength * rng.normal(0, 0.10)
    scale = np.exp(strength * rng.normal(0, 0.10, 2) * (1.0, 0.35))
    zoom, stretch = scale[0], scale[1]
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    shear = np.array([[zoom * stretch, strength * rng.normal(0, 0.05), 0], [0, zoom / stretch, 0], [0, 0, 1]])
    shift = np.array([[1, 0, strength * rng.normal(0, 0.035)], [0, 1, strength * rng.normal(0, 0.035)], [0, 0, 1]])
    tilt = np.eye(3)
    tilt[2, :2] = strength * rng.normal(0, 0.08, 2)
    middle = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    linear = (rotation @ shear)[:2, :2]
    return turn, linear, middle @ shift @ rotation @ shear @ tilt @ np.linalg.inv(middle)


def _project(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    flat = points @ matrix[:2, :2].T + matrix[:2, 2]
    return flat / (points @ matrix[2, :2] + matrix[2, 2])[..., None]


def _looks(rng: np.random.Generator, height: int, width: int) -> list[Filter]:
    """Colour, light, style and camera of one set, in the order light takes."""
    changes: list[tuple[float, Filter]] = [
        (0.35, _light(rng, height, width)),
        (0.25, _texture(rng, height, width)),
        (0.75, _tones(rng)),
        (0.60, _mixing(rng)),
        (0.12, _posterise(rng)),
        (0.30, random_style(rng, height)),
        (0.35, _focus(rng, height)),
        (0.50, _noise(rng)),
        (0.45, _compression(rng)),
    ]
    return [change for chance, change in changes if rng.random() < chance]


def _light(rng: np.random.Generator, height: int, width: int) -> Filter:
    """Light that falls off across the picture."""
    angle, amount = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.55)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    slope = 1 + amount * (np.cos(angle) * x + np.sin(angle) * y)
    vignette = 1 - rng.uniform(0, 0.3) * (x * x + y * y) / 2
    factor = np.repeat((slope * vignette)[..., None], 3, -1).astype(np.float32)
    return lambda picture: cv2.multiply(picture, factor, dtype=cv2.CV_8U)


def _texture(rng: np.random.Generator, height: int, width: int) -> Filter:
    """The grain of paper, canvas or old film, the same on all pictures of the set."""
    total = np.zeros((height, width), np.float32)
    for cells in (8, 32, 96):
        layer = rng.standard_normal((cells, cells)).astype(np.float32)
        total += rng.uniform(0, 1) * cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC)
    factor = np.repeat((1 + rng.uniform(0.02, 0.09) * total)[..., None], 3, -1)
    return lambda picture: cv2.multiply(picture, factor, dtype=cv2.CV_8U)


def _tones(rng: np.random.Generator) -> Filter:
    """Gamma, contrast, brightness and tint as one table for each channel."""
    level = np.linspace(0, 1, 256)[:, None]
    gamma = np.exp(rng.normal(0, 0.28) + rng.normal(0, 0.05, 3))
    contrast, brightness = np.exp(rng.normal(0, 0.18)), rng.normal(0, 0.05)
    tint = rng.normal(0, 0.025, 3)
    curve = (level**gamma - 0.5) * contrast + 0.5 + brightness + tint
    table = np.clip(255 * curve + 0.5, 0, 255).astype(np.uint8)[None]
    return lambda picture: cv2.LUT(picture, table)


def _mixing(rng: np.random.Generator) -> Filter:
    """Saturation and hue, down to grey and sepia now and then."""
    grey = np.full((3, 3), 1 / 3) * 0.4 + np.array([[0.299, 0.587, 0.114]] * 3) * 0.6
    chance = rng.random()
    if chance < 0.16:
        tone = np.array([1, 1, 1]) if chance < 0.11 else np.array([1.08, 0.97, 0.80])
        matrix = grey * tone[:, None]
    else:
        saturation = np.exp(rng.normal(0, 0.35))
        turn = rng.normal(0, 0.10) if rng.random() < 0.85 else rng.uniform(-np.pi, np.pi)
        matrix = _hue(turn) @ (saturation * np.eye(3) + (1 - saturation) * grey)
    return lambda picture: cv2.transform(picture, matrix)


def _hue(turn: float) -> np.ndarray:
    """Rotation by ``turn`` about the grey axis."""
    axis = np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.cos(turn) * np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * np.outer(axis, axis)


def _posterise(rng: np.random.Generator) -> Filter:
    """A few flat tones, as in prints and comics, over slightly smoothed shapes."""
    levels = int(rng.integers(4, 10))
    table = (np.round(np.arange(256) / 255 * (levels - 1)) / (levels - 1) * 255).astype(np.uint8)
    size = int(rng.choice([1, 3, 5]))
    return lambda picture: cv2.LUT(cv2.medianBlur(picture, size), table)


def _focus(rng: np.random.Generator, height: int) -> Filter:
    """Out of focus, or sharpened."""
    sigma = rng.uniform(0.3, 1.4) * height / 256
    amount = rng.uniform(0.3, 1.2)
    sharpen = rng.random() < 0.4

    def change(picture: np.ndarray) -> np.ndarray:
        soft = cv2.GaussianBlur(picture, (0, 0), sigma)
        return cv2.addWeighted(picture, 1 + amount, soft, -amount, 0) if sharpen else soft

    return change


def _noise(rng: np.random.Generator) -> Filter:
    """Sensor noise, new in every picture."""
    sigma = rng.uniform(1, 8)

    def change(picture: np.ndarray) -> np.ndarray:
        noise = (sigma * rng.standard_normal(picture.shape, np.float32)).astype(np.int16)
        return cv2.add(picture, noise, dtype=cv2.CV_8U)

    return change


def _compression(rng: np.random.Generator) -> Filter:
    """JPEG of one quality."""
    quality = int(rng.integers(35, 96))

    def change(picture: np.ndarray) -> np.ndarray:
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))

    return change
