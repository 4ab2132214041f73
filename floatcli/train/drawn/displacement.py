"""Where the pixels of a drawn person go: which surface each of them shows, and where that is in another picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from floatcli.train.drawn.mesh import Surface

CELLS = 64  # a side, at whose middles it is known
_FINE = 3  # pixels a side of a cell, as triangles are filled in; odd, so that one is in the middle
_BITS = 4  # of fractions of a pixel


class Seen(NamedTuple):
    """The surfaces that cells of a picture show.

    Attributes:
        cells: Where something is seen, (CELLS, CELLS) bool.
        surface: Which of a list it is, (N,) by cell that shows one.
        corners: The corners of the triangle there, (N, 3).
        weights: How near each of them is, (N, 3).
    """

    cells: np.ndarray
    surface: np.ndarray
    corners: np.ndarray
    weights: np.ndarray

    def places(self, surfaces: Sequence[Surface]) -> np.ndarray:
        """Where the same is in a picture with ``surfaces``, in its pixels: (CELLS, CELLS, 2), NaN where nothing is."""
        corners = np.empty((*self.corners.shape, 2))
        for k, surface in enumerate(surfaces):
            corners[self.surface == k] = surface.xy[self.corners[self.surface == k]]
        places = np.full((*self.cells.shape, 2), np.nan)
        places[self.cells] = (corners * self.weights[..., None]).sum(1)
        return places


def see(surfaces: Sequence[Surface], pixels: int) -> Seen:
    """What cells of a picture of so many pixels a side show of ``surfaces``, far ones first."""
    which = np.full((CELLS, CELLS), -1)
    corners, weights = np.zeros((CELLS, CELLS, 3), int), np.zeros((CELLS, CELLS, 3))
    for k, surface in enumerate(surfaces):
        filled = _filled(surface, pixels)
        cells = filled >= 0
        here = surface.triangles[filled[cells]]
        near = _nearness((np.argwhere(cells)[:, ::-1] + 0.5) * pixels / CELLS, surface.xy[here])
        shown = _shows(surface, here, near)
        cells[cells] = shown
        which[cells], corners[cells], weights[cells] = k, here[shown], near[shown]
    cells = which >= 0
    return Seen(cells, which[cells], corners[cells], weights[cells])


def _filled(surface: Surface, pixels: int) -> np.ndarray:
    """The nearest triangle at the middle of each cell, (CELLS, CELLS), or -1."""
    side = CELLS * _FINE
    image = np.full((side, side), -1, np.int32)
    at = np.round((surface.xy * side / pixels - 0.5) * 2**_BITS).clip(-(2**20), 2**20).astype(np.int32)
    for k, corners in enumerate(at[surface.triangles]):
        cv2.fillConvexPoly(image, corners, k, shift=_BITS)
    return image[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]


def _nearness(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric coordinates (N, 3) of points (N, 2) in triangles (N, 3, 2), or of what is nearest to them there."""
    a, u, w = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    x, y = (points - a).T
    second, third = (x * w[:, 1] - y * w[:, 0]) / area, (u[:, 0] * y - u[:, 1] * x) / area
    inside = np.stack([1 - second - third, second, third], 1).clip(0, 1)
    return inside / inside.sum(1, keepdims=True)


def _shows(surface: Surface, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Whether a surface hides what lies behind it at places in its triangles, (N,) bool."""
    if surface.opacity is None or surface.texels is None:
        return np.ones(len(corners), bool)
    texels = (surface.texels[corners] * weights[..., None]).sum(1).astype(int)
    x, y = texels.clip(0, np.array(surface.opacity.shape[::-1]) - 1).T
    return surface.opacity[y, x] > 127
