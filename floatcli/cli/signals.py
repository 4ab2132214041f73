"""Ctrl-C, SIGTERM and SIGHUP unwind the program, so that temporary files go. Imports nothing heavy."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

#: Ctrl-C, kill, and a terminal that is closed, which not every system knows.
_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


_caught: list[int] = []  # those that nobody wants ignored
_came: list[int] = []  # the signal that is ending the process


class Interrupted(SystemExit):
    """A signal that ends the process. No Exception, so that nothing but cleaning up happens on its way out."""

    def __init__(self, number: int):
        super().__init__(128 + number)
        self.number = number


def catch_signals() -> None:
    """Raise ``Interrupted`` where a signal would end the process."""
    _caught[:] = _ENDING
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup's
        _caught.remove(signal.SIGHUP)
    _listen()
    if hasattr(signal, "pthread_kill"):
        sys.unraisablehook = _come_again


def _listen() -> None:
    _came.clear()
    for number in _caught:
        signal.signal(number, _interrupt)


def ignore_signals() -> None:
    """From here on the process is leaving by itself, and a signal would only cut that short or change how it ends."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def what_came() -> int | None:
    """The signal that is ending the process; libraries in C may have made another exception of it."""
    return _came[0] if _came else None


def _come_again(lost: sys.UnraisableHookArgs) -> None:
    """Have a signal come again that came where Python drops exceptions, as while it removes an object."""
    if not isinstance(lost.exc_value, Interrupted):
        sys.__unraisablehook__(lost)
        return
    _listen()
    threading.Timer(0.01, signal.pthread_kill, [threading.main_thread().ident, lost.exc_value.number]).start()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    ignore_signals()  # a second, impatient one must not cut the cleaning up short
    _came.append(number)
    raise Interrupted(number)
