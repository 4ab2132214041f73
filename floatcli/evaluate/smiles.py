"""Lips told to close over a smile that shows teeth: what is left of the teeth."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from floatcli.evaluate.drawn_faces import face_boxes, true_motion
from floatcli.evaluate.pictures import Figures, psnr, to_pictures, to_tensor
from floatcli.models.float_model import FloatModel
from floatcli.train.drawn import LANDMARKS, Identity
from floatcli.train.drawn_data import ANCHOR_COLUMNS, draw_frames
from floatcli.train.parameters import INDEX, rest

SMILE = {"smile": 0.9, "upper_lip": 0.9, "lower_lip": 0.4, "lid_left": 0.1, "lid_right": 0.1}  # of portraits
SHUT = {"jaw": 0.0, "upper_lip": 0.0, "lower_lip": 0.0}
_OPENING = [
    LANDMARKS.index(name)
    for name in (
        "mouth_left", "inner_upper_left", "inner_upper_lip", "inner_upper_right",
        "mouth_right", "inner_lower_right", "inner_lower_lip", "inner_lower_left",
    )
]  # fmt: skip


def face(values: dict[str, float]) -> np.ndarray:
    """Parameters (20,) of a face at rest but for those named."""
    state = rest()
    for name, value in values.items():
        state[INDEX[name]] = value
    return state


@torch.inference_mode()
def measure_closing(model: FloatModel, identity: Identity, size: int = 256) -> Figures:
    """Of one person: the mouth's PSNR, what it is over copying the smile, and what is left of the teeth."""
    drawn = draw_frames(identity, np.stack([face(SMILE), face(SMILE | SHUT)]), size)
    smiling, truth = to_tensor(drawn.pictures)
    portrait = model.encode(smiling[None])
    closed = model.decode(portrait, true_motion(model, portrait, drawn.parameters[0], drawn.parameters[1:]))
    made = closed[0].clamp(-1, 1)
    rows, columns = face_boxes(drawn.landmarks[1, ANCHOR_COLUMNS] * size, size)["mouth"]
    near, copied = (psnr(picture[:, rows, columns], truth[:, rows, columns]) for picture in (made, smiling))
    shown, shut, open_ = to_pictures(torch.stack([made, truth, smiling]))
    left = teeth_left(shown, shut, open_, drawn.landmarks[0, _OPENING])
    return {"mouth psnr": near, "mouth over copying": near - copied, "teeth left": left}


def teeth_left(made: np.ndarray, truth: np.ndarray, smiling: np.ndarray, opening: np.ndarray) -> float:
    """How much brighter than truly shut lips a picture is where the smile was open: 0 nowhere, 1 as the smile.

    Args:
        made, truth, smiling: Pictures (S, S, 3) uint8.
        opening: The outline of the open lips, (P, 2) in [0, 1].
    """
    where = np.zeros(made.shape[:2], np.uint8)
    cv2.fillPoly(where, [np.round(opening * len(made)).astype(np.int32)], 1)
    grey = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64) for picture in (made, truth, smiling))
    left, shut, shown = (picture[where == 1] for picture in grey)
    return float((left - shut).clip(min=0).sum() / max((shown - shut).clip(min=0).sum(), 1.0))
