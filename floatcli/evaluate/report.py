"""The figures of prepared clips as tables for people: the paper's columns, and ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from floatcli.evaluate.clips import CROSS, GROUPS, RECONSTRUCTION, SPEECH, TRUE
from floatcli.evaluate.pictures import Figures
from floatcli.evaluate.settings import PAPER

#: How figures are written, by how their names end.
_FORMS = {
    "PSNR": "{:.2f} dB",
    "offset, frames": "{:+.1f}",
    "offset, ms": "{:+.0f}",
    "range": "{:.1f}°",
    "jerk": "{:.0f}",
    "blinks a minute": "{:.0f}",
}


def tables(figures: Mapping[str, Figures]) -> str:
    """Markdown of ``evaluate_clips``' figures; what nothing tells is blank."""
    names = dict.fromkeys(name for group in GROUPS for name in figures[group] if name not in PAPER)
    paper = [[group, *_cells(figures[group], PAPER)] for group in (SPEECH, CROSS, RECONSTRUCTION, TRUE)]
    ours = [[name, *(_cell(name, figures[group].get(name)) for group in GROUPS)] for name in names]
    return "\n\n".join([_table(["", *PAPER], paper), _table(["", *GROUPS], ours)])


def _cells(figures: Figures, names: Iterable[str]) -> list[str]:
    return [_cell(name, figures.get(name)) for name in names]


def _cell(name: str, value: float | None) -> str:
    form = next((form for ending, form in _FORMS.items() if name.endswith(ending)), "{:.3f}")
    return "" if value is None else form.format(value)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
