"""What is wrong with the world of a command: functions that are called in its process before it begins."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

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


def waits_after_its_video(go: Path) -> None:
    """Between its video and its motion, a command waits for a file to appear."""
    from floatcli.clip import Clip

    save = Clip.save

    def waiting(*arguments: Any, **options: Any) -> Path:
        saved = save(*arguments, **options)
        while not go.exists():
            time.sleep(0.01)
        return saved

    Clip.save = waiting


def clock_jumps(seconds: float, every: int) -> None:
    """The clock of the day jumps now and then: forth, or back; with it the other, which only ever goes forth."""
    day, steady, calls = time.time, time.monotonic, [0]

    def jumped() -> float:
        calls[0] += 1
        return seconds * (calls[0] // every)

    time.time = lambda: day() + jumped()
    time.monotonic = lambda: steady() + max(0.0, jumped())
