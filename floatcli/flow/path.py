"""What the field is trained on: the straight path from noise to motion (SPEC section 7), or a diffusion's mixture."""

from __future__ import annotations

from torch import Tensor

from floatcli.flow.diffusion import mixed


def along(x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    """x_t = (1 - t) x_0 + t x_1, the path of optimal transport.

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


def training_pair(objective: str, x_0: Tensor, x_1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """What the network sees, and what it shall make of it.

    Args:
        objective: "flow": the field of the straight path. Of a diffusion's mixture: "epsilon", its noise; "x0", its
            motion, which papers on diffusion call x_0 and we x_1.
        x_0: noise (B, L, D).
        x_1: motion (B, L, D).
        t: (B,) in [0, 1].

    Returns:
        x_t and its target, both (B, L, D).
    """
    if objective == "flow":
        return along(x_0, x_1, t), target(x_0, x_1)
    return mixed(x_0, x_1, t), x_0 if objective == "epsilon" else x_1
