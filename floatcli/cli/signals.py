"""Ctrl-C and SIGTERM unwind the program, so that temporary files go. Imports nothing heavy."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


class Interrupted(SystemExit):
    """A signal that ends the process. No Exception, so that nothing but cleaning up happens on its way out."""


def catch_signals() -> None:
    """Raise ``Interrupted`` where a signal would end the process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # From here on only cleaning up happens, and a second, impatient signal must not cut that short.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    raise Interrupted(128 + number)
