"""What is varied: every variant is a small difference to one base, in the model's configuration or in sampling."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from floatcli.config import FieldSize, ModelConfig, SampleConfig


@dataclass(frozen=True)
class Variant:
    """A model to train: what it is called, and how its configuration differs from the base's."""

    name: str
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    field: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def slug(self) -> str:
        """Its name as a folder's."""
        return "".join(c if c.isalnum() else "-" for c in self.name)

    def of(self, base: ModelConfig) -> ModelConfig:
        """The base's configuration with the differences."""
        return dataclasses.replace(base, field=dataclasses.replace(base.field, **self.field), **self.model)


#: The field of every model of motion but for its differences; the rest is the embedded set's.
FIELD = FieldSize(width=64, depth=4, heads=4)

MOTION = (
    Variant("base"),
    Variant("T = 1", field={"reach": 1}),
    Variant("T = 3", field={"reach": 3}),
    Variant("cross-attention", field={"conditioning": "cross-attention"}),
    Variant("epsilon", model={"objective": "epsilon"}),
    Variant("x0", model={"objective": "x0"}),
)

#: Of every auto-encoder but for its differences; nothing else of the model is made.
AUTOENCODER = ModelConfig(
    name="ablation",
    image_size=32,
    channels=((4, 64), (8, 64), (16, 32), (32, 16)),
    motion_dim=512,
    basis_size=20,
)

PICTURES = (
    Variant("M = 20, D = 512"),
    Variant("M = 5", model={"basis_size": 5}),
    Variant("M = 10", model={"basis_size": 10}),
    Variant("M = 40", model={"basis_size": 40}),
    Variant("D = 256", model={"motion_dim": 256}),
    Variant("D = 768", model={"motion_dim": 768}),
)

#: Evaluations a window, of the models of motion that differ in what they predict.
NFE = (1, 2, 5, 9, 20)
NFE_OF = ("base", "epsilon", "x0")

#: audio_scale and emotion_scale of the base, each with each.
AUDIO_SCALES, EMOTION_SCALES = (1.0, 2.0, 3.0), (1.0, 2.0, 3.0)


def samplings(name: str) -> dict[str, SampleConfig]:
    """Ways of sampling a model of motion, by the name of their row; the first is the default."""
    ways = {name: SampleConfig()}
    if name in NFE_OF:
        ways |= {f"{name}, nfe {nfe}": SampleConfig(nfe=nfe) for nfe in NFE if nfe != SampleConfig.nfe}
    if name == "base":
        for audio in AUDIO_SCALES:
            for emotion in EMOTION_SCALES:
                ways[f"{name}, g_a {audio:g}, g_e {emotion:g}"] = SampleConfig(audio, emotion)
    return ways
