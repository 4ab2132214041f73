"""Reads jaw, gaze and lids from the pixels of decoded pictures, by what true drawings of the same face look like.

The judge knows nothing of the model: it is two ridge regressions, from the pixels of the mouth and from those of the
eyes, fitted for one identity on drawings of it in random states. Mouth and eyes are looked for where the drawing of
the same head pose has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from floatcli.evaluate.curves import correlations
from floatcli.evaluate.drawn_faces import EYE_BOX, HELD_OUT, Figures, true_motion
from floatcli.evaluate.pictures import to_pictures, to_tensor
from floatcli.evaluate.speech_quality import speaker
from floatcli.models.float_model import FloatModel, Portrait
from floatcli.models.patches import mouth_frame, pixel_grid, to_picture
from floatcli.train.drawn import Identity, draw, place_landmarks, random_identity, random_parameters
from floatcli.train.drawn.census import skin_tone
from floatcli.train.drawn.identity import SKINS
from floatcli.train.drawn_data import ANCHOR_COLUMNS, POSE_COLUMNS
from floatcli.train.parameters import HIGH, INDEX, LOW, SCALE, rest

SIDE = 20  # pixels of the mouth, and of an eye, that the judge sees
EXAMPLES = 160
MOUTH_RIDGE, EYE_RIDGE = 1.5, 0.3
TONES = ("light", "medium", "dark")  # of skin, a third of SKINS each
LOOKS = 40  # states that eyes are told
OPEN = 0.5  # of lids, above which no gaze is seen
_JAW, _GAZE_X, _GAZE_Y = (INDEX[name] for name in ("jaw", "gaze_x", "gaze_y"))
_LIDS = [INDEX["lid_left"], INDEX["lid_right"]]


class Reading(NamedTuple):
    """What a face does; ``lid`` is the mean of both."""

    jaw: float
    gaze_x: float
    gaze_y: float
    lid: float


class Ridge:
    """A ridge regression from pixels (N, P) to values (N, V)."""

    def __init__(self, seen: np.ndarray, values: np.ndarray, strength: float):
        self.centre, self.mean = seen.mean(0), values.mean(0)
        centred = seen - self.centre
        gram = centred @ centred.T + strength * np.eye(len(seen))
        self.weights = centred.T @ np.linalg.solve(gram, values - self.mean)

    def read(self, seen: np.ndarray) -> np.ndarray:
        """Values (V,) of pixels (P,)."""
        return (seen - self.centre) @ self.weights + self.mean


def frame_about(centre: Tensor, anchors: Tensor, half: float) -> Tensor:
    """A square's frame (1, 2, 3) about a point, level with the eyes; half its side in distances between them."""
    along = anchors[1] - anchors[0]
    down = torch.stack([-along[1], along[0]])
    return torch.stack([half * along, half * down, centre], 1)[None]


