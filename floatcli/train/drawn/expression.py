"""Where the controls of the head go: the shape of an identity and the movements of its face.

Lids and lips are curves, worked out point by point so that shut means shut; everything else is a table of
displacements of the template's named points.
"""

from __future__ import annotations

import numpy as np

from floatcli.train.drawn.anatomy import (
    EYE,
    LID_COLUMNS,
    LIP_COLUMNS,
    MOUTH_Y,
    SIDES,
    Template,
    lid_curves,
    lip_profiles,
)
from floatcli.train.parameters import NAMES

LIP_DEPTH = 0.645  # z of the skin behind the middle of the lips

Moves = dict[str, tuple[float, float, float]]

#: Shape traits of an identity, each about one in size. "*" stands for both sides, dx then points outwards.
TRAITS: dict[str, Moves] = {
    "jaw_width": {"jaw0_*": (0.035, 0, 0), "jaw1_*": (0.045, 0, 0), "jaw2_*": (0.04, 0, 0),
                  "jaw3_*": (0.02, 0, 0),
                  "hollow_*": (0.02, 0, 0)},
    "chin_length": {"under": (0, 0.045, 0), "under_*": (0, 0.045, 0), "chin": (0, 0.045, 0),
                    "chin_front": (0, 0.035, 0), "jaw3_*": (0, 0.035, 0),
                    "chin_side_*": (0, 0.03, 0), "jaw2_*": (0, 0.02, 0)},
    "chin_width": {"jaw3_*": (0.045, 0, 0), "chin_side_*": (0.03, 0, 0), "jaw2_*": (0.02, 0, 0)},
    "chin_forward": {"under": (0, 0, 0.02), "under_*": (0, 0, 0.02), "chin": (0, 0, 0.025),
                     "chin_front": (0, 0, 0.03), "chin_side_*": (0, 0, 0.024), "jaw3_*": (0, 0, 0.012)},
    "cheekbones": {"cheekbone_*": (0.025, 0, 0.025), "side_*": (0.025, 0, 0)},
    "fullness": {"cheek_*": (0, 0, 0.02), "hollow_*": (0.02, 0, 0.03), "jaw1_*": (0.018, 0, 0.01),
                 "jaw0_*": (0.012, 0, 0)},
    "temples": {"temple_*": (0.025, 0, 0), "head_*": (0.025, 0, 0)},
    "brow_height": {f"brow{k}_*": (0, -0.022, 0) for k in range(5)},
    "brow_slant": {"brow0_*": (0, 0.022, 0), "brow1_*": (0, 0.008, 0), "brow3_*": (0, -0.012, 0),
                   "brow4_*": (0, -0.012, 0)},
    "brow_arch": {"brow2_*": (0, -0.018, 0), "brow3_*": (0, -0.014, 0)},
    "brow_ridge": {f"brow{k}_*": (0.0, 0.0, 0.016) for k in range(5)} | {"glabella_*": (0.0, 0.0, 0.01)},
    "nose_length": {"tip": (0, 0.032, 0), "subnasal": (0, 0.025, 0), "wing_*": (0, 0.026, 0),
                    "nostril_*": (0, 0.026, 0),
                    "wing_top_*": (0, 0.02, 0), "nose": (0, 0.012, 0)},
    "nose_width": {"wing_*": (0.026, 0, 0.004), "nostril_*": (0.012, 0, 0), "wing_top_*": (0.018, 0, 0)},
    "nose_height": {"tip": (0, 0, 0.035), "nose": (0, 0, 0.025), "wing_*": (0, 0, 0.006)},
    "nose_bridge": {"bridge": (0, 0, 0.025), "nose": (0, 0, 0.02), "bridge_*": (0.006, 0, 0.004)},
    "nose_upturn": {"tip": (0, -0.022, 0.005), "subnasal": (0, -0.004, 0)},
}  # fmt: skip

#: From the template with its mouth ajar to a shut one.
_SHUT: Moves = {"mentolabial": (0, -0.05, 0), "chin_front": (0, -0.02, 0), "chin_side_*": (0, -0.02, 0)}

#: Traits that shape the curves of eyes and mouth.
CURVE_TRAITS = (
    "eye_spacing", "eye_width", "eye_open", "eye_tilt", "eye_height", "hood", "mouth_width", "mouth_height",
    "lip_upper", "lip_lower", "lip_bow", "mouth_turn",
)  # fmt: skip
TRAIT_NAMES = (*TRAITS, *CURVE_TRAITS)

