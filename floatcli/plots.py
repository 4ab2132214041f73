"""Curves over time, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from floatcli.files import replacing
from floatcli.tracks import EmotionTrack

WIDTH, ROW, LEFT, TOP = 1280, 58, 130, 12
_FINE = 2  # drawn larger by this, then scaled down: smooth lines
BEFORE, AFTER = "#9aa0a6", "#d9480f"


class Plot:
    """Rows of curves over one time axis.

    Args:
        seconds: Length of the axis.
        rows: How many rows there will be.
    """

    def __init__(self, seconds: float, rows: int):
        self.seconds, self.rows = seconds, rows
        size = (WIDTH * _FINE, (TOP + ROW * rows + 34) * _FINE)
        self._image = Image.new("RGB", size, "white")
        self._pen = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(13 * _FINE)
        self._axis()

    def curve(self, row: int, values: np.ndarray, low: float, high: float, colour: str, width: int = 1) -> None:
        """A curve (T,) that spans the axis; ``low`` and ``high`` are the row's edges."""
        x = np.linspace(LEFT, WIDTH - 16, len(values))
        y = self._bottom(row) - 6 - (np.clip(values, low, high) - low) / max(high - low, 1e-9) * (ROW - 12)
        points = (np.stack([x, y], 1) * _FINE).ravel().tolist()
        self._pen.line(points, colour, width * _FINE, joint="curve")

    def fill(self, row: int, low: np.ndarray, high: np.ndarray, colour: str) -> None:
        """The band between two curves (T,) in shares of the row's height."""
        x = np.linspace(LEFT, WIDTH - 16, len(low))
        edges = [self._bottom(row) - 6 - values * (ROW - 12) for values in (low, high[::-1])]
        points = np.stack([np.concatenate([x, x[::-1]]), np.concatenate(edges)], 1) * _FINE
        self._pen.polygon(points.ravel().tolist(), colour)

    def label(self, row: int, text: str, colour: str = "black") -> None:
        """Words to the left of a row."""
        self._pen.text((10 * _FINE, (self._bottom(row) - ROW / 2) * _FINE), text, colour, self._font, "lm")

    def save(self, path: Path) -> None:
        """Write the plot."""
        width, height = self._image.size
        with replacing(path) as temporary:
            self._image.resize((width // _FINE, height // _FINE), Image.Resampling.LANCZOS).save(temporary)

    def _bottom(self, row: int) -> float:
        return TOP + ROW * (row + 1)

    def _axis(self) -> None:
        step = next(step for step in (0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 1e9) if self.seconds / step <= 14)
        for tick in np.arange(0, self.seconds + 1e-6, step):
            x = LEFT + tick / self.seconds * (WIDTH - 16 - LEFT)
            self._pen.line([x * _FINE, TOP * _FINE, x * _FINE, self._bottom(self.rows - 1) * _FINE], "#eeeeee", _FINE)
            self._pen.text(
                (x * _FINE, (self._bottom(self.rows - 1) + 14) * _FINE), f"{tick:g} s", "grey", self._font, "mm"
            )


def plot_coefficients(
    path: Path, before: np.ndarray, after: np.ndarray, names: Sequence[str], sound: np.ndarray, seconds: float
) -> None:
    """Draw coefficients against the waveform: as they were in grey, as they became in orange.

    Args:
        path: The picture to write.
        before: (T, M).
        after: (T, M).
        names: Of the M coefficients.
        sound: Samples (n,) of the whole clip.
        seconds: How long it is.
    """
    plot = Plot(seconds, before.shape[1] + 1)
    plot.label(0, "speech")
    plot.fill(0, *envelope(sound), "#4c6ef5")
    for k, name in enumerate(names):
        changed = bool(np.abs(before[:, k] - after[:, k]).max() > 1e-4)
        both = np.concatenate([before[:, k], after[:, k]])
        middle, half = (both.max() + both.min()) / 2, max(float(np.ptp(both)) / 2, 0.05)
        plot.label(k + 1, name, AFTER if changed else "black")
        plot.curve(k + 1, before[:, k], middle - half, middle + half, BEFORE)
        if changed:
            plot.curve(k + 1, after[:, k], middle - half, middle + half, AFTER, 2)
    plot.save(path)


def envelope(sound: np.ndarray, columns: int = 800) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest of every stretch of samples (n,), as shares of a row's height about its middle."""
    pieces = np.array_split(sound / max(float(np.abs(sound).max()), 1e-6), min(columns, len(sound)))
    low, high = (np.array([of(piece) for piece in pieces]) for of in (np.min, np.max))
    return 0.5 + 0.48 * low, 0.5 + 0.48 * high


def plot_track(path: Path, track: EmotionTrack, sound: np.ndarray, seconds: float) -> None:
    """Draw shares of emotions over time against the waveform (n,) of ``seconds``."""
    plot = Plot(seconds, len(track.labels) + 1)
    plot.label(0, "speech")
    plot.fill(0, *envelope(sound), "#4c6ef5")
    shares = track.frames(max(2, round(25 * seconds)), 25)
    for k, label in enumerate(track.labels):
        plot.label(k + 1, label)
        plot.fill(k + 1, np.zeros(len(shares)), shares[:, k], "#ffa94d")
    plot.save(path)
