"""Files that appear under their name when they are complete, or not at all. Imports no torch."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from safetensors import SafetensorError

from floatcli.checks import is_there
from floatcli.errors import InputError, OutputError, UsageError

_TEMPORARY = re.compile(r"\.floatcli-[0-9a-f]{8}-(?P<process>[0-9]+)-[0-9a-f]{12}(\..+)?")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise OutputError where what is written to ``path`` meanwhile can't be, as on a full disk."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path} can't be written: {reason}", "make room or choose another place") from error


def make_folder(path: Path, hint: str) -> None:
    """Make a folder, and those that it is in, unless it is there. Raises OutputError, with the hint."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} can't be used: {error.strerror}", hint) from error


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary sibling to write, which takes the place of ``path`` in the end, with the usual permissions.

    Raises:
        OutputError: the place can't be written to.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    try:
        with writing(path):
            temporary.touch()
            mode = temporary.stat().st_mode
            yield temporary
            temporary.chmod(mode)  # some writers leave a file to its owner alone
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_beside(path: Path, suffix: str | None = None) -> Path:
    """A hidden name beside ``path`` for what is to become it, for this process alone.

    Whatever processes that have gone left there under such names, as those do that are killed outright, is removed.
    """
    for left in path.parent.glob(f".floatcli-{_here()}-*"):
        if (named := _TEMPORARY.fullmatch(left.name)) and not _lives(int(named["process"])):
            with contextlib.suppress(OSError):
                left.unlink()
    suffix = path.suffix if suffix is None else suffix
    return path.with_name(f".floatcli-{_here()}-{os.getpid()}-{secrets.token_hex(6)}{suffix}")


@cache
def _here() -> str:
    """A mark of where processes have the numbers that they have here: not of other machines that share a folder."""
    try:
        mark = Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux
        mark = platform.node()
    return hashlib.sha256(mark.encode()).hexdigest()[:8]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


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
