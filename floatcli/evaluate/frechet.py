"""The Fréchet distance of two sets of features, each taken for a Gaussian (Heusel et al. 2017, equation 6)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance


class FrechetDistance:
    """Between true and made vectors that come a few at a time; torchmetrics', on features that are there already."""

    def __init__(self) -> None:
        self._metric: FrechetInceptionDistance | None = None

    def add(self, features: np.ndarray, true: bool) -> None:
        """Add vectors (N, E)."""
        if self._metric is None:
            self._metric = FrechetInceptionDistance(_AsTheyAre(features.shape[1]))
        self._metric.update(torch.from_numpy(features).double(), real=true)

    def value(self) -> float | None:
        """The distance; None where there are fewer than two vectors of either kind."""
        metric = self._metric
        if metric is None or min(metric.real_features_num_samples, metric.fake_features_num_samples) < 2:
            return None
        return float(metric.compute())


class _AsTheyAre(nn.Module):
    """In place of the network that would make features of pictures."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features
