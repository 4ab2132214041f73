"""From a picture to a portrait that can move: the face is found, cut out, marked with anchors and encoded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from floatcli.config import CropConfig, ModelConfig
from floatcli.device import mixed
from floatcli.errors import InputError
from floatcli.face.crop import plan_crop
from floatcli.face.detect import FaceBox, FaceDetector, default_detector
from floatcli.face.landmarks import AnchorFinder, anchors_of_box, default_anchor_finder
from floatcli.inputs import ARRAYS, Source, file_source, read_picture
from floatcli.models.float_model import FloatModel, Portrait
from floatcli.motion import FileSource, Motion


class Still(NamedTuple):
    """A portrait before it moves."""

    image: np.ndarray  # the crop, uint8 (H, H, 3), as large as the frames shall be
    anchors: np.ndarray | None  # (7, 2) in grid coordinates
    portrait: Portrait
    crop: tuple[float, ...]  # left, top, side in pixels of the picture, degrees
    source: FileSource | None  # None for arrays
    remarks: tuple[str, ...] = ()  # what was out of the ordinary


class PortraitReader:
    """Reads portraits for one model.

    Args:
        model: The networks, on ``device``.
        device: Where they are.
        notice: Told in one line which detectors had to be done without.
    """

    def __init__(self, model: FloatModel, device: torch.device, notice: Callable[[str], None]):
        self.model, self.device = model, device
        self._notice = notice

    @cached_property
    def detector(self) -> FaceDetector:
        """Finds faces; made when it is first needed."""
        return default_detector(str(self.device), self._notice)

    @cached_property
    def anchor_finder(self) -> AnchorFinder | None:
        """Finds landmarks better than the set's own network, where face-alignment's is at hand."""
        return default_anchor_finder(str(self.device), self._notice)

    def read(self, face: Source, crop: CropConfig, notice: Callable[[str], None]) -> Still:
        """The portrait in a picture; ``notice`` is told what is out of the ordinary with it. Raises InputError."""
        remarks: list[str] = []

        def tell(line: str) -> None:
            remarks.append(line)
            notice(line)

        picture = read_picture(face, crop)
        name = "the picture" if isinstance(face, ARRAYS) else str(face)
        looking = crop.mode != "none"  # else there may be no face: no network of others is loaded to look for one
        finder = self.anchor_finder if looking and crop.align else None
        plan = plan_crop(picture, crop, lambda: self.detector, tell, name, finder)
        image = plan.cut(picture, _frame_size(plan.side, self.model.config))
        anchors = self._anchors(image) if looking else None
        geometry = (plan.left, plan.top, plan.side, plan.angle)
        return Still(image, anchors, self._encode(image, anchors), geometry, file_source(face), tuple(remarks))

    def of(self, motion: Motion) -> Still:
        """The portrait that a motion moves."""
        portrait = self._encode(motion.portrait, motion.anchors)
        return Still(motion.portrait, motion.anchors, portrait, motion.making.crop, motion.making.face)

    def anchors(self, still: Still) -> np.ndarray:
        """Where the anchors (7, 2) of a portrait lie, in grid coordinates: found, or guessed from the face's box.

        Raises:
            InputError: there is no face.
        """
        if self.model.config.decoder == "anchored":
            return still.portrait.features.anchors[0].float().cpu().numpy()
        box = self._face(still.image)
        if box is None:
            raise InputError("no face found in the portrait", "animate it with --crop auto")
        found = self._landmarks(still.image, box)
        return anchors_of_box(box) * (2 / len(still.image)) - 1 if found is None else found

    def _encode(self, image: np.ndarray, anchors: np.ndarray | None) -> Portrait:
        found = None if anchors is None else torch.from_numpy(anchors)[None].to(self.device)
        with mixed(self.device, torch.float32):
            return self.model.encode(to_network(image, self.device), found)

    def _anchors(self, image: np.ndarray) -> np.ndarray | None:
        """Landmarks (7, 2) in grid coordinates; None where the decoder needs none or shall find them itself."""
        if self.model.config.decoder != "anchored" or self.anchor_finder is None:
            return None
        box = self._face(image)
        return None if box is None else self._landmarks(image, box)

    def _face(self, image: np.ndarray) -> FaceBox | None:
        """The face that a crop was cut around: a larger one may lie beside it."""
        across = len(image)
        faces = self.detector.detect(image)
        return min(faces, key=lambda box: abs(box.x1 + box.x2 - across) + abs(box.y1 + box.y2 - across), default=None)

    def _landmarks(self, image: np.ndarray, box: FaceBox) -> np.ndarray | None:
        """Anchors (7, 2) in grid coordinates, where a network finds them."""
        points = self.anchor_finder.anchors(image, box) if self.anchor_finder is not None else None
        return None if points is None else (points * (2 / len(image)) - 1).astype(np.float32)


def _frame_size(side: int, config: ModelConfig) -> int:
    """Side of the frames for a crop of ``side`` pixels: as large as it has pixels for, where the decoder lets it."""
    if config.decoder == "warped":
        return config.image_size
    sizes = sorted(config.anchored.output_sizes)
    return max((size for size in sizes if size <= side), default=sizes[0])


def to_network(image: np.ndarray, device: torch.device) -> Tensor:
    """uint8 (H, W, 3) to (1, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
