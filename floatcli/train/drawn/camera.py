"""The camera that took a drawn person's picture: lens, sensor, development and compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Camera:
    """What a camera does to every picture it takes; noise is another in each.

    Args:
        softness: Blur of the lens, pixels of a picture 256 wide.
        bloom: Share of light that is spread around.
        vignette: Share of light lost in the corners.
        contrast: Strength of the S-shaped curve, negative: flat.
        saturation: 1 leaves colours alone, 0 is black and white.
        noise: Of the sensor, grey levels.
        quality: Of JPEG compression, 100 for none.
    """

    softness: float
    bloom: float
    vignette: float
    contrast: float
    saturation: float
    noise: float
    quality: int


def random_camera(rng: np.random.Generator) -> Camera:
    """A camera: mostly a good one, now and then a telephone in the evening."""
    grey = rng.random() < 0.05
    return Camera(
        softness=round(float(rng.uniform(0.2, 0.8)), 3) if rng.random() < 0.45 else 0.0,
        bloom=round(float(rng.uniform(0.05, 0.2)), 3) if rng.random() < 0.4 else 0.0,
        vignette=round(float(rng.uniform(0.05, 0.4)), 3) if rng.random() < 0.5 else 0.0,
        contrast=round(float(rng.normal(0.12, 0.2)), 3),
        saturation=0.0 if grey else round(float(np.clip(rng.normal(0.95, 0.16), 0.4, 1.4)), 3),
        noise=round(float(rng.uniform(0.8, 4.5)), 3) if rng.random() < 0.4 else 0.0,
        quality=int(rng.integers(55, 96)) if rng.random() < 0.35 else 100,
    )


class Development:
    """Turns what a lens sees into pictures ``size`` pixels square, as one camera does."""

    def __init__(self, camera: Camera, size: int) -> None:
        self.camera, self.size = camera, size
        level = np.linspace(0, 1, 256)
        curve = level + camera.contrast * (level - 0.5) * level * (1 - level) * 4 * 0.75
        self.curve = np.round(255 * np.clip(curve, 0, 1)).astype(np.uint8)
        x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
        self.falloff = np.repeat((1 - camera.vignette * (x * x + y * y) / 2)[..., None], 3, -1).astype(np.float32)
        grey = np.array([[0.299, 0.587, 0.114]] * 3)
        self.mixing = camera.saturation * np.eye(3) + (1 - camera.saturation) * grey

    def picture(self, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The picture (size, size, 3) uint8 of what is seen, (size, size, 3) uint8; noise comes from ``rng``."""
        camera, picture = self.camera, seen
        if camera.softness:
            picture = cv2.GaussianBlur(picture, (0, 0), camera.softness * self.size / 256)
        if camera.bloom:
            small = cv2.resize(picture, (self.size // 4, self.size // 4), interpolation=cv2.INTER_AREA)
            glow = cv2.resize(cv2.GaussianBlur(small, (0, 0), self.size / 80), (self.size, self.size))
            picture = cv2.addWeighted(picture, 1 - camera.bloom, glow, camera.bloom, 0)
        if camera.vignette:
            picture = cv2.multiply(picture, self.falloff, dtype=cv2.CV_8U)
        picture = cv2.LUT(picture, self.curve)
        if camera.saturation != 1:
            picture = cv2.transform(picture, self.mixing)
        if camera.noise:
            picture = cv2.add(picture, self._noise(rng), dtype=cv2.CV_8U)
        if camera.quality < 100:
            data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, camera.quality])[1]
            picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
        return picture

    def _noise(self, rng: np.random.Generator) -> np.ndarray:
        """Mostly of brightness, with a little of colour."""
        shape = (self.size, self.size)
        luma = rng.standard_normal(shape, np.float32)[..., None]
        chroma = rng.standard_normal((self.size // 2 or 1, self.size // 2 or 1, 3), np.float32)
        noise = luma + 0.5 * cv2.resize(chroma, shape, interpolation=cv2.INTER_LINEAR)
        return np.round(self.camera.noise * noise).astype(np.int16)
