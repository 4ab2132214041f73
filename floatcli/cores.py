"""Frames computed side by side, each on a core of its own.

On a CPU that is faster than all cores at one frame, which wait for the slowest of them at the end of every operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Barrier
from typing import TypeVar

import cv2
import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def each_on_a_core(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What ``work`` makes of every item, as many at a time as torch has threads here, which they share.

    Nothing can be learnt from the results.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(items))
    if workers <= 1:
        return [work(item) for item in items]
    inference, half = torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    kind = torch.get_autocast_dtype("cpu")

    def done(item: Item) -> Result:  # torch has these modes by thread
        with torch.inference_mode(inference), torch.no_grad(), torch.autocast("cpu", kind, enabled=half):
            return work(item)

    with _opencv_alone():
        return list(_cores(workers, threads).map(done, items))


@cache
def _cores(workers: int, threads: int) -> ThreadPoolExecutor:
    """So many workers, among which torch's threads are shared out."""
    pool, all_there = ThreadPoolExecutor(workers), Barrier(workers)

    def begin(_: int) -> None:
        torch.get_num_threads()  # torch gives a thread its number when it first needs one, in place of what was set
        torch.set_num_threads(threads // workers)
        all_there.wait()

    list(pool.map(begin, range(workers)))
    torch.set_num_threads(threads)  # each thread has its own number, but new ones begin with what was set last
    return pool


@contextmanager
def _opencv_alone() -> Iterator[None]:
    """Have OpenCV leave other threads to those that call it."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
