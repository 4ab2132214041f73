"""Draws one person at rest, or a sheet of people in random motions, to a picture file.

``python -m floatcli.train.drawn OUT [--seed N] [--size PIXELS] [--sheet]``; ``examples/portrait.png`` is seed 420 as it
looked before LOOK 2 (``floatcli.train.drawn_data``).
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image

from floatcli.train.drawn import draw, random_identity, random_parameters
from floatcli.train.parameters import rest

SIDE = 5  # people along a sheet's side


def main() -> None:
    """Draw a person at rest, or a sheet of people in random motions."""
    parser = argparse.ArgumentParser(prog="python -m floatcli.train.drawn", description=main.__doc__)
    parser.add_argument("out", help="picture file to write")
    parser.add_argument("--seed", type=int, default=0, help="who is drawn")
    parser.add_argument("--size", type=int, default=512, help="side of one person's picture, pixels")
    parser.add_argument("--sheet", action="store_true", help="a sheet of people in random motions")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    if arguments.sheet:
        people = [draw(random_identity(rng), random_parameters(rng), arguments.size).picture for _ in range(SIDE**2)]
        rows = [np.hstack(people[k : k + SIDE]) for k in range(0, SIDE**2, SIDE)]
        picture = np.vstack(rows)
    else:
        picture = draw(random_identity(rng), rest(), arguments.size).picture
    Image.fromarray(picture).save(arguments.out)


if __name__ == "__main__":
    main()
