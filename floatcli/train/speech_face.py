"""Everything on a speaking face but the lips: expression, head, eyes, and the state of the portrait."""

from __future__ import annotations

import numpy as np

from floatcli.config import EMOTIONS, POSE
from floatcli.train.parameters import HIGH, INDEX, LOW
from floatcli.train.speech_emotions import MOUTH_OPENING, emotion_face
from floatcli.train.speech_visemes import LIPS

_POSE_SPREAD = (0.30, 0.18, 0.15, 0.15, 0.15, 0.20)  # of portraits, about facing the camera
_POSE_SWAY = (0.13, 0.08, 0.07, 0.05, 0.04, 0.05)  # of one clip, about its portrait
_BLINK = np.array([0.12, 0.55, 0.95, 1.0, 0.85, 0.55, 0.25, 0.08])  # 0.32 s at 25 frames/s
_MOUTH = [INDEX[name] for name in LIPS]
_POSE = [INDEX[name] for name in POSE]
_LIDS = [INDEX["lid_left"], INDEX["lid_right"]]
_BROWS = [INDEX["brow_left"], INDEX["brow_right"]]


def draw_pose(rng: np.random.Generator) -> np.ndarray:
    """Pose of a portrait, (6,) in the order of POSE."""
    return np.clip(rng.normal(0, _POSE_SPREAD), -0.8, 0.8)


def portrait_state(pose: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parameters (20,) of the picture a clip starts from: the clip's pose, any expression and mouth."""
    face = emotion_face(str(rng.choice(EMOTIONS))) * rng.uniform(0, 1.1) * (rng.random() < 0.7)
    if rng.random() < 0.5:
        face[_MOUTH] += rng.uniform(0, 1, 6) * (0.7, 0.7, 0.2, 0.4, 0.5, 0.2) * (rng.random(6) < 0.5)
    face[_LIDS] += rng.normal(0, 0.08)
    face[[INDEX["gaze_x"], INDEX["gaze_y"]]] += rng.normal(0, 0.2, 2)
    face[_POSE] = pose
    return np.clip(face + rng.normal(0, 0.03, len(face)), LOW, HIGH).astype(np.float32)


def face_motion(
    lips: np.ndarray, loudness: np.ndarray, emotion: str, pose: np.ndarray, fps: int, rng: np.random.Generator
) -> np.ndarray:
    """All parameters of a clip, (frames, 20) float32.

    Args:
        lips: (frames, 6) in the order of LIPS.
        loudness: (frames,) 0..1; emphasis nods the head and lifts the brows.
        pose: (6,) the portrait's, about which the head moves.
    """
    frames = len(lips)
    emphasis = _smooth(loudness, 0.12 * fps) - _smooth(loudness, 1.2 * fps)
    strength = rng.uniform(0.65, 1.1) * (1 + 0.15 * _drift(frames, 2.0 * fps, rng))
    face = emotion_face(emotion)
    motion = strength[:, None] * face
    _add_lips(motion, lips, emotion)
    sway = rng.uniform(0.5, 1.4) * np.array(_POSE_SWAY)
    moves = np.stack([spread * _drift(frames, rng.uniform(0.35, 0.7) * fps, rng) for spread in sway], 1)
    moves[:, 1] += 0.35 * emphasis
    moves[:, 3] += 0.3 * moves[:, 0]
    motion[:, _POSE] += pose + moves
    motion[:, _BROWS] += (0.3 * np.maximum(emphasis, 0) + 0.04 * _drift(frames, fps, rng))[:, None]
    gaze = _gaze(frames, fps, rng)
    gaze[:, 0] -= 0.4 * moves[:, 0]
    motion[:, [INDEX["gaze_x"], INDEX["gaze_y"]]] += gaze
    blink = blinks(loudness, fps, rng)
    motion[:, _LIDS] += (1 - motion[:, _LIDS]) * blink[:, None]
    return np.clip(motion, LOW, HIGH).astype(np.float32)


def _add_lips(motion: np.ndarray, lips: np.ndarray, emotion: str) -> None:
    """Speech over expression: rounded lips hold little smile, shut ones rest."""
    opening = lips.copy()
    opening[:, 0] *= MOUTH_OPENING.get(emotion, 1.0)
    active = np.clip(lips.max(1) / 0.3, 0, 1)
    smile, jaw = INDEX["smile"], INDEX["jaw"]
    motion[:, smile] *= 1 - 0.5 * lips[:, 1]
    for name in ("upper_lip", "lower_lip"):
        motion[:, INDEX[name]] *= (0.25 + 0.75 * active) * (1 - lips[:, 5])
    motion[:, jaw] *= active * (1 - lips[:, 5])
    motion[:, _MOUTH] += opening


def blinks(loudness: np.ndarray, fps: int, rng: np.random.Generator) -> np.ndarray:
    """0 open to 1 shut, (frames,): every 2-5 s, most readily where the voice pauses."""
    frames = len(loudness)
    shut = np.zeros(frames)
    at = rng.uniform(0.3, 3.0) * fps
    while at < frames:
        near = np.arange(int(max(at - 0.5 * fps, 0)), min(int(at + 0.5 * fps), frames))
        start = int(near[np.argmin(loudness[near])]) if rng.random() < 0.6 else int(at)
        piece = _BLINK[: frames - start]
        shut[start : start + len(piece)] = np.maximum(shut[start : start + len(piece)], piece)
        at = start + rng.uniform(2.0, 5.0) * fps
    return shut


def _gaze(frames: int, fps: int, rng: np.random.Generator) -> np.ndarray:
    """Fixations near the camera, (frames, 2), with saccades of two frames between them."""
    gaze = np.zeros((frames, 2))
    at, target = 0, rng.normal(0, (0.12, 0.07))
    while at < frames:
        gaze[at:] = target
        target = rng.normal(0, (0.14, 0.08))
        at += int(rng.uniform(0.5, 2.5) * fps)
    return np.stack([np.convolve(np.pad(g, 1, mode="edge"), [0.25, 0.5, 0.25], "valid") for g in gaze.T], 1)


def _drift(frames: int, period: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth random walk about 0 with unit variance; ``period`` is its smoothing in frames."""
    margin = int(4 * period)
    noise = rng.standard_normal(frames + 2 * margin)
    return (_smooth(noise, period) * np.sqrt(2 * np.sqrt(np.pi) * period))[margin : margin + frames]


def _smooth(values: np.ndarray, width: float) -> np.ndarray:
    """Gaussian of standard deviation ``width`` frames; ends are held."""
    radius = int(3 * width) + 1
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / width) ** 2)
    return np.convolve(np.pad(values, radius, mode="edge"), kernel / kernel.sum(), "valid")
