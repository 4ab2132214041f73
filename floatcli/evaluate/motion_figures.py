"""What a motion is like: how smooth, and how far the head goes."""

from __future__ import annotations

import numpy as np

from floatcli.config import POSE, TURN_DEGREES, ModelConfig
from floatcli.evaluate.curves import correlations
from floatcli.evaluate.pictures import Figures


def jerk(coeffs: np.ndarray, fps: int) -> float | None:
    """Mean length of the third derivative of coefficients (F, M), in their units a second cubed; None of < 4 frames."""
    if len(coeffs) < 4:
        return None
    return float(np.linalg.norm(np.diff(coeffs, 3, axis=0), axis=1).mean() * fps**3)


def head_range(coeffs: np.ndarray, config: ModelConfig) -> Figures:
    """Degrees from the least to the most that a head turns each way, of coefficients (F, M); None where no name tells.

    The basis must name yaw, pitch and roll.
    """
    figures: Figures = {}
    for name, degrees in zip(POSE, TURN_DEGREES, strict=False):
        figures[f"{name} range"] = None
        if name in config.coefficient_names:
            k = config.coefficient_names.index(name)
            figures[f"{name} range"] = float(np.ptp(coeffs[:, k])) * config.coefficient_scales[k] * degrees
    return figures


def agreement(read: np.ndarray, given: np.ndarray) -> Figures:
    """How coefficients (F, M) that are read back agree with those that were given.

    ``motion L1`` is their mean absolute difference, in the basis' units; ``motion r`` Pearson's r over the frames, the
    mean over coefficients that move.
    """
    moving = (read.std(0) > 1e-6) & (given.std(0) > 1e-6)
    r = float(correlations(read.T[moving], given.T[moving]).mean()) if moving.any() else None
    return {"motion L1": float(np.abs(read - given).mean()), "motion r": r}
