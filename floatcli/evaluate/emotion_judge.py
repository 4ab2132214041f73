"""Tells the emotion of a face from its pixels, by what drawn portraits look like.

The judge knows nothing of the model: it is a ridge regression from how a face differs from itself at rest, grey and
level, to the seven emotions, fitted on drawings of many identities that also speak.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from floatcli.config import EMOTIONS
from floatcli.evaluate.pixel_judge import (
    Ridge,
    Sitter,
    anchors_at,
    decode_frames,
    frame_about,
    from_rest,
    in_grid,
    level_pixels,
)
from floatcli.evaluate.speech_quality import speaker
from floatcli.models.float_model import FloatModel
from floatcli.train.drawn import Identity, draw, random_identity
from floatcli.train.drawn_data import POSE_COLUMNS
from floatcli.train.parameters import HIGH, INDEX, LOW, rest
from floatcli.train.speech_emotions import emotion_face
from floatcli.train.speech_face import draw_pose
from floatcli.train.speech_visemes import LIPS

SIDE = 40  # pixels of the face that the judge sees
HALF, DOWN = 1.3, 0.45  # half side of what it sees, and how far below the eyes, in distances between the eyes
PEOPLE = 80  # whom it learns from, each in every emotion
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
    points = in_grid(anchors)
    left, right, *_ = points
    along = right - left
    middle = (left + right) / 2 + DOWN * torch.stack([-along[1], along[0]])
    return level_pixels(picture, frame_about(middle, points, HALF), SIDE)


class EmotionJudge:
    """Scores of the seven emotions from how a face differs from itself at rest, (SIDE^2,)."""

    def __init__(self, rng: np.random.Generator, people: int = PEOPLE):
        seen = np.stack([change for _ in range(people) for change in self.example(rng)])
        told = np.tile(np.eye(len(EMOTIONS)), (people, 1))
        self._ridge = Ridge(seen, told, RIDGE)

    def scores(self, change: np.ndarray) -> np.ndarray:
        """(7,), the highest the likeliest."""
        return self._ridge.read(change)

    @staticmethod
    def example(rng: np.random.Generator) -> list[np.ndarray]:
        """A drawn face that speaks in each of EMOTIONS, less the same face at rest."""
        identity = random_identity(rng)
        return [_change(identity, emotion, rng) for emotion in EMOTIONS]


def _change(identity: Identity, emotion: str, rng: np.random.Generator, size: int = 256) -> np.ndarray:
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
def measure_emotions(
    model: FloatModel, clips: Sequence[Sequence[Sitter]], sounds: np.ndarray, judge: EmotionJudge
) -> Confusion:
    """What the judge makes of held-out portraits that say something in each emotion, told by name.

    Args:
        model: The model, with the anchored decoder.
        clips: Who says each clip.
        sounds: Clips of speech (C, samples) at the model's sample rate.
        judge: Who judges.
    """
    speak = speaker(model.config, model).speak
    counts = np.zeros((len(EMOTIONS), len(EMOTIONS)), int)
    for sitter, sound in ((sitter, sound) for people, sound in zip(clips, sounds, strict=True) for sitter in people):
        for row, emotion in enumerate(EMOTIONS):
            moved = speak(sound[None], sitter.own, emotion)[0, ::EVERY]
            still = np.zeros_like(moved)
            still[:, POSE_COLUMNS] = moved[:, POSE_COLUMNS]
            frames = (decode_frames(model, sitter.portrait, states) for states in (moved, still))
            scores = np.zeros(len(EMOTIONS))
            for parameters, one, other in zip(from_rest(sitter, moved), *frames, strict=True):
                anchors = anchors_at(sitter.identity, parameters, 256)
                scores += judge.scores(face_pixels(one, anchors) - face_pixels(other, anchors))
            counts[row, int(scores.argmax())] += 1
    return Confusion(counts)