#: Movements of the named points at one unit of a parameter.
MOVES: dict[str, Moves] = {
    "jaw": {"under": (0, 0.07, -0.02), "under_*": (0, 0.07, -0.02), "chin": (0, 0.09, -0.026),
            "chin_front": (0, 0.09, -0.022), "chin_side_*": (0, 0.09, -0.022),
            "mentolabial": (0, 0.13, -0.024), "jaw3_*": (0, 0.085, -0.026), "jaw2_*": (-0.004, 0.065, -0.022),
            "jaw1_*": (-0.005, 0.036, -0.011), "jaw0_*": (0, 0.01, 0), "hollow_*": (-0.008, 0.022, -0.007),
            "nasolabial_*": (-0.008, 0.015, 0), "cheek_*": (0, 0.006, 0)},
    "round": {"nasolabial_*": (-0.03, 0, 0.012), "hollow_*": (-0.02, 0, -0.012),
              "mentolabial": (0, -0.005, 0.01),
              "chin_front": (0, -0.01, 0.0)},
    "smile": {"cheek_*": (0.012, -0.045, 0.03), "nasolabial_*": (0.045, -0.03, -0.012),
              "undereye_*": (0, -0.022, 0.008),
              "hollow_*": (0.018, -0.02, 0.01), "wing_*": (0.012, -0.006, 0), "subnasal": (0, 0.004, 0),
              "mentolabial": (0, -0.008, 0), "cheekbone_*": (0.006, -0.012, 0.008)},
    "frown": {"nasolabial_*": (0, 0.015, 0), "mentolabial": (0, -0.02, 0.012), "chin_front": (0, -0.02, 0.012),
              "chin_side_*": (0, -0.012, 0.006)},
    "upper_lip": {"nasolabial_*": (0.006, -0.02, 0.006), "subnasal": (0, -0.008, 0),
                  "wing_*": (0.006, -0.008, 0)},
    "lower_lip": {"mentolabial": (0, 0.02, 0)},
    "lip_press": {"mentolabial": (0, -0.008, 0.006), "nasolabial_*": (0.008, 0.004, 0)},
    "sneer": {"wing_*": (0.014, -0.04, 0.012), "wing_top_*": (0.01, -0.03, 0.012), "tip": (0, -0.015, 0),
              "nostril_*": (0.008, -0.022, 0), "nasolabial_*": (0.02, -0.035, 0.012),
              "undereye_*": (0, -0.012, 0.006),
              "cheek_*": (0, -0.02, 0.012), "bridge_*": (0, -0.012, 0.01), "nose": (0, -0.01, 0)},
    "brow_*": {"brow0_*": (0, -0.075, 0), "brow1_*": (0, -0.095, 0), "brow2_*": (0, -0.10, 0),
               "brow3_*": (0, -0.09, 0),
               "brow4_*": (0, -0.06, 0), "glabella_*": (0, -0.045, 0)},
    "frown_*": {"brow0_*": (-0.006, 0.06, 0.012), "brow1_*": (0, 0.062, 0.01), "brow2_*": (0, 0.058, 0.006),
                "brow3_*": (0, 0.045, 0), "brow4_*": (0, 0.03, 0), "glabella_*": (0, 0.02, 0)},
    "furrow": {"brow0_*": (-0.042, 0.035, 0.014), "brow1_*": (-0.028, 0.022, 0.01),
               "brow2_*": (-0.012, 0.006, 0),
               "glabella_*": (-0.014, 0.012, 0.004)},
}  # fmt: skip


def values(parameters: np.ndarray) -> dict[str, float]:
    """The parameters by name, with the two halves of smile and brows told apart."""
    p = dict(zip(NAMES, np.asarray(parameters, float).tolist(), strict=True))
    p["frown"], p["smile"] = max(-p["smile"], 0.0), max(p["smile"], 0.0)
    for side in SIDES:
        p[f"frown_{side}"], p[f"brow_{side}"] = max(-p[f"brow_{side}"], 0.0), max(p[f"brow_{side}"], 0.0)
    return p


def jaw_drop(p: dict[str, float]) -> float:
    """Distance between the lips, at the middle, that the jaw makes; pursed and pressed lips hold it back."""
    return 0.23 * p["jaw"] * (1 - 0.25 * p["round"]) * (1 - 0.5 * p["lip_press"])


