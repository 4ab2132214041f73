"""Patches out of drawn faces: where mouth and eyes are, and the coefficients that show in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor

from floatcli.config import AnchoredSize
from floatcli.models.anchored_decoder import LEFT_EYE, MOUTH, RIGHT_EYE, mirror_gaze
from floatcli.models.patches import (
    EYE_EXTENT,
    MOUTH_EXTENT,
    Extent,
    eye_frames,
    mouth_frame,
)
from floatcli.train.coefficients import coeffs_of
from floatcli.train.drawn_data import ANCHOR_COLUMNS, EXPRESSIONS, SOURCE, Batch, jitter

FRAMES = (SOURCE, *range(EXPRESSIONS.start, EXPRESSIONS.stop))  # of a set, whose head is turned the same way


class Cut(NamedTuple):
    """Where to cut one patch a set, and what shows in it."""

    frame: Tensor  # (B, 2, 3)
    anchors: Tensor  # (B, 7, 2) of the source, as a network might find them
    coeffs: Tensor  # (B, F, P), of all frames


class PatchKind(NamedTuple):
    """Mouth, or eye."""

    coeffs: int  # P, that show in it
    extent: Extent
    side: Callable[[AnchoredSize], int]  # pixels
    cut: Callable[[Batch, np.random.Generator], Cut]


def cut_mouth(batch: Batch, rng: np.random.Generator) -> Cut:
    """The source's mouth."""
    anchors = jitter(batch.landmarks[:, SOURCE, ANCHOR_COLUMNS], rng)
    return Cut(mouth_frame(anchors), anchors, coeffs_of(batch.parameters, MOUTH))


def cut_eye(batch: Batch, rng: np.random.Generator) -> Cut:
    """The source's left or (mirrored) right eye, which shows the same coefficients."""
    anchors = jitter(batch.landmarks[:, SOURCE, ANCHOR_COLUMNS], rng)
    side = int(rng.integers(2))
    coeffs = coeffs_of(batch.parameters, (LEFT_EYE, RIGHT_EYE)[side])
    return Cut(eye_frames(anchors)[side], anchors, mirror_gaze(coeffs) if side else coeffs)


MOUTH_PATCH = PatchKind(len(MOUTH), MOUTH_EXTENT, lambda size: size.mouth_patch, cut_mouth)
EYE_PATCH = PatchKind(len(LEFT_EYE), EYE_EXTENT, lambda size: size.eye_patch, cut_eye)
