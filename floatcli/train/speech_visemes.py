"""Phonemes to lip curves: targets, co-articulation, lips that really shut, and a mouth at rest in silence."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from floatcli.train.speech_engine import Phone

LIPS = ("jaw", "round", "smile", "upper_lip", "lower_lip", "lip_press")
PHONE_CLASSES = (
    "silence", "bilabial", "labiodental", "dental", "alveolar", "sibilant", "postalveolar", "velar",
    "glottal", "rhotic", "w", "j", "open", "front_mid", "front_close", "back_mid", "back_close",
    "front_round", "central",
)  # fmt: skip
_RATE = 100  # curve samples per second, before frames are read off
_LEAD, _TRAIL = 0.10, 0.12  # seconds by which the mouth opens before speech and shuts after it
_INERTIA = (0.04, 0.03, 0.03, 0.03, 0.03, 0.03)  # seconds, in the order of LIPS: a jaw opens in 100 ms, lips in 75
_CLOSURE_BEFORE_BURST = 0.05  # espeak-ng counts an unvoiced stop's closure to the phoneme before

# Class, then targets in the order of LIPS, then how strongly the phoneme imposes them on its neighbours.
_SHAPES: dict[str, tuple[str, tuple[float, ...], float]] = {
    "a": ("open", (0.85, 0.0, 0.10, 0.12, 0.25, 0), 1.0),
    "ɑ": ("open", (0.90, 0.08, 0.0, 0.08, 0.25, 0), 1.0),
    "ɐ": ("open", (0.68, 0.0, 0.05, 0.08, 0.20, 0), 0.8),
    "æ": ("open", (0.78, 0.0, 0.28, 0.18, 0.30, 0), 1.0),
    "ʌ": ("open", (0.62, 0.0, 0.05, 0.08, 0.18, 0), 0.9),
    "ɒ": ("back_mid", (0.70, 0.35, 0.0, 0.05, 0.15, 0), 1.0),
    "ɔ": ("back_mid", (0.58, 0.55, 0.0, 0.05, 0.12, 0), 1.0),
    "o": ("back_mid", (0.45, 0.70, 0.0, 0.05, 0.10, 0), 1.0),
    "u": ("back_close", (0.20, 0.95, 0.0, 0.05, 0.08, 0), 1.1),
    "ʊ": ("back_close", (0.28, 0.62, 0.0, 0.05, 0.08, 0), 0.8),
    "ʉ": ("back_close", (0.20, 0.85, 0.0, 0.05, 0.08, 0), 1.0),
    "ɯ": ("back_close", (0.22, 0.10, 0.20, 0.05, 0.15, 0), 0.8),
    "i": ("front_close", (0.20, 0.0, 0.42, 0.15, 0.35, 0), 1.0),
    "ɪ": ("front_close", (0.28, 0.0, 0.28, 0.12, 0.28, 0), 0.8),
    "ɨ": ("front_close", (0.24, 0.0, 0.15, 0.10, 0.22, 0), 0.7),
    "e": ("front_mid", (0.40, 0.0, 0.32, 0.15, 0.32, 0), 1.0),
    "ɛ": ("front_mid", (0.54, 0.0, 0.24, 0.15, 0.30, 0), 1.0),
    "ə": ("central", (0.32, 0.05, 0.05, 0.08, 0.15, 0), 0.5),
    "ɜ": ("central", (0.38, 0.20, 0.0, 0.10, 0.15, 0), 0.8),
    "ɵ": ("central", (0.30, 0.50, 0.0, 0.08, 0.10, 0), 0.8),
    "ɚ": ("rhotic", (0.32, 0.25, 0.0, 0.15, 0.20, 0), 0.7),
    "y": ("front_round", (0.18, 0.90, 0.0, 0.05, 0.10, 0), 1.0),
    "ø": ("front_round", (0.35, 0.78, 0.0, 0.05, 0.10, 0), 1.0),
    "œ": ("front_round", (0.46, 0.62, 0.0, 0.08, 0.12, 0), 1.0),
    "m": ("bilabial", (0.0, 0.0, 0.0, 0.0, 0.0, 0.75), 1.3),
    "b": ("bilabial", (0.0, 0.0, 0.0, 0.0, 0.0, 0.90), 1.3),
    "p": ("bilabial", (0.0, 0.0, 0.0, 0.0, 0.0, 0.95), 1.3),
    "f": ("labiodental", (0.08, 0.0, 0.05, 0.50, 0.0, 0.10), 1.6),
    "v": ("labiodental", (0.10, 0.0, 0.05, 0.45, 0.0, 0.10), 1.5),
    "β": ("labiodental", (0.10, 0.1, 0.0, 0.10, 0.0, 0.25), 1.2),
    "θ": ("dental", (0.20, 0.0, 0.05, 0.22, 0.25, 0), 0.9),
    "t": ("alveolar", (0.16, 0.0, 0.05, 0.15, 0.28, 0), 0.6),
    "l": ("alveolar", (0.28, 0.0, 0.05, 0.15, 0.22, 0), 0.6),
    "s": ("sibilant", (0.10, 0.0, 0.18, 0.30, 0.50, 0), 1.0),
    "ʃ": ("postalveolar", (0.14, 0.55, 0.0, 0.40, 0.45, 0), 1.2),
    "k": ("velar", (0.26, 0.0, 0.0, 0.08, 0.15, 0), 0.35),
    "h": ("glottal", (0.35, 0.0, 0.0, 0.08, 0.12, 0), 0.15),
    "r": ("rhotic", (0.20, 0.38, 0.0, 0.18, 0.22, 0), 0.7),
    "w": ("w", (0.10, 0.95, 0.0, 0.05, 0.05, 0), 1.2),
    "j": ("j", (0.16, 0.0, 0.35, 0.12, 0.30, 0), 0.6),
    "": ("silence", (0.0,) * 6, 1.2),
}
_ALIASES = {
    "ð": "θ", "d": "t", "n": "t", "ɾ": "t", "ɲ": "t", "ɳ": "t", "ʈ": "t", "ɖ": "t", "ɫ": "l", "ʎ": "l",
    "ɬ": "l", "z": "s", "ʒ": "ʃ", "ɕ": "ʃ", "ʑ": "ʃ", "ʂ": "ʃ", "ʐ": "ʃ", "ç": "h", "ɡ": "k", "g": "k",
    "ŋ": "k", "x": "k", "ɣ": "k", "q": "k", "c": "k", "ɟ": "k", "ʁ": "k", "χ": "k", "ʔ": "h", "?": "h",
    "ħ": "h", "ɦ": "h", "ɹ": "r", "ɻ": "r", "ɝ": "ɚ", "ɤ": "ʌ", "ɶ": "œ", "ʏ": "y", "ʋ": "v", "ɱ": "m",
    "ɸ": "f", "ɥ": "w", "ʍ": "w", "ʝ": "j", "ᵻ": "ɪ", "ɘ": "ə", "ɞ": "ɜ", "ɺ": "l",
}  # fmt: skip


def phone_shapes(ipa: str) -> list[str]:
    """The shapes an IPA name runs through: one, or two for diphthongs and affricates."""
    keys = [_ALIASES.get(letter, letter) for letter in ipa.split(")")[-1]]
    known = [key for key in keys if key in _SHAPES]
    return known[:2] if known else [""]


def phone_classes(phones: tuple[Phone, ...], frames: int, fps: int) -> np.ndarray:
    """Index into PHONE_CLASSES of the phoneme at each frame's middle, (frames,) int64."""
    labels = np.zeros(frames, np.int64)
    for phone in phones:
        shapes = phone_shapes(phone.ipa)
        edges = np.linspace(phone.start, phone.end, len(shapes) + 1)
        for shape, (start, end) in zip(shapes, pairwise(edges), strict=True):
            first, last = (int(np.ceil(t * fps - 0.5)) for t in (start, end))
            labels[max(first, 0) : max(last, 0)] = PHONE_CLASSES.index(_SHAPES[shape][0])
    return labels


