"""The template head: a triangle mesh with holes for the eyes and the mouth, and the controls that move it.

Head coordinates: x to the right of the picture, y down, z towards the viewer; the origin lies between the eyes
and the unit is the height from the eyes to the chin, about eleven centimetres. The skin is a sheet unrolled to
(s, v): s runs around the head, v down from the crown and on below the chin. Everything painted on the skin is
painted on that sheet, and a point of the sheet is the same physical point at every motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import Delaunay, cKDTree

SIDES = {"left": -1.0, "right": 1.0}
LIP_COLUMNS = 17  # points along a lip, corner to corner
LID_COLUMNS = 13  # points along an eyelid, inner to outer corner
EYE = (0.295, 0.0)  # centre of the right eye, frontal x and y
MOUTH_Y = 0.665  # height of the shut mouth
TURN = 0.68  # sheet length per radian around the head
SHEET = (-1.08, -1.04, 1.08, 1.30)  # s and v limits of the mesh
GAP = 0.06  # opening of the template's mouth, which keeps upper and lower lip apart

# Rows: v, half width, z of the front, z of the axis, y. Read between the rows by monotone cubics.
_ROWS = np.array([
    (-1.04, 0.02, -0.16, -0.20, -1.04), (-1.00, 0.18, -0.01, -0.20, -1.015), (-0.92, 0.33, 0.17, -0.20, -0.935),
    (-0.80, 0.465, 0.35, -0.19, -0.805), (-0.65, 0.575, 0.48, -0.18, -0.65), (-0.45, 0.652, 0.575, -0.17, -0.45),
    (-0.25, 0.685, 0.615, -0.16, -0.25), (0.00, 0.68, 0.59, -0.15, 0.00), (0.20, 0.66, 0.60, -0.14, 0.20),
    (0.40, 0.61, 0.615, -0.12, 0.40), (0.55, 0.555, 0.63, -0.07, 0.55), (0.70, 0.475, 0.625, 0.01, 0.70),
    (0.82, 0.40, 0.61, 0.09, 0.82), (0.92, 0.315, 0.60, 0.16, 0.92), (1.00, 0.25, 0.555, 0.17, 0.985),
    (1.07, 0.23, 0.46, 0.12, 1.01), (1.16, 0.21, 0.24, -0.05, 1.00), (1.30, 0.22, 0.00, -0.28, 0.96),
])  # fmt: skip
profile = PchipInterpolator(_ROWS[:, 0], _ROWS[:, 1:])

# Relief on the egg: x, y, radius x, radius y, height; points off the midline stand on both sides.
_RELIEF = (
    (0.00, 0.02, 0.065, 0.17, 0.075), (0.00, 0.20, 0.075, 0.14, 0.115), (0.00, 0.345, 0.084, 0.075, 0.150),
    (0.115, 0.385, 0.046, 0.048, 0.068), (0.00, 0.40, 0.05, 0.045, 0.055),
    (0.00, 0.475, 0.14, 0.035, -0.012), (0.30, -0.20, 0.17, 0.07, 0.035), (0.00, -0.17, 0.10, 0.07, 0.015),
    (0.285, -0.02, 0.16, 0.12, -0.075), (0.13, 0.04, 0.05, 0.10, -0.035), (0.40, 0.26, 0.16, 0.12, 0.035),
    (0.25, 0.50, 0.05, 0.12, -0.018), (0.00, 0.70, 0.22, 0.13, 0.03), (0.00, 0.96, 0.19, 0.09, 0.040),
    (0.00, 0.865, 0.15, 0.03, -0.018), (0.50, 0.55, 0.14, 0.18, -0.02), (0.58, -0.25, 0.10, 0.2, -0.02),
)  # fmt: skip

# Single points that hold or carry the skin: frontal x, y; "*" stands for both sides.
_ANCHORS = {
    "brow0_*": (0.11, -0.185), "brow1_*": (0.20, -0.225), "brow2_*": (0.30, -0.24), "brow3_*": (0.40, -0.215),
    "brow4_*": (0.48, -0.15), "temple_*": (0.60, -0.22), "side_*": (0.64, 0.10), "cheekbone_*": (0.52, 0.18),
    "cheek_*": (0.36, 0.27), "undereye_*": (0.30, 0.14), "nasolabial_*": (0.245, 0.46), "hollow_*": (0.46, 0.52),
    "jaw0_*": (0.575, 0.50), "jaw1_*": (0.49, 0.72), "jaw2_*": (0.35, 0.885), "jaw3_*": (0.18, 0.985),
    "wing_*": (0.145, 0.385), "wing_top_*": (0.11, 0.30), "nostril_*": (0.065, 0.425), "bridge_*": (0.06, 0.12),
    "chin_side_*": (0.15, 0.93), "head_*": (0.55, -0.55), "glabella_*": (0.05, -0.16),
    "bridge": (0.0, 0.0), "nose": (0.0, 0.22), "tip": (0.0, 0.355), "subnasal": (0.0, 0.455),
    "forehead": (0.0, -0.45), "hairline": (0.0, -0.68), "crown": (0.0, -0.95), "chin": (0.0, 1.02),
    "chin_front": (0.0, 0.955), "mentolabial": (0.0, 0.875), "under": (0.0, 1.16), "under_*": (0.12, 1.14),
}  # fmt: skip


def lid_curves(half_width: float, up: float, down: float, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Open upper and lower lid margins, each (LID_COLUMNS, 2), about the eye centre from the inner corner out."""
    q = np.linspace(-1, 1, LID_COLUMNS)
    arch = np.clip(1 - q * q, 0, 1)
    lean = tilt * half_width * q
    upper = np.stack([half_width * q, -up * arch**0.72 * (1 - 0.14 * q) - lean], 1)
    lower = np.stack([half_width * q, down * arch**0.85 * (1 + 0.22 * q) - lean], 1)
    return upper, lower


