"""Files that appear under their name when they are complete, or not at all. Imports no torch."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from safetensors import SafetensorError

from floatcli.checks import is_there
from floatcli.errors import InputError, OutputError, UsageError
from floatcli.locks import FolderLock, alone_in

_HIDDEN = ".floatcli-"
_PATIENCE = 5.0  # seconds that others get to see that a draft is alive
_OLD = 24 * 3600.0  # seconds after which nobody writes any more, on whatever machine


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise OutputError where what is written to ``path`` meanwhile can't be, as on a full disk."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path} can't be written: {reason}", "make room or choose another place") from error


def nameless() -> IO[bytes]:
    """A file of the temporary folder that is gone once it is closed, whatever happens. Raises OutputError."""
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        said = f"no temporary file can be made: {error.strerror}"
        raise OutputError(said, "make room, or name another folder in TMPDIR") from error


def make_folder(path: Path, hint: str) -> None:
    """Make a folder, and those that it is in, unless it is there. Raises OutputError, with the hint."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} can't be used: {error.strerror}", hint) from error


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A draft to write, which takes the place of ``path`` in the end, with the usual permissions.

    Raises:
        OutputError: the place can't be written to.
    """
    path = Path(path)
    with writing(path), Draft(path) as draft:
        draft.file.touch()
        mode = draft.file.stat().st_mode
        yield draft.file
        draft.file.chmod(mode)  # some writers leave a file to its owner alone
        place([draft])


def holds(path: Path, text: str) -> bool:
    """Whether a file is there and holds just this text; of another no more than its size is looked at."""
    wanted = text.encode()
    return path.is_file() and path.stat().st_size == len(wanted) and path.read_bytes() == wanted


class Draft:
    """What is to become a file, in a hidden folder beside it that is gone in the end. Used as a context manager.

    The folder is locked as long as its process lives. What killed processes left is known by that, and the next draft
    beside it removes it; a program that still writes there then writes to a file without a name.

    Args:
        path: The file to be.
        suffix: How the name of what is written ends; None is as that of ``path``.

    Attributes:
        path: The file to be.
        file: What to write.
    """

    def __init__(self, path: Path, suffix: str | None = None):
        self.path = path
        self._folder = path.with_name(f"{_HIDDEN}{_here()}-{secrets.token_hex(6)}")
        self._lock = FolderLock(self._folder)
        self.file = self._folder / f"draft{path.suffix if suffix is None else suffix}"

    def __enter__(self) -> Draft:
        """Make its folder. Raises OSError."""
        _clear(self.path.parent)
        try:
            while not self._folder.is_dir():  # until it is locked, others take it for left behind
                self._folder.mkdir(mode=0o700)
                with contextlib.suppress(FileNotFoundError):
                    self._lock.take(_PATIENCE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._remove()
        finally:  # again, where a signal cut it short
            self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.release()


def place(drafts: Sequence[Draft], overwrite: bool = True) -> None:
    """Have files take their places, one right after the other: all or none.

    Of several processes that write the same files, one has all of them in the end.

    Raises:
        OutputError: a place can't be written to.
        InputError: something is there, and must not be replaced.
    """
    with alone_in(drafts[0].path.parent):
        for path in () if overwrite else (draft.path for draft in drafts):
            if path.exists():  # appeared meanwhile
                raise InputError(f"{path} is there already", "name another output")
        ours = []
        for draft in drafts:
            with writing(draft.path):
                if draft.path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                ours.append((draft.path, draft.file.stat()))
        try:
            for draft in drafts:
                with writing(draft.path):
                    os.replace(draft.file, draft.path)
        except BaseException:
            for path, status in ours:
                with contextlib.suppress(OSError):
                    if os.path.samestat(status, path.stat()):
                        path.unlink()
            raise


def _clear(folder: Path) -> None:
    """Remove drafts that nobody writes any more."""
    for left in folder.glob(f"{_HIDDEN}*"):
        lock = FolderLock(left)
        with contextlib.suppress(OSError):
            ours = left.name.startswith(f"{_HIDDEN}{_here()}-")
            if lock.take() and (ours or _age(left) > _OLD):
                shutil.rmtree(left)
        lock.release()


def _age(folder: Path) -> float:
    """Seconds since a draft was last written to."""
    return time.time() - max(path.stat().st_mtime for path in (folder, *folder.iterdir()))


@cache
def _here() -> str:
    """A mark of this machine as long as it is up. Of others that share a folder, locks may not be seen here."""
    try:
        mark = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:  # no Linux
        mark = platform.node()
    return hashlib.sha256(mark.encode()).hexdigest()[:8]


def check_apart(written: Iterable[Path | None], read: Iterable[str | Path | None]) -> None:
    """Raise UsageError where a file to be written would replace one that is read, or one that is written too."""
    taken = {resolved(path): f"{path} is an input and would be replaced" for path in read if path is not None}
    for path in written:
        if path is None:
            continue
        if resolved(path) in taken:
            raise UsageError(taken[resolved(path)], "name another output")
        taken[resolved(path)] = f"{path} would be written twice"


def resolved(path: str | Path) -> Path:
    """A path without links, by which files are told apart; as it is where nothing can be at it."""
    try:
        return Path(path).resolve()
    except (OSError, ValueError, RuntimeError):  # the last where links go round in a circle
        return Path(path)


def check_place(path: Path, overwrite: bool) -> None:
    """Raise InputError where a file can't be written, or is there and must not be replaced."""
    taken = is_there(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder", "name a file in it")
    if taken and not path.is_file():
        raise InputError(f"{path} is no regular file, and would be replaced", "name another output")
    folder = next(parent for parent in path.parents if is_there(parent))
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder", "name another output")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}", f"create it: mkdir -p '{path.parent}'")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"the folder {path.parent} can't be written to", "choose another, or change its permissions")
    if taken and not overwrite:
        raise InputError(f"{path} is there already", "allow it with --overwrite, or name another output")
