"""Textured, lit triangle sheets: the one way in which skin, hair and neck reach the canvas."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import skia
from scipy.sparse import csr_matrix

from floatcli.train.drawn.brush import points

FAINT = 0.04  # highlights that nobody sees


class Sheet:
    """A mesh with a texture.

    Args:
        texture_points: Texture pixels (V, 2) of the vertices.
        triangles: Vertices (F, 3), turning so that the front shows.
        image: The texture, where triangles on its clear parts are to be left out.
    """

    def __init__(self, texture_points: np.ndarray, triangles: np.ndarray, image: skia.Image | None = None) -> None:
        self.texture_points = points(texture_points)
        self.texels = texture_points
        self.opacity, self.triangles = None, triangles
        if image is not None:
            self.opacity = image.toarray()[..., 3]
            self.triangles = triangles[_painted(texture_points, triangles, self.opacity)]
        rows, columns = self.triangles.ravel(), np.repeat(np.arange(len(self.triangles)), 3)
        self.adjacency = csr_matrix(
            (np.ones(len(rows)), (rows, columns)), shape=(len(texture_points), len(self.triangles))
        )

    def normals(self, positions: np.ndarray) -> np.ndarray:
        """Unit normals (V, 3) at positions (V, 3)."""
        a, b, c = (positions[self.triangles[:, k]] for k in range(3))
        u, w = b - a, c - a
        faces = np.empty_like(u)
        faces[:, 0] = u[:, 1] * w[:, 2] - u[:, 2] * w[:, 1]
        faces[:, 1] = u[:, 2] * w[:, 0] - u[:, 0] * w[:, 2]
        faces[:, 2] = u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]
        total = self.adjacency @ faces
        return total / (np.sqrt((total * total).sum(1, keepdims=True)) + 1e-9)

    def visible(self, xy: np.ndarray, depth: np.ndarray, inside: bool = False) -> np.ndarray:
        """Triangles that face the camera (or show it their ``inside``), far ones first."""
        corners = xy[self.triangles]
        u, w = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        area = u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]
        front = self.triangles[area < 0 if inside else area > 0]
        return front[np.argsort(depth[front].sum(1), kind="stable")]

    def draw(self, canvas: skia.Canvas, xy: np.ndarray, triangles: np.ndarray, light: np.ndarray, paint: skia.Paint,
             shine: np.ndarray | None = None, glints: skia.Paint | None = None) -> None:  # fmt: skip
        """The texture of ``paint`` times ``light`` (V, 3) at pixels ``xy`` (V, 2).

        Highlights ``shine`` (V, 3) go on top as far as the texture of ``glints``, which adds, lets them be.
        """
        places = points(xy)
        self._draw(canvas, places, triangles, light, paint)
        if shine is not None and glints is not None:
            lit = triangles[shine.max(1)[triangles].max(1) > FAINT]
            if len(lit):
                self._draw(canvas, places, lit, shine, glints)

    def _draw(self, canvas: skia.Canvas, places: list[skia.Point], triangles: np.ndarray, light: np.ndarray,
              paint: skia.Paint) -> None:  # fmt: skip
        rgb = (light * 255 + 0.5).astype(np.int64)
        colours = ((255 << 24) | (rgb[:, 0] << 16) | (rgb[:, 1] << 8) | rgb[:, 2]).tolist()
        mode = skia.Vertices.VertexMode.kTriangles_VertexMode
        vertices = skia.Vertices(mode, places, self.texture_points, colours, triangles.ravel().tolist())
        canvas.drawVertices(vertices, paint, skia.BlendMode.kModulate)


class Surface(NamedTuple):
    """A sheet in one picture: pixels (V, 2) of its vertices, and the triangles (F, 3) that are seen, far ones first."""

    xy: np.ndarray
    triangles: np.ndarray
    texels: np.ndarray | None = None  # texture pixels (V, 2) of the vertices, and how far that hides what lies behind
    opacity: np.ndarray | None = None


def _painted(texture_points: np.ndarray, triangles: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Which triangles lie on a part of the texture that is not clear, (F,) bool."""
    corners = np.clip(texture_points[triangles], 0, np.array(alpha.shape[::-1]) - 1).astype(int)
    low, high = corners.min(1), corners.max(1)
    total = np.pad((alpha > 0).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = (total[high[:, 1] + 1, high[:, 0] + 1] - total[low[:, 1], high[:, 0] + 1]
              - total[high[:, 1] + 1, low[:, 0]] + total[low[:, 1], low[:, 0]])  # fmt: skip
    return inside > 0


def grid(rows: int, columns: int) -> np.ndarray:
    """Triangles (F, 3) of a rows x columns lattice whose columns run to the right as it faces the viewer."""
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    return np.concatenate([np.stack([a, a + 1, a + columns], 1), np.stack([a + 1, a + columns + 1, a + columns], 1)])


def texture(image: skia.Image) -> skia.Paint:
    """Paint that reads a texture, unsmoothed: oversampling smooths it, at half the cost."""
    sampling = skia.SamplingOptions(skia.FilterMode.kNearest)
    return skia.Paint(Shader=image.makeShader(skia.TileMode.kClamp, skia.TileMode.kClamp, sampling))
