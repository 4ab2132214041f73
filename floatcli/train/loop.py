"""One training loop for every part, on any number of devices: checkpoints, running average, exact resume."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch import Tensor, nn

from floatcli.device import memory_told
from floatcli.errors import TrainingError
from floatcli.train import checkpoints
from floatcli.train.board import Board
from floatcli.train.draws import Draw, Draws, Place, drawn
from floatcli.train.learning import Learning
from floatcli.train.loop_config import LoopConfig
from floatcli.train.report import Report

Losses = dict[str, Tensor]

_SMALLER = "take a smaller batch, and as many more to accumulate: the run goes on from its last checkpoint"


def processes() -> Accelerator:
    """The process that this is, alone or of those that ``torchrun`` started, and its device."""
    accelerated = torch.cuda.is_available() or torch.backends.mps.is_available()
    return Accelerator(cpu=not accelerated)  # without this word several processes on CPUs do not know each other


@contextmanager
def frozen(module: nn.Module | None) -> Iterator[None]:
    """Gradients pass through a module meanwhile, but none is worked out for it."""
    if module is not None:
        module.requires_grad_(False)
    yield
    if module is not None:
        module.requires_grad_(True)


class Objective(nn.Module):
    """A part and its losses as one module, which is what processes have to share gradients of."""

    def __init__(self, part: nn.Module, mixed: bool, adversary: nn.Module | None = None):
        super().__init__()
        self.part, self.mixed, self.adversary = part, mixed, adversary

    def forward(self, contested: bool, *given: Any) -> tuple[Losses, tuple[Any, ...]]:
        """The part's weighted losses of what was drawn; where it is contested, also what its adversary learns from."""
        kind = next(self.part.parameters()).device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self.mixed):
            if contested:
                return self.part.losses(*given, self.adversary)  # type: ignore[operator]
            return self.part.losses(*given), ()  # type: ignore[operator]


