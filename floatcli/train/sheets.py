"""Sample pictures on the way: what a part makes of the same examples, checkpoint after checkpoint, beside the truth."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from floatcli.files import replacing

_CELL = (6, 4)  # pixels of one coefficient in one frame: height, width
_RANGE = 3.0  # coefficients that show in full colour


def save_pictures(rows: list[Tensor], path: Path) -> None:
    """Writes rows of pictures, each (N, 3, H, H) in [-1, 1], as one PNG."""
    _save(torch.cat([torch.cat(list(row), -1) for row in rows], -2), path)


def save_curves(truth: Tensor, made: Tensor, path: Path) -> None:
    """Writes coefficients (N, T, M) as one PNG: an example a column, the truth above, one line a coefficient.

    Zero is black, more is orange, less is blue.
    """
    columns = []
    for curves in zip(truth, made, strict=True):
        blocks = [F.pad(_coloured(c.T).repeat_interleave(_CELL[0], 1), (0, 8, 0, 8)) for c in curves]
        columns.append(torch.cat(blocks, 1).repeat_interleave(_CELL[1], 2))
    _save(torch.cat(columns, 2) * 2 - 1, path)


def mark_points(pictures: Tensor, points: Tensor, colour: tuple[float, float, float]) -> Tensor:
    """Pictures (N, 3, H, H) in [-1, 1] with dots at points (N, P, 2) in grid coordinates."""
    marked, size = pictures.clone(), pictures.shape[-1]
    places = ((points + 1) / 2 * size).long().clamp(1, size - 2)
    for picture, dots in zip(marked, places, strict=True):
        for x, y in dots.tolist():
            picture[:, y - 1 : y + 2, x - 1 : x + 2] = picture.new_tensor(colour)[:, None, None]
    return marked


def _coloured(values: Tensor) -> Tensor:
    """Values (M, T) as colours (3, M, T) in [0, 1]."""
    strength = (values / _RANGE).clamp(-1, 1)
    more, less = strength.clamp(min=0), (-strength).clamp(min=0)
    return torch.stack([more, 0.6 * more + 0.5 * less, less])


def _save(picture: Tensor, path: Path) -> None:
    """Writes a picture (3, H, W) in [-1, 1]. Raises OutputError."""
    array = ((picture.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    with replacing(path) as temporary:
        Image.fromarray(array).save(temporary, "png")
