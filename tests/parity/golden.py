"""The goldens: what the published model computes from rule-made weights, and the model made from the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from floatcli.checkpoint.load import build_model
from floatcli.checkpoint.published import from_published
from floatcli.config import FieldSize, ModelConfig, Wav2Vec2Size
from floatcli.models.float_model import FloatModel
from tests.parity.rule import rule_weights

DATA = Path(__file__).parent / "data"

_SMALL_AUDIO = Wav2Vec2Size(
    hidden=32, layers=3, heads=2, intermediate=64, conv_dim=(32,) * 7, position_kernel=16, position_groups=4
)
SMALL = ModelConfig(
    image_size=64,
    audio=_SMALL_AUDIO,
    emotion=replace(
        _SMALL_AUDIO, hidden=48, layers=2, heads=4, intermediate=96,
        feature_norm="layer", stable_layer_norm=True, conv_bias=True,
    ),
    field=FieldSize(width=64, depth=2, heads=4),
)  # fmt: skip


@dataclass(frozen=True)
class Golden:
    """One golden file and a model of the same weights."""

    size: str
    model: FloatModel
    arrays: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(np.asarray(self.arrays[name]))

    def assert_near(self, value: Tensor, name: str, tolerance: float, last: int | None = None) -> None:
        """The largest error, over the array's standard deviation, is within the tolerance.

        Of (B, n, ...), maybe the ``last`` of the n alone.
        """
        expected = self[name].double()
        expected = expected if last is None else expected[:, -last:]
        assert value.shape == expected.shape
        error = (value.double() - expected).abs().max() / expected.std()
        assert error <= tolerance, f"{name} is {error:.2g} standard deviations off"


def load_golden(size: str, config: ModelConfig) -> Golden:
    """A golden and its model, by size: "small" or "full"."""
    with np.load(DATA / f"golden-{size}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    return Golden(size, build_model(config, golden_tensors(size, config), DATA), arrays)


def golden_shapes(size: str) -> dict[str, list[int]]:
    """Published names and shapes of the parameters."""
    return json.loads((DATA / f"keys-{size}.json").read_text())["parameters"]


def golden_tensors(size: str, config: ModelConfig) -> dict[str, Tensor]:
    """The golden's weights under our names."""
    return from_published(rule_weights(golden_shapes(size)), config, DATA)
