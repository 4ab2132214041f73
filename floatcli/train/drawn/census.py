"""Who is drawn: people counted by what should be balanced among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from floatcli.train.drawn.colour import Colour
from floatcli.train.drawn.identity import BEARDS, GLASSES, HAIRS, PLACES, SKINS, STYLES, Identity
from floatcli.train.drawn.light import KINDS

AGES = ("young", "middle", "old")
_HAIR_COLOURS = ("black", "black", "brown", "brown", "brown", "fair", "fair", "fair", "red", "red", "grey", "grey",
                 "white")  # fmt: skip
#: Traits that are counted, and the values they have.
TRAITS: dict[str, tuple[str, ...]] = {
    "skin tone": tuple(f"{k + 1} of {len(SKINS)}" for k in range(len(SKINS))),
    "age": AGES, "hair": STYLES, "hair colour": tuple(dict.fromkeys(_HAIR_COLOURS)),
    "beard": BEARDS, "glasses": GLASSES, "light": KINDS, "place": PLACES,
    "camera": ("clean", "noisy", "compressed", "noisy and compressed"),
}  # fmt: skip


def skin_tone(identity: Identity) -> int:
    """The nearest tone of SKINS, from 0, the lightest."""
    return _nearest(identity.skin, SKINS)


def traits_of(identity: Identity) -> dict[str, str]:
    """An identity's value of each of TRAITS."""
    camera = (("noisy",) if identity.camera.noise else ()) + (("compressed",) if identity.camera.quality < 100 else ())
    return {
        "skin tone": TRAITS["skin tone"][skin_tone(identity)],
        "age": AGES[min(int(identity.age * len(AGES)), len(AGES) - 1)],
        "hair": identity.hair.style,
        "hair colour": _HAIR_COLOURS[_nearest(identity.hair.colour, HAIRS)],
        "beard": identity.beard,
        "glasses": identity.glasses,
        "light": identity.lighting.kind,
        "place": identity.place,
        "camera": " and ".join(camera) or "clean",
    }


def census(people: Iterable[Identity]) -> dict[str, dict[str, int]]:
    """How many of the people have each value of each trait, zeros included."""
    counts = {trait: Counter(dict.fromkeys(values, 0)) for trait, values in TRAITS.items()}
    for person in people:
        for trait, value in traits_of(person).items():
            counts[trait][value] += 1
    return {trait: dict(counter) for trait, counter in counts.items()}


def table(counts: dict[str, dict[str, int]]) -> str:
    """The counts as lines of text, one a trait."""
    wide = max(map(len, counts))
    return "\n".join(
        f"{trait:{wide}}  " + ", ".join(f"{value} {count}" for value, count in found.items())
        for trait, found in counts.items()
    )


def _nearest(colour: Colour, table: tuple[tuple[int, int, int], ...]) -> int:
    return int(np.square(np.array(table) / 255 - colour).sum(1).argmin())
