"""The paper's columns, each by a network of others that is given; without it a column is blank."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from floatcli.evaluate.following import follow
from floatcli.evaluate.frechet import FrechetDistance
from floatcli.evaluate.networks import FeatureNetwork, to_pictures
from floatcli.evaluate.pictures import Figures
from floatcli.evaluate.settings import NETWORKS
from floatcli.evaluate.syncnet import judge_clip
from floatcli.face.crop import Crop
from floatcli.train.prepare_settings import PARTS

#: Middle of the eyes and of the mouth in ArcFace's 112 x 112 pixels, as x + iy.
_EYES, _MOUTH, _SIDE = 55.9 + 51.6j, 56.1 + 92.3j, 112


class Clip(NamedTuple):
    """F frames to judge, with what belongs to them."""

    frames: np.ndarray  # (F, H, H, 3) uint8
    audio: np.ndarray  # (640 F,) in [-1, 1]
    source: np.ndarray  # (H, H, 3) uint8: the portrait
    boxes: np.ndarray  # (3, 4) of PARTS, in pixels of the portrait


class Judges:
    """The networks that are given, on a device.

    Raises:
        WeightsError: as ``FeatureNetwork``.
    """

    def __init__(self, files: Mapping[str, Path], device: torch.device):
        self.networks = {name: FeatureNetwork(name, path, device) for name, path in files.items()}

    def clip_figures(self, clip: Clip) -> Figures:
        """Those columns that are of single clips: CSIM, LSE-D and LSE-C."""
        figures: Figures = {"CSIM": self.csim(clip.frames, clip.source, clip.boxes), "LSE-D": None, "LSE-C": None}
        if "syncnet" in self.networks:
            errors = judge_clip(self.networks["syncnet"], clip.frames, clip.audio)
            if errors is not None:
                figures |= {"LSE-D": errors.distance, "LSE-C": errors.confidence, "LSE offset": errors.offset}
        return figures

    def csim(self, frames: np.ndarray, source: np.ndarray, boxes: np.ndarray) -> float | None:
        """Mean cosine of ArcFace's features of frames (F, H, H, 3) and of their portrait with its ``boxes``."""
        if "arcface" not in self.networks:
            return None
        shown = np.concatenate([source[None], frames])
        aligned = align_faces(shown, follow(shown, boxes))
        (features,) = self.networks["arcface"].features(to_pictures(aligned, _SIDE))
        features /= np.linalg.norm(features, axis=1, keepdims=True) + 1e-12
        return float((features[1:] @ features[0]).mean())


class Distances:
    """FID, FVD, E-FID and P-FID: how far all that is made is from all that is true, as their networks see it."""

    def __init__(self, judges: Judges):
        self._networks = judges.networks
        self._distances = {column: FrechetDistance() for name in self._networks for column in NETWORKS[name].columns}

    def add(self, frames: np.ndarray, true: bool) -> None:
        """Add a clip's frames (F, H, H, 3) uint8."""
        for name in self._networks.keys() & {"inception", "face3d", "i3d"}:
            network = self._networks[name]
            *length, size = network.interface.inputs[0][1:-1]
            pictures = to_pictures(frames, size)
            if length:  # of windows, one after the other
                whole = len(pictures) // length[0] * length[0]
                pictures = pictures[:whole].unflatten(0, (-1, length[0])).movedim(1, 2)
            if len(pictures):
                for column, features in zip(network.interface.columns, network.features(pictures), strict=True):
                    self._distances[column].add(features, true)

    def figures(self) -> Figures:
        """Fréchet distances by column; None of those without a network, or with too few vectors."""
        columns = ("FID", "FVD", "E-FID", "P-FID")
        return {name: self._distances[name].value() if name in self._distances else None for name in columns}


def align_faces(frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Frames (F, H, H, 3) uint8 as ArcFace sees faces, (F, 112, 112, 3).

    Eyes and mouth come to lie where it learnt them, by their boxes (F, 3, 4).
    """
    return np.stack([_face_square(places).cut(frame, _SIDE) for frame, places in zip(frames, boxes, strict=True)])


def _face_square(boxes: np.ndarray) -> Crop:
    """The square of a picture that shows eyes and mouth, of boxes (3, 4), where ArcFace learnt them."""
    middles = (boxes[:, 0] + boxes[:, 2] + 1j * (boxes[:, 1] + boxes[:, 3])) / 2
    left, right, mouth = (middles[PARTS.index(name)] for name in ("left_eye", "right_eye", "mouth"))
    eyes = (left + right) / 2
    turn = (mouth - eyes) / (_MOUTH - _EYES)  # and scale, from their pixels to ours
    side = abs(turn) * _SIDE
    corner = eyes + turn * (complex(_SIDE, _SIDE) / 2 - _EYES) - complex(side, side) / 2
    return Crop(round(corner.real), round(corner.imag), max(1, round(side)), math.degrees(cmath.phase(turn)))
