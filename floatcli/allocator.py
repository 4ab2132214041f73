"""What becomes of memory that this process frees: kept for the next batch of frames, or as glibc has it of itself."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Result = TypeVar("Result")

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _ARENA_MAX = -3, -1, -8  # glibc's numbers of its settings
_KEPT = {_MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: (1 << 31) - 1}
_AS_IT_COMES = {_MMAP_THRESHOLD: 1 << 25, _TRIM_THRESHOLD: 1 << 26}  # where glibc arrives once large maps are freed


def _set(settings: dict[int, int]) -> None:
    """Settings of glibc's allocator, for the whole process. Other systems are left as they are."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for number, value in settings.items():
            libc.mallopt(number, value)


@cache
def keep_memory() -> None:
    """Have this process keep memory that it frees, for the next batch of frames.

    Given back and asked for anew, every page of it would have to be zeroed by the system when it is first written,
    which takes longer than most of what is computed there.
    """
    _set({**_KEPT, _ARENA_MAX: 1})


def release_memory() -> None:
    """Give the system what this process keeps and does not use just now.

    Else what is free in pieces too small for the next large map stays, and more is taken, a little every minute.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


class PlainThread:
    """A thread whose memory comes and goes as in a process that has left glibc's settings alone.

    To be made before any other thread: later ones share the memory that the process keeps. What runs there runs alone.
    """

    def __init__(self) -> None:
        _set({_ARENA_MAX: 2})  # the process's and this thread's; no more, once a thread has asked for memory
        self._thread = ThreadPoolExecutor(1)
        self._thread.submit(bytearray, 1 << 16).result()

    def run(self, work: Callable[[], Result]) -> Result:
        """What ``work`` returns or raises, there."""
        _set(_AS_IT_COMES)
        try:
            return self._thread.submit(work).result()
        finally:
            _set(_KEPT)
