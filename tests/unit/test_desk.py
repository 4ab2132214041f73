"""Who shares a call, and who gets which answer, with calls that wait until they are let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from floatcli.desk import Desk, Service

PATIENCE = 20


class Work:
    """Tenfold of numbers; calls wait until they are let go."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.let_go = threading.Event()

    def __call__(self, items: list[int]) -> list[int]:
        self.calls.append(items)
        assert self.let_go.wait(PATIENCE)
        if 13 in items:
            raise ValueError("an unlucky number")
        return [10 * item for item in items]


def service(work: Work, most: int = 3, size: Callable[[int], int] = lambda item: 1) -> Service[int, int]:
    """Odd numbers go with odd ones, even ones with even ones, negative ones alone."""
    return Service(work, lambda item: None if item < 0 else item % 2, size, most)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def asked(threads: ThreadPoolExecutor, desk: Desk, asked_for: Service[int, int], *items: int) -> list[Future[int]]:
    """Threads that ask, one after the other."""
    futures = []
    for item in items:
        before, until = len(desk), time.monotonic() + PATIENCE
        futures.append(threads.submit(desk.ask, asked_for, item))
        while len(desk) == before:
            assert time.monotonic() < until
            time.sleep(0.001)
    return futures


def results(futures: list[Future[int]]) -> list[int]:
    return [future.result(PATIENCE) for future in futures]


def test_who_comes_first_goes_alone_and_who_comes_meanwhile_goes_together(threads):
    work = Work()
    desk = Desk(each := service(work))
    futures = asked(threads, desk, each, 1, 3, 5, 7)
    work.let_go.set()
    assert results(futures) == [10, 30, 50, 70]
    assert work.calls == [[1], [3, 5, 7]]
    assert not len(desk)


def test_no_call_is_larger_than_it_may_be_and_gaps_are_filled(threads):
    work = Work()
    desk = Desk(each := service(work, most=8, size=lambda item: item))
    futures = asked(threads, desk, each, 1, 5, 7, 3, 99)
    work.let_go.set()
    assert results(futures) == [10, 50, 70, 30, 990]
    assert work.calls == [[1], [5, 3], [7], [99]]


def test_only_what_is_alike_goes_together(threads):
    work = Work()
    desk = Desk(each := service(work))
    futures = asked(threads, desk, each, 1, 2, 3, -1, 4, -1)
    work.let_go.set()
    assert results(futures) == [10, 20, 30, -10, 40, -10]
    assert work.calls == [[1], [2, 4], [3], [-1], [-1]]


def test_the_most_urgent_service_is_first_whoever_computes(threads):
    work = Work()
    desk = Desk(soon := service(work), later := service(work))
    futures = asked(threads, desk, later, 1, 3, 5) + asked(threads, desk, soon, 7, 9)
    work.let_go.set()
    assert results(futures) == [10, 30, 50, 70, 90]
    assert work.calls == [[1], [7, 9], [3, 5]]


def test_what_fails_together_is_tried_alone_and_errors_find_their_owner(threads):
    work = Work()
    desk = Desk(each := service(work))
    first, *others = asked(threads, desk, each, 1, 3, 13, 5)
    work.let_go.set()
    assert first.result(PATIENCE) == 10
    assert [others[0].result(PATIENCE), others[2].result(PATIENCE)] == [30, 50]
    with pytest.raises(ValueError, match="an unlucky number"):
        others[1].result(PATIENCE)
    assert work.calls == [[1], [3, 13, 5], [3], [13], [5]]
    assert desk.ask(each, 7) == 70


def test_a_thread_that_is_interrupted_leaves_the_work_to_others(threads):
    class Interrupted(Work):
        def __call__(self, items):
            answers = super().__call__(items)
            if len(self.calls) == 1:
                raise KeyboardInterrupt
            return answers

    work = Interrupted()
    desk = Desk(each := service(work))
    first, *others = asked(threads, desk, each, 1, 3, 5)
    work.let_go.set()
    with pytest.raises(KeyboardInterrupt):
        first.result(PATIENCE)
    assert results(others) == [30, 50]
    assert work.calls == [[1], [3, 5]]
    assert not len(desk)
