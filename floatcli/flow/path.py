"""The straight path from noise to motion, which the field is trained on (SPEC section 7; optimal transport)."""

from __future__ import annotations

from torch import Tensor


def along(x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    """x_t = (1 - t) x_0 + t x_1.

    Args:
        x_0: noise (B, L, D).
        x_1: motion (B, L, D).
        t: (B,) in [0, 1].

    Returns:
        (B, L, D).
    """
    t = t.view(-1, *[1] * (x_0.ndim - 1))
    return (1 - t) * x_0 + t * x_1


def target(x_0: Tensor, x_1: Tensor) -> Tensor:
    """u_t = x_1 - x_0 (B, L, D): the field of the path, the same at every t."""
    return x_1 - x_0
