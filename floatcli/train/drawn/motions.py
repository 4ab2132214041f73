"""Random motions to train on: rest, speech, looks, emotions and poses, mixed."""

from __future__ import annotations

import numpy as np

from floatcli.config import POSE
from floatcli.train.parameters import HIGH, INDEX, LOW, rest

# Mouths of speech: jaw, round, smile, upper_lip, lower_lip, lip_press (means).
_MOUTHS = (
    (0.00, 0.00, 0.00, 0.00, 0.00, 0.00), (0.65, 0.00, 0.05, 0.10, 0.10, 0.00), (0.35, 0.00, 0.20, 0.15, 0.20, 0.00),
    (0.12, 0.00, 0.35, 0.20, 0.25, 0.00), (0.40, 0.65, 0.00, 0.00, 0.00, 0.00), (0.12, 0.95, 0.00, 0.00, 0.00, 0.00),
    (0.00, 0.05, 0.00, 0.00, 0.00, 0.90), (0.06, 0.05, 0.00, 0.30, 0.00, 0.30), (0.08, 0.10, 0.10, 0.30, 0.40, 0.00),
    (0.20, 0.20, 0.00, 0.10, 0.30, 0.00), (0.95, 0.05, 0.00, 0.15, 0.20, 0.00), (0.10, 0.45, 0.00, 0.35, 0.35, 0.00),
)  # fmt: skip
_MOUTH_NAMES = ("jaw", "round", "smile", "upper_lip", "lower_lip", "lip_press")

# Faces of emotions: the parameters they move, at full strength; "lids" and "brows" stand for both sides.
_EMOTIONS = (
    {"smile": 0.9, "lids": 0.15, "upper_lip": 0.25},
    {"smile": 0.5},
    {"smile": -0.6, "brows": 0.3, "furrow": 0.6, "lids": 0.2, "gaze_y": 0.3},
    {"furrow": 1.0, "brows": -0.8, "lids": -0.1, "smile": -0.3, "lip_press": 0.3},
    {"brows": 1.0, "lids": -0.4, "jaw": 0.35},
    {"brows": 0.7, "furrow": 0.6, "lids": -0.35, "smile": -0.3, "lower_lip": 0.3},
    {"sneer": 1.0, "smile": -0.3, "furrow": 0.4, "brows": -0.4, "lids": 0.25},
    {"upper_lip": 0.9, "lower_lip": 0.6, "smile": 0.6},
    {"smile": 1.0, "upper_lip": 0.8, "lower_lip": 0.3, "lids": 0.1},  # the toothy smile of photographs
    {"smile": 0.8, "upper_lip": 0.6, "lower_lip": 0.5, "jaw": 0.15},
)
# Faces that people make for a portrait, and how often.
_PORTRAITS: tuple[tuple[dict[str, float], float], ...] = (
    ({}, 0.35), ({"smile": 0.45}, 0.2), ({"smile": 0.9, "upper_lip": 0.9, "lower_lip": 0.4, "lids": 0.1}, 0.25),
    ({"smile": 0.8, "upper_lip": 0.8, "lower_lip": 0.5, "jaw": 0.12, "lids": 0.15}, 0.2),
)  # fmt: skip
_PAIRS = {"lids": ("lid_left", "lid_right"), "brows": ("brow_left", "brow_right")}


def random_parameters(rng: np.random.Generator) -> np.ndarray:
    """One motion, (20,) float32 within the parameters' ranges.

    Args:
        rng: Where the chance comes from.
    """
    p = rest()
    if rng.random() < 0.06:
        return p
    if rng.random() < 0.55:
        _add(p, _EMOTIONS[rng.integers(len(_EMOTIONS))], float(rng.uniform(0.1, 1)))
    if rng.random() < 0.75:
        one, two = (_MOUTHS[k] for k in rng.integers(len(_MOUTHS), size=2))
        share, strength = rng.uniform(0, 1), rng.uniform(0.4, 1.2)
        mouth = (strength * (a + (b - a) * share) for a, b in zip(one, two, strict=True))
        _add(p, dict(zip(_MOUTH_NAMES, mouth, strict=True)), 1.0)
    _eyes(p, rng)
    spread = rng.choice([0.1, 0.25, 0.45])
    for name in POSE:
        p[INDEX[name]] = rng.normal(0, spread)
    if rng.random() < 0.25:  # any corner of the space, so that nothing depends on the mixtures above
        few = rng.integers(0, len(p), 4)
        p[few] = rng.uniform(LOW, HIGH)[few]
    return np.clip(p, LOW, HIGH)


def portrait_parameters(rng: np.random.Generator) -> np.ndarray:
    """How people look at a camera, (20,) float32: at rest or smiling, often with teeth, the head a little turned.

    Args:
        rng: Where the chance comes from.
    """
    p = rest()
    face = rng.choice(len(_PORTRAITS), p=[odds for _, odds in _PORTRAITS])
    _add(p, _PORTRAITS[face][0], float(rng.uniform(0.7, 1.15)))
    p += rng.normal(0, 0.04, len(p)) * (p > 0)
    for name in POSE:
        p[INDEX[name]] = rng.normal(0, 0.25)
    return np.clip(p, LOW, HIGH)


def _add(p: np.ndarray, moves: dict[str, float], strength: float) -> None:
    for name, amount in moves.items():
        for own in _PAIRS.get(name, (name,)):
            p[INDEX[own]] += strength * amount


def _eyes(p: np.ndarray, rng: np.random.Generator) -> None:
    """Blinks (mostly of both eyes), looks and brows on top of the emotion."""
    left, right = INDEX["lid_left"], INDEX["lid_right"]
    chance = rng.random()
    if chance < 0.30:
        lid = 1.0 if rng.random() < 0.35 else rng.uniform(0.1, 1)
        p[[left, right]] = lid, np.clip(lid + rng.normal(0, 0.05), -0.4, 1)
    elif chance < 0.40:
        p[[left, right]] = rng.uniform(-0.4, 1, 2)
    else:
        p[[left, right]] += rng.normal(0, 0.08)
    if rng.random() < 0.7:
        p[[INDEX["gaze_x"], INDEX["gaze_y"]]] += rng.normal(0, 0.45, 2)
    if rng.random() < 0.5:
        both = rng.normal(0, 0.4)
        p[[INDEX["brow_left"], INDEX["brow_right"]]] += both + rng.normal(0, 0.2 if rng.random() < 0.3 else 0.03, 2)
