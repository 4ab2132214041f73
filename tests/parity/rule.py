"""Weights of the goldens, made by rule from their published names and shapes (SPEC section 8)."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from floatcli.models.fmt import position_table


def rule_weights(shapes: Mapping[str, list[int]]) -> dict[str, Tensor]:
    """Every parameter under its published name."""
    return {name: _rule_weight(name, tuple(shape)) for name, shape in shapes.items()}


def _rule_weight(name: str, shape: tuple[int, ...]) -> Tensor:
    if name == "fmt.pos_embed":
        return position_table(*shape[1:])[None]
    random = np.random.RandomState(zlib.crc32(name.encode()))
    x = torch.from_numpy(random.standard_normal(math.prod(shape)).astype(np.float32).reshape(shape))
    if name.startswith("motion_autoencoder."):
        return _auto_encoder_rule(name, x)
    if len(shape) == 1 and name.endswith("weight"):
        return 1 + 0.1 * x
    if len(shape) <= 1 or name.endswith("bias"):
        return 0.05 * x
    return x / math.sqrt(math.prod(shape[1:]))


def _auto_encoder_rule(name: str, x: Tensor) -> Tensor:
    if ".noise." in name:
        return torch.zeros_like(x)
    if name.endswith("bias"):
        return 1 + 0.1 * x if ".modulation." in name else 0.1 * x
    return 0.1 * x if ".to_flows." in name and name.endswith(".conv.weight") else x
