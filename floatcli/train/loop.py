"""One training loop for every part: cosine rate, gradient clipping, running average, checkpoints, exact resume."""

from __future__ import annotations

import copy
import math
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from floatcli.errors import InputError

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class LoopConfig:
    """How one part is optimised."""

    steps: int = 10_000
    batch: int = 8
    lr: float = 1e-3
    warmup: int = 200  # steps of linear rise
    grad_norm: float = 1.0
    ema: float = 0.998  # decay of the running average that is exported
    bfloat16: bool = False  # networks in mixed precision: about twice as fast where the CPU has the instructions
    seed: int = 0
    save_every: int = 1000
    log_every: int = 100

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "save_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, not at least 1")

    def rate(self, step: int) -> float:
        """Learning rate at a step: linear rise, then a half cosine down to a fiftieth."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


class Run:
    """One part in training: the module, its running average and its optimiser, kept in ``folder/name.pt``."""

    def __init__(self, name: str, module: nn.Module, config: LoopConfig, folder: Path):
        self.path = folder / f"{name}.pt"
        self.name, self.config = name, config
        self.module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(module).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            [p for p in module.parameters() if p.requires_grad],
            lr=config.lr,
            betas=(0.9, 0.98),
            weight_decay=1e-4,
        )
        self.step = 0
        if self.path.exists():
            self._load()

    def _load(self) -> None:
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            self.module.load_state_dict(state["module"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]
        except (OSError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
            said = f"{self.path} cannot be resumed: it is damaged, or of a model of other sizes"
            raise InputError(said, "remove it, or train in another --run folder") from error

    def save(self) -> None:
        """Writes the checkpoint beside its place, then moves it there."""
        part = self.path.with_suffix(".part")
        state = {
            "module": self.module.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        torch.save(state, part)
        os.replace(part, self.path)

    def _update(self, losses: Losses) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), self.config.grad_norm)
        self.optimiser.step()
        decay = min(self.config.ema, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for kept, now in zip(self.average.parameters(), self.module.parameters(), strict=True):
                kept.lerp_(now, 1 - decay)

    def train(
        self,
        losses_of: Callable[[nn.Module, np.random.Generator], Losses],
        log: Callable[[str], None],
        sample: Callable[[nn.Module, Path], None] | None = None,
    ) -> None:
        """Trains from the last checkpoint to ``config.steps``.

        Args:
            losses_of: The weighted losses of one step, whose sum is descended. Draws only from the generator it
                is given, which depends on the seed and the step alone, so that a resumed run equals a whole one.
            log: Receives a line every ``log_every`` steps.
            sample: Writes a sample picture from the running average, at every checkpoint, to the path it is given.

        Raises:
            FloatingPointError: A loss is not finite; the last checkpoint is kept.
        """
        totals: dict[str, float] = {}
        since = time.monotonic()
        while self.step < self.config.steps:
            rng = np.random.default_rng((self.config.seed, self.step))
            torch.manual_seed(int(rng.integers(2**31)))
            with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bfloat16):
                losses = losses_of(self.module, rng)
            for key, value in losses.items():
                totals[key] = totals.get(key, 0.0) + value.item()
            if not all(math.isfinite(total) for total in totals.values()):
                raise FloatingPointError(f"{self.name}: loss is not finite at step {self.step}: {totals}")
            self._update(losses)
            self.step += 1
            if self.step % self.config.log_every == 0:
                pace = (time.monotonic() - since) / self.config.log_every
                means = "  ".join(f"{key} {total / self.config.log_every:.4f}" for key, total in totals.items())
                log(f"{self.name} {self.step}/{self.config.steps}  {means}  {pace:.3f} s/step")
                totals, since = {}, time.monotonic()
            if self.step % self.config.save_every == 0 or self.step == self.config.steps:
                self.save()
                if sample:
                    sample(self.average, self.path.with_name(f"{self.name}-{self.step:06d}.png"))
