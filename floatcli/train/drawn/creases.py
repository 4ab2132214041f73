"""Lines of the skin that come and go with the expression."""

from __future__ import annotations

import numpy as np
import skia

from floatcli.train.drawn.anatomy import SIDES, Template
from floatcli.train.drawn.brush import crescent, fill, smooth
from floatcli.train.drawn.colour import mix
from floatcli.train.drawn.identity import Identity

# Frontal points, width, and the parameters that deepen the line; "*" stands for both sides.
_CREASES: dict[str, tuple[tuple[tuple[float, float], ...], float, dict[str, float]]] = {
    "nasolabial_*": (((0.15, 0.39), (0.20, 0.45), (0.26, 0.54), (0.30, 0.64)),
    0.024, {"smile": 0.6, "sneer": 0.55, "upper_lip": 0.2}),
    "mouth_*": (((0.285, 0.62), (0.305, 0.67), (0.30, 0.73)), 0.018, {"smile": 0.4, "frown": 0.3}),
    "frown_*": (((0.26, 0.70), (0.29, 0.76), (0.30, 0.84)), 0.016, {"frown": 0.5}),
    "furrow_*": (((0.045, -0.26), (0.05, -0.20), (0.04, -0.13)), 0.016, {"furrow": 0.7, "sneer": 0.15}),
    "bridge_*": (((0.0, -0.02), (0.04, -0.01), (0.075, 0.03)), 0.014, {"sneer": 0.6}),
    "nose_*": (((0.035, 0.06), (0.075, 0.09), (0.10, 0.14)), 0.014, {"sneer": 0.55}),
    "crow_*": (((0.47, 0.00), (0.52, 0.02), (0.57, 0.06)), 0.012, {"smile": 0.45, "sneer": 0.2}),
    "crow_low_*": (((0.46, 0.05), (0.50, 0.09), (0.53, 0.14)), 0.012, {"smile": 0.35}),
    "bag_*": (((0.19, 0.10), (0.27, 0.135), (0.38, 0.11)), 0.016, {"smile": 0.4, "sneer": 0.35}),
    "forehead_low_*": (((0.04, -0.345), (0.2, -0.365), (0.36, -0.335)), 0.014, {"brow_*": 0.5}),
    "forehead_high_*": (((0.03, -0.43), (0.2, -0.45), (0.36, -0.42)), 0.013, {"brow_*": 0.4}),
    "chin": (((-0.13, 0.885), (0.0, 0.862), (0.13, 0.885)), 0.022, {"frown": 0.4, "lip_press": 0.3}),
}  # fmt: skip
_LAYERS = ((2.8, 0.22), (0.8, 0.45))  # widths and strengths, laid over one another
COUNT = 11  # points of a line


class Creases:
    """Draws the creases of one identity; older skin folds deeper."""

    def __init__(self, identity: Identity, template: Template) -> None:
        skin = identity.skin
        self.dark = mix((skin[0] * 0.5, skin[1] * 0.34, skin[2] * 0.30), (0.05, 0.02, 0.02), 0.15)
        self.depth = 0.55 + 0.5 * identity.age
        lines, self.rules = [], []
        for name, (curve, width, drives) in _CREASES.items():
            for side in SIDES if "*" in name else ("",):
                line = smooth(curve, COUNT)
                lines.append(line * (SIDES.get(side, 1.0), 1.0))
                self.rules.append((width, {key.replace("*", side): share for key, share in drives.items()}))
        points = np.concatenate(lines)
        self.reader = template.attach(points[:, 0], points[:, 1])

    def draw(self, canvas: skia.Canvas, xy: np.ndarray, p: dict[str, float], unit: float) -> None:
        """Draw the lines that the named parameters deepen, on skin vertices at pixels ``xy`` (V, 2)."""
        lines = (self.reader @ xy).reshape(-1, COUNT, 2)
        for line, (width, drives) in zip(lines, self.rules, strict=True):
            strength = self.depth * sum(share * max(p[name], 0.0) for name, share in drives.items())
            if strength > 0.02:
                for wide, share in _LAYERS:
                    canvas.drawPath(crescent(line, wide * width * unit), fill(self.dark, min(share * strength, 0.5)))
