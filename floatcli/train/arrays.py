"""Arrays in files of their own, mapped: there is room for them before they are filled, and they are whole or told."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from floatcli.errors import InputError
from floatcli.files import replacing

Kinds = Mapping[str, tuple[type, tuple[int, ...]]]  # of numbers, and shapes, by name

_AT_ONCE = 1 << 20  # bytes


@contextmanager
def filling(folder: Path, kinds: Kinds) -> Iterator[dict[str, np.memmap]]:
    """Arrays by name, to be filled meanwhile. In the end they are in ``folder``, the first one last.

    Raises:
        OutputError: There is no room for them.
    """
    with ExitStack() as files:
        arrays = {}
        for name, (kind, shape) in kinds.items():
            temporary = files.enter_context(replacing(folder / f"{name}.npy"))
            arrays[name] = open_memmap(temporary, "w+", kind, shape)
            _reserve(temporary)
        yield arrays
        for array in arrays.values():
            array.flush()


def mapped(path: Path, hint: str) -> np.ndarray:
    """An array of a file, read as it is looked at.

    Raises:
        InputError: It is missing or damaged; with the hint.
    """
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}", hint) from error


def _reserve(path: Path) -> None:
    """Set room aside for a file that is to be mapped: there, a full disk ends the process, by a signal."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
            return
        except AttributeError:
            pass  # no such call here
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
        for start in range(0, size, _AT_ONCE):
            file.seek(start)
            block = file.read(_AT_ONCE)
            file.seek(start)
            file.write(block)
