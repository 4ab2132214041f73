"""Tells the emotion of a face from its pixels, by what drawn portraits look like.

The judge knows nothing of the model: it is a ridge regression from how a face differs from itself at rest, grey and
level, to the seven emotions, fitted on drawings of many identities that also speak.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from floatcli.config import EMOTIONS
from floatcli.evaluate.drawn_faces import HELD_OUT
from floatcli.evaluate.lip_judge import anchors_at, decode_frames
from floatcli.evaluate.pictures import to_tensor
from floatcli.evaluate.speech_quality import speaker
from floatcli.models.float_model import FloatModel
from floatcli.models.patches import pixel_grid, to_picture
from floatcli.train.drawn import draw, random_identity
from floatcli.train.drawn_data import POSE_COLUMNS
from floatcli.train.parameters import HIGH, INDEX, LOW, SCALE, rest
from floatcli.train.speech_emotions import emotion_face
from floatcli.train.speech_face import draw_pose
from floatcli.train.speech_visemes import LIPS

SIDE = 40  # pixels of the face that the judge sees
HALF, DOWN = 1.3, 0.45  # half side of what it sees, and how far below the eyes, in distances between the eyes
EXAMPLES = 700  # drawings it learns from
RIDGE = 20.0
EVERY = 10  # of a clip's frames, those that are judged
_LIPS = [INDEX[name] for name in LIPS]
_SPEECH = np.array([0.6, 0.6, 0.1, 0.3, 0.3, 0.6])  # how far lips go at most, in the order of LIPS


class Confusion(NamedTuple):
    """How often clips of one emotion (rows) were taken for another (columns), in the order of EMOTIONS."""

    counts: np.ndarray  # (7, 7)

    def figures(self) -> dict[str, float]:
        """The counts by name, as in ``sad taken for happy``, and ``told_from_neutral``."""
        counts = {
            f"{shown} taken for {taken}": float(self.counts[i, j])
            for i, shown in enumerate(EMOTIONS)
            for j, taken in enumerate(EMOTIONS)
        }
        return counts | {f"{name} told from neutral": share for name, share in self.told_from_neutral().items()}

    def told_from_neutral(self) -> dict[str, float]:
        """Share of every emotion's clips that were not taken for neutral."""
        neutral = EMOTIONS.index("neutral")
        return {
            name: 1 - float(row[neutral] / row.sum())
            for name, row in zip(EMOTIONS, self.counts, strict=True)
            if name != "neutral"
        }


def face_pixels(picture: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The face about anchors (7, 2) in [0, 1] of a picture (H, W, 3), grey and level: (SIDE^2,)."""
    left, right = torch.from_numpy(anchors[:2]).float() * 2 - 1
    along = right - left
    down = torch.stack([-along[1], along[0]])
    frame = torch.stack([HALF * along, HALF * down, (left + right) / 2 + DOWN * down], 1)[None]
    at = (to_picture(frame, pixel_grid(SIDE, frame)[None])[0].numpy() + 1) / 2 * picture.shape[0] - 0.5
    grey = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.5), cv2.COLOR_RGB2GRAY)
    at = at.astype(np.float32)
    seen = cv2.remap(grey, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return seen.astype(np.float64).ravel() / 255


class EmotionJudge:
    """Scores of the seven emotions from how a face differs from itself at rest, (SIDE^2,)."""

    def __init__(self, rng: np.random.Generator, examples: int = EXAMPLES):
        labels = np.arange(examples) % len(EMOTIONS)
        seen = np.stack([self._example(EMOTIONS[label], rng) for label in labels])
        self.centre = seen.mean(0)
        centred = seen - self.centre
        gram = centred @ centred.T + RIDGE * np.eye(len(seen))
        self.weights = centred.T @ np.linalg.solve(gram, np.eye(len(EMOTIONS))[labels] - 1 / len(EMOTIONS))

    def scores(self, change: np.ndarray) -> np.ndarray:
        """(7,), the highest the likeliest."""
        return (change - self.centre) @ self.weights

    @staticmethod
    def _example(emotion: str, rng: np.random.Generator, size: int = 256) -> np.ndarray:
        """A drawn face of an emotion that speaks, less the same face at rest."""
        identity = random_identity(rng)
        still = rest()
        still[POSE_COLUMNS] = 0.5 * draw_pose(rng)
        moved = still + rng.uniform(0.6, 1.1) * emotion_face(emotion)
        moved[_LIPS] += rng.uniform(0, _SPEECH) * (rng.random(len(_LIPS)) < 0.4)
        moved = np.clip(moved, LOW, HIGH)
        anchors = anchors_at(identity, moved, size) + rng.normal(0, 0.003, 2)
        still[POSE_COLUMNS] = moved[POSE_COLUMNS]
        one, other = (draw(identity, row, size).picture for row in (moved, still))
        return face_pixels(one, anchors) - face_pixels(other, anchors)


@torch.inference_mode()
def measure_emotions(model: FloatModel, sounds: np.ndarray, judge: EmotionJudge) -> Confusion:
    """What the judge makes of held-out portraits that say something in each emotion, told by name.

    Args:
        model: The model, with the anchored decoder.
        sounds: Clips of speech (C, samples) at the model's sample rate; every clip has an identity of its own.
        judge: Who judges.
    """
    speak = speaker(model.config, model).speak
    counts = np.zeros((len(EMOTIONS), len(EMOTIONS)), int)
    for k, sound in enumerate(sounds):
        identity = random_identity(np.random.default_rng((HELD_OUT, 8, k)))
        portrait = model.encode(to_tensor(draw(identity, rest(), 256).picture[None]))
        own = model.basis.coefficients(portrait.ref_motion).numpy() * SCALE
        for row, emotion in enumerate(EMOTIONS):
            moved = speak(sound[None], own, emotion)[0, ::EVERY]
            still = np.zeros_like(moved)
            still[:, POSE_COLUMNS] = moved[:, POSE_COLUMNS]
            frames = zip(decode_frames(model, portrait, moved), decode_frames(model, portrait, still), strict=True)
            scores = np.zeros(len(EMOTIONS))
            for parameters, (one, other) in zip(moved - own[0], frames, strict=True):
                anchors = anchors_at(identity, parameters, 256)  # drawn at rest, so its pose starts from zero
                scores += judge.scores(face_pixels(one, anchors) - face_pixels(other, anchors))
            counts[row, int(scores.argmax())] += 1
    return Confusion(counts)
