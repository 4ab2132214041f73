"""Random looks: everything about a drawn person, the clothes, the light and the room that does not move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floatcli.train.drawn.camera import Camera, random_camera
from floatcli.train.drawn.colour import Colour, clipped, mix, ramp, vivid
from floatcli.train.drawn.expression import TRAIT_NAMES
from floatcli.train.drawn.light import Lighting, random_lighting
from floatcli.train.drawn.pose import Framing

SKINS = ((255, 226, 208), (246, 206, 178), (232, 184, 150), (214, 160, 122), (190, 132, 94), (162, 110, 80),
         (130, 88, 66), (104, 70, 54), (84, 57, 46))  # fmt: skip
HAIRS = ((18, 15, 14), (38, 26, 20), (62, 40, 27), (92, 60, 36), (128, 86, 50), (170, 124, 74), (206, 168, 112),
         (228, 202, 152), (150, 66, 32), (112, 44, 28), (140, 138, 136), (196, 194, 190), (232, 230, 226))  # fmt: skip
IRISES = ((52, 30, 18), (78, 48, 26), (104, 70, 38), (120, 104, 60), (86, 110, 78), (82, 118, 148), (110, 150, 184),
          (120, 128, 134))  # fmt: skip
STYLES = ("crop", "short", "bob", "long", "curly", "afro", "bun", "beanie", "bald", "ring")  # of hair
CLOTHES = ("crew", "vee", "shirt", "suit", "polo", "hoodie")
PLACES = ("studio", "wall", "room", "street", "foliage", "open air", "lights", "plain")
_PLACE_ODDS = (0.2, 0.12, 0.22, 0.12, 0.12, 0.1, 0.05, 0.07)
BEARDS = ("none", "stubble", "moustache", "goatee", "full", "long")
_BEARD_ODDS = (0.34, 0.2, 0.11, 0.11, 0.16, 0.08)
GLASSES = ("none", "round", "square", "half", "rimless", "aviator", "cat-eye", "thick")


@dataclass(frozen=True)
class Hair:
    """Hair of the head, of one of STYLES (ring: around a bald crown); lengths in head units."""

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
    beard: str  # of BEARDS
    beard_colour: Colour
    makeup: float  # 0 none, 1 strong
    lashes: float
    freckles: float
    teeth: Colour
    glasses: str  # of GLASSES
    glasses_colour: Colour
    glare: float  # of their lenses, 0 none
    earring: float  # radius, 0 for none
    clothes: str
    cloth: Colour
    trim: Colour
    shoulders: float  # half width
    place: str  # of PLACES
    walls: tuple[Colour, Colour]
    blur: float  # how far the place is out of focus, widths of the picture
    lighting: Lighting
    camera: Camera
    gloss: float


def _traits(rng: np.random.Generator) -> tuple[float, ...]:
    """Photographic proportions for most; one in eight is drawn with large eyes, as pictures in books are."""
    values = dict(zip(TRAIT_NAMES, np.clip(rng.normal(0, 0.95, len(TRAIT_NAMES)), -2.2, 2.2).tolist(), strict=True))
    values["mouth_turn"] += 1.7  # a face at rest is not a sad one
    if rng.random() < 0.12:
        values["eye_width"] += rng.uniform(1, 3.5)
        values["eye_open"] += rng.uniform(1, 4)
    return tuple(round(v, 4) for v in values.values())


def _hair(rng: np.random.Generator, woman: bool, age: float, skin_at: float) -> Hair:
    odds = np.array(
        [1, 3, 4, 7, 2.5, 0.6, 2, 0.5, 0.1, 0] if woman else [5, 8, 0.4, 1, 2, 0.8, 0.4, 0.8, 2, 1 + 2 * age]
    )
    if skin_at > 0.6:
        odds[5] *= 3
    style = str(rng.choice(STYLES, p=odds / odds.sum()))
    grey = age > 0.6 and rng.random() < 0.75
    natural = rng.uniform(0, 0.25) if skin_at > 0.45 else rng.uniform(0, 0.82)
    colour = ramp(HAIRS, rng.uniform(0.83, 1) if grey else natural, rng, 0.08)
    if rng.random() < 0.03:
        colour = vivid(rng, 0.4, 0.9, 0.9)
    volume = {"crop": 0.02, "short": 0.085, "curly": 0.13, "afro": 0.24, "beanie": 0.05, "ring": 0.02}.get(style, 0.075)
    length = {
        "bob": rng.uniform(0.55, 1.0),
        "long": rng.uniform(1.1, 1.75),
        "curly": rng.uniform(0.2, 0.9) if woman else 0.15,
    }
    fringe = rng.random() < (0.22 if style in ("bob", "long", "short", "curly") else 0.0)
    line = rng.uniform(-0.42, -0.22) if fringe else rng.uniform(-0.72, -0.56)
    parting = float(rng.choice([0.0, 0.35, -0.35, 0.55, -0.55]) + rng.normal(0, 0.06))
    return Hair(style, colour, volume * rng.uniform(0.7, 1.6), float(length.get(style, 0.12)), float(line), parting,
                float(rng.uniform(0, 1)), not fringe and bool(rng.random() < 0.75))  # fmt: skip


def _beard(rng: np.random.Generator, woman: bool) -> str:
    return "none" if woman else str(rng.choice(BEARDS, p=_BEARD_ODDS))


def _teeth(rng: np.random.Generator) -> Colour:
    yellow = np.array([0, 0.01, 0.05]) * rng.uniform(0, 1.5)
    return clipped(np.array([0.93, 0.90, 0.84]) * rng.uniform(0.85, 1.04) - yellow)


def random_identity(rng: np.random.Generator) -> Identity:
    """A person of any skin, age and style.

    Args:
        rng: Where the chance comes from; the same state gives the same identity.
    """
    woman, age, skin_at = (
        bool(rng.random() < 0.5),
        float(rng.beta(1.0, 1.15)),
        float(np.clip(rng.uniform(-0.06, 1.06), 0, 1)),
    )
    skin = ramp(SKINS, skin_at, rng, 0.05)
    makeup = float(rng.uniform(0.2, 1)) if woman and rng.random() < 0.6 else 0.0
    rose = clipped(np.array(skin) * np.array([0.86, 0.60, 0.60]) + np.array([0.04, 0.0, 0.01]))
    lips = mix(rose, vivid(rng, 0.45, 0.8, 0.2), 0.1)
    if makeup > 0.4:
        lips = mix(
            lips,
            clipped(np.array([rng.uniform(0.5, 0.85), rng.uniform(0.05, 0.35), rng.uniform(0.15, 0.4)])),
            rng.uniform(0.3, 0.9),
        )
    hair = _hair(rng, woman, age, skin_at)
    brow = mix(hair.colour, (0.09, 0.07, 0.06), rng.uniform(0.35, 0.8))
    iris = ramp(IRISES, float(rng.uniform(0, 0.3) if skin_at > 0.5 else rng.uniform(0, 1)), rng, 0.06)
    wall = vivid(rng, 0.15, 0.98, 0.6)
    glasses = str(rng.choice(GLASSES[1:])) if rng.random() < 0.28 else "none"
    blur = float(rng.choice([0.004, 0.012, 0.025, 0.04]) * rng.uniform(0.7, 1.3))
    scale = float(np.clip(rng.normal(0.375, 0.04), 0.29, 0.47))
    framing = Framing(
        round(scale, 4), round(float(rng.normal(0.5, 0.035)), 4), round(0.5 - scale * rng.uniform(-0.05, 0.32), 4)
    )
    return Identity(
        seed=int(rng.integers(2**31)), traits=_traits(rng), framing=framing, skin=skin, lips=lips, iris=iris, age=age,
        hair=hair, brow=brow, brow_weight=float(rng.uniform(0.35, 0.8) if woman else rng.uniform(0.6, 1.2)),
        beard=_beard(rng, woman), beard_colour=mix(hair.colour, (0.1, 0.07, 0.06), rng.uniform(0, 0.5)),
        makeup=makeup, lashes=float(rng.uniform(0.5, 1) if woman else rng.uniform(0.1, 0.5)),
        freckles=float(rng.uniform(0.3, 1)) if skin_at < 0.4 and rng.random() < 0.2 else 0.0,
        teeth=_teeth(rng),
        glasses=glasses, glasses_colour=vivid(rng, 0.03, 0.45, 0.6), glare=float(rng.beta(1, 2)),
        earring=float(rng.uniform(0.015, 0.04)) if woman and rng.random() < 0.4 else 0.0,
        clothes=str(rng.choice(CLOTHES)), cloth=vivid(rng, 0.05, 0.95, 0.7), trim=vivid(rng, 0.1, 1.0, 0.5),
        shoulders=float(rng.uniform(1.15, 1.35) if woman else rng.uniform(1.3, 1.6)),
        place=str(rng.choice(PLACES, p=_PLACE_ODDS)),
        walls=(wall, mix(wall, vivid(rng, 0.1, 0.95, 0.6), rng.uniform(0.2, 0.9))), blur=round(blur, 4),
        lighting=random_lighting(rng), camera=random_camera(rng), gloss=float(rng.uniform(0.08, 0.45) + 0.25 * skin_at),
    )  # fmt: skip
