"""Seconds of stages, of several threads at a time."""

import threading

import pytest

from floatcli import clip
from floatcli.clip import Stages


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(clip, "perf_counter", clock)
    return clock


def test_what_is_nested_counts_inside(clock):
    stages = Stages()
    with stages("outer"):
        clock.now += 2
        with stages("inner"):
            clock.now += 5
        clock.now += 1
    assert stages.seconds == {"inner": 5, "outer": 3}


def test_what_another_thread_does_meanwhile_is_not_nested(clock):
    stages = Stages()

    def beside() -> None:
        with stages("motion"):
            clock.now += 4

    with stages("decode"):
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
    assert stages.seconds == {"motion": 4, "decode": 4}
