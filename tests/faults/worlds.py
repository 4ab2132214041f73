"""What is wrong with the world of a command: functions that are called in its process before it begins."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

_VERSION_3, _OVERRIDE, _READ_SEARCH = 0x20080522, 1 << 1, 1 << 2  # of Linux's capabilities


def patient_no_more() -> None:
    """ffmpeg is waited for a moment, not for minutes."""
    from floatcli.media import encoder

    encoder._WAIT, encoder.Encoder.waits = 0.05, 4


def bound_by_permissions() -> None:
    """Permissions hold for root, too."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    for which in (0, 1):  # effective, permitted
        sets[which] &= ~(_OVERRIDE | _READ_SEARCH)
    assert libc.capset(header, sets) == 0


def stops_before(path: Path) -> None:
    """Right before a file appears, its command is killed."""
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        if Path(target).absolute() == path:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = killed


def clock_jumps(seconds: float, every: int) -> None:
    """The clock of the day jumps now and then: forth, or back; with it the other, which only ever goes forth."""
    day, steady, calls = time.time, time.monotonic, [0]

    def jumped() -> float:
        calls[0] += 1
        return seconds * (calls[0] // every)

    time.time = lambda: day() + jumped()
    time.monotonic = lambda: steady() + max(0.0, jumped())
