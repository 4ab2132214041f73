"""What each emotion does to the voice and to the face."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from floatcli.config import EMOTIONS
from floatcli.train.parameters import INDEX, PARAMETERS


class Prosody(NamedTuple):
    """A manner of speaking; pairs are ranges that a clip draws from."""

    rate: tuple[float, float] = (0.82, 1.22)  # times the voice's words per minute
    pitch: tuple[float, float] = (-12, 12)  # added to espeak-ng's pitch of 50
    pitch_range: tuple[float, float] = (35, 70)
    tilt: tuple[float, float] = (-1.5, 1.5)  # dB per octave above 500 Hz
    breath: tuple[float, float] = (0.0, 0.08)  # share of noise in the voice
    tremor: tuple[float, float] = (0.0, 0.0)  # depth of 6 Hz vibrato, share of the pitch
    roughness: tuple[float, float] = (0.0, 0.0)  # depth of amplitude jitter
    fade: tuple[float, float] = (-2, 2)  # dB over each sentence
    pause: tuple[float, float] = (0.25, 1.1)  # seconds between sentences


PROSODY = {
    "angry": Prosody((1.08, 1.30), (-8, 8), (75, 100), (2.5, 5.0), (0, 0.03), (0, 0), (0.35, 0.7), (0, 4), (0.2, 0.6)),
    "disgust": Prosody(
        (0.70, 0.86), (-22, -8), (50, 80), (-2.0, 0.5), (0.0, 0.05), (0, 0), (0.6, 0.95), (-4, 0), (0.4, 1.0)
    ),
    "fear": Prosody(
        (1.18, 1.42),
        (18, 34),
        (15, 40),
        (-1, 1.5),
        (0.22, 0.45),
        (0.025, 0.05),
        (0.0, 0.1),
        (-3, 2),
        (0.15, 0.5),
    ),
    "happy": Prosody((1.05, 1.22), (12, 26), (88, 100), (0.5, 3.0), (0.0, 0.08), (0, 0), (0, 0), (0, 3), (0.2, 0.6)),
    "neutral": Prosody(),
    "sad": Prosody(
        (0.62, 0.78), (-22, -6), (3, 18), (-5.0, -2.5), (0.12, 0.35), (0, 0.008), (0, 0), (-9, -4), (0.7, 1.4)
    ),
    "surprise": Prosody(
        (0.86, 1.04), (26, 44), (95, 100), (1.0, 3.0), (0.05, 0.2), (0, 0.01), (0, 0), (3, 8), (0.3, 0.9)
    ),
}

_BOTH_LIDS, _BOTH_BROWS = ("lid_left", "lid_right"), ("brow_left", "brow_right")
_FACES: dict[str, dict[str | tuple[str, str], float]] = {
    "angry": {
        "furrow": 0.75,
        _BOTH_BROWS: -0.5,
        "sneer": 0.25,
        "smile": -0.3,
        _BOTH_LIDS: -0.08,
        "lower_lip": 0.12,
    },
    "disgust": {
        "sneer": 0.75,
        "upper_lip": 0.3,
        _BOTH_BROWS: -0.25,
        "furrow": 0.3,
        "smile": -0.35,
        _BOTH_LIDS: 0.2,
    },
    "fear": {
        _BOTH_BROWS: 0.55,
        "furrow": 0.4,
        _BOTH_LIDS: -0.3,
        "smile": -0.2,
        "lower_lip": 0.15,
        "pitch": -0.06,
    },
    "happy": {"smile": 0.7, _BOTH_BROWS: 0.15, _BOTH_LIDS: 0.1, "pitch": -0.04},
    "neutral": {"smile": 0.04},
    "sad": {"smile": -0.5, _BOTH_BROWS: 0.3, _BOTH_LIDS: 0.28, "furrow": 0.15, "pitch": 0.2, "gaze_y": 0.15},
    "surprise": {_BOTH_BROWS: 0.9, _BOTH_LIDS: -0.35, "jaw": 0.04, "pitch": -0.08},
}
MOUTH_OPENING = {"angry": 1.15, "happy": 1.08, "surprise": 1.1, "sad": 0.85}  # times the neutral jaw


def emotion_face(emotion: str) -> np.ndarray:
    """What an emotion at full strength adds to the rest face, (20,) float32 renderer parameters."""
    face = np.zeros(len(PARAMETERS), np.float32)
    for names, value in _FACES[emotion].items():
        for name in (names,) if isinstance(names, str) else names:
            face[INDEX[name]] = value
    return face


def draw_prosody(emotion: str, rng: np.random.Generator) -> dict[str, float]:
    """One value from each of the emotion's ranges."""
    return {name: float(rng.uniform(*span)) for name, span in PROSODY[emotion]._asdict().items()}


def draw_emotion(rng: np.random.Generator) -> str:
    """Neutral for 28 clips of a hundred, the six others alike: ordinary speech is neutral."""
    return "neutral" if rng.random() < 0.28 else str(rng.choice([e for e in EMOTIONS if e != "neutral"]))