def level_pixels(picture: np.ndarray, frame: Tensor, side: int) -> np.ndarray:
    """What a picture (H, W, 3) uint8 shows in a frame (1, 2, 3): grey, of 1, (side^2,)."""
    at = (to_picture(frame, pixel_grid(side, frame)[None])[0].numpy() + 1) / 2 * picture.shape[0] - 0.5
    grey = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.5), cv2.COLOR_RGB2GRAY)
    at = at.astype(np.float32)
    seen = cv2.remap(grey, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return seen.astype(np.float64).ravel() / 255


def in_grid(anchors: np.ndarray) -> Tensor:
    """Anchors (7, 2) in [0, 1] in grid coordinates."""
    return torch.from_numpy(anchors).float() * 2 - 1


def mouth_pixels(picture: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The mouth about anchors (7, 2) in [0, 1] of a picture (H, W, 3), level, without its mean: (SIDE^2,)."""
    seen = level_pixels(picture, mouth_frame(in_grid(anchors)[None]), SIDE)
    return seen - seen.mean()


def eye_pixels(picture: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Both eyes, likewise: (2 SIDE^2,)."""
    points = in_grid(anchors)
    eyes = [level_pixels(picture, frame_about(eye, points, EYE_BOX), SIDE) for eye in points[:2]]
    return np.concatenate([eye - eye.mean() for eye in eyes])


def anchors_at(identity: Identity, parameters: np.ndarray, size: int) -> np.ndarray:
    """Anchors (7, 2) of the face at rest in the pose of ``parameters``."""
    still = rest()
    still[POSE_COLUMNS] = parameters[POSE_COLUMNS]
    return place_landmarks(identity, still, size)[ANCHOR_COLUMNS]


def random_state(rng: np.random.Generator) -> np.ndarray:
    """Parameters (20,) of any face, whose head sways less than training sets' do, as in clips."""
    parameters = random_parameters(rng)
    parameters[POSE_COLUMNS] *= 0.5
    return parameters


class FaceJudge:
    """Jaw, gaze and lids of one identity from pixels."""

    def __init__(self, identity: Identity, rng: np.random.Generator, size: int = 256):
        self.identity, self.size = identity, size
        states, mouths, eyes = [], [], []
        for _ in range(EXAMPLES):
            state = random_state(rng)
            shift = rng.normal(0, 0.004, 2)  # what is decoded is never quite where it is drawn
            anchors = anchors_at(identity, state, size) + shift
            picture = draw(identity, state, size).picture
            states.append(state)
            mouths.append(mouth_pixels(picture, anchors))
            eyes.append(eye_pixels(picture, anchors))
        told = np.stack(states)
        self._mouth = Ridge(np.stack(mouths), told[:, [_JAW]], MOUTH_RIDGE)
        self._eyes = Ridge(np.stack(eyes), np.stack(_looks(told), 1), EYE_RIDGE)

    def read(self, picture: np.ndarray, parameters: np.ndarray) -> Reading:
        """What a picture (H, W, 3) uint8 shows whose head has the pose of ``parameters``."""
        anchors = anchors_at(self.identity, parameters, self.size)
        jaw, looks = self._mouth.read(mouth_pixels(picture, anchors)), self._eyes.read(eye_pixels(picture, anchors))
        return Reading(*np.concatenate([jaw, looks]).tolist())


def _looks(states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaze across and down, and lids, each (N,), of parameters (N, 20)."""
    return states[:, _GAZE_X], states[:, _GAZE_Y], states[:, _LIDS].mean(1)


class Sitter(NamedTuple):
    """A held-out person drawn at rest, as the model takes the picture, and who reads this face."""

    tone: str  # of TONES
    identity: Identity
    judge: FaceJudge
    portrait: Portrait
    own: np.ndarray  # (1, 20), what the model reads from the picture


def sitters(model: FloatModel, number: int) -> list[Sitter]:
    """A person of each of TONES, others for every number."""
    found = []
    for k, tone in enumerate(TONES):
        rng = np.random.default_rng((HELD_OUT, 7, number, k))
        identity = person_of(tone, rng)
        portrait = model.encode(to_tensor(draw(identity, rest(), 256).picture[None]))
        own = model.basis.coefficients(portrait.ref_motion).numpy() * SCALE
        found.append(Sitter(tone, identity, FaceJudge(identity, rng), portrait, own))
    return found


def person_of(tone: str, rng: np.random.Generator) -> Identity:
    """Anyone of a tone of skin."""
    while True:
        identity = random_identity(rng)
        if skin_tone(identity) * len(TONES) // len(SKINS) == TONES.index(tone):
            return identity


@torch.inference_mode()
def measure_lips(
    model: FloatModel, clips: Sequence[Sequence[Sitter]], sounds: np.ndarray, true_jaws: np.ndarray
) -> Figures:
    """Correlation of the jaw read from decoded pixels with the true one, over clips and by tone of skin.

    ``jaw_true_r`` is that of true drawings in the same motion: as much as speech and judge allow.

    Args:
        model: The model, with the anchored decoder.
        clips: Who says each clip.
        sounds: Clips of speech (C, samples) at the model's sample rate.
        true_jaws: What the phonemes ask for, (C, T).
    """
    speak = speaker(model.config, model).speak
    made: dict[str, list[float]] = {tone: [] for tone in TONES}
    true: dict[str, list[float]] = {tone: [] for tone in TONES}
    for people, sound, truth in zip(clips, sounds, true_jaws, strict=True):
        for sitter in people:
            motion = speak(sound[None], sitter.own)[0]
            moved = from_rest(sitter, motion)
            decoded = decode_frames(model, sitter.portrait, motion)
            for found, frames in ((made, decoded), (true, draw_frames(sitter.identity, moved, sitter.judge.size))):
                read = [sitter.judge.read(*each).jaw for each in zip(frames, moved, strict=True)]
                found[sitter.tone].append(correlation(read, truth[: len(read)]))
    return by_tone("jaw_r", made) | by_tone("jaw_true_r", true)


def from_rest(sitter: Sitter, motion: np.ndarray) -> np.ndarray:
    """Parameters (T, 20) as far from rest, where a sitter is drawn, as motion is from where the sitter is seen."""
    return motion - sitter.own


def draw_frames(identity: Identity, parameters: np.ndarray, size: int = 256) -> Iterator[np.ndarray]:
    """Drawings (H, W, 3) uint8 of someone with parameters (T, 20), as near as a face can show them."""
    return (draw(identity, row, size).picture for row in parameters.clip(LOW, HIGH))


def by_tone(name: str, found: dict[str, list[float]]) -> Figures:
    """Median and worst of all, and the medians of each tone and how far they lie apart."""
    every = [value for values in found.values() for value in values]
    medians = {tone: float(np.median(values)) for tone, values in found.items()}
    figures = {f"{name}_median": float(np.median(every)), f"{name}_worst": min(every)}
    figures |= {f"{name}_{tone}": median for tone, median in medians.items()}
    return figures | {f"{name}_tones_apart": max(medians.values()) - min(medians.values())}


@torch.inference_mode()
def measure_looks(model: FloatModel, people: Sequence[Sitter]) -> Figures:
    """Correlation of gaze and lids read from decoded pixels with those told: random ones, in faces that do anything.

    Gaze is that of open eyes. ``true`` is what the judge reads from true drawings: how far it can be trusted.
    """
    made: list[list[float]] = []
    true: list[list[float]] = []
    for number, sitter in enumerate(people):
        rng = np.random.default_rng((HELD_OUT, 9, number))
        states = np.stack([random_state(rng) for _ in range(LOOKS)])
        coeffs = model.basis.coefficients(true_motion(model, sitter.portrait, rest(), states)).numpy()
        decoded = decode_frames(model, sitter.portrait, coeffs * SCALE)
        for found, frames in ((made, decoded), (true, draw_frames(sitter.identity, states, sitter.judge.size))):
            read = np.array([sitter.judge.read(*each) for each in zip(frames, states, strict=True)])
            found.append(look_correlations(read, states))
    kinds = {"median": np.median(made, 0), "worst": np.min(made, 0), "true": np.median(true, 0)}
    return {
        f"{name}_{kind}": float(value)
        for kind, values in kinds.items()
        for name, value in zip(("gaze_x_r", "gaze_y_r", "blink_r"), values, strict=True)
    }


def look_correlations(read: np.ndarray, states: np.ndarray) -> list[float]:
    """Of gaze across, gaze down and lids as read (N, 4) with parameters (N, 20)."""
    across, down, lid = _looks(states)
    _, seen_across, seen_down, seen_lid = read.T
    open_eyed = lid < OPEN
    gaze = [correlation(seen_across[open_eyed], across[open_eyed]), correlation(seen_down[open_eyed], down[open_eyed])]
    return [*gaze, correlation(seen_lid, lid)]


def correlation(made: Sequence[float] | np.ndarray, truth: np.ndarray) -> float:
    """Pearson's r of two curves (N,); zero where one does not move."""
    return float(correlations(np.asarray(made)[None], truth[None])[0])


def decode_frames(
    model: FloatModel, portrait: Portrait, parameters: np.ndarray, batch: int = 8
) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) uint8 of a portrait with parameters (T, 20)."""
    coeffs = torch.from_numpy(parameters / SCALE)
    for motion in model.basis.motion(coeffs).split(batch):
        yield from to_pictures(model.decode(portrait, motion))