def lip_profiles() -> tuple[np.ndarray, np.ndarray]:
    """Relative thickness of the upper and the lower lip along their columns, (LIP_COLUMNS,) each."""
    q = np.abs(np.linspace(-1, 1, LIP_COLUMNS))
    upper = PchipInterpolator([0, 0.19, 0.5, 0.8, 1], [0.84, 1.0, 0.68, 0.27, 0])(q)
    return upper, (1 - q**2.2) ** 0.85


def to_sheet(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sheet coordinates (..., 2) of points given by their frontal x and y."""
    width = profile(y)[..., 0]
    return np.stack([TURN * np.arcsin(np.clip(x / width, -0.999, 0.999)), np.broadcast_to(y, np.shape(x))], -1)


def surface(sheet: np.ndarray) -> np.ndarray:
    """Template skin (..., 3) over sheet coordinates (..., 2)."""
    angle = sheet[..., 0] / TURN
    width, front, axis, y = np.moveaxis(profile(sheet[..., 1]), -1, 0)
    x = width * np.sin(angle)
    y = y - 0.11 * np.sin(angle) ** 2 * np.clip((sheet[..., 1] - 0.8) / 0.25, 0, 1)  # a rounded jaw
    z = axis + (front - axis) * np.cos(angle) * (1 + 0.22 * np.sin(angle) ** 2)
    for cx, cy, rx, ry, height in _RELIEF:
        for side in (1, -1) if cx else (1,):
            z = z + height * np.exp(-0.5 * (((x - side * cx) / rx) ** 2 + ((sheet[..., 1] - cy) / ry) ** 2))
    return np.stack([x, y, z], -1)


@dataclass(frozen=True)
class Template:
    """The mesh: V vertices, F triangles, C controls (a subset of the vertices, in named groups)."""

    sheet: np.ndarray  # (V, 2)
    rest: np.ndarray  # (V, 3) template positions, mouth ajar
    triangles: np.ndarray  # (F, 3)
    groups: dict[str, np.ndarray]  # name -> vertices, in order along the curve
    controls: np.ndarray  # (C,) vertices
    control_of: dict[str, np.ndarray]  # group -> rows of the controls
    spread: np.ndarray  # (V, C) float32: displacement of every vertex from those of the controls

    def attach(self, x: np.ndarray, y: np.ndarray) -> csr_matrix:
        """Matrix (N, V) that reads N points of the skin, given by frontal x and y, from vertex positions."""
        wanted = to_sheet(np.asarray(x, float), np.asarray(y, float))
        centres = self.sheet[self.triangles].mean(1)
        near = cKDTree(centres).query(wanted, k=12)[1]
        corners = self.sheet[self.triangles[near]]  # (N, 12, 3, 2)
        edges = np.stack([corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]], -1)
        uv = np.linalg.solve(edges, (wanted[:, None] - corners[..., 0, :])[..., None])[..., 0]
        weights = np.concatenate([1 - uv.sum(-1, keepdims=True), uv], -1)
        best = weights.min(-1).argmax(1)
        rows = np.arange(len(wanted))
        chosen, share = self.triangles[near[rows, best]], np.clip(weights[rows, best], 0, 1)
        share /= share.sum(1, keepdims=True)
        entry = (share.ravel(), (np.repeat(rows, 3), chosen.ravel()))
        return csr_matrix(entry, shape=(len(rows), len(self.sheet)))


def _features() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Structured points (frontal x, y) of eyes, mouth and anchors, and their groups."""
    points: list[tuple[float, float]] = []
    groups: dict[str, np.ndarray] = {}

    def add(name: str, curve: np.ndarray, ends: tuple[int, int] | None = None) -> None:
        """A curve; with ``ends`` its first and last point are those existing ones."""
        inner = curve[1:-1] if ends else curve
        new = np.arange(len(points), len(points) + len(inner))
        points.extend((float(x), float(y)) for x, y in inner)
        groups[name] = np.concatenate([ends[:1], new, ends[1:]]) if ends else new

    for side, sign in SIDES.items():
        for name, scale, rise, fall in (("lid", 1.0, 0, 0), ("rim", 1.1, 0.022, 0.02), ("crease", 1.2, 0.055, 0.05)):
            upper, lower = lid_curves(0.14 * scale, 0.062 + rise, 0.05 + fall, 0.03)
            place = np.array([sign, 1.0]), np.array([sign * EYE[0], EYE[1]])
            add(f"{name}_up_{side}", upper * place[0] + place[1])
            whole = groups[f"{name}_up_{side}"]
            add(f"{name}_low_{side}", lower * place[0] + place[1], (int(whole[0]), int(whole[-1])))
    thick_up, thick_low = lip_profiles()
    q = np.linspace(-1, 1, LIP_COLUMNS)
    for name, width, out in (
        ("inner", 0.215, 0.0),
        ("middle", 0.228, 0.5),
        ("outer", 0.24, 1.0),
        ("round", 0.275, 1.5),
    ):
        upper = np.stack([width * q, MOUTH_Y - 0.075 * out * thick_up], 1)
        gap = GAP * (1 - q**2) + 0.09 * out * thick_low
        add(f"{name}_up", upper)
        add(
            f"{name}_low",
            np.stack([width * q, MOUTH_Y + gap], 1),
            (int(groups[f"{name}_up"][0]), int(groups[f"{name}_up"][-1])),
        )
    for name, (x, y) in _ANCHORS.items():
        for side, sign in SIDES.items() if "*" in name else {"": 1.0}.items():
            add(name.replace("*", side), np.array([[sign * x, y]]))
    return np.array(points), groups


def _fill(features: np.ndarray, groups: dict[str, np.ndarray]) -> np.ndarray:
    """Sheet points around the features: a fine triangular lattice on the face, a coarse one elsewhere."""
    low_s, low_v, high_s, high_v = SHEET

    def lattice(step: float) -> np.ndarray:
        rows = np.linspace(low_v, high_v, round((high_v - low_v) / (step * 0.87)) + 1)
        columns = np.linspace(low_s, high_s, round((high_s - low_s) / step) + 1)
        half = (columns[1] - columns[0]) / 2
        odd = np.concatenate([[low_s], columns[:-1] + half, [high_s]])
        return np.concatenate([np.stack([odd if k % 2 else columns, np.full(len(odd if k % 2 else columns), v)], 1)
                               for k, v in enumerate(rows)])  # fmt: skip

    fine, coarse = lattice(0.045), lattice(0.095)
    face = lambda p: (np.abs(p[:, 0]) < 0.42) & (p[:, 1] > -0.30) & (p[:, 1] < 1.12)  # noqa: E731
    points = np.concatenate([coarse[~face(coarse)], fine[face(fine)]])
    keep = cKDTree(features).query(points)[0] > 0.026
    for hole in holes(groups):
        keep &= ~_inside(points, features[hole])
    return points[keep]


def _inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    x, y = points[:, :1], points[:, 1:]
    a, b = polygon, np.roll(polygon, -1, 0)
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    at = a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / np.where(b[:, 1] == a[:, 1], 1e-9, b[:, 1] - a[:, 1])
    return (crosses & (x < at)).sum(1) % 2 == 1


def ring(groups: dict[str, np.ndarray], upper: str, lower: str) -> np.ndarray:
    """Vertices around an opening: along the upper curve and back along the lower one."""
    return np.concatenate([groups[upper], groups[lower][-2:0:-1]])


def holes(groups: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The rings of vertices around the two eye openings and the mouth."""
    eyes = [ring(groups, f"lid_up_{side}", f"lid_low_{side}") for side in SIDES]
    return [*eyes, ring(groups, "inner_up", "inner_low")]


def _triangulate(sheet: np.ndarray, groups: dict[str, np.ndarray]) -> np.ndarray:
    triangles = Delaunay(sheet).simplices
    centres = sheet[triangles].mean(1)
    open_ = np.zeros(len(triangles), bool)
    for hole in holes(groups):
        open_ |= _inside(centres, sheet[hole])
    u, w = sheet[triangles[:, 1]] - sheet[triangles[:, 0]], sheet[triangles[:, 2]] - sheet[triangles[:, 0]]
    area = u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]
    triangles[area < 0] = triangles[area < 0][:, ::-1]  # so that cross products point out of the head
    return triangles[~open_ & (np.abs(area) > 1e-7)]


def _spread(sheet: np.ndarray, triangles: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Smoothest displacement (biharmonic on the mesh, so lips part freely) for unit moves of each control."""
    count = len(sheet)
    stiffness, area = coo_matrix((count, count)), np.zeros(count)
    for k in range(3):  # cotangents of the angles against each edge
        i, j, o = triangles[:, k], triangles[:, (k + 1) % 3], triangles[:, (k + 2) % 3]
        u, w = sheet[i] - sheet[o], sheet[j] - sheet[o]
        double = np.abs(u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) + 1e-9
        weight = np.clip((u * w).sum(1) / double, -5, 5) / 2
        stiffness = stiffness + coo_matrix((np.r_[weight, weight], (np.r_[i, j], np.r_[j, i])), (count, count))
        np.add.at(area, i, double / 6)
    laplacian = diags(np.asarray(stiffness.sum(1)).ravel()) - stiffness
    energy = (laplacian.T @ diags(1 / area) @ laplacian).tocsc()
    free = np.setdiff1d(np.arange(count), controls)
    result = np.zeros((count, len(controls)))
    result[controls, np.arange(len(controls))] = 1
    result[free] = splu(energy[free][:, free]).solve(-energy[free][:, controls].toarray())
    return result


@cache
def template() -> Template:
    """The one mesh that every identity is a deformation of; built once."""
    features, groups = _features()
    structured = to_sheet(features[:, 0], features[:, 1])
    sheet = np.concatenate([structured, _fill(structured, groups)])
    triangles = _triangulate(sheet, groups)
    held = [name for name in groups if not name.startswith(("rim_", "round_", "crease_low"))]
    still = (np.abs(sheet[:, 0]) > SHEET[2] - 1e-6) | (sheet[:, 1] < SHEET[1] + 1e-6)
    groups["border"] = np.where(still & (sheet[:, 1] < 0.6))[0]
    controls = np.unique(np.concatenate([groups[name] for name in [*held, "border"]]))
    control_of = {name: np.searchsorted(controls, groups[name]) for name in [*held, "border"]}
    return Template(sheet, surface(sheet), triangles, groups, controls, control_of, _spread(sheet, triangles, controls))
