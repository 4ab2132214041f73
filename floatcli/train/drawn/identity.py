"""Random looks: everything about a drawn person, the clothes, the light and the room that does not move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floatcli.train.drawn.expression import TRAIT_NAMES
from floatcli.train.drawn.pose import Framing

Colour = tuple[float, float, float]  # red, green, blue, 0 to 1

SKINS = ((255, 226, 208), (246, 206, 178), (232, 184, 150), (214, 160, 122), (190, 132, 94), (158, 104, 72),
         (122, 78, 54), (92, 58, 42), (70, 45, 34))  # fmt: skip
HAIRS = ((18, 15, 14), (38, 26, 20), (62, 40, 27), (92, 60, 36), (128, 86, 50), (170, 124, 74), (206, 168, 112),
         (228, 202, 152), (150, 66, 32), (112, 44, 28), (140, 138, 136), (196, 194, 190), (232, 230, 226))  # fmt: skip
IRISES = ((52, 30, 18), (78, 48, 26), (104, 70, 38), (120, 104, 60), (86, 110, 78), (82, 118, 148), (110, 150, 184),
          (120, 128, 134))  # fmt: skip
CLOTHES = ("crew", "vee", "shirt", "suit", "polo", "hoodie")
ROOMS = ("plain", "gradient", "bokeh", "stripes", "indoor", "outdoor", "noise")


@dataclass(frozen=True)
class Hair:
    """Hair of the head: ``style`` is bald, fringe_of_hair (a ring around a bald crown), crop, short, bob, long,
    curly, afro, bun or beanie; lengths in head units."""

    style: str
    colour: Colour
    volume: float
    length: float  # v where side and back hair ends
    line: float  # v of the hairline at the middle of the forehead
    parting: float  # angle of the parting, radians
    wave: float
    swept: bool  # combed back from the forehead rather than hanging over it


@dataclass(frozen=True)
class Identity:
    """One drawn person in one picture; two equal identities are drawn alike to the byte."""

    seed: int  # of the strands, freckles and blobs
    traits: tuple[float, ...]  # values of TRAIT_NAMES
    framing: Framing
    skin: Colour
    lips: Colour
    iris: Colour
    age: float  # 0 young, 1 old
    hair: Hair
    brow: Colour
    brow_weight: float
    beard: str  # none, stubble, moustache, goatee or full
    beard_colour: Colour
    makeup: float  # 0 none, 1 strong
    lashes: float
    freckles: float
    teeth: Colour
    glasses: str  # none, round, square or half
    glasses_colour: Colour
    earring: float  # radius, 0 for none
    clothes: str
    cloth: Colour
    trim: Colour
    shoulders: float  # half width
    room: str
    walls: tuple[Colour, Colour]
    light: Colour  # direction towards the key light (x, y, z)
    key: Colour  # colour of the key light
    ambient: float
    gloss: float


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """``a`` with ``share`` of ``b``, clipped to 0 .. 1."""
    r, g, b_ = (min(max(x + (y - x) * share, 0.0), 1.0) for x, y in zip(a, b, strict=True))
    return r, g, b_


def _colour(rgb: np.ndarray) -> Colour:
    r, g, b = np.clip(np.asarray(rgb, float), 0, 1).round(4).tolist()
    return r, g, b


def _ramp(table: tuple[tuple[int, int, int], ...], at: float, rng: np.random.Generator, jitter: float) -> Colour:
    stops = np.array(table, float) / 255
    place = at * (len(stops) - 1)
    colour = [np.interp(place, np.arange(len(stops)), stops[:, k]) for k in range(3)]
    return _colour(np.array(colour) * (1 + jitter * rng.standard_normal() + 0.4 * jitter * rng.standard_normal(3)))


def _vivid(rng: np.random.Generator, low: float, high: float, saturation: float) -> Colour:
    """A random hue of a value between ``low`` and ``high``."""
    hue = np.abs((rng.uniform(0, 6) + np.array([0, 4, 2])) % 6 - 3) - 1
    tint = 1 - rng.uniform(0, saturation) * (1 - np.clip(hue, 0, 1))
    return _colour(rng.uniform(low, high) * tint)


def _traits(rng: np.random.Generator) -> tuple[float, ...]:
    """Photographic proportions for most; one in six is drawn with large eyes, as pictures in books are."""
    values = dict(zip(TRAIT_NAMES, np.clip(rng.normal(0, 0.85, len(TRAIT_NAMES)), -2, 2).tolist(), strict=True))
    values["mouth_turn"] += 1.1  # a face at rest is not a sad one
    if rng.random() < 0.16:
        values["eye_width"] += rng.uniform(1, 3.5)
        values["eye_open"] += rng.uniform(1, 4)
    return tuple(round(v, 4) for v in values.values())


def _hair(rng: np.random.Generator, woman: bool, age: float, skin_at: float) -> Hair:
    styles = ("crop", "short", "bob", "long", "curly", "afro", "bun", "beanie", "bald", "ring")
    odds = np.array(
        [1, 3, 4, 7, 2.5, 0.6, 2, 0.5, 0.1, 0] if woman else [5, 8, 0.4, 1, 2, 0.8, 0.4, 0.8, 2, 1 + 2 * age]
    )
    if skin_at > 0.6:
        odds[5] *= 3
    style = str(rng.choice(styles, p=odds / odds.sum()))
    grey = age > 0.6 and rng.random() < 0.75
    natural = rng.uniform(0, 0.25) if skin_at > 0.45 else rng.uniform(0, 0.75)
    colour = _ramp(HAIRS, rng.uniform(0.83, 1) if grey else natural, rng, 0.08)
    if rng.random() < 0.03:
        colour = _vivid(rng, 0.4, 0.9, 0.9)
    volume = {"crop": 0.02, "short": 0.06, "curly": 0.13, "afro": 0.24, "beanie": 0.05, "ring": 0.02}.get(style, 0.055)
    length = {
        "bob": rng.uniform(0.55, 1.0),
        "long": rng.uniform(1.1, 1.75),
        "curly": rng.uniform(0.2, 0.9) if woman else 0.15,
    }
    fringe = rng.random() < (0.3 if style in ("bob", "long", "short", "curly") else 0.0)
    line = rng.uniform(-0.42, -0.22) if fringe else rng.uniform(-0.72, -0.56)
    parting = float(rng.choice([0.0, 0.35, -0.35, 0.55, -0.55]) + rng.normal(0, 0.06))
    return Hair(style, colour, volume * rng.uniform(0.8, 1.3), float(length.get(style, 0.12)), float(line), parting,
                float(rng.uniform(0, 1)), not fringe and bool(rng.random() < 0.55))  # fmt: skip


def _beard(rng: np.random.Generator, woman: bool) -> str:
    kinds, odds = ("none", "stubble", "moustache", "goatee", "full"), (0.42, 0.25, 0.07, 0.08, 0.18)
    return "none" if woman else str(rng.choice(kinds, p=odds))


def _light(rng: np.random.Generator) -> tuple[Colour, Colour, float]:
    direction = np.array([rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.05), rng.uniform(0.55, 1.2)])
    direction /= np.linalg.norm(direction)
    x, y, z = direction.round(4).tolist()
    warmth = rng.normal(0, 0.04)
    return (x, y, z), _colour(np.array([1 + warmth, 1, 1 - warmth])), round(float(rng.uniform(0.42, 0.75)), 3)


def _teeth(rng: np.random.Generator) -> Colour:
    yellow = np.array([0, 0.01, 0.05]) * rng.uniform(0, 1.5)
    return _colour(np.array([0.93, 0.90, 0.84]) * rng.uniform(0.85, 1.04) - yellow)


def random_identity(rng: np.random.Generator) -> Identity:
    """A person of any skin, age and style.

    Args:
        rng: Where the chance comes from; the same state gives the same identity.
    """
    woman, age, skin_at = bool(rng.random() < 0.5), float(rng.beta(1.1, 1.6)), float(rng.uniform(0, 1))
    skin = _ramp(SKINS, skin_at, rng, 0.05)
    makeup = float(rng.uniform(0.2, 1)) if woman and rng.random() < 0.6 else 0.0
    rose = _colour(np.array(skin) * np.array([0.86, 0.60, 0.60]) + np.array([0.04, 0.0, 0.01]))
    lips = mix(rose, _vivid(rng, 0.45, 0.8, 0.2), 0.1)
    if makeup > 0.4:
        lips = mix(
            lips,
            _colour(np.array([rng.uniform(0.5, 0.85), rng.uniform(0.05, 0.35), rng.uniform(0.15, 0.4)])),
            rng.uniform(0.3, 0.9),
        )
    hair = _hair(rng, woman, age, skin_at)
    brow = mix(hair.colour, (0.09, 0.07, 0.06), rng.uniform(0.2, 0.7))
    iris = _ramp(IRISES, float(rng.uniform(0, 0.3) if skin_at > 0.5 else rng.uniform(0, 1)), rng, 0.06)
    light, key, ambient = _light(rng)
    wall = _vivid(rng, 0.15, 0.98, 0.6)
    glasses = str(rng.choice(("round", "square", "half"))) if rng.random() < 0.16 else "none"
    scale = float(np.clip(rng.normal(0.385, 0.035), 0.31, 0.46))
    framing = Framing(
        round(scale, 4), round(float(rng.normal(0.5, 0.02)), 4), round(0.5 - scale * rng.uniform(0.02, 0.3), 4)
    )
    return Identity(
        seed=int(rng.integers(2**31)), traits=_traits(rng), framing=framing, skin=skin, lips=lips, iris=iris, age=age,
        hair=hair, brow=brow, brow_weight=float(rng.uniform(0.35, 0.8) if woman else rng.uniform(0.6, 1.2)),
        beard=_beard(rng, woman), beard_colour=mix(hair.colour, (0.1, 0.07, 0.06), rng.uniform(0, 0.5)),
        makeup=makeup, lashes=float(rng.uniform(0.5, 1) if woman else rng.uniform(0.1, 0.5)),
        freckles=float(rng.uniform(0.3, 1)) if skin_at < 0.4 and rng.random() < 0.2 else 0.0,
        teeth=_teeth(rng),
        glasses=glasses, glasses_colour=_vivid(rng, 0.03, 0.45, 0.6),
        earring=float(rng.uniform(0.015, 0.04)) if woman and rng.random() < 0.4 else 0.0,
        clothes=str(rng.choice(CLOTHES)), cloth=_vivid(rng, 0.05, 0.95, 0.7), trim=_vivid(rng, 0.1, 1.0, 0.5),
        shoulders=float(rng.uniform(1.15, 1.35) if woman else rng.uniform(1.3, 1.6)), room=str(rng.choice(ROOMS)),
        walls=(wall, mix(wall, _vivid(rng, 0.1, 0.95, 0.6), rng.uniform(0.2, 0.9))), light=light, key=key,
        ambient=ambient, gloss=float(rng.uniform(0.05, 0.5)),
    )  # fmt: skip