class Shape:
    """The controls of one identity: rest and movements.

    Args:
        template: The mesh.
        traits: Values of TRAIT_NAMES by name.
    """

    def __init__(self, template: Template, traits: dict[str, float]) -> None:
        self.template, self.traits = template, traits
        self.base = template.rest[template.controls]
        self.rest = sum((traits[name] * self._table(moves) for name, moves in TRAITS.items()), self._table(_SHUT))
        self.moves = self._all_moves()
        self.eye_x = EYE[0] + 0.012 * traits["eye_spacing"]
        self.eye_y = EYE[1] + 0.012 * traits["eye_height"]
        self.eye_width = 0.134 * (1 + 0.07 * traits["eye_width"])
        opening = 1 + 0.13 * traits["eye_open"]
        self.lids = lid_curves(self.eye_width, 0.058 * opening, 0.043 * opening, 0.05 + 0.05 * traits["eye_tilt"])
        self.ball = max(0.17, 1.2 * self.eye_width)  # radius the lids slide on
        self.eye_depth = 0.495 - self.ball  # of the eyeball's centre
        self._mouth_rest()

    def controls(self, p: dict[str, float]) -> np.ndarray:
        """Displacement (C, 3) of the controls at the named parameter values ``p``."""
        moved = self.rest.copy()
        for name, table in self.moves.items():
            if p[name]:
                moved += p[name] * table
        for side, sign in SIDES.items():
            self._lids(moved, side, sign, p)
        self._lips(moved, p)
        return moved

    def _table(self, moves: Moves) -> np.ndarray:
        table = np.zeros_like(self.base)
        for name, move in moves.items():
            for side, sign in SIDES.items() if "*" in name else {"": 1.0}.items():
                rows = self.template.control_of[name.replace("*", side)]
                table[rows] = np.array(move) * (sign, 1, 1)
        return table

    def _all_moves(self) -> dict[str, np.ndarray]:
        tables = {}
        for name, moves in MOVES.items():
            for side in SIDES if "*" in name else ("",):
                own = {point.replace("*", side) if side else point: move for point, move in moves.items()}
                signed = {k: (v[0] * SIDES[side], v[1], v[2]) if side else v for k, v in own.items()}
                tables[name.replace("*", side)] = self._table(signed)
        return tables

    def _put(self, moved: np.ndarray, group: str, wanted: np.ndarray) -> None:
        rows = self.template.control_of[group]
        moved[rows] = wanted - self.base[rows]

    def _lids(self, moved: np.ndarray, side: str, sign: float, p: dict[str, float]) -> None:
        """Lid margins between their open curves and the line where they meet; the fold above follows a little."""
        upper, lower = self.lids
        look = 0.022 * p["gaze_y"]
        arch = 1 - np.linspace(-1, 1, LID_COLUMNS) ** 2
        lean = np.linspace(lower[0, 1], lower[-1, 1], LID_COLUMNS)
        meet = np.stack([lower[:, 0], lean + 0.55 * (lower[:, 1] - lean) + 0.08 * (upper[:, 1] - lean)], 1)
        close = p[f"lid_{side}"]
        raised = 0.012 * p["smile"] + 0.008 * p["sneer"] + 0.006 * p[f"frown_{side}"]
        up = upper + np.stack([0 * arch, arch * (look + 0.012 * p[f"frown_{side}"])], 1)
        low = lower + np.stack([0 * arch, arch * (0.6 * look - raised)], 1)
        up = up + (meet - up) * close
        low = low + (meet - low) * close
        up[:, 1] = np.minimum(up[:, 1], low[:, 1])
        for name, curve in (("lid_up", up), ("lid_low", low)):
            self._put(moved, f"{name}_{side}", self._on_ball(curve, sign))
        fold = self.template.control_of[f"crease_up_{side}"]
        hood = 0.012 * self.traits["hood"]
        lift = arch * (
            hood - 0.028 * p[f"brow_{side}"] + 0.02 * p[f"frown_{side}"] + 0.010 * max(close, -0.4) + 0.4 * look
        )
        grown = self.eye_width / 0.134
        moved[fold, 0] = (self.base[fold, 0] - sign * EYE[0]) * (grown - 1) + sign * (self.eye_x - EYE[0])
        moved[fold, 1] = self.eye_y + lift
        moved[fold, 2] = 0.012 * self.traits["hood"] * arch

    def _on_ball(self, curve: np.ndarray, sign: float) -> np.ndarray:
        """Points (N, 3) on the eyeball over lid curve points (N, 2)."""
        flat = np.clip(self.ball**2 - (curve**2).sum(1), 0, None)
        return np.stack(
            [sign * (self.eye_x + curve[:, 0]), self.eye_y + curve[:, 1], self.eye_depth + np.sqrt(flat)], 1
        )

    def _mouth_rest(self) -> None:
        t = self.traits
        self.mouth_y = MOUTH_Y + 0.012 * t["mouth_height"] + 0.012 * t["nose_length"]
        self.mouth_width = 0.235 * (1 + 0.08 * t["mouth_width"])
        up, low = lip_profiles()
        q = np.linspace(-1, 1, LIP_COLUMNS)
        self.upper_thick = (0.068 + 0.015 * t["lip_upper"]) * (up - 0.05 * t["lip_bow"] * np.exp(-((q / 0.12) ** 2)))
        self.lower_thick = (0.085 + 0.016 * t["lip_lower"]) * low
        corners = 0.012 * t["mouth_turn"] * np.abs(q) ** 2
        self.seam = 0.008 * np.exp(-((q / 0.2) ** 2)) - 0.006 * np.exp(-(((np.abs(q) - 0.45) / 0.25) ** 2)) - corners
        self.seam[[0, -1]] = -0.012 * t["mouth_turn"]

    def _lips(self, moved: np.ndarray, p: dict[str, float]) -> None:
        """Outer and inner edges of both lips, column by column."""
        q = np.linspace(-1, 1, LIP_COLUMNS)
        jaw, pucker, press = p["jaw"], p["round"], p["lip_press"]
        width = self.mouth_width * (
            1 - 0.40 * pucker + 0.17 * p["smile"] + 0.02 * p["frown"] - 0.09 * jaw - 0.03 * press
        )
        bell = (1 - np.abs(q) ** 2.3) ** (0.72 - 0.15 * pucker)
        drop = jaw_drop(p)
        corner = 0.40 * drop  # the corners follow the jaw half way
        bent = -0.065 * p["smile"] + 0.05 * p["frown"] - 0.012 * p["sneer"]
        middle = 0.012 * p["smile"] - 0.012 * p["frown"] - 0.006 * press
        shut = self.mouth_y + self.seam * (1 - 0.5 * pucker) + middle + (bent - middle) * np.abs(q) ** 2.1
        rise = 0.10 * drop + 0.05 * p["upper_lip"] + 0.014 * p["sneer"] * min(jaw * 6, 1)
        up = shut + corner - bell * (corner + rise)
        low = shut + corner + bell * (0.90 * drop - corner + 0.05 * p["lower_lip"])
        thin = (1 - 0.62 * press) * (1 - 0.16 * p["smile"]) * (1 - 0.12 * jaw * (1 - pucker))
        upper = self.upper_thick * thin * (1 + 0.18 * pucker) * (1 - 0.25 * p["upper_lip"])
        lower = self.lower_thick * thin * (1 + 0.12 * pucker) * (1 - 0.15 * p["lower_lip"])
        sneer = 0.034 * p["sneer"] * np.exp(-(((np.abs(q) - 0.5) / 0.3) ** 2))
        ahead = 0.07 * pucker - 0.03 * press - 0.02 * p["smile"]
        lowered = -0.06 * jaw * bell
        full = 1 - 0.6 * press
        for name, side, y, z in (
            ("outer_up", 1.0, up - upper - sneer, 0.012), ("outer_low", 1.0, low + lower, lowered - 0.004),
            ("middle_up", 0.965, up - 0.45 * (upper + sneer), 0.036 * full),
            ("middle_low", 0.965, low + 0.45 * lower, lowered + 0.040 * full),
            ("inner_up", 0.93, up, 0.014), ("inner_low", 0.93, low, lowered + 0.014),
        ):  # fmt: skip
            x = width * side * q
            z = LIP_DEPTH - 0.9 * x * x + ahead * (1 - q * q) + z * (1 - q**4) - 0.012 * q**4
            self._put(moved, name, np.stack([x, y, z], 1))
