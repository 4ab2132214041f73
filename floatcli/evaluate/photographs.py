"""Pictures of no pen that training drew with: a photograph, and held-out people restyled; cut a little off, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import skimage.data
import torch

from floatcli.evaluate.drawn_faces import HELD_OUT, Figures, measure_sweeps
from floatcli.evaluate.pictures import to_tensor
from floatcli.face.crop import Crop
from floatcli.models.float_model import FloatModel
from floatcli.train.drawn import draw, random_identity
from floatcli.train.drawn.pose import Framing
from floatcli.train.drawn_data import ANCHOR_COLUMNS
from floatcli.train.parameters import rest
from floatcli.train.styles import STYLES

JITTER = 0.1  # of a crop's side: how far it is off, at most, across, down and in size
JITTERED = 4  # such crops of every picture
_SEEN = 0.8  # share of a restyled drawing's side that the crop shows, so that there is something around it
_INSIDE = ("jaw inside mouth box", "blink inside eye boxes")


class Photograph(NamedTuple):
    """A picture whose face is marked."""

    picture: np.ndarray  # (H, W, 3) uint8
    anchors: np.ndarray  # (7, 2), its pixels
    crop: Crop


def astronaut() -> Photograph:
    """scikit-image's, in the public domain; marked by hand, and cut as the published model cuts it."""
    marks = [[202.8, 100.6], [247.8, 103.4], [202.9, 139.6], [247.5, 139.1], [224.4, 140], [224, 155], [225, 178]]
    return Photograph(skimage.data.astronaut(), np.array(marks), Crop(left=132, top=38, side=182))


def restyled_person(style: str, size: int = 512) -> Photograph:
    """A held-out person in one of STYLES, whose crop has ``size`` pixels a side."""
    rng = np.random.default_rng((HELD_OUT, 11, list(STYLES).index(style)))
    identity, side = random_identity(rng), round(size / _SEEN)
    framing = identity.framing
    middle = ((place - 0.5) * _SEEN + 0.5 for place in (framing.x, framing.y))
    drawing = draw(replace(identity, framing=Framing(framing.scale * _SEEN, *middle)), rest(), side)
    picture = STYLES[style](rng, size)(drawing.picture)
    edge = (side - size) // 2
    return Photograph(picture, drawing.landmarks[ANCHOR_COLUMNS] * side, Crop(edge, edge, size))


def jittered(crop: Crop, rng: np.random.Generator) -> Crop:
    """A crop that is off by up to JITTER across, down and in size."""
    across, down, larger = rng.uniform(-JITTER, JITTER, 3) * crop.side
    left, top = crop.left + across - larger / 2, crop.top + down - larger / 2
    return Crop(round(left), round(top), round(crop.side + larger))


@torch.inference_mode()
def measure_crop(model: FloatModel, photograph: Photograph, crop: Crop, size: int = 512) -> Figures:
    """Where sweeps of jaw and lids change a crop; anchors found by the set's own network."""
    portrait = model.encode(to_tensor(crop.cut(photograph.picture, size)[None]))
    marked = crop.from_picture(photograph.anchors, size)
    found = ((portrait.features.anchors[0].numpy() + 1) / 2) * size
    figures = measure_sweeps(model, portrait, marked, size)
    distance = np.linalg.norm(marked[1] - marked[0])
    figures["anchors off, eye distances"] = float(np.linalg.norm(found - marked, axis=1).mean() / distance)
    return figures


def measure_photographs(model: FloatModel) -> dict[str, Figures]:
    """Figures of the photograph as it is cut, of its crops that are off, and of restyled people in crops of both kinds.

    Of several crops, medians and the worst; those of a style alone begin with its name.
    """
    rng, portrait = np.random.default_rng((HELD_OUT, 12)), astronaut()
    straight = measure_crop(model, portrait, portrait.crop)
    off = [measure_crop(model, portrait, jittered(portrait.crop, rng)) for _ in range(JITTERED)]
    styles = {}
    for style in STYLES:
        person = restyled_person(style)
        crops = [person.crop, *(jittered(person.crop, rng) for _ in range(JITTERED))]
        styles[style] = [measure_crop(model, person, crop) for crop in crops]
    restyled = median_and_worst([row for rows in styles.values() for row in rows])
    for style, rows in styles.items():
        restyled |= {f"{style}: {key}": value for key, value in median_and_worst(rows).items()}
    return {"photograph": straight, "photograph, crops off": median_and_worst(off), "restyled people": restyled}


def median_and_worst(rows: Sequence[Figures]) -> Figures:
    """Medians of crops' figures, and the worst: of what should be inside boxes the least, else the most."""
    figures: Figures = {}
    for key in rows[0]:
        values = [row[key] for row in rows]
        figures[f"{key}, median"] = float(np.median(values))
        figures[f"{key}, worst"] = min(values) if key in _INSIDE else max(values)
    return figures
