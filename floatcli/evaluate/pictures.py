"""How near pictures come to the truth: PSNR, SSIM and L1, of the whole, the mouth and the eyes."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from floatcli.train.prepare_settings import PARTS

Figures = dict[str, float | None]  # None: there is nothing to tell

Box = tuple[slice, slice]  # rows, columns

_LEAST_ERROR = 1e-8  # of a range of two: what is nearer than this counts as 86 dB, not as infinity


def to_tensor(pictures: np.ndarray) -> Tensor:
    """Pictures (N, H, W, 3) uint8 -> (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(pictures).movedim(-1, 1).float() / 127.5 - 1


def to_pictures(frames: Tensor) -> np.ndarray:
    """Frames (N, 3, H, W) in about [-1, 1] as pictures (N, H, W, 3) uint8."""
    return ((frames.clamp(-1, 1) + 1) * 127.5).round().byte().movedim(1, -1).numpy()


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal to noise ratio of two pictures in [-1, 1], dB."""
    return float(10 * torch.log10(4 / (a - b).square().mean().clamp(min=_LEAST_ERROR)))


def ssim_map(made: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Structural similarity at every pixel (H, W) of two pictures uint8 (H, W, 3).

    Of their luma, in Gaussian windows of sigma 1.5 (Wang et al. 2004).
    """
    grey = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (made, truth))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return structural_similarity(*grey, full=True, **settings)[1]


def boxes_of_parts(boxes: np.ndarray, size: int) -> dict[str, Box | None]:
    """Boxes (3, 4) of PARTS, clipped to the pixels of a picture of ``size``; None where nothing is left of one."""
    found: dict[str, Box | None] = {}
    for name, box in zip(PARTS, boxes, strict=True):
        x1, y1, x2, y2 = np.clip(box.round().astype(int), 0, size)
        found[name] = (slice(y1, y2), slice(x1, x2)) if x1 < x2 and y1 < y2 else None
    return found


def compare(made: np.ndarray, truth: np.ndarray, boxes: dict[str, Box | None]) -> Figures:
    """Figures of a frame against the truth, both uint8 (H, H, 3), as in ``mouth PSNR``; ``eyes`` are their mean.

    L1 is the mean absolute difference, of a range of 1.
    """
    similarity = ssim_map(made, truth)
    a, b = to_tensor(np.stack([made, truth]))

    def within(box: Box) -> Figures:
        rows, columns = box
        one, other = a[:, rows, columns], b[:, rows, columns]
        close = float(similarity[box].mean())
        return {"PSNR": psnr(one, other), "SSIM": close, "L1": float((one - other).abs().mean()) / 2}

    parts = {name: within(box) for name, box in boxes.items() if box is not None}
    eyes = [parts[name] for name in ("left_eye", "right_eye") if name in parts]
    regions = {"whole": within(np.s_[:, :]), "mouth": parts.get("mouth", {}), "eyes": mean_figures(eyes)}
    return {f"{region} {key}": value for region, figures in regions.items() for key, value in figures.items()}


def mean_figures(rows: list[Figures]) -> Figures:
    """The mean of each figure over the rows that have it; None where none has."""
    names = dict.fromkeys(name for row in rows for name in row)
    told = {name: [value for row in rows if (value := row.get(name)) is not None] for name in names}
    return {name: float(np.mean(values)) if values else None for name, values in told.items()}
