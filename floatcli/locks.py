"""Locks on folders, which go with the process that holds them, wherever that runs. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # no POSIX: nothing can be locked
    fcntl = None  # type: ignore[assignment]

_PATIENCE = 5.0  # seconds that somebody who works alone in a folder is waited for


class FolderLock:
    """At most one of these holds a folder, among all threads and processes that see it.

    There are systems, and file systems, without such locks: nobody holds anything there.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._file: int | None = None

    def take(self, patience: float = 0.0) -> bool:
        """Whether it is held now, within so many seconds. Raises OSError where the folder can't be opened."""
        if fcntl is None:
            return False
        self._file = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= until:
                    break
                time.sleep(0.01)
            except OSError:  # no locks there
                break
        self.release()
        return False

    def release(self) -> None:
        """Hold it no more."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Of all who call this for one folder, one is inside at a time, as far as locks and patience go."""
    lock = FolderLock(folder)
    with contextlib.suppress(OSError):  # not to be opened, as it may be written to alone
        lock.take(_PATIENCE)
    try:
        yield
    finally:
        lock.release()
