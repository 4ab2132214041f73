"""Rows of numbers that are kept on disk, as they come, instead of in memory. Imports no torch."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike

from floatcli.errors import InputError
from floatcli.files import nameless

_AT_ONCE = 1 << 20  # bytes


class Spool:
    """Rows (n, ...) in the order they come, in a file without a name that is gone once nobody reads it.

    Args:
        told: What they are, in words.
        kind: Of the numbers.
    """

    def __init__(self, told: str = "the motion", kind: DTypeLike = np.float32) -> None:
        self._file = nameless()  # it is there as long as this
        self._told, self._kind, self._shape = told, kind, (0,)

    def append(self, rows: np.ndarray) -> None:
        """Keep more rows (n, ...).

        Raises:
            InputError: there is no room.
        """
        try:
            self._file.write(np.asarray(rows, self._kind).tobytes())
            self._file.flush()
        except OSError as error:
            said = f"{self._told} can't be kept in {tempfile.gettempdir()}: {error.strerror}"
            raise InputError(said, "make room there, or name another folder in TMPDIR") from error
        self._shape = (self._shape[0] + len(rows), *rows.shape[1:])

    def rows(self) -> np.ndarray:
        """All rows so far, mapped: they are read from disk as they are looked at. They can't be written to."""
        return np.memmap(self._file, self._kind, "r", shape=self._shape)


def blocks(array: np.ndarray) -> Iterator[bytes]:
    """The bytes of an array in order, some at a time. What is mapped from a file leaves memory again behind it."""
    rows = max(1, _AT_ONCE * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), rows):
        yield array[start : start + rows].tobytes()
        # A file's pages can be read again; what was written to private copies of them could not.
        if isinstance(array.base, mmap.mmap) and not array.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
            array.base.madvise(mmap.MADV_DONTNEED)
