"""What every basis vector does: its coefficient swept, decoded, and the change measured on the pictures.

A vector's label comes from its two ends alone, at -3 and +3 of the clip's own standard deviations. Optical flow from
one to the other gives the similarity (shift, rotation, scale) that moves most of the head. The share of the change, in
squares of grey levels, that this similarity undoes is the head's, and goes to shift, rotation and scale by the squares
of how far each moves the head. What a flow that bends slowly across the head undoes beyond that is a turn out of the
picture's plane. What is left is told by where it falls: mouth, eyes, brows, elsewhere.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from floatcli.clip import ignore
from floatcli.errors import InputError
from floatcli.files import replacing
from floatcli.motion import Motion
from floatcli.pipeline import FloatPipeline

STEPS = (-3, -2, -1, 0, 1, 2, 3)  # standard deviations
KINDS = ("mouth", "eyes", "brows", "shift", "rotation", "scale", "turn", "elsewhere")
CELL, HEAD = 144, 26  # pixels: side of a picture on the sheet, height of its head
_MEASURED = 256  # pixels a side that changes are measured at
_LABEL = 230  # pixels beside a row
Flow: TypeAlias = Callable[[np.ndarray], np.ndarray]  # places (N, 2) of a picture to their origins in another
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
    if len(motion.latents) < 2:
        raise InputError("a clip of one frame sweeps nothing", "take a longer one")
    rows = sweep_basis(pipeline, motion, progress)
    with replacing(path) as temporary:
        if path.suffix.lower() == ".html":
            temporary.write_text(_page(rows, motion), encoding="utf-8")
        else:
            _picture(rows).save(temporary)
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
    still = pipeline.portraits.of(motion)
    regions = face_regions(pipeline.portraits.anchors(still), _MEASURED)
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
    head = regions["head"]
    places, origins = _head_flow(one, other, head)
    similarity, _ = cv2.estimateAffinePartial2D(places, origins, method=cv2.RANSAC, ransacReprojThreshold=0.7)
    similarity = np.eye(2, 3) if similarity is None else similarity
    moved = _left(one, other, _plane(similarity), change)
    bent = np.where(head, _left(one, other, _bend(places, origins), moved, head), moved)
    shares = dict.fromkeys(KINDS, 0.0)
    for kind, size in _moves(similarity, head).items():
        shares[kind] = float(change.sum() - moved.sum()) / total * size
    shares["turn"] = float(moved.sum() - bent.sum()) / total
    for kind in ("mouth", "eyes", "brows"):
        shares[kind] = float(bent[regions[kind]].sum()) / total
        bent = np.where(regions[kind], 0, bent)
    shares["elsewhere"] = float(bent.sum()) / total
    return shares


def _resized(picture: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)


def _energy(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared difference (S, S), summed over colours."""
    return ((one.astype(np.float32) - other) ** 2).sum(-1)


def _head_flow(one: np.ndarray, other: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (N, 2) on the head of the other picture, and where in the one they come from."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (other, one)]
    still = np.zeros((*grey[0].shape, 2), np.float32)
    flow = np.asarray(cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey[0], grey[1], still))
    y, x = (axis[::7] for axis in np.nonzero(head))
    places = np.stack([x, y], 1).astype(np.float32)
    return places, places + flow[y, x]


def _plane(matrix: np.ndarray) -> Flow:
    """An affine map (2, 3)."""
    return lambda places: places @ matrix[:, :2].T + matrix[:, 2]


def _bend(places: np.ndarray, origins: np.ndarray) -> Flow:
    """The quadratic that most of a flow follows: what differs from it, as a mouth does, is weighed down."""
    centre, size = places.mean(0), np.abs(places - places.mean(0)).max()

    def terms(points: np.ndarray) -> np.ndarray:
        x, y = ((points - centre) / size).T
        return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 1)

    known, flow = terms(places), origins - places
    weights = np.ones(len(places))
    for _ in range(5):
        root = np.sqrt(weights)[:, None]
        factors = np.linalg.lstsq(known * root, flow * root, rcond=None)[0]
        error = np.linalg.norm(flow - known @ factors, axis=1)
        weights = 1 / (1 + (error / (1.5 * np.median(error) + 0.05)) ** 4)
    return lambda points: points + terms(points) @ factors


def _left(
    one: np.ndarray, other: np.ndarray, flow: Flow, before: np.ndarray, where: np.ndarray | bool = True
) -> np.ndarray:
    """The change (S, S) that is left when one picture is carried along a flow; ``before`` if that gains nothing."""
    size = len(one)
    y, x = np.mgrid[:size, :size]
    at = flow(np.stack([x.ravel(), y.ravel()], 1).astype(np.float64)).reshape(size, size, 2).astype(np.float32)
    carried = cv2.remap(one, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    left = _energy(carried, other)
    return left if (left * where).sum() < (before * where).sum() else before


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
