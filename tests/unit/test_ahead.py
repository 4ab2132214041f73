"""Windows made ahead: in order, one before it is asked for, and failures in their place."""

from __future__ import annotations

import threading

import pytest

from floatcli.ahead import ahead


def test_each_is_made_while_the_one_before_is_used():
    begun = [threading.Event() for _ in range(4)]

    def items():
        for k, event in enumerate(begun):
            event.set()
            yield k

    made = ahead(items())
    assert not begun[0].is_set()  # nothing before it is asked for
    for k in range(3):
        assert next(made) == k
        assert begun[k + 1].wait(5)
    assert list(made) == [3]


def test_a_failure_comes_when_its_turn_does():
    def items():
        yield 1
        raise ValueError("late")

    made = ahead(items())
    assert next(made) == 1
    with pytest.raises(ValueError, match="late"):
        next(made)


def test_who_stops_early_leaves_no_thread():
    before = threading.active_count()
    made = ahead(iter(range(1, 9)))
    assert next(made) == 1
    made.close()
    assert threading.active_count() == before
