"""The drawn set's parameters as coefficients: those that one part follows, as they are read, how far they are off."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from floatcli.train.loop import Losses
from floatcli.train.parameters import INDEX, SCALE

SCALES = torch.from_numpy(SCALE)


def all_coeffs(parameters: Tensor) -> Tensor:
    """Parameters (..., 20) as coefficients."""
    return parameters / SCALES.to(parameters.device)


def coeffs_of(parameters: Tensor, names: tuple[str, ...]) -> Tensor:
    """Parameters (..., 20) -> the coefficients that one part follows (..., P)."""
    return all_coeffs(parameters)[..., [INDEX[name] for name in names]]


def as_read(own: Tensor, wanted: Tensor, most: float, alike: float = 1.0) -> tuple[Tensor, Tensor]:
    """Coefficients of sources (B, 1, P) and targets (B, F, P) as they are asked for by who can only read the source's.

    Args:
        own, wanted: As drawn.
        most: Standard deviation by which the worst read source is misread.
        alike: Share of sources that are misread like their targets, as of a motion about the source's; of others the
            target is what it is, as of a mouth that shall be shut, whatever it looks like.
    """
    off = most * torch.rand_like(own[..., :1]) * torch.randn_like(own)
    return own + off, wanted + off * (torch.rand_like(own[..., :1]) < alike)


def coefficient_losses(coeffs: Tensor, truth: Tensor) -> Losses:
    """Squares of coefficients (B, F, 20), and of their differences within a set: change matters more than place."""
    change, true_change = coeffs - coeffs.mean(1, True), truth - truth.mean(1, True)
    return {"coeffs": F.mse_loss(coeffs, truth), "change": 2 * F.mse_loss(change, true_change)}