class Run(Learning):
    """One part in training, from its last checkpoint on.

    Under ``torchrun`` every process has a ``Run`` of its own, of which the first writes.

    Args:
        name: Of the part.
        module: With a method ``losses``, of what is drawn for it, that returns the weighted losses.
        config: How it is optimised.
        folder: Of the run.
        adversary: What the module is to win against. The module's ``losses`` takes it as its last argument, frozen, and
            returns besides what it is to learn from. Its own ``losses``, of the step and of that, are brought down in
            the same step by an optimiser of its own.
        joining: Steps before the adversary joins in: until then the module's ``losses`` is not given it, it learns
            nothing, and checkpoints do not hold it.

    Raises:
        InputError: The last checkpoint is damaged, or of another model, or lacks an adversary that should have joined.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        config: LoopConfig,
        folder: Path,
        adversary: nn.Module | None = None,
        joining: int = 0,
    ):
        self.accelerator = processes()
        super().__init__(name, module, config, folder, adversary, joining, self.accelerator.device)
        mixed = config.halves(self.accelerator.device)
        with frozen(adversary):  # whose gradients are its own objective's
            self.objective = self.accelerator.prepare_model(Objective(module, mixed, adversary))
        self.contest = None if adversary is None else self.accelerator.prepare_model(Objective(adversary, mixed))

    def train(
        self,
        draw: Draw,
        log: Callable[[str], None],
        sample: Callable[[nn.Module, Path], None] | None = None,
        workers: int = 0,
    ) -> None:
        """Trains from the last checkpoint to ``config.steps``.

        Args:
            draw: One batch, as the module's ``losses`` takes it. Draws only from the generator it is given, which
                depends on seed, step, and place of the batch in it alone: so a resumed run equals a whole one, and
                several processes learn from what one would learn from by accumulating as many batches.
            log: Receives a ``Report`` every ``log_every`` steps.
            sample: At every checkpoint, writes a sample picture from the running average, on the CPU, to a path.
            workers: Processes that draw ahead, for which ``draw`` is pickled; they change nothing but its time.

        Raises:
            TrainingError: A loss is not finite; the last checkpoint is kept.
            DeviceError: The device is out of memory.
            OutputError: A checkpoint or what tells of the training cannot be written.
        """
        first = self.accelerator.is_main_process
        board = Board(self.folder / "logs" / self.name, self.step) if first else None
        totals: dict[str, float] = {}
        batches = drawn(Draws(draw, self.config.seed), self._places(), workers)
        since, start = time.monotonic(), self.step
        while self.step < self.config.steps:
            losses = self._losses(batches)
            self.update()
            for key, value in losses.items():
                totals[key] = totals.get(key, 0.0) + value
            if self.step % self.config.log_every == 0:
                steps = self.step - start  # fewer than log_every where a checkpoint lay between
                pace, means = (time.monotonic() - since) / steps, {key: total / steps for key, total in totals.items()}
                if board:
                    self._report(board, means, pace, log)
                totals, since, start = {}, time.monotonic(), self.step
            if self.step % self.config.save_every == 0 or self.step == self.config.steps:
                if first:
                    self.save()
                    if sample:
                        sample(copy.deepcopy(self.average).cpu(), self.folder / f"{self.name}-{self.step:06d}.png")
                self.accelerator.wait_for_everyone()

    def _places(self) -> Iterator[Place]:
        """Of this process's batches from here to the end."""
        at, processes = self.accelerator.process_index, self.accelerator.num_processes
        for step in range(self.step, self.config.steps):
            yield from ((step, k * processes + at) for k in range(self.config.accumulate))

    def _losses(self, batches: Iterator[tuple[int, Any]]) -> dict[str, float]:
        """Losses of this step, of all processes; leaves the gradients of their sum."""
        count = self.config.accumulate
        totals: dict[str, Tensor] = {}
        for _, optimiser in self.learners:
            optimiser.zero_grad(set_to_none=True)
        for k in range(count):
            with memory_told(self.accelerator.device, _SMALLER), self._shared(k + 1 == count):
                seed, batch = next(batches)
                torch.manual_seed(seed)
                losses = self._learn(send_to_device(batch, self.accelerator.device))
            for key, value in losses.items():
                totals[key] = totals.get(key, 0) + value.detach() / count
        means = self.accelerator.reduce(torch.stack(list(totals.values())).float(), "mean").tolist()
        found = dict(zip(totals, means, strict=True))
        if not all(map(math.isfinite, means)):
            said = ", ".join(f"{key} {value:g}" for key, value in found.items())
            raise TrainingError(
                f"{self.name}: a loss is not finite at step {self.step} ({said})",
                checkpoints.way_back(self.folder, self.name, self.step),
            )
        return found

    def _learn(self, batch: tuple[Any, ...]) -> Losses:
        """Losses of a batch, the adversary's among them; adds their gradients to those that are there."""
        contest = self.contest if self.step >= self.joining else None
        with frozen(self.adversary):
            losses, shown = self.objective(contest is not None, *batch)
            self._backward(losses)
        if contest is None:
            return losses
        others, _ = contest(False, self.step, *shown)
        self._backward(others)
        return losses | others

    def _backward(self, losses: Losses) -> None:
        self.accelerator.backward(torch.stack(list(losses.values())).sum() / self.config.accumulate)

    @contextmanager
    def _shared(self, whole: bool) -> Iterator[None]:
        """Gradients are shared between processes once they are ``whole``."""
        with ExitStack() as alone:
            for objective in () if whole else (self.objective, self.contest):
                if objective is not None:
                    alone.enter_context(self.accelerator.no_sync(objective))
            yield

    def _report(self, board: Board, means: dict[str, float], pace: float, log: Callable[[str], None]) -> None:
        rate = self.config.rate(self.step - 1)
        log(Report(self.name, self.step, self.config.steps, means, rate, pace))
        board.add(self.step, {**means, "rate": rate, "seconds": pace})
