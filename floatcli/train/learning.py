"""A part as it learns: its weights, their running average, their optimiser, and the checkpoints of these."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from floatcli.train import checkpoints
from floatcli.train.loop_config import LoopConfig


class Learning:
    """A part's module, the running average of its weights, and its optimiser, as they are after ``step`` steps.

    Its checkpoints lie in ``folder``, and it goes on from the last of them.

    Args:
        name: Of the part.
        module: What learns.
        config: How it is optimised.
        folder: Of the run.
        adversary: What the module is to win against, which an optimiser of its own brings on in the same steps.
        joining: Steps before the adversary joins in: until then checkpoints do not hold it.
        device: Where all of it is kept.

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
        device: torch.device | str = "cpu",
    ):
        self.name, self.config, self.folder = name, config, folder
        self.adversary, self.joining = adversary, joining
        self.module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(module).requires_grad_(False).eval()
        learnt = [p for p in module.parameters() if p.requires_grad]
        betas = (0.9, config.beta2)
        self.optimiser = torch.optim.AdamW(learnt, lr=config.lr, betas=betas, weight_decay=config.weight_decay)
        self.learners: list[tuple[nn.Module, torch.optim.Optimizer]] = [(module, self.optimiser)]
        if adversary is not None:
            adversary.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            # Without momentum, which would chase where the module was.
            self.learners.append((adversary, torch.optim.Adam(adversary.parameters(), lr=config.lr, betas=(0.0, 0.99))))
        self.step = 0
        if there := checkpoints.checkpoints(folder, name):
            self._load(there[-1])

    def _kept(self) -> dict[str, Any]:
        """What checkpoints hold the states of, by name."""
        kept: dict[str, Any] = {"module": self.module, "average": self.average, "optimiser": self.optimiser}
        if self.adversary is not None and self.step >= self.joining:
            kept |= {"adversary": self.adversary, "adversary_optimiser": self.learners[-1][1]}
        return kept

    def _load(self, path: Path) -> None:
        state = checkpoints.load(path)
        try:
            self.step = state["step"]
            for name, kept in self._kept().items():
                if name == "adversary" and name not in state:
                    raise checkpoints.unopposed(path)
                kept.load_state_dict(state[name])
        except (RuntimeError, ValueError) as error:  # of tensors that are there, but do not fit
            raise checkpoints.of_other_sizes(path) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise checkpoints.unfit(path) from error

    def save(self) -> None:
        """Writes a checkpoint of the last step. Raises OutputError."""
        state = {name: kept.state_dict() for name, kept in self._kept().items()} | {"step": self.step}
        checkpoints.save(state, checkpoints.place(self.folder, self.name, self.step), self.config.keep)

    def update(self) -> None:
        """A step along the gradients that are there."""
        nn.utils.clip_grad_norm_(self.module.parameters(), self.config.grad_norm)
        for _, optimiser in self.learners:
            for group in optimiser.param_groups:  # an adversary has to keep up to the end
                group["lr"] = self.config.rate(self.step) if optimiser is self.optimiser else self.config.lr
            optimiser.step()  # which leaves alone what has no gradients, as an adversary that has not joined in yet
        decay = min(self.config.ema, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for kept, now in zip(self.average.parameters(), self.module.parameters(), strict=True):
                kept.lerp_(now, 1 - decay)
        self.step += 1
