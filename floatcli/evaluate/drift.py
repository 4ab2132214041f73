"""What does not move should stay: background and clothes after a minute of speech, against the source.

Shoulders follow a head a little, in drawings too: clothes may change as far as drawn ones do in the same motion.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from floatcli.evaluate.pictures import Figures, mean_figures
from floatcli.evaluate.pixel_judge import Sitter, decode_frames, draw_frames, from_rest
from floatcli.evaluate.speech_quality import speaker
from floatcli.models.float_model import FloatModel
from floatcli.train.drawn import LANDMARKS, Drawing, draw
from floatcli.train.parameters import rest

SECONDS = 60
AWAY = 0.04  # from the edge of the person, widths of the picture
_THROAT = LANDMARKS.index("throat")
_CLEAR, _COVERED = 3, 252  # of a matte's 255, below and above which nothing is mixed


@torch.inference_mode()
def measure_drift(model: FloatModel, people: Sequence[Sitter], sounds: np.ndarray) -> Figures:
    """Change from the source in the first and in the last of SECONDS of speech, grey levels of 255, mean over people.

    Names are as in ``clothes, last: largest``; ``drawn clothes`` are those of true drawings in the same motion. A frame
    depends on its motion alone, so that those between need not be decoded.

    Args:
        model: The model, with the anchored decoder.
        people: Who speaks.
        sounds: Clips of speech (C, samples) at the model's sample rate, said one after the other.
    """
    config, speak = model.config, speaker(model.config, model).speak
    speech = np.resize(sounds, SECONDS * config.sample_rate)
    rows = []
    for sitter in people:
        motion, drawing = speak(speech[None], sitter.own)[0], draw(sitter.identity, rest())
        seconds = {"first": motion[: config.fps], "last": motion[-config.fps :]}
        made = {name: np.stack([*decode_frames(model, sitter.portrait, part)]) for name, part in seconds.items()}
        moved = {name: from_rest(sitter, part) for name, part in seconds.items()}
        true = {name: np.stack([*draw_frames(sitter.identity, part)]) for name, part in moved.items()}
        rows.append(drift_figures(made, drawing) | drift_figures(true, drawing, "drawn "))
    return mean_figures(rows)


def drift_figures(seconds: dict[str, np.ndarray], drawing: Drawing, kind: str = "") -> Figures:
    """Mean and largest change from a drawing in frames (F, S, S, 3) by name, where nothing should move."""
    figures: Figures = {}
    for name, frames in seconds.items():
        change = np.abs(frames.astype(np.float64) - drawing.picture).mean((0, 3))
        for part, where in still_parts(drawing).items():
            seen = change[where]
            figures[f"{kind}{part}, {name}: mean"] = float(seen.mean()) if seen.size else None
            figures[f"{kind}{part}, {name}: largest"] = float(seen.max()) if seen.size else None
    return figures


def still_parts(drawing: Drawing) -> dict[str, np.ndarray]:
    """Where background and clothes are, bool (S, S): beside the person, and below the throat; both away from edges."""
    size = len(drawing.matte)
    away = np.ones((2 * round(AWAY * size) + 1,) * 2, np.uint8)
    body = cv2.erode(drawing.matte, away) > _COVERED
    body[: int(np.clip(drawing.landmarks[_THROAT, 1] + AWAY, 0, 1) * size)] = False
    return {"background": cv2.dilate(drawing.matte, away) < _CLEAR, "clothes": body}
