"""What every basis vector does: its coefficient swept, decoded, and the change measured on the pictures.

A vector's label comes from its two ends alone, at -3 and +3 of the clip's own standard deviations. Optical flow from
one to the other gives the similarity (shift, rotation, scale) that moves most of the head. The share of the change, in
squares of grey levels, that this similarity undoes is the head's, and goes to shift, rotation and scale by the squares
of how far each moves the head. What it leaves is told by where it falls: mouth, eyes, brows, elsewhere.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from floatcli.clip import ignore
from floatcli.motion import Motion
from floatcli.pipeline import FloatPipeline

STEPS = (-3, -2, -1, 0, 1, 2, 3)  # standard deviations
KINDS = ("mouth", "eyes", "brows", "shift", "rotation", "scale", "elsewhere")
CELL, HEAD = 144, 26  # pixels: side of a picture on the sheet, height of its head
_MEASURED = 256  # pixels a side that changes are measured at
_LABEL = 230  # pixels beside a row
_TELLING = 0.15  # share of the change that a label speaks of
# Half sides about the eyes and the mouth, and how far brows lie above eyes, in distances between the eyes.
_MOUTH, _EYE, _BROW, _BROW_UP = 0.62, 0.3, 0.24, 0.45


class Row(NamedTuple):
    """One basis vector: number, name, mean and standard deviation in the clip, shares by KINDS, pictures by STEPS."""

    number: int
    name: str
    mean: float
    spread: float
    shares: dict[str, float]
    pictures: list[np.ndarray]

    @property
    def label(self) -> str:
        """What moves, most first."""
        telling = sorted(((share, kind) for kind, share in self.shares.items() if share >= _TELLING), reverse=True)
        return ", ".join(f"{kind} {share:.0%}" for share, kind in telling) or "nothing that shows"


def basis_sheet(
    pipeline: FloatPipeline, motion: Motion, path: Path, progress: Callable[[int, int], None] = ignore
) -> list[dict[str, Any]]:
    """Write the sheet of a clip's basis: a picture (.png), or a page whose rows move (.html).

    Returns:
        A row for every vector, as JSON values: number, name, mean, spread, shares and label.
    """
    rows = sweep_basis(pipeline, motion, progress)
    if path.suffix.lower() == ".html":
        path.write_text(_page(rows, motion))
    else:
        _picture(rows).save(path)
    return [
        {"number": row.number, "name": row.name, "mean": row.mean, "spread": row.spread, "label": row.label}
        | {"shares": {kind: round(share, 4) for kind, share in row.shares.items()}}
        for row in rows
    ]


def sweep_basis(pipeline: FloatPipeline, motion: Motion, progress: Callable[[int, int], None] = ignore) -> list[Row]:
    """Every vector's coefficient swept about the clip's mean, all else held at it."""
    basis = pipeline.model.basis.matrix.detach().double().cpu().numpy()
    coeffs = motion.latents.astype(np.float64) @ basis
    mean, spread = coeffs.mean(0), coeffs.std(0)
    still = pipeline.still(motion)
    regions = face_regions(pipeline.anchors(still), _MEASURED)
    names = motion.making.coefficient_names
    rows = []
    for k in range(len(mean)):
        swept = motion.latents.mean(0) + np.outer(np.array(STEPS) * spread[k], basis[:, k])
        frames = pipeline.decode(still, swept)
        first, last = (_resized(frames[end], _MEASURED) for end in (0, -1))
        cells = [_resized(frame, CELL) for frame in frames]
        name = names[k] if names else ""
        rows.append(Row(k, name, float(mean[k]), float(spread[k]), shares_of_change(first, last, regions), cells))
        progress(k + 1, len(mean))
    return rows


def face_regions(anchors: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Masks (size, size) of mouth, eyes, brows and head about anchors (7, 2) in grid coordinates."""
    left, right, *mouth = (anchors[:4] + 1) * size / 2
    along = right - left
    distance = float(np.linalg.norm(along))
    down = np.array([-along[1], along[0]])
    masks = {name: np.zeros((size, size), bool) for name in ("mouth", "eyes", "brows", "head")}

    def mark(name: str, centre: np.ndarray, half_x: float, half_y: float) -> None:
        (x1, y1), (x2, y2) = (np.clip(centre + s * np.array([half_x, half_y]) * distance, 0, size) for s in (-1, 1))
        masks[name][int(y1) : int(y2), int(x1) : int(x2)] = True

    mark("head", (left + right) / 2 + 0.35 * down, 1.3, 1.6)
    mark("mouth", np.mean(mouth, 0), _MOUTH, _MOUTH)
    for eye in (left, right):
        mark("brows", eye - _BROW_UP * down, 1.6 * _EYE, _BROW)
        mark("eyes", eye, 1.3 * _EYE, 0.8 * _EYE)
    masks["brows"] &= ~masks["eyes"]
    return masks


