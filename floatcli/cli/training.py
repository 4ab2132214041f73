"""What people see of a training: a table that is kept up to date, or lines where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table

from floatcli.cli import console

if TYPE_CHECKING:
    from floatcli.train.report import Report


class TrainingTable:
    """A row for every part: how far it is, its losses, the rate, the time left. Lines appear above it."""

    def __init__(self, live: Live | None):
        self._live = live
        self._rows: dict[str, Report] = {}

    def __call__(self, line: str) -> None:
        """Show a line, or a ``Report`` as its part's row."""
        from floatcli.train.report import Report

        if self._live is None:
            console.say(line)
        elif isinstance(line, Report):
            self._rows[line.part] = line
            self._live.update(self.table(), refresh=True)
        else:
            self._live.console.print(f"floatcli: {line}", markup=False, highlight=False, soft_wrap=True)

    def table(self) -> Table:
        """All parts so far."""
        table = Table(box=None, pad_edge=False)
        for title in ("part", "step", "losses", "rate", "s/step", "left"):
            table.add_column(title, justify="left" if title in ("part", "losses") else "right", no_wrap=True)
        for part, told in self._rows.items():
            losses = "  ".join(f"{name} {value:.4f}" for name, value in told.losses.items())
            left = str(timedelta(seconds=round((told.steps - told.step) * told.pace)))
            table.add_row(part, f"{told.step}/{told.steps}", losses, f"{told.rate:.1e}", f"{told.pace:.3f}", left)
        return table


@contextmanager
def training_table() -> Iterator[TrainingTable]:
    """The table on stderr meanwhile, where that is a terminal."""
    if not sys.stderr.isatty():
        yield TrainingTable(None)
        return
    with Live(console=Console(stderr=True), auto_refresh=False) as live:
        yield TrainingTable(live)
