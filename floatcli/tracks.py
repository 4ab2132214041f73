"""Emotion over time, as a CSV file: a column ``time`` in seconds, then a share for each emotion. Imports no torch.

``poses`` reads the head's pose in the same way.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from floatcli.checks import text_of
from floatcli.errors import InputError
from floatcli.files import replacing

_OFF = 1e-3  # how far shares may be from adding up to 1: files are written by hand and rounded


@dataclass(frozen=True, eq=False)
class EmotionTrack:
    """Mixtures of emotions at times; linear between them, held before the first and after the last.

    Attributes:
        labels: The emotions, in the order of the columns.
        times: (n,) seconds, rising.
        shares: (n, E), from 0 up, each row adding up to 1.
    """

    labels: tuple[str, ...]
    times: np.ndarray
    shares: np.ndarray

    def frames(self, count: int, fps: int) -> np.ndarray:
        """Mixtures (count, E) float32 at the beginning of every frame."""
        at = np.arange(count) / fps
        shares = np.empty((count, len(self.labels)), np.float32)
        for k, column in enumerate(self.shares.T):
            shares[:, k] = np.interp(at, self.times, column)
        return shares

    def save(self, path: str | Path) -> Path:
        """Write the track through a temporary sibling. Raises InputError where the place can't be written to."""
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["time", *self.labels])
            for time, row in zip(self.times, self.shares, strict=True):
                writer.writerow([round(float(time), 6), *(f"{share:.6f}" for share in row)])
        return Path(path)


def spans_of(samples: int, length: int, step: int) -> list[tuple[int, int]]:
    """Windows of ``length`` samples, ``step`` apart and one flush with the end; of less sound, all of it."""
    last = max(0, samples - length)
    return [(start, min(start + length, samples)) for start in sorted({*range(0, last + 1, step), last})]


def read_track(path: str | Path, labels: Sequence[str]) -> EmotionTrack:
    """A track for a model that knows ``labels``; emotions without a column have no share.

    Raises:
        InputError: the file is missing or empty, or a line of it, which is named, cannot be meant.
    """
    names, numbers, values = read_table(path, labels, "emotion", "happy")
    _check_shares(path, numbers, values[:, 1:])
    shares = np.zeros((len(values), len(labels)))
    shares[:, names] = values[:, 1:] / values[:, 1:].sum(1, keepdims=True)
    return EmotionTrack(tuple(labels), values[:, 0], shares)


def read_table(
    path: str | Path, known: Sequence[str], what: str, example: str
) -> tuple[list[int], list[int], np.ndarray]:
    """A CSV file with a column ``time``, rising from 0, and others of known names, in any order.

    Args:
        path: The file.
        known: What columns may be called, in any case.
        what: What a column is of.
        example: One of the known, for what is said of files that can't be meant.

    Returns:
        Which of the known each column after the first is; the lines' numbers; and their values (n, 1 + columns).

    Raises:
        InputError: the file is missing or empty, or a line of it, which is named, cannot be meant.
    """
    path = Path(path)
    try:
        lines = text_of(path, f"track of {what}s").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a track of {what}s: {error}", "save it as UTF-8 CSV") from error
    reader = csv.reader(lines)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}", "give a CSV file") from error
    if not rows:
        raise InputError(f"{path}, line 1: the file is empty", f"it starts with a line time,{example},...")
    columns = _columns(path, *rows[0], known, what, example)
    if len(rows) < 2:
        raise InputError(f"{path}, line 2: there are no rows", "below its first line, give times and values: 0,1,0")
    table = np.array([_row(path, number, row, len(columns)) for number, row in rows[1:]])
    for k in np.flatnonzero(np.diff(table[:, 0]) <= 0)[:1]:
        said = f"{path}, line {rows[k + 2][0]}: {table[k + 1, 0]:g} s does not come after {table[k, 0]:g} s"
        raise InputError(said, "sort the lines by time, each time once")
    return columns, [number for number, _ in rows[1:]], table


def _columns(path: Path, number: int, header: list[str], labels: Sequence[str], what: str, example: str) -> list[int]:
    """Which label each column after the first is of."""
    names = [cell.strip().casefold() for cell in header]
    known = [label.casefold() for label in labels]
    if names[0] != "time":
        said = f"{path}, line {number}: the first column is {header[0]!r}, not time"
        raise InputError(said, f"start with time,{example}")
    for name in names[1:]:
        if name not in known:
            said = f"{path}, line {number}: the model knows no {what} {name!r}"
            raise InputError(said, f"choose from {', '.join(labels)}")
    if len(set(names)) < len(names) or len(names) < 2:
        raise InputError(f"{path}, line {number}: every {what} needs one column", f"as in time,{','.join(labels[:2])}")
    return [known.index(name) for name in names[1:]]


def _row(path: Path, number: int, cells: list[str], count: int) -> list[float]:
    """Time and values of one line."""
    where = f"{path}, line {number}"
    if len(cells) != count + 1:
        raise InputError(f"{where}: {len(cells)} values for {count + 1} columns", "give every column one value")
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        raise InputError(f"{where}: {','.join(cells)!r} are not all numbers", "as in 0.5,0.8,0.2") from None
    if not all(map(math.isfinite, values)):
        raise InputError(f"{where}: {','.join(cells)!r} are not all finite", "as in 0.5,0.8,0.2")
    if values[0] < 0:
        raise InputError(f"{where}: {values[0]:g} is negative", "times start at 0")
    return values


def _check_shares(path: str | Path, numbers: list[int], shares: np.ndarray) -> None:
    """Raise InputError for the first line whose shares, of (n, E), are no mixture of emotions."""
    with np.errstate(over="ignore", invalid="ignore"):  # of shares of 1e308
        sums = shares.sum(1)
    wrong = (shares.min(1) < 0) | ~(abs(sums - 1) <= _OFF)
    for k in np.flatnonzero(wrong)[:1]:
        where = f"{path}, line {numbers[k]}"
        if shares[k].min() < 0:
            raise InputError(f"{where}: {shares[k].min():g} is negative", "shares start at 0")
        raise InputError(f"{where}: the shares add up to {sums[k]:g}, not 1", "let them add up to 1")
