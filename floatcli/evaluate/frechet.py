"""The Fréchet distance of two sets of features, each taken for a Gaussian (Heusel et al. 2017, equation 6)."""

from __future__ import annotations

import numpy as np


class Moments:
    """Mean and covariance of vectors that come a few at a time."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: np.ndarray | float = 0.0
        self._products: np.ndarray | float = 0.0

    def add(self, features: np.ndarray) -> None:
        """Add vectors (N, E) float64."""
        self.count += len(features)
        self._sum = self._sum + features.sum(0)
        self._products = self._products + features.T @ features

    @property
    def mean(self) -> np.ndarray:
        """(E,)."""
        return np.asarray(self._sum) / self.count

    @property
    def covariance(self) -> np.ndarray:
        """(E, E), of the population that the vectors are drawn from."""
        return (self._products - self.count * np.outer(self.mean, self.mean)) / (self.count - 1)


def frechet_distance(a: Moments, b: Moments) -> float | None:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^1/2); None where either has fewer than two vectors."""
    if min(a.count, b.count) < 2:
        return None
    root = symmetric_root(a.covariance)
    # C_a C_b has the eigenvalues of this product, which is symmetric: no square root of theirs is complex.
    values = np.linalg.eigvalsh(root @ b.covariance @ root).clip(min=0)
    spread = np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.sqrt(values).sum()
    return float(np.square(a.mean - b.mean).sum() + spread)


def symmetric_root(matrix: np.ndarray) -> np.ndarray:
    """The square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