def shares_of_change(one: np.ndarray, other: np.ndarray, regions: dict[str, np.ndarray]) -> dict[str, float]:
    """Shares by KINDS of the change between two pictures uint8 (S, S, 3); all zero where nothing changes."""
    change = _energy(one, other)
    total = float(change.sum())
    if total < 1e-4 * change.size:  # less than a hundredth of a grey level a pixel
        return dict.fromkeys(KINDS, 0.0)
    similarity = _head_similarity(one, other, regions["head"])
    undone = _energy(cv2.warpAffine(one, similarity, one.shape[:2], borderMode=cv2.BORDER_REPLICATE), other)
    if float(undone.sum()) > total:
        similarity, undone = np.eye(2, 3), change
    left = float(undone.sum()) / total
    shares = dict.fromkeys(KINDS, 0.0)
    for kind, size in _moves(similarity, regions["head"]).items():
        shares[kind] = (1 - left) * size
    for kind in ("mouth", "eyes", "brows"):
        shares[kind] = float(undone[regions[kind]].sum()) / total
        undone = np.where(regions[kind], 0, undone)
    shares["elsewhere"] = float(undone.sum()) / total
    return shares


def _resized(picture: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)


def _energy(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared difference (S, S), summed over colours."""
    return ((one.astype(np.float32) - other) ** 2).sum(-1)


def _head_similarity(one: np.ndarray, other: np.ndarray, head: np.ndarray) -> np.ndarray:
    """The similarity (2, 3) that takes most of the head of one picture to the other."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (one, other)]
    still = np.zeros((*grey[0].shape, 2), np.float32)
    flow = np.asarray(cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey[0], grey[1], still))
    y, x = np.nonzero(head)
    points = np.stack([x, y], 1)[::7].astype(np.float32)
    moved = points + flow[y[::7], x[::7]]
    found, _ = cv2.estimateAffinePartial2D(points, moved, method=cv2.RANSAC, ransacReprojThreshold=0.7)
    return np.eye(2, 3) if found is None else found


def _moves(similarity: np.ndarray, head: np.ndarray) -> dict[str, float]:
    """How much of the head's movement is shift, rotation and scale: shares of mean squares that add up to 1."""
    y, x = np.nonzero(head)
    centre = np.array([x.mean(), y.mean()])
    radius = float(np.mean((x - centre[0]) ** 2 + (y - centre[1]) ** 2))
    linear = similarity[:, :2]
    shift = linear @ centre + similarity[:, 2] - centre
    angle, scale = np.arctan2(linear[1, 0], linear[0, 0]), np.sqrt(np.linalg.det(linear))
    squares = {"shift": float(shift @ shift), "rotation": angle**2 * radius, "scale": (scale - 1) ** 2 * radius}
    total = sum(squares.values())
    return {kind: float(square / total) if total else 0.0 for kind, square in squares.items()}


def _picture(rows: list[Row]) -> Image.Image:
    """The sheet: a vector a row, its label on the left."""
    sheet = Image.new("RGB", (_LABEL + CELL * len(STEPS), HEAD + CELL * len(rows)), "white")
    pen, large, small = ImageDraw.Draw(sheet), ImageFont.load_default(20), ImageFont.load_default(13)
    for column, step in enumerate(STEPS):
        pen.text((_LABEL + CELL * (column + 0.5), HEAD / 2), f"{step:+d} sd" if step else "mean", "black", small, "mm")
    for line, row in enumerate(rows):
        top = HEAD + CELL * line
        pen.text((10, top + 30), f"{row.number}  {row.name}", "black", large)
        pen.text((10, top + 60), row.label.replace(", ", "\n"), "black", small)
        pen.text((10, top + CELL - 22), f"mean {row.mean:+.2f}, sd {row.spread:.2f}", "grey", small)
        for column, cell in enumerate(row.pictures):
            sheet.paste(Image.fromarray(cell), (_LABEL + CELL * column, top))
    return sheet


def _page(rows: list[Row], motion: Motion) -> str:
    """The sheet as one HTML page: every vector's sweep as a loop, with its shares."""
    header = "".join(f"<th>{kind}</th>" for kind in KINDS)
    lines = "\n".join(
        f"<tr><td><b>{row.number}</b> {html.escape(row.name)}</td>"
        f'<td><img alt="sweep of vector {row.number}" src="data:image/webp;base64,{_loop(row.pictures)}"></td>'
        f"<td>{html.escape(row.label)}</td>"
        + "".join(
            f'<td style="background:rgba(255,140,0,{share:.2f})">{share:.0%}</td>' for share in row.shares.values()
        )
        + f"<td>{row.mean:+.2f} &plusmn; {row.spread:.2f}</td></tr>"
        for row in rows
    )
    return (
        "<!doctype html><meta charset=utf-8><title>Basis of "
        f"{html.escape(motion.making.model)}</title><style>body{{font:15px sans-serif}}td,th{{padding:2px 9px;"
        "text-align:left}</style><h1>What every basis vector moves</h1><p>Each coefficient goes from -3 to +3 standard "
        "deviations of its own in this clip; shares are of the change between the two ends.</p><table><tr><th>vector"
        f"</th><th>sweep</th><th>moves</th>{header}<th>mean, sd</th></tr>\n{lines}</table>\n"
    )


def _loop(pictures: list[np.ndarray]) -> str:
    """Pictures there and back, as an endless WebP in base64."""
    first, *rest = [Image.fromarray(picture) for picture in [*pictures, *pictures[-2:0:-1]]]
    stream = io.BytesIO()
    first.save(stream, "webp", save_all=True, append_images=rest, duration=120, loop=0, quality=75)
    return base64.b64encode(stream.getvalue()).decode()
