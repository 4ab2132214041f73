"""Files of JSON lines that grow by a row as something ends. Imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from floatcli.config import parsed
from floatcli.errors import InputError

Row = dict[str, Any]
_LONGEST = 1 << 20  # letters of a row


def append_row(path: Path, row: Row) -> None:
    """Add a row to a file at once: whatever happens next, it stays.

    Raises:
        InputError: the file can't be written.
    """
    try:
        with path.open("ab+") as stream:
            start = b"\n" if stream.tell() and not _ends_line(stream) else b""
            stream.write(start + json.dumps(row).encode() + b"\n")
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}", "make room there") from error


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, none where it is not there; a line that was cut off is no row.

    Raises:
        InputError: it is no regular file.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise InputError(f"{path} is no regular file", "remove it, or name another folder")
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        while line := file.readline(_LONGEST):
            try:
                row = parsed(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row


def _ends_line(stream: IO[bytes]) -> bool:
    """Whether the last line of a file is whole, as it is but after a crash or a full disk."""
    stream.seek(-1, os.SEEK_END)
    return stream.read(1) == b"\n"