def lip_curves(phones: tuple[Phone, ...], loudness: np.ndarray, frames: int, fps: int) -> np.ndarray:
    """Lip parameters (frames, 6), in the order of LIPS, averaged over each frame.

    Shapes are blended by overlapping dominance (the model of Cohen and Massaro); lips then shut over bilabials,
    and the mouth rests, all zero, from 120 ms after speech to 100 ms before it.

    Args:
        phones: in order, seconds.
        loudness: (frames,) about 0..1; louder speech opens the jaw a little more.
        fps: a divisor of 100.
    """
    times = (np.arange(frames * _RATE // fps) + 0.5) / _RATE
    weights = np.full(len(times), 1e-6)
    curves = np.zeros((len(times), len(LIPS)))
    closed = np.zeros(len(times))
    for phone in phones:
        for target, start, end, strength in _segments(phone):
            dominance = strength * _dominance(times, start, end)
            weights += dominance
            curves += dominance[:, None] * target
        if phone_shapes(phone.ipa)[0] in ("m", "b", "p"):
            closed = np.maximum(closed, _closure(times, phone))
    curves /= weights[:, None]
    loud = np.interp(times, (np.arange(frames) + 0.5) / fps, loudness)
    curves[:, 0] *= 0.85 + 0.3 * np.clip(loud, 0, 1)
    curves = _sluggish(curves)
    curves[:, :5] *= 1 - closed[:, None]
    curves[:, 5] = np.maximum(curves[:, 5] * closed, 0.8 * closed)
    curves *= _speaking(times, phones)[:, None]
    return curves.reshape(frames, -1, len(LIPS)).mean(1).astype(np.float32)


def _sluggish(curves: np.ndarray) -> np.ndarray:
    """Flesh has mass: nothing but a closure moves faster than a Gaussian of _INERTIA seconds lets it."""
    return np.stack([_smoothed(curve, seconds * _RATE) for curve, seconds in zip(curves.T, _INERTIA, strict=True)], 1)


def _smoothed(curve: np.ndarray, width: float) -> np.ndarray:
    reach = int(3 * width)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return np.convolve(np.pad(curve, reach, mode="edge"), kernel / kernel.sum(), "valid")


def _segments(phone: Phone) -> list[tuple[np.ndarray, float, float, float]]:
    shapes = phone_shapes(phone.ipa)
    edges = np.linspace(phone.start, phone.end, len(shapes) + 1)
    segments = []
    for shape, (start, end) in zip(shapes, pairwise(edges), strict=True):
        kind, values, strength = _SHAPES[shape]
        target = np.array(values)
        if kind in PHONE_CLASSES[12:]:  # vowels carry the stress
            target = target * (1.08 if phone.stressed else 0.88)
        segments.append((target, start, end, strength))
    return segments


def _dominance(times: np.ndarray, start: float, end: float) -> np.ndarray:
    """1 inside the phoneme's core, falling off over about 45 ms outside."""
    margin = 0.2 * (end - start)
    outside = np.maximum(np.maximum(start + margin - times, times - end + margin), 0)
    return np.exp(-((outside / 0.045) ** 1.5)) * min(1.0, 0.4 + (end - start) / 0.12)


def _closure(times: np.ndarray, phone: Phone) -> np.ndarray:
    """1 while the lips are shut, with ramps of 60 ms."""
    unvoiced = phone.ipa.startswith("p")
    start = phone.start - _CLOSURE_BEFORE_BURST if unvoiced else phone.start - 0.01
    end = phone.start + 0.01 if unvoiced else max(phone.end - 0.02, phone.start + 0.04)
    return np.clip(1 - np.maximum(start - times, times - end) / 0.06, 0, 1)


def _speaking(times: np.ndarray, phones: tuple[Phone, ...]) -> np.ndarray:
    """0 in pauses, 1 in speech, smooth between."""
    gate = np.zeros(len(times))
    for start, end in speech_spans(phones):
        rise = np.clip((times - start + _LEAD) / (_LEAD + 0.02), 0, 1)
        fall = np.clip((end + _TRAIL - times) / (_TRAIL + 0.02), 0, 1)
        ramp = np.minimum(rise, fall)
        gate = np.maximum(gate, ramp * ramp * (3 - 2 * ramp))
    return gate


def speech_spans(phones: tuple[Phone, ...], bridge: float = 0.08) -> list[tuple[float, float]]:
    """Stretches of speech in seconds; pauses shorter than ``bridge`` do not part them."""
    spans: list[tuple[float, float]] = []
    for phone in phones:
        if phone_shapes(phone.ipa) == [""]:
            continue
        if spans and phone.start - spans[-1][1] < bridge:
            spans[-1] = (spans[-1][0], phone.end)
        else:
            spans.append((phone.start, phone.end))
    return spans
