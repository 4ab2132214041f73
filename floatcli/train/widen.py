"""A network's weights in a network of more channels, which begins by doing the same."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_HALVES = ("modulation.weight", "modulation.bias")  # scales, and then shifts, of as many channels


def is_wider(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> bool:
    """Whether a network's tensors have the names of another's, and no size is less."""
    return wanted.keys() == state.keys() and all(
        tensor.ndim == state[name].ndim and all(a >= b for a, b in zip(tensor.shape, state[name].shape, strict=True))
        for name, tensor in wanted.items()
    )


def widened(state: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a wider network that does what a narrower one does.

    New channels hear the old ones from the start, by their ``fresh`` weights, and are heard as they learn.

    Args:
        state: Of the narrower network.
        fresh: Of the wider one, as it would begin; ``is_wider``.
    """
    return {name: _grown(state[name], tensor, 2 if name.endswith(_HALVES) else 1) for name, tensor in fresh.items()}


def _grown(old: Tensor, fresh: Tensor, parts: int) -> Tensor:
    """A tensor of each part's outputs by its inputs, with more of both."""
    return torch.cat([_within(*pair) for pair in zip(old.chunk(parts), fresh.chunk(parts), strict=True)])


def _within(old: Tensor, fresh: Tensor) -> Tensor:
    grown = fresh.clone()
    grown[: len(old)] = 0
    grown[tuple(slice(length) for length in old.shape)] = old
    return grown
