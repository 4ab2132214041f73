"""The fine grain of skin: pores and furrows in the key light, and the blood and pigment beneath."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import skia

from floatcli.train.drawn.identity import Identity

SIDE = 768  # of the pictures of noise, pixels


@cache
def _noise(number: int) -> tuple[np.ndarray, np.ndarray]:
    """One of a few reliefs of skin (SIDE, SIDE), fine, and a map of its spots, coarse; both of about unit size."""
    rng = np.random.default_rng(number)
    pores = _sum(rng, ((150, 0.3), (260, 0.7), (480, 0.9)))
    spots = _sum(rng, ((7, 0.5), (18, 0.6), (50, 0.5), (130, 0.4)))
    return np.minimum(pores, 0.6), spots  # pores are pits in a plain


def _sum(rng: np.random.Generator, layers: tuple[tuple[int, float], ...]) -> np.ndarray:
    """Noise of so many cells a side, each with its weight."""
    total = np.zeros((SIDE, SIDE), np.float32)
    for cells, weight in layers:
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        total += weight * cv2.resize(grid, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return total


def complexion(identity: Identity, width: int, height: int) -> np.ndarray:
    """Factors (height, width, 3) float32 by which a skin's texture differs from its plain colours."""
    pores, spots = (cv2.resize(noise, (width, height)) for noise in _noise(identity.seed % 6))
    x, y, _ = identity.lighting.lamps[0].direction
    rough = 0.022 + 0.035 * identity.age + 0.02 * (identity.seed % 7 == 0)
    relief = (x + 0.25) * cv2.Sobel(pores, cv2.CV_32F, 1, 0) + (y - 0.4) * cv2.Sobel(pores, cv2.CV_32F, 0, 1)
    light = 1 + rough * np.clip(-0.35 * relief + 0.35 * pores, -1.5, 1.0)
    uneven = (0.5 + 0.8 * identity.age) * spots
    factor = np.empty((height, width, 3), np.float32)
    for k, (blood, pigment) in enumerate(((0.004, -0.022), (-0.030, -0.028), (-0.026, -0.034))):
        factor[..., k] = light * (1 + blood * spots + 0.6 * pigment * uneven[::-1, ::-1])
    return factor


@cache
def glints() -> skia.Paint:
    """Paint that adds highlights, broken up by pores."""
    pores, _ = _noise(6)
    grey = np.clip(195 + 60 * pores, 30, 255).astype(np.uint8)
    image = skia.Image.fromarray(np.dstack([grey] * 3 + [np.full_like(grey, 255)]))
    sampling = skia.SamplingOptions(skia.FilterMode.kNearest)
    shader = image.makeShader(skia.TileMode.kMirror, skia.TileMode.kMirror, sampling)
    return skia.Paint(Shader=shader, BlendMode=skia.BlendMode.kPlus)
