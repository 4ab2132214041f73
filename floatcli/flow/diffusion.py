"""Diffusion in place of flow matching, the other way of the paper's ablation: its mixture, and sampling by DDIM.

Time is the flow's: noise at t = 0, motion at t = 1. The variance-preserving schedule is the usual one, whose rate of
noise rises linearly from 0.1 at the data to 20 at the noise (Ho et al. 2020; Song et al. 2021, eq. 33).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_RATE_AT_DATA, _RATE_AT_NOISE = 0.1, 20.0


def shares(t: Tensor) -> tuple[Tensor, Tensor]:
    """Shares alpha_t of the motion and sigma_t of the noise at times t in [0, 1]; their squares add up to one."""
    s = 1 - t
    log_alpha = -(s * _RATE_AT_DATA / 2 + s**2 * (_RATE_AT_NOISE - _RATE_AT_DATA) / 4)
    return log_alpha.exp(), (-torch.expm1(2 * log_alpha)).sqrt()


def mixed(x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    """x_t = alpha_t x_1 + sigma_t x_0 of noise and motion (B, L, D) at times (B,)."""
    alpha, sigma = (share.view(-1, *[1] * (x_0.ndim - 1)) for share in shares(t))
    return alpha * x_1 + sigma * x_0


def ddim(predict: Callable[[Tensor, Tensor], Tensor], objective: str, x_0: Tensor, times: Tensor) -> Tensor:
    """From noise to motion without randomness (Song et al. 2021, DDIM, eq. 12 with eta = 0).

    Args:
        predict: what a network makes of t () and x_t; asked once at each of the times.
        objective: what that is: "epsilon", the noise in x_t, or "x0", the motion in it.
        x_0: the noise to start from.
        times: ascending from 0, all below 1 (n,).

    Returns:
        The motion at t = 1, of x_0's shape.
    """
    alphas, sigmas = shares(torch.cat((times, times.new_ones(1))))
    x_t = x_0
    for k, t in enumerate(times):
        predicted = predict(t, x_t)
        if objective == "epsilon":
            noise, motion = predicted, (x_t - sigmas[k] * predicted) / alphas[k]
        else:
            noise, motion = (x_t - alphas[k] * predicted) / sigmas[k], predicted
        x_t = alphas[k + 1] * motion + sigmas[k + 1] * noise
    return x_t
