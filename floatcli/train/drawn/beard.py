"""Beards: what is painted on the skin, and whiskers that hang over the lips and off the chin and move with them."""

from __future__ import annotations

from functools import cache

import numpy as np
import skia
from scipy.sparse import csr_matrix

from floatcli.train.drawn.anatomy import template, to_sheet
from floatcli.train.drawn.brush import blob, hairs, stroke
from floatcli.train.drawn.colour import BLACK, WHITE, mix
from floatcli.train.drawn.identity import Identity
from floatcli.train.drawn.pose import Pose

_ROOTS = 2200  # places at which a whisker may grow
_OVER_LIPS = (0.50, 0.60)  # y between which whiskers reach the lips
_REACH = {"moustache": 0.0, "goatee": 0.07, "full": 0.09, "long": 0.30}  # length of whiskers on the chin


def paint_beard(canvas: skia.Canvas, identity: Identity, rng: np.random.Generator) -> None:
    """Stubble and beards on the skin's sheet: hairs over a soft ground, thrown where the kind of beard grows."""
    kind, colour = identity.beard, identity.beard_colour
    if kind == "none":
        return
    at = rng.uniform((-0.95, 0.25), (0.95, 1.28), (9000, 2))
    at = at[rng.random(len(at)) < beard_density(at, kind)]
    ground = mix(colour, identity.skin, 0.45)
    strong = 0.14 if kind == "stubble" else 0.45
    for spot in at[:220]:
        blob(canvas, spot, (0.07, 0.06), ground, strong)
    length = 0.012 if kind == "stubble" else 0.05
    lean = np.stack([0.25 * at[:, 0] + rng.normal(0, 0.25, len(at)), np.full(len(at), 1.0)], 1)
    end = at + lean * length * rng.uniform(0.5, 1.2, (len(at), 1))
    for part in range(3):
        tone = mix(colour, (BLACK, WHITE, identity.skin)[part], (0.25, 0.12, 0.2)[part])
        hairs(canvas, at[part::3], end[part::3], stroke(tone, 0.0045, 0.4 if kind == "stubble" else 0.6))


def beard_density(at: np.ndarray, kind: str) -> np.ndarray:
    """How thickly a kind of beard grows at sheet points (N, 2): 0 to 1."""
    s, v = np.abs(at[:, 0]), at[:, 1]

    def ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
        return np.clip((x - low) / (high - low), 0, 1)

    moustache = ramp(v, 0.48, 0.53) * ramp(v, 0.70, 0.64) * ramp(s, 0.33, 0.24) * (0.75 + 0.25 * ramp(s, 0.0, 0.03))
    cheeks = 0.62 - 0.55 * np.clip((s - 0.32) / 0.5, 0, 1) ** 1.3
    jaw = ramp(v, cheeks - 0.06, cheeks + 0.09) * ramp(s, 0.22, 0.30) * ramp(v, 0.2, 0.3)
    chin = ramp(v, 0.83, 0.89) * ramp(s, 0.34, 0.26)
    fade = ramp(v, 1.26, 1.1)
    if kind == "moustache":
        return moustache
    if kind == "goatee":
        side = ramp(v, 0.62, 0.68) * ramp(s, 0.33, 0.29) * ramp(s, 0.22, 0.26)
        return np.maximum.reduce([moustache, chin * ramp(s, 0.30, 0.22), side]) * fade
    return np.maximum.reduce([moustache, jaw, chin]) * fade


@cache
def _roots() -> tuple[np.ndarray, csr_matrix]:
    """Frontal points (N, 2) of whiskers, the same for everyone, and the matrix that reads them from vertices."""
    rng = np.random.default_rng(0)
    lip = rng.uniform((-0.27, _OVER_LIPS[0]), (0.27, _OVER_LIPS[1]), (_ROOTS // 2, 2))
    chin = rng.uniform((-0.42, 0.80), (0.42, 1.10), (_ROOTS // 2, 2))
    at = np.concatenate([lip, chin])
    return at, template().attach(at[:, 0], at[:, 1])


class Whiskers:
    """The hairs of one identity's beard that leave the skin."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        kind, rng = identity.beard, np.random.default_rng(identity.seed + 7)
        self.grows = kind in _REACH
        if not self.grows:
            return
        at, reader = _roots()
        chosen = rng.random(len(at)) < beard_density(to_sheet(at[:, 0], at[:, 1]), kind)
        chosen &= (rng.random(len(at)) < 0.7) & ((at[:, 1] < 0.7) | (_REACH[kind] > 0))
        at, self.reader = at[chosen], reader[chosen]
        lip = at[:, 1] < 0.7
        trim = rng.uniform(0.02, 0.065) * (1 + 0.35 * np.abs(at[:, 0]) / 0.25)
        length = np.where(lip, trim, _REACH[kind] * (1.15 - 1.4 * np.abs(at[:, 0]))) * rng.uniform(0.6, 1.15, len(at))
        across = np.where(lip, 1.5, 0.35) * at[:, 0] + rng.normal(0, 0.13, len(at))
        self.hang = np.stack([across, np.ones(len(at)), np.where(lip, 0.1, 0.35)], 1) * length[:, None]

    def draw(self, canvas: skia.Canvas, xy: np.ndarray, pose: Pose, unit: float, shade: np.ndarray) -> None:
        """Draw the whiskers on skin vertices at pixels ``xy`` (V, 2), in the light ``shade`` (3,) of the chin."""
        if not self.grows:
            return
        root = self.reader @ xy
        tip = root + pose.turn(self.hang)[:, :2] * unit
        bend = 0.5 * (root + tip) + 0.08 * (tip - root)[:, ::-1] * (1, -1)
        for part, (towards, share) in enumerate(((BLACK, 0.45), (BLACK, 0.1), (WHITE, 0.15))):
            r, g, b = mix(self.identity.beard_colour, towards, share)
            tone = (r * float(shade[0]), g * float(shade[1]), b * float(shade[2]))
            paint = stroke(tone, (0.007, 0.005, 0.004)[part] * unit, (0.75, 0.8, 0.7)[part])
            hairs(canvas, root[part::3], bend[part::3], paint)
            hairs(canvas, bend[part::3], tip[part::3], paint)
