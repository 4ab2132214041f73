"""The twenty parameters that move a drawn face: the renderer's inputs and the names of the first basis vectors.

A motion of the drawn set is a point in the orthonormal basis whose coefficient k is parameter k divided by its
``scale``, so that every coefficient varies by about one (the size of the noise that flow matching starts from).
Left and right are as seen in the picture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Parameter(NamedTuple):
    """One motion parameter: its range as drawn, and the size it varies by."""

    name: str
    low: float
    high: float
    scale: float
    meaning: str


PARAMETERS = (
    Parameter("jaw", 0, 1, 0.25, "mouth opening, 0 shut, 1 wide open"),
    Parameter("round", 0, 1, 0.25, "lips pursed and narrowed, as in 'oo'"),
    Parameter("smile", -1, 1, 0.4, "mouth corners up and out; negative: down"),
    Parameter("upper_lip", 0, 1, 0.25, "upper lip raised, showing the upper teeth"),
    Parameter("lower_lip", 0, 1, 0.25, "lower lip lowered, showing the lower teeth"),
    Parameter("lip_press", 0, 1, 0.25, "lips pressed together and rolled in, as in 'm', 'b', 'p'"),
    Parameter("sneer", 0, 1, 0.25, "nose wrinkled, upper lip drawn up beside it"),
    Parameter("lid_left", -0.4, 1, 0.3, "lid: 0 at rest, 1 shut, negative widened"),
    Parameter("lid_right", -0.4, 1, 0.3, "lid: 0 at rest, 1 shut, negative widened"),
    Parameter("gaze_x", -1, 1, 0.4, "eyes to the right of the picture"),
    Parameter("gaze_y", -1, 1, 0.4, "eyes down"),
    Parameter("brow_left", -1, 1, 0.4, "brow raised; negative: lowered"),
    Parameter("brow_right", -1, 1, 0.4, "brow raised; negative: lowered"),
    Parameter("furrow", 0, 1, 0.25, "brows drawn together, inner ends lowered"),
    Parameter("yaw", -1, 1, 0.3, "head turned to the right of the picture; 1 is 25 degrees"),
    Parameter("pitch", -1, 1, 0.3, "head nodded down; 1 is 20 degrees"),
    Parameter("roll", -1, 1, 0.3, "head tilted clockwise; 1 is 20 degrees"),
    Parameter("shift_x", -1, 1, 0.3, "head moved right; 1 is a tenth of the picture"),
    Parameter("shift_y", -1, 1, 0.3, "head moved down; 1 is a tenth of the picture"),
    Parameter("zoom", -1, 1, 0.3, "head nearer; 1 is a tenth larger"),
)
NAMES = tuple(p.name for p in PARAMETERS)
INDEX = {name: k for k, name in enumerate(NAMES)}
LOW = np.array([p.low for p in PARAMETERS], np.float32)
HIGH = np.array([p.high for p in PARAMETERS], np.float32)
SCALE = np.array([p.scale for p in PARAMETERS], np.float32)
_SIDES = (("lid_left", "lid_right"), ("brow_left", "brow_right"))
_OTHER_SIDE = dict(_SIDES) | {right: left for left, right in _SIDES}
#: What the mirror image of a face has in place of each parameter, and with which sign.
MIRRORED = [INDEX[_OTHER_SIDE.get(name, name)] for name in NAMES]
MIRROR_SIGN = np.array([-1 if name in ("gaze_x", "yaw", "roll", "shift_x") else 1 for name in NAMES], np.float32)


def rest() -> np.ndarray:
    """The neutral face, (20,) float32: mouth shut, eyes open, looking ahead."""
    return np.zeros(len(PARAMETERS), np.float32)
