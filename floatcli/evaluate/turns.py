"""Heads turned by 15 degrees each way, against the true drawing, where tears show: at hair, ears and shoulders."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from floatcli.config import TURN_DEGREES
from floatcli.evaluate.drawn_faces import true_motion
from floatcli.evaluate.pictures import Figures, mean_figures, psnr, to_pictures, to_tensor
from floatcli.models.float_model import FloatModel
from floatcli.train.drawn import LANDMARKS, Identity
from floatcli.train.drawn_data import ANCHOR_COLUMNS, draw_frames
from floatcli.train.parameters import INDEX, rest

DEGREES = 15
TURNS = ("yaw", "pitch", "roll")
#: Landmarks of what is looked at.
PARTS = {
    "hair": [k for k, name in enumerate(LANDMARKS) if name.startswith("hair_")],
    "ears": [LANDMARKS.index(name) for name in ("ear_left", "ear_right")],
    "shoulders": [LANDMARKS.index(name) for name in ("shoulder_left", "shoulder_right", "chest_left", "chest_right")],
}
_AROUND = 0.4  # of a landmark, what is looked at, in distances between the eyes
_TEAR = 10.0  # grey levels a pixel by which an edge is steeper than any true one near it
_NEAR = 0.02  # widths of the picture


def turned(degrees: float, turn: str) -> np.ndarray:
    """Parameters (20,) of a face at rest that is turned."""
    state = rest()
    state[INDEX[turn]] = degrees / TURN_DEGREES[TURNS.index(turn)]
    return state


@torch.inference_mode()
def measure_turns(model: FloatModel, identity: Identity, size: int = 256) -> Figures:
    """Of one person, means over both ways: PSNR, what it is over copying the source, and how much is torn.

    Names are as in ``yaw.hair psnr``; None of hair where there is none.
    """
    states = [rest(), *(turned(sign * DEGREES, turn) for turn in TURNS for sign in (-1, 1))]
    drawn = draw_frames(identity, np.stack(states), size)
    images = to_tensor(drawn.pictures)
    portrait = model.encode(images[:1])
    made = model.decode(portrait, true_motion(model, portrait, rest(), drawn.parameters)).clamp(-1, 1)
    rows = [
        turn_figures(*each) for each in zip(made, images, images[:1].expand_as(images), drawn.landmarks, strict=True)
    ]
    both = {turn: mean_figures(rows[1 + 2 * k : 3 + 2 * k]) for k, turn in enumerate(TURNS)}
    return {f"{turn}.{key}": value for turn, figures in both.items() for key, value in figures.items()}


def turn_figures(made: torch.Tensor, truth: torch.Tensor, source: torch.Tensor, landmarks: np.ndarray) -> Figures:
    """Figures by part of a frame (3, S, S) in [-1, 1], whose landmarks are (P, 2)."""
    edges = torn_edges(*to_pictures(torch.stack([made, truth])))
    left, right = landmarks[ANCHOR_COLUMNS[:2]]
    reach = _AROUND * float(np.linalg.norm(right - left))
    figures: Figures = {}
    for part, rows in PARTS.items():
        where = torch.from_numpy(around(landmarks[rows], reach, len(edges)))
        there = bool(where.any())
        near, copied = (psnr(picture[:, where], truth[:, where]) if there else None for picture in (made, source))
        figures[f"{part} psnr"] = near
        figures[f"{part} over copying"] = None if near is None or copied is None else near - copied
        figures[f"{part} torn"] = float(edges[where].mean()) if there else None
    return figures


def around(points: np.ndarray, reach: float, size: int) -> np.ndarray:
    """Where discs about points (P, 2) in [0, 1] lie on a picture, bool (size, size); reach in widths of it."""
    x, y = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2)
    across, down = points.T[..., None, None]
    return np.any((across - x) ** 2 + (down - y) ** 2 < reach**2, axis=0)


def torn_edges(made: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Where a picture (S, S, 3) uint8 has an edge and the truth has none as steep nearby, bool (S, S).

    So are tears, holes and doubled outlines found, while what is a little out of place, or blurred, is let be.
    """
    reach = 2 * round(_NEAR * len(made)) + 1
    found, true = _steepness(made), cv2.dilate(_steepness(truth), np.ones((reach, reach), np.uint8))
    return np.greater(found, true + _TEAR)


def _steepness(picture: np.ndarray) -> np.ndarray:
    """Grey levels from pixel to pixel (S, S)."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1).astype(np.float32)
    return cv2.magnitude(*(cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0)))
