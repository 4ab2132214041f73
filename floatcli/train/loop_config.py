"""How a part is optimised: the settings that all parts have."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

PRECISIONS = ("auto", "float32", "bfloat16")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class LoopConfig:
    """How one part is optimised. A step learns from ``batch * accumulate`` samples on each process."""

    steps: int = 10_000
    batch: int = 8
    accumulate: int = 1  # batches whose gradients add up to one step
    lr: float = 1e-3  # of an adversary, too, whose rate stays
    warmup: int = 200  # steps of linear rise
    schedule: str = "cosine"  # after it: half a cosine down to a fiftieth, or constant
    beta2: float = 0.98  # how much of the squares of gradients before is kept
    weight_decay: float = 1e-4  # decoupled (AdamW): a step takes the rate's share of it; with 0 this is plain Adam
    grad_norm: float = 1.0  # longer gradients are cut to it; an adversary's are not
    ema: float = 0.998  # decay of the running average that is exported
    precision: str = "auto"  # of networks: bfloat16 on GPUs that have it, else float32; or as named
    seed: int = 0
    save_every: int = 1000
    log_every: int = 100
    keep: int = 3  # checkpoints

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "save_every", "log_every", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, not at least 1")
        for name in ("warmup", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, not at least 0")
        for name in ("beta2", "weight_decay", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, not in 0..1 without 1")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr is {self.lr}, not a finite number above 0")
        if not self.grad_norm > 0:
            raise ValueError(f"grad_norm is {self.grad_norm}, not above 0 (inf: gradients are left as they are)")
        for name, there in (("precision", PRECISIONS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in there:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not one of {', '.join(there)}")

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        if self.schedule == "constant":
            return self.lr
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def halves(self, device: torch.device) -> bool:
        """Whether networks are computed in bfloat16 there."""
        if self.precision == "auto":
            return device.type == "cuda" and torch.cuda.is_bf16_supported()
        return self.precision == "bfloat16"
