"""Every variant with every seed in a folder of its own: what is there is not done again, what was stopped goes on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.ablations.motion import MotionBench, MotionScale
from benchmarks.ablations.pictures import PicturesBench, PicturesScale
from benchmarks.ablations.variants import MOTION, PICTURES, Variant
from floatcli.errors import InputError
from floatcli.evaluate.drawn_faces import Figures
from floatcli.files import replacing


@dataclass(frozen=True)
class Scale:
    """How small it all is."""

    motion: MotionScale = MotionScale()
    pictures: PicturesScale = PicturesScale()
    seeds: int = 2


class Bench(Protocol):
    """Trains and measures variants of one kind."""

    def figures(self, variant: Variant, seed: int, run: Path) -> dict[str, Figures]:
        """Figures by the name of their row."""


def ablate(scale: Scale, folder: Path, only: Sequence[str], log: Callable[[str], None]) -> dict[str, list[Figures]]:
    """Figures of every row, one for each seed.

    Args:
        scale: How small.
        folder: Of the runs, those of motion and those of pictures in one each.
        only: Names of the variants to run; none are all.
        log: Receives what is being done.

    Raises:
        InputError: the folder holds runs of another scale.
    """
    rows: dict[str, list[Figures]] = {}
    kinds: list[tuple[str, MotionScale | PicturesScale, Sequence[Variant], Callable[..., Bench]]] = [
        ("motion", scale.motion, MOTION, MotionBench),
        ("pictures", scale.pictures, PICTURES, PicturesBench),
    ]
    for kind, size, variants, open_bench in kinds:
        chosen = [variant for variant in variants if not only or variant.name in only]
        if chosen:
            _stamp(size, folder / kind)
        bench: Bench | None = None
        for variant in chosen:
            for seed in range(scale.seeds):
                place = folder / kind / f"{variant.slug}-{seed}" / "figures.json"
                if not place.exists():
                    bench = bench or open_bench(size, folder / kind, log)
                    log(f"{variant.name}, seed {seed}")
                    _write(bench.figures(variant, seed, place.parent), place)
                for row, figures in json.loads(place.read_text()).items():
                    rows.setdefault(row, []).append(figures)
    return rows


def _stamp(size: MotionScale | PicturesScale, folder: Path) -> None:
    """Marks the runs of one kind with their scale, or finds them marked so. More seeds may come later."""
    made = folder / "made.json"
    stamp = json.dumps(dataclasses.asdict(size))
    if made.exists() and made.read_text() != stamp:
        raise InputError(f"{folder} holds runs of another scale", "remove it, or name another folder with --run")
    folder.mkdir(parents=True, exist_ok=True)
    made.write_text(stamp)


def _write(rows: dict[str, Figures], place: Path) -> None:
    with replacing(place) as temporary:
        temporary.write_text(json.dumps(rows, indent=1))
