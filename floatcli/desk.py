"""A desk at which threads ask for what one call can compute for several of them. Imports no torch.

Nobody waits for company: whoever comes while nobody computes begins at once, and those who come meanwhile are
answered together by the next call. So the busier a device is, the more of them share a call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Service(Generic[Item, Result]):
    """What can be computed for several at once.

    Attributes:
        call: Computes a result for every item, in their order.
        alike: What items must have in common to go into one call; one of None goes alone.
        size: Of an item.
        most: Size of all items of a call; an item that is larger goes alone.
    """

    call: Callable[[list[Item]], Sequence[Result]]
    alike: Callable[[Item], Hashable | None]
    size: Callable[[Item], int]
    most: int


class Desk:
    """Answers threads, one call at a time.

    Args:
        services: What it can be asked for, the most urgent first.
    """

    def __init__(self, *services: Service):
        self._services = services
        self._waiting: list[_Order] = []  # in order of arrival, those included that are being computed
        self._computing = False
        self._changed = threading.Condition()

    def ask(self, service: Service[Item, Result], item: Item) -> Result:
        """The result for an item; whoever waits for one computes for others as well. Raises what the call raises."""
        order = _Order(service, item)
        with self._changed:
            self._waiting.append(order)
        try:
            while chosen := self._chosen(order):
                self._serve(chosen)
        finally:
            with self._changed:
                if order in self._waiting:  # this thread was interrupted: nobody needs the answer
                    self._waiting.remove(order)
        return order.answer()

    def __len__(self) -> int:
        """How many have no answer yet."""
        return len(self._waiting)

    def _chosen(self, order: _Order) -> list[_Order]:
        """What to compute now that nobody else computes; nothing once the order is done.

        That is what is most urgent, for those who came first and all that fit into one call with them.
        """
        with self._changed:
            self._changed.wait_for(lambda: order.done or not self._computing)
            if order.done:
                return []
            self._computing = True
            first = min(self._waiting, key=lambda each: self._services.index(each.service))
            chosen, room = [first], first.service.most - first.size
            for each in self._waiting:
                if each is not first and each.goes_with(first) and each.size <= room:
                    chosen.append(each)
                    room -= each.size
            return chosen

    def _serve(self, orders: list[_Order]) -> None:
        try:
            _compute(orders)
        finally:
            with self._changed:
                self._computing = False
                self._waiting = [each for each in self._waiting if not each.done]
                self._changed.notify_all()


class _Order:
    """What a thread waits for."""

    def __init__(self, service: Service, item: Any):
        self.service, self.item = service, item
        self.size, self.key = service.size(item), service.alike(item)
        self.result: Any = None
        self.error: Exception | None = None
        self.done = False

    def goes_with(self, other: _Order) -> bool:
        """Whether one call can compute both."""
        return self.service is other.service and self.key is not None and self.key == other.key

    def answer(self) -> Any:
        """The result. Raises the error, once."""
        if self.error is None:
            return self.result
        try:
            raise self.error
        finally:
            self.error = None  # its traceback holds this order, and tensors


def _compute(orders: list[_Order]) -> None:
    """Answer several by one call; where that fails each by its own, so that an error finds whom it belongs to.

    What is too much for a device's memory together may still fit alone.
    """
    try:
        results = orders[0].service.call([order.item for order in orders])
    except Exception as error:
        if len(orders) == 1:
            orders[0].error, orders[0].done = error, True
    else:
        for order, result in zip(orders, results, strict=True):
            order.result, order.done = result, True
    if not orders[0].done:  # not within the clause above: an error that is being handled keeps its tensors
        for order in orders:
            _compute([order])
