"""What the warped auto-encoder learns from: two pictures of one face, and where its eyes and mouth are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from floatcli.face.landmarks import box_sides
from floatcli.train.drawn_data import ANCHOR_COLUMNS, FRAMES, DrawnAnew, DrawnSets, resized
from floatcli.train.prepare_faces import parts_of_anchors
from floatcli.train.prepared_data import PreparedFrames


class Pairs(NamedTuple):
    """Two frames each of B faces. Pictures are in [-1, 1], boxes x1, y1, x2, y2 in grid coordinates."""

    source: Tensor  # (B, 3, S, S)
    driving: Tensor  # (B, 3, S, S), what the source is to become
    boxes: Tensor  # (B, 3, 4), of left eye, right eye and mouth in the driving frame


@dataclass(frozen=True)
class DrawnPairs:
    """Two states each of drawn faces."""

    sets: DrawnSets | DrawnAnew
    batch: int
    size: int  # pixels a side

    def __call__(self, rng: np.random.Generator) -> tuple[Pairs]:
        """One batch."""
        drawn = self.sets.sample(rng, self.batch, rng.choice(FRAMES, 2, replace=False).tolist())
        source, driving = resized(drawn.pictures.flatten(0, 1), self.size).unflatten(0, (-1, 2)).unbind(1)
        anchors = drawn.landmarks[:, 1, ANCHOR_COLUMNS].numpy()
        boxes = parts_of_anchors(anchors, box_sides(anchors))
        return (Pairs(source, driving, torch.from_numpy(boxes)),)


@dataclass(frozen=True)
class PreparedPairs:
    """Two frames each of clips that ``floatcli train prepare`` made."""

    clips: PreparedFrames
    batch: int
    size: int  # pixels a side

    def __call__(self, rng: np.random.Generator) -> tuple[Pairs]:
        """One batch. Raises InputError where a clip can't be read."""
        sources, drivings, boxes = zip(*(self._one(rng) for _ in range(self.batch)), strict=True)
        return (Pairs(torch.cat(sources), torch.cat(drivings), torch.stack(boxes)),)

    def _one(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        number = int(rng.integers(len(self.clips)))
        frames = rng.choice(self.clips.lengths[number], 2, replace=False).tolist()
        pictures, boxes = self.clips.read(number, frames)
        source, driving = resized(torch.from_numpy(pictures), self.size).split(1)
        return source, driving, torch.from_numpy(boxes[1] / pictures.shape[1] * 2 - 1)
