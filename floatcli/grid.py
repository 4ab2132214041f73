"""Several clips in one video, side by side, with words above columns and beside rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from floatcli.clip import Clip, ignore
from floatcli.config import VideoConfig
from floatcli.media.mark import mark
from floatcli.media.video import VideoWriter

CELL = 256  # pixels a side
_LEFT, _TOP = 110, 34


def save_grid(
    path: Path,
    clips: Sequence[Sequence[Clip]],
    rows: Sequence[str],
    columns: Sequence[str],
    video: VideoConfig = VideoConfig(),
    progress: Callable[[int, int], None] = ignore,
) -> Path:
    """Write clips of one speech as a labelled grid, frame by frame, with that speech.

    Args:
        path: The video.
        clips: By row, then by column; all equally long.
        rows: A word for each row, which may be empty.
        columns: A word for each column.
        video: How to encode.
        progress: Told the frames written so far and in all.

    Raises:
        UsageError, InputError, FfmpegError: as ``Clip.save``.
    """
    return save_cells(path, clips, clips[0][0], rows, columns, video, progress)


def save_cells(
    path: Path,
    cells: Sequence[Sequence[Iterable[np.ndarray]]],
    spoken: Clip,
    rows: Sequence[str],
    columns: Sequence[str],
    video: VideoConfig = VideoConfig(),
    progress: Callable[[int, int], None] = ignore,
) -> Path:
    """Write frames of any kind as a grid, as ``save_grid`` does: as long as ``spoken``, and with its speech.

    Args:
        cells: Frames (H, H, 3) uint8, by row, then by column.
        spoken: A clip as long as they are.
        path, rows, columns, video, progress: As for ``save_grid``.
    """
    paper = _paper(rows, columns)
    height, width = paper.shape[:2]
    with ExitStack() as closing:
        speech = closing.enter_context(spoken.speech_file())
        about = mark([cell.plan for row in cells for cell in row if isinstance(cell, Clip)], video.metadata)
        size = width, height
        writer = closing.enter_context(VideoWriter(path, *size, spoken.fps, video, speech, spoken.frames, about))
        for done, frame in enumerate(_frames(paper, cells), 1):
            writer.write(frame[None])
            progress(done, spoken.frames)
    return path


def still_grid(
    pictures: Sequence[Sequence[np.ndarray]], rows: Sequence[str], columns: Sequence[str], cell: int = CELL
) -> np.ndarray:
    """Pictures (H, H, 3) uint8, by row, then by column, as one such picture; each gets so many pixels a side."""
    return next(_frames(_paper(rows, columns, cell), [[[picture] for picture in row] for row in pictures], cell))


def _paper(rows: Sequence[str], columns: Sequence[str], cell: int = CELL) -> np.ndarray:
    """The grid without pictures, uint8 (H, W, 3)."""
    left = _LEFT if any(rows) else 0
    sheet = Image.new("RGB", (left + cell * len(columns), _TOP + cell * len(rows)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for k, word in enumerate(columns):
        pen.text((left + cell * (k + 0.5), _TOP / 2), word, "black", font, "mm")
    for k, word in enumerate(rows):
        pen.text((left / 2, _TOP + cell * (k + 0.5)), word, "black", font, "mm")
    return np.array(sheet)


def _frames(
    paper: np.ndarray, cells: Sequence[Sequence[Iterable[np.ndarray]]], side: int = CELL
) -> Iterator[np.ndarray]:
    """The grid's frames: all cells go forward together, so that none is held."""
    left = paper.shape[1] - side * len(cells[0])
    for frames in zip(*(cell for row in cells for cell in row), strict=True):
        grid = paper.copy()
        for k, frame in enumerate(frames):
            row, column = divmod(k, len(cells[0]))
            y, x = _TOP + side * row, left + side * column
            grid[y : y + side, x : x + side] = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
        yield grid
