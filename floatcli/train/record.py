"""What a run's folder tells of how it was made: the settings as they were resolved, and every start."""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from floatcli.checks import is_there, values_of
from floatcli.config import build
from floatcli.errors import InputError
from floatcli.files import make_folder, replacing
from floatcli.rows import append_row
from floatcli.train.initial import Initial, remember
from floatcli.train.loop import processes
from floatcli.train.settings import Settings
from floatcli.version import __version__

RESOLVED, STARTS = "settings.json", "starts.jsonl"
_WHAT = "list of settings"


def record(
    settings: Settings,
    run: Path,
    command: Sequence[str],
    log: Callable[[str], None],
    initial: Initial | None = None,
) -> None:
    """Writes down a start, and tells which settings are others than the last time.

    Args:
        settings: With all defaults, and seeds, as they will be used.
        run: The run's folder.
        command: What was called: floatcli's arguments.
        log: Told what has changed.
        initial: The weights that the run starts from.

    Raises:
        OutputError: the folder can't be written to.
    """
    accelerator = processes()
    if not accelerator.is_main_process:
        return
    make_folder(run, "name another folder with --run")
    resolved = json.loads(json.dumps(dataclasses.asdict(settings)))
    changed = sorted(_differences(_before(run / RESOLVED, log) or resolved, resolved))
    if changed:
        log(f"settings of {run} have changed: {', '.join(changed)}")
    with replacing(run / RESOLVED) as temporary:
        temporary.write_text(json.dumps(resolved, indent=2) + "\n")
    if initial:
        remember(initial, run)
    row = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": list(command),
        "changed": changed,
        "floatcli": __version__,
        "commit": commit_of(Path(__file__)),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(accelerator.device),
        "processes": accelerator.num_processes,
    }
    append_row(run / STARTS, row)


def recorded(run: Path) -> Settings:
    """The settings that a run was last started with.

    Raises:
        InputError: the folder has none.
    """
    path = run / RESOLVED
    if not is_there(path):
        raise InputError(f"{run} is no run: there is no {path}", "train first: floatcli train all CONFIG")
    try:
        return build(Settings, values_of(path, _WHAT), "settings")
    except (InputError, OSError, TypeError, ValueError) as error:
        hint = "remove it, and start the run again, which writes it anew"
        raise InputError(f"{path} can't be used: {error}", hint) from error


def _before(path: Path, log: Callable[[str], None]) -> dict[str, Any] | None:
    """The settings of the start before; None where there was none, or where they are damaged, which is told."""
    try:
        settings = values_of(path, _WHAT) if is_there(path) else None
        if settings is None or isinstance(settings, dict):
            return settings
        error: Exception = ValueError("they are no table")
    except (InputError, OSError, ValueError) as found:
        error = found
    log(f"{path} is damaged, so that what has changed cannot be told: {error}")
    return None


def commit_of(file: Path) -> str | None:
    """The commit that a file is checked out at, ``-dirty`` where files differ from it; None where git has no such file.

    Where floatcli is installed within somebody else's repository, that one's commit tells nothing of it.
    """
    if _git("ls-files", "--error-unmatch", file.name, folder=file.parent) is None:
        return None
    return _git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*", folder=file.parent)


def _git(*command: str, folder: Path) -> str | None:
    """What git says in a folder; None where it says nothing, fails or is not there."""
    try:
        said = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True)
    except OSError:
        return None
    return said.stdout.strip() or None if said.returncode == 0 else None


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """Dotted names of what differs between tables within tables."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before.keys() | now.keys():
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif before != now:
        yield name
