"""How good a set of weights is, in figures: drawn faces, and the photograph that ships with scikit-image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from floatcli.evaluate.pictures import Box, psnr, ssim_map, to_pictures, to_tensor
from floatcli.evaluate.reading import read_motion
from floatcli.models.float_model import FloatModel, Portrait
from floatcli.train.drawn import Identity, random_identity
from floatcli.train.drawn_data import (
    ANCHOR_COLUMNS,
    EXPRESSIONS,
    FRAMES,
    OTHERS,
    POSE_COLUMNS,
    POSES,
    SOURCE,
    DrawnSet,
    draw_frames,
    draw_set,
)
from floatcli.train.parameters import SCALE
from floatcli.train.speech_clips import SpeechConfig, make_clip

Figures = dict[str, float]

MOUTH_BOX = 0.62  # half side over the distance between the eyes
EYE_BOX = 0.36
HALF_FACE, FOREHEAD, THROAT = 1.1, 1.25, 0.4  # from the middle to an ear, above the eyes, below the chin: likewise
HELD_OUT = 987_654  # seeds identities that no training draws


def gradient_energy(picture: Tensor) -> float:
    """Mean square difference of neighbouring pixels."""
    dx, dy = picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]
    return float(dx.square().mean() + dy.square().mean())


def box_around(centre: np.ndarray, half: float, size: int) -> Box:
    """Rows and columns of a square box, centre (x, y) and half side in pixels, clipped to the picture."""
    (x1, y1), (x2, y2) = np.clip(centre - half, 0, size).astype(int), np.clip(centre + half, 0, size).astype(int)
    return slice(y1, y2), slice(x1, x2)


def face_boxes(anchors: np.ndarray, size: int) -> dict[str, Box]:
    """Boxes of mouth and eyes about anchors (7, 2) in pixels."""
    left, right = anchors[0], anchors[1]
    distance = float(np.linalg.norm(right - left))
    return {
        "mouth": box_around(anchors[2:4].mean(0), MOUTH_BOX * distance, size),
        "left_eye": box_around(left, EYE_BOX * distance, size),
        "right_eye": box_around(right, EYE_BOX * distance, size),
    }


def outside_face(anchors: np.ndarray, size: int) -> Tensor:
    """Where the face is not, bool (size, size): around an ellipse of anchors (7, 2) in pixels, from hair to throat."""
    eyes, chin = anchors[:2].mean(0), anchors[6]
    distance = float(np.linalg.norm(anchors[1] - anchors[0]))
    top, bottom = eyes[1] - FOREHEAD * distance, chin[1] + THROAT * distance
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    across = (x - (eyes[0] + chin[0]) / 2) / (HALF_FACE * distance)
    along = (2 * y - top - bottom) / (bottom - top)
    return torch.from_numpy(across**2 + along**2 > 1)


def true_motion(
    model: FloatModel,
    portrait: Portrait,
    source: np.ndarray,
    targets: np.ndarray,
    about: slice | list[int] = POSE_COLUMNS,
) -> Tensor:
    """Motion (N, D) of targets (N, 20) as drawn; what is ``about`` moves from where the model sees the source (20,)."""
    coeffs = torch.from_numpy(targets / SCALE).float()
    seen = model.basis.coefficients(portrait.ref_motion)
    own = torch.from_numpy(source / SCALE).float()
    coeffs[:, about] += (seen - own)[:, about]
    return model.basis.motion(coeffs)


#: What changes between a source and its targets in a drawn set, by the name its figures get.
CHANGES = {"face": EXPRESSIONS, "head": POSES, "everything": OTHERS}
SPEAKING = "speaking"  # likewise: all that a held-out sentence moves
UNCHANGED = 50.0  # dB; a target this near to its source says nothing about motion
#: As the renderer moves; as far from where the model sees the source as the renderer moves; as the model's own encoder
#: reads the true frame.
AS_DRAWN, AS_CHANGE, AS_READ = MOTIONS = "motion as drawn", "motion as a change", "motion as read"
_SECOND = slice(12, None, 25)  # of a clip's frames, one a second


def held_out_person(number: int) -> Identity:
    """Someone whom no training draws."""
    return random_identity(np.random.default_rng((HELD_OUT, number)))


def spoken_set(number: int, size: int) -> DrawnSet:
    """A held-out person who says a held-out sentence: first as the portrait is, then one frame a second."""
    clip = make_clip(SpeechConfig(), "sentences", number)
    return draw_frames(held_out_person(number), np.stack([clip.portrait, *clip.motion[_SECOND]]), size)


def measure_drawn(model: FloatModel, identities: int, size: int = 256) -> dict[str, Figures]:
    """Reconstruction of held-out drawn faces: another frame of the same face, from a source and its motion.

    Args:
        model: With the anchored decoder.
        identities: How many faces.
        size: Side of the pictures.

    Returns:
        For each of MOTIONS, means over targets by what changes in them, as in ``head.psnr``; ``over copying`` is
        the gain over giving the source back unchanged, ``sharpness`` the gradient energy of output over truth.
    """
    kinds = (*CHANGES, SPEAKING)
    rows: dict[str, dict[str, list[Figures]]] = {motion: {kind: [] for kind in kinds} for motion in MOTIONS}
    for k in range(identities):
        drawn = draw_set(np.random.default_rng((HELD_OUT, k)), size)
        spoken = spoken_set(k, size)
        for motion, found in rows.items():
            made = reconstructed(model, drawn, motion)
            for kind, frames in CHANGES.items():
                found[kind] += _compared(drawn, made, range(FRAMES)[frames])
            found[SPEAKING] += _compared(spoken, reconstructed(model, spoken, motion), range(1, len(spoken.pictures)))
    return {motion: _means(found) for motion, found in rows.items()}


def reconstructed(model: FloatModel, drawn: DrawnSet, motion: str) -> Tensor:
    """Frames (F, 3, S, S) of a set, made of its first one and the motion of all."""
    images = to_tensor(drawn.pictures)
    portrait = model.encode(images[SOURCE : SOURCE + 1])
    if motion == AS_READ:
        told = read_motion(model, images)
    else:
        about = slice(None) if motion == AS_CHANGE else POSE_COLUMNS
        told = true_motion(model, portrait, drawn.parameters[SOURCE], drawn.parameters, about)
    return model.decode(portrait, told).clamp(-1, 1)


def _means(rows: dict[str, list[Figures]]) -> Figures:
    return {
        f"{kind}.{key}": float(np.mean([row[key] for row in found])) for kind, found in rows.items() for key in found[0]
    }


def _compared(drawn: DrawnSet, made: Tensor, targets: Iterable[int]) -> list[Figures]:
    """Figures of those targets among the frames made (F, 3, S, S) of a set that its source differs from."""
    images, size = to_tensor(drawn.pictures), made.shape[-1]
    changed = [k for k in targets if psnr(images[SOURCE], images[k]) < UNCHANGED]
    boxes = {k: face_boxes(drawn.landmarks[k, ANCHOR_COLUMNS] * size, size) for k in changed}
    return [frame_figures(made[k], images[k], images[SOURCE], boxes[k]) for k in changed]


def frame_figures(output: Tensor, truth: Tensor, source: Tensor, boxes: dict[str, Box]) -> Figures:
    """Figures of a frame (3, S, S) in [-1, 1] against the truth, and over giving its source back."""
    made, copied = (_nearness(picture, truth, boxes) for picture in (output, source))
    gains = {key.replace("psnr", "over copying"): value - copied[key] for key, value in made.items()}
    pictures = to_pictures(torch.stack([output, truth]))
    return made | gains | {
        "ssim": float(ssim_map(*pictures).mean()),
        "sharpness": gradient_energy(output) / gradient_energy(truth),
    }  # fmt: skip


def _nearness(picture: Tensor, truth: Tensor, boxes: dict[str, Box]) -> Figures:
    """PSNR of the whole, of the mouth and, on average, of the eyes."""
    parts = {name: psnr(picture[:, rows, columns], truth[:, rows, columns]) for name, (rows, columns) in boxes.items()}
    eyes = (parts["left_eye"] + parts["right_eye"]) / 2
    return {"psnr": psnr(picture, truth), "mouth psnr": parts["mouth"], "eyes psnr": eyes}


def sweep(model: FloatModel, portrait: Portrait, values: dict[str, float]) -> Tensor:
    """The portrait's own frame (1, 3, H, H) with some named parameters set."""
    coeffs = model.basis.coefficients(portrait.ref_motion).clone()
    for name, value in values.items():
        k = model.config.coefficient_names.index(name)
        coeffs[:, k] = value / model.config.coefficient_scales[k]
    return model.decode(portrait, model.basis.motion(coeffs))


