"""A model small enough to run in a moment, no two of its sizes alike: none can stand in for another."""

from __future__ import annotations

import torch
from torch import nn

from floatcli.config import FieldSize, ModelConfig, Wav2Vec2Size
from floatcli.models.float_model import FloatModel

UNLIKE = ModelConfig(
    name="tiny",
    image_size=32,
    channels=((4, 12), (8, 11), (16, 9), (32, 6)),
    motion_dim=20,
    basis_size=5,
    audio=Wav2Vec2Size(
        hidden=16, layers=3, heads=2, intermediate=24, conv_dim=(8,) * 7, position_kernel=4, position_groups=2
    ),
    audio_dim=10,
    emotion=Wav2Vec2Size(
        hidden=14, layers=2, heads=1, intermediate=18, conv_dim=(7,) * 7, conv_bias=True, feature_norm="layer",
        stable_layer_norm=True, position_kernel=6, position_groups=7,
    ),
    emotions=("calm", "glad", "grim"),
    field=FieldSize(width=16, depth=2, heads=4, mlp_ratio=2, reach=1, time_features=8),
    window=8,
    preceding=3,
)  # fmt: skip


def random_model(config: ModelConfig, seed: int = 0) -> FloatModel:
    """A model in evaluation mode with every parameter random: none at the zeros that training starts from."""
    generator = torch.Generator().manual_seed(seed)
    model = FloatModel(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.25, generator=generator)
    return model
