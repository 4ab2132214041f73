"""What a run learns from, batch by batch: each follows from seed and place alone, whoever draws it and when."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from floatcli.errors import DeviceError, FloatCliError

Draw = Callable[[np.random.Generator], tuple[Any, ...]]
Place = tuple[int, int]  # step, and batch in it


class Draws(Dataset):
    """Batches by their place in a run, each with a seed for what is random in learning from it."""

    def __init__(self, draw: Draw, seed: int):
        self.draw, self.seed = draw, seed

    def __getitem__(self, place: Place) -> tuple[int, Any]:
        rng = np.random.default_rng((self.seed, *place))
        seed = int(rng.integers(2**31))
        try:
            return seed, self.draw(rng)
        except FloatCliError as error:  # raised by a worker, it would lose its hint
            return seed, error


def drawn(draws: Draws, places: Iterator[Place], workers: int) -> Iterator[tuple[int, Any]]:
    """Seeds and batches in the order of their places, drawn ahead by so many processes; by none, as they are asked for.

    Raises:
        FloatCliError: As drawing raises it.
        DeviceError: A process was lost.
    """
    spread = {"multiprocessing_context": "spawn", "worker_init_fn": _begin} if workers else {}
    loader = DataLoader(draws, batch_size=None, sampler=places, num_workers=workers, collate_fn=_as_it_is, **spread)  # type: ignore[arg-type]
    batches = iter(loader)
    while True:
        try:
            seed, batch = next(batches)
        except StopIteration:
            return
        except RuntimeError as error:
            if not str(error).startswith("DataLoader worker"):
                raise
            raise DeviceError("a process that draws was lost", "where memory ran out, take fewer workers") from error
        if isinstance(batch, FloatCliError):
            raise batch
        yield seed, batch


def _as_it_is(item: Any) -> Any:
    return item


def _begin(worker: int) -> None:
    """A worker begins: it leaves Ctrl-C to the main process, and keeps to its core."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
