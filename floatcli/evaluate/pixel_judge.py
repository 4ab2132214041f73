"""Reads the jaw from the pixels of a decoded video, by what true drawings of the same face look like.

The judge knows nothing of the model: it is a ridge regression from the mouth's pixels to the jaw, fitted for one
identity on drawings of it in random states. The mouth is looked for where the drawing of the same head pose has it.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch

from floatcli.evaluate.drawn_faces import HELD_OUT
from floatcli.evaluate.pictures import to_tensor
from floatcli.evaluate.speech_quality import speaker
from floatcli.models.float_model import FloatModel, Portrait
from floatcli.models.patches import mouth_frame, pixel_grid, to_picture
from floatcli.train.drawn import Identity, draw, random_identity, random_parameters
from floatcli.train.drawn_data import ANCHOR_COLUMNS, POSE_COLUMNS
from floatcli.train.parameters import INDEX, SCALE, rest

SIDE = 20  # pixels of the mouth that the judge sees
EXAMPLES = 160
RIDGE = 30.0


def mouth_pixels(picture: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The mouth about anchors (7, 2) in [0, 1] of a picture (H, W, 3), grey, level, without its mean: (SIDE^2,)."""
    points = torch.from_numpy(anchors).float()[None] * 2 - 1
    grid = to_picture(mouth_frame(points), pixel_grid(SIDE, points)[None])[0]
    at = ((grid.numpy() + 1) / 2 * picture.shape[0] - 0.5).astype(np.float32)
    grey = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.5), cv2.COLOR_RGB2GRAY)
    seen = cv2.remap(grey, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    flat = seen.astype(np.float64).ravel() / 255
    return flat - flat.mean()


def anchors_at(identity: Identity, parameters: np.ndarray, size: int) -> np.ndarray:
    """Anchors (7, 2) of the face at rest in the pose of ``parameters``."""
    still = rest()
    still[POSE_COLUMNS] = parameters[POSE_COLUMNS]
    return draw(identity, still, size).landmarks[ANCHOR_COLUMNS]


class JawJudge:
    """Jaw of one identity from pixels."""

    def __init__(self, identity: Identity, rng: np.random.Generator, size: int = 256):
        self.identity, self.size = identity, size
        rows, jaws = [], []
        for _ in range(EXAMPLES):
            parameters = random_parameters(rng)
            parameters[POSE_COLUMNS] *= 0.5  # clips sway less than training sets do
            shift = rng.normal(0, 0.004, 2)  # a decoded mouth is never quite where the drawn one is
            anchors = anchors_at(identity, parameters, size) + shift
            rows.append(mouth_pixels(draw(identity, parameters, size).picture, anchors))
            jaws.append(parameters[INDEX["jaw"]])
        seen, self.mean = np.stack(rows), float(np.mean(jaws))
        self.centre = seen.mean(0)
        seen = seen - self.centre
        gram = seen @ seen.T + RIDGE / SIDE * np.eye(len(seen))
        self.weights = seen.T @ np.linalg.solve(gram, np.array(jaws) - self.mean)

    def read(self, picture: np.ndarray, parameters: np.ndarray) -> float:
        """Jaw of a picture (H, W, 3) uint8 whose head has the pose of ``parameters``."""
        anchors = anchors_at(self.identity, parameters, self.size)
        return float((mouth_pixels(picture, anchors) - self.centre) @ self.weights + self.mean)


@torch.inference_mode()
def measure_lips(model: FloatModel, sounds: np.ndarray, true_jaws: np.ndarray) -> list[float]:
    """Correlation of the jaw read from decoded pixels with the true one; every clip has an identity of its own.

    Args:
        model: The model, with the anchored decoder.
        sounds: Clips of speech (C, samples) at the model's sample rate.
        true_jaws: What the phonemes ask for, (C, T).
    """
    speak = speaker(model.config, model).speak
    figures = []
    for k, (sound, truth) in enumerate(zip(sounds, true_jaws, strict=True)):
        rng = np.random.default_rng((HELD_OUT, 7, k))
        identity = random_identity(rng)
        portrait = model.encode(to_tensor(draw(identity, rest(), 256).picture[None]))
        own = model.basis.coefficients(portrait.ref_motion).numpy() * SCALE
        motion = speak(sound[None], own)[0]
        judge = JawJudge(identity, rng)
        read = [
            judge.read(frame, row - own[0])  # drawn at rest, so the pose it starts from is zero
            for frame, row in zip(decode_frames(model, portrait, motion), motion, strict=True)
        ]
        figures.append(float(np.corrcoef(read, truth[: len(read)])[0, 1]))
    return figures


def decode_frames(
    model: FloatModel, portrait: Portrait, parameters: np.ndarray, batch: int = 8
) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) uint8 of a portrait with parameters (T, 20)."""
    coeffs = torch.from_numpy(parameters / SCALE)
    for motion in model.basis.motion(coeffs).split(8):
        frames = ((model.decode(portrait, motion).clamp(-1, 1) + 1) * 127.5).round().byte()
        yield from frames.movedim(1, -1).numpy()
