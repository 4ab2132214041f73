"""The paper's ablations on the drawn set: trains what is not trained yet, measures, and writes one table and one plot.

    python -m benchmarks.ablations [--seeds N] [--only NAME ...] [--run FOLDER] [-o FOLDER]

Runs are kept, and those that were stopped go on. With --only, which may be given in several terminals at once when the
data is made, nothing is written but the runs.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.ablations.report import plot, table
from benchmarks.ablations.runs import Scale, ablate
from benchmarks.ablations.variants import MOTION, PICTURES
from floatcli.errors import FloatCliError

SCALE = Scale()
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [variant.name for variant in (*MOTION, *PICTURES)]
    parser.add_argument("--run", type=Path, default=Path("runs/ablations"), help="folder of data and checkpoints")
    parser.add_argument("--seeds", type=int, default=SCALE.seeds, help="runs of each variant")
    parser.add_argument("--only", action="append", default=[], choices=names, help="this variant; repeatable")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent, help="folder of README and plot")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    try:
        rows = ablate(replace(SCALE, seeds=asked.seeds), asked.run, asked.only, _say)
    except FloatCliError as error:
        sys.exit(str(error))
    if not asked.only:
        plot(rows, asked.output / "plot.png")
        write_table(f"{_machine()}, seeds 0 to {asked.seeds - 1}.\n\n{table(rows)}", asked.output / "README.md")


def write_table(text: str, readme: Path) -> None:
    """Puts the table into the README's place for it, or at its end."""
    whole = readme.read_text("utf-8") if readme.exists() else ""
    before, _, rest = whole.partition(_BEGIN)
    after = rest.partition(_END)[2]
    readme.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", "utf-8")


def _machine() -> str:
    return f"{time.strftime('%d %B %Y')}, one core of {platform.machine()}, torch {torch.__version__}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
