"""What several figures ask of curves over time."""

from __future__ import annotations

import numpy as np


def correlations(made: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pearson's r of each of N curves (N, T) with another, (N,); zero of those that don't move."""
    made, truth = made - made.mean(1, keepdims=True), truth - truth.mean(1, keepdims=True)
    size = np.sqrt((made**2).sum(1) * (truth**2).sum(1))
    return (made * truth).sum(1) / (size + 1e-9)


def count_spells(at: np.ndarray) -> int:
    """How often something that is or is not, bool (T,), begins."""
    return int((at[1:] & ~at[:-1]).sum() + at[0])
