"""What a set of weights makes of faces, to look at: one a row, beside what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from floatcli.config import POSE, TURN_DEGREES
from floatcli.evaluate.drawn_faces import HELD_OUT, held_out_person, sweep
from floatcli.evaluate.photographs import Photograph, astronaut, restyled_person
from floatcli.evaluate.pictures import to_pictures, to_tensor
from floatcli.evaluate.pixel_judge import TONES, person_of
from floatcli.evaluate.smiles import SHUT, SMILE, face
from floatcli.evaluate.turns import DEGREES, TURNS
from floatcli.files import replacing
from floatcli.grid import still_grid
from floatcli.models.float_model import FloatModel, Portrait
from floatcli.train.drawn import draw
from floatcli.train.parameters import NAMES, rest
from floatcli.train.styles import STYLES

SIZE, CELL = 256, 192  # pixels a side: of what is decoded, and of a picture on the sheet
_TEETH = 2  # people who smile with teeth

_REST = {name: 0.0 for name in NAMES if name not in POSE}
_TOLD = {
    "rest": {},
    "jaw 1/3": {"jaw": 1 / 3},
    "jaw 2/3": {"jaw": 2 / 3},
    "jaw 1": {"jaw": 1.0},
    "smile": SMILE,
    "smile, shut": SMILE | SHUT,
    "blink": {"lid_left": 1.0, "lid_right": 1.0},
    "gaze left": {"gaze_x": -0.8},
    "gaze right": {"gaze_x": 0.8},
}
_TURNED = [(turn, sign) for turn in TURNS for sign in (-1, 1)]
COLUMNS = ("source", *_TOLD, *(f"{turn} {sign * DEGREES:+d}" for turn, sign in _TURNED))


@torch.inference_mode()
def save_sheet(model: FloatModel, path: Path) -> None:
    """Write the photograph, held-out people of three tones, some who smile with teeth, and one in each style, as PNG.

    Raises:
        OutputError: the file can't be written.
    """
    rows = {name: told_pictures(model, picture) for name, picture in sources()}
    sheet = still_grid(list(rows.values()), list(rows), COLUMNS, CELL)
    with replacing(path) as temporary:
        Image.fromarray(sheet).save(temporary, "png")


def sources() -> Iterator[tuple[str, np.ndarray]]:
    """Faces (SIZE, SIZE, 3) and what they are called."""
    yield "photograph", _cut(astronaut())
    for k, tone in enumerate(TONES):
        yield f"{tone} skin", draw(person_of(tone, np.random.default_rng((HELD_OUT, 7, 0, k))), rest(), SIZE).picture
    for k in range(_TEETH):
        yield f"teeth {k + 1}", draw(held_out_person(k), face(SMILE), SIZE).picture
    for style in STYLES:
        yield style, _cut(restyled_person(style))


def _cut(photograph: Photograph) -> np.ndarray:
    return photograph.crop.cut(photograph.picture, SIZE)


def told_pictures(model: FloatModel, source: np.ndarray) -> list[np.ndarray]:
    """A source (S, S, 3) uint8 and what is made of it, by COLUMNS."""
    portrait = model.encode(to_tensor(source[None]))
    told = [*_TOLD.values(), *(turned_by(model, portrait, turn, sign * DEGREES) for turn, sign in _TURNED)]
    return [source, *(to_pictures(sweep(model, portrait, _REST | values))[0] for values in told)]


def turned_by(model: FloatModel, portrait: Portrait, turn: str, degrees: float) -> dict[str, float]:
    """The pose, by name, of a head that is turned from where the model sees it."""
    k = model.config.coefficient_names.index(turn)
    own = float(model.basis.coefficients(portrait.ref_motion)[0, k]) * model.config.coefficient_scales[k]
    return {turn: own + degrees / TURN_DEGREES[TURNS.index(turn)]}
