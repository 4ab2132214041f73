"""Named physical points of a drawn person and where they fall in the picture."""

from __future__ import annotations

import numpy as np

from floatcli.train.drawn.anatomy import LID_COLUMNS, LIP_COLUMNS, SIDES, Template
from floatcli.train.drawn.body import NECK, Neck, View
from floatcli.train.drawn.features import EAR, Features
from floatcli.train.drawn.hair import MARKS, HairShells
from floatcli.train.drawn.identity import Identity

_HALF, _QUARTER = LIP_COLUMNS // 2, LIP_COLUMNS // 4

# Landmarks on the skin: name, group of vertices, place along the group.
_ON_SKIN = (
    ("mouth_left", "outer_up", 0), ("mouth_right", "outer_up", -1), ("upper_lip", "outer_up", _HALF),
    ("lower_lip", "outer_low", _HALF), ("chin", "chin", 0),
    ("inner_upper_lip", "inner_up", _HALF), ("inner_lower_lip", "inner_low", _HALF),
    ("upper_lip_left", "outer_up", _QUARTER), ("upper_lip_right", "outer_up", -1 - _QUARTER),
    ("lower_lip_left", "outer_low", _QUARTER), ("lower_lip_right", "outer_low", -1 - _QUARTER),
    ("inner_upper_left", "inner_up", _QUARTER), ("inner_upper_right", "inner_up", -1 - _QUARTER),
    ("inner_lower_left", "inner_low", _QUARTER), ("inner_lower_right", "inner_low", -1 - _QUARTER),
    *((f"{name}_{side}", f"{group}_{side}", place) for side in SIDES for name, group, place in (
        ("eye_inner", "lid_up", 0), ("eye_outer", "lid_up", -1), ("lid_top", "lid_up", LID_COLUMNS // 2),
        ("lid_bottom", "lid_low", LID_COLUMNS // 2), ("crease", "crease_up", LID_COLUMNS // 2),
        ("brow_inner", "brow0", 0), ("brow_middle", "brow2", 0), ("brow_outer", "brow4", 0), ("wing", "wing", 0),
        ("cheek", "cheek", 0), ("cheekbone", "cheekbone", 0), ("nasolabial", "nasolabial", 0), ("jaw", "jaw1", 0),
        ("jaw_corner", "jaw0", 0), ("chin_side", "jaw3", 0), ("temple", "temple", 0), ("under_eye", "undereye", 0),
        ("side", "side", 0), ("hollow", "hollow", 0), ("jaw_middle", "jaw2", 0), ("skull", "head", 0),
    )),
    ("bridge", "bridge", 0), ("nose_tip", "tip", 0), ("nose_base", "subnasal", 0), ("chin_fold", "mentolabial", 0),
    ("glabella_left", "glabella_left", 0), ("glabella_right", "glabella_right", 0), ("forehead", "forehead", 0),
    ("hairline", "hairline", 0), ("crown", "crown", 0), ("chin_front", "chin_front", 0),
)  # fmt: skip
_IN_SOCKETS = ("left_eye", "right_eye", "iris_left", "iris_right", "ear_left", "ear_right")
_ON_HAIR = tuple(f"hair_{k}" for k in range(len(MARKS)))
_ON_NECK = tuple(f"neck_{k}" for k in range(len(Neck.MARKS)))
_ON_BODY = ("shoulder_left", "shoulder_right", "throat", "chest_left", "chest", "chest_right")
_STILL = ("corner_top_left", "corner_top_right", "edge_left", "edge_right")

#: Names of the rows of ``Drawing.landmarks``, left and right as seen in the picture.
LANDMARKS: tuple[str, ...] = (*_IN_SOCKETS[:2], *(name for name, _, _ in _ON_SKIN), *_IN_SOCKETS[2:],
                              *_ON_HAIR, *_ON_NECK, *_ON_BODY, *_STILL)  # fmt: skip

#: Landmarks that no motion moves.
STILL: tuple[str, ...] = _STILL

_HIDDEN = 9.0  # where points lie that are not seen, in widths of the picture


class LandmarkReader:
    """Reads one identity's landmarks."""

    def __init__(
        self, identity: Identity, template: Template, features: Features, hair: HairShells, neck: Neck
    ) -> None:
        self.features = features
        self.vertices = np.array([template.groups[group][place] for _, group, place in _ON_SKIN])
        self.sockets = np.stack([features.socket(side) for side in SIDES])
        self.ears = np.array([(sign * (EAR[0] + 0.1), EAR[1], EAR[2] - 0.08) for sign in SIDES.values()])
        wide = 0.8 * identity.shoulders
        low = [(x * identity.shoulders, NECK + 0.5, 0.0) for x in (-0.5, 0.0, 0.5)]
        self.body = np.array([(-wide, NECK + 0.25, 0.0), (wide, NECK + 0.25, 0.0), (0, NECK + 0.2, 0.0), *low])
        self.carried = [np.concatenate(pair) for pair in zip(hair.marks(), neck.marks(), strict=True)]
        self.still = np.array([(0.04, 0.04), (0.96, 0.04), (0.03, 0.45), (0.97, 0.45)])

    def read(self, moved: np.ndarray, view: View, p: dict[str, float]) -> np.ndarray:
        """Landmarks (P, 2) float32 in picture coordinates, from the skin's vertices ``moved`` (V, 3) by the pose."""
        pose, project = view.pose, view.framing.project
        irises = np.stack([self.features.iris(side, p) for side in SIDES])
        inner = pose.move(np.concatenate([self.sockets, irises, self.ears]))
        carried = view.between(*self.carried)
        points = [inner[:2], moved[self.vertices], inner[2:], carried, view.body.move(self.body)]
        places = np.nan_to_num(project(np.concatenate(points)), nan=_HIDDEN)
        return np.concatenate([places, self.still]).astype(np.float32)
