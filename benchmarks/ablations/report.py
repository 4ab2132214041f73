"""One table and one plot of all figures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from floatcli.evaluate.drawn_faces import Figures
from floatcli.files import replacing

#: Figures of every row, one for each seed.
Rows = Mapping[str, Sequence[Figures]]


class Column(NamedTuple):
    """A figure: its key, its words, and how it is written."""

    key: str
    words: str
    form: str


COLUMNS = (
    Column("jaw_r", "jaw, r", "{:.3f}"),
    Column("velocity", "velocity", "{:.2f}"),
    Column("jerk", "jerk", "{:.2f}"),
    Column("frechet", "Frechet", "{:.2f}"),
    Column("told", "told", "{:.2f}"),
    Column("ms", "ms", "{:.0f}"),
    Column("psnr_face", "PSNR, face", "{:.2f}"),
    Column("psnr_head", "PSNR, head", "{:.2f}"),
    Column("gain_everything", "gain, all", "{:.2f}"),
)


def bases(rows: Rows) -> dict[str, str]:
    """The row that each row is compared with: the first of its kind, pictures or motion."""
    first = {kind: next((name for name in rows if kind in rows[name][0]), "") for kind in ("jaw_r", "psnr_face")}
    return {name: first["jaw_r" if "jaw_r" in found[0] else "psnr_face"] for name, found in rows.items()}


def apart(values: Sequence[float], others: Sequence[float]) -> bool:
    """Whether values of all seeds lie on one side of all others: only then is a difference told."""
    return len(values) > 1 and (min(values) > max(others) or max(values) < min(others))


def table(rows: Rows) -> str:
    """Markdown: means over seeds and half of their range; in bold what lies apart from the base's."""
    lines = [f"| | {' | '.join(column.words for column in COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    base = bases(rows)
    for name, found in rows.items():
        cells = [_cell(column, found, rows[base[name]]) for column in COLUMNS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(column: Column, found: Sequence[Figures], base: Sequence[Figures]) -> str:
    values = [figures[column.key] for figures in found if column.key in figures]
    if not values:
        return ""
    said = column.form.format(statistics.mean(values))
    if len(values) > 1:
        said += f" ± {column.form.format((max(values) - min(values)) / 2)}"
    told = column.key != "ms" and apart(values, [figures[column.key] for figures in base])  # whatever else runs
    return f"**{said}**" if told else said


_LEFT, _PANEL, _GAP, _ROW, _TOP, _FINE = 150, 118, 16, 15, 40, 2
_SEED, _BASE = "#d9480f", "#4c6ef5"


def plot(rows: Rows, path: Path) -> None:
    """Writes a PNG: a line a row, a panel a figure, a dot a seed, and the base's mean through every panel."""
    width = _LEFT + (_PANEL + _GAP) * len(COLUMNS)
    image = Image.new("RGB", (width * _FINE, (_TOP + _ROW * len(rows) + 10) * _FINE), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(11 * _FINE)
    for k, name in enumerate(rows):
        pen.text((8 * _FINE, _height(k)), name, "black", font, "lm")
    for k, column in enumerate(COLUMNS):
        _panel(pen, font, _LEFT + (_PANEL + _GAP) * k, column, rows)
    with replacing(path) as temporary:
        image.resize((width, image.height // _FINE), Image.Resampling.LANCZOS).save(temporary)


def _height(row: float) -> float:
    return (_TOP + _ROW * (row + 0.5)) * _FINE


def _panel(pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, left: int, column: Column, rows: Rows) -> None:
    """Dots of one figure; hollow at the edge where they lie beyond it."""
    values = {name: [f[column.key] for f in found if column.key in f] for name, found in rows.items()}
    everything = [value for of_row in values.values() for value in of_row]
    if not everything:
        return
    low, high = _edges(everything)

    def across(value: float) -> float:
        share = (min(max(value, low), high) - low) / max(high - low, 1e-9)
        return (left + 4 + share * (_PANEL - 8)) * _FINE

    bottom = (_TOP + _ROW * len(rows)) * _FINE
    pen.rectangle((left * _FINE, _TOP * _FINE, (left + _PANEL) * _FINE, bottom), outline="#dddddd", width=_FINE)
    pen.text(((left + _PANEL / 2) * _FINE, 10 * _FINE), column.words, "black", font, "mm")
    pen.text((left * _FINE, 28 * _FINE), column.form.format(low), "grey", font, "lm")
    pen.text(((left + _PANEL) * _FINE, 28 * _FINE), column.form.format(high), "grey", font, "rm")
    base = bases(rows)
    for k, (name, of_row) in enumerate(values.items()):
        if of_row:
            x = across(statistics.mean(values[base[name]]))
            pen.line((x, _height(k - 0.5), x, _height(k + 0.5)), _BASE, _FINE)
        for value in of_row:
            x, y, r = across(value), _height(k), 3 * _FINE
            pen.ellipse((x - r, y - r, x + r, y + r), _SEED if low <= value <= high else "white", _SEED, _FINE)


def _edges(values: Sequence[float]) -> tuple[float, float]:
    """A panel's edges: of all values but those far from most, which would press the others together."""
    lower, _, upper = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    reach = 3 * (upper - lower) or 1e-9
    near = [value for value in values if lower - reach <= value <= upper + reach]
    return min(near), max(near)