def share_inside(change: Tensor, boxes: list[Box]) -> float:
    """Share of the absolute change (1, 3, H, H) between two frames that falls inside boxes."""
    inside = torch.zeros_like(change)
    for rows, columns in boxes:
        inside[..., rows, columns] = 1
    return float((change.abs() * inside).sum() / change.abs().sum())


def measure_sweeps(model: FloatModel, portrait: Portrait, anchors: np.ndarray, size: int) -> Figures:
    """Where the change of an opening jaw and of a blink falls, on a picture with marked anchors (7, 2) in pixels.

    Outside the face it is the largest of a pixel, in grey levels of 255.
    """
    boxes, outside = face_boxes(anchors, size), outside_face(anchors, size)
    shut = {"jaw": 0.0, "lid_left": 0.0, "lid_right": 0.0}
    rest = sweep(model, portrait, shut)
    jaw = sweep(model, portrait, shut | {"jaw": 1.0}) - rest
    blink = sweep(model, portrait, shut | {"lid_left": 1.0, "lid_right": 1.0}) - rest
    return {
        "jaw inside mouth box": share_inside(jaw, [boxes["mouth"]]),
        "blink inside eye boxes": share_inside(blink, [boxes["left_eye"], boxes["right_eye"]]),
        "jaw outside the face": float(jaw[..., outside].abs().max()) * 127.5,
        "blink outside the face": float(blink[..., outside].abs().max()) * 127.5,
    }
