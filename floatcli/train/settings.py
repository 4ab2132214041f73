"""A training's settings: one TOML file, read strictly into dataclasses."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floatcli.checks import text_of
from floatcli.config import ModelConfig, build
from floatcli.errors import InputError
from floatcli.train.drawn_data import DrawnConfig
from floatcli.train.flow_stage import FlowSettings
from floatcli.train.loop_config import LoopConfig
from floatcli.train.parameters import NAMES, SCALE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


AUTO, VGG, DRAWINGS = NETWORKS = ("auto", "vgg19", "drawn")  # that perceptual losses may compare by

_LARGEST, _LONGEST = 100_000, 2000  # bytes, letters of a line: a key of many parts takes tomllib the square of them
_CONTESTS: tuple[str, ...] = ("adversarial", "gram")
_LOSSES = ("perceptual", *_CONTESTS)


@dataclass(frozen=True)
class JudgedSettings(LoopConfig):
    """How a part learns that other networks judge; the defaults are the paper's (SPEC section 7).

    A loss of weight 0 is switched off: the networks that only it needs are not made.
    """

    perceptual: float = 10.0  # L1 of what a network sees
    adversarial: float = 1.0  # against discriminators
    gram: float = 100.0  # Gram matrices of what these see
    r1: float = 10.0  # StyleGAN2's penalty on the slope of all discriminators
    r1_every: int = 16  # steps
    adversarial_from: float = 0.0  # share of the steps before discriminators join in: 1 is never
    network: str = AUTO  # that perceptual losses compare by: vgg19, drawn, or the first that can be had

    losses = _LOSSES  # the weights of all there are
    contests = _CONTESTS  # of those that need discriminators

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (*self.losses, "r1"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, not a finite number from 0 up")
        if not 0 <= self.adversarial_from <= 1:
            raise ValueError(f"adversarial_from is {self.adversarial_from}, not in 0..1")
        if not any(getattr(self, name) for name in self.losses):
            raise ValueError("all losses are switched off")
        if self.adversarial_from and not any(getattr(self, name) for name in set(self.losses) - set(self.contests)):
            raise ValueError("adversarial_from is above 0, and before it all losses are switched off")
        if self.r1_every < 1:
            raise ValueError(f"r1_every is {self.r1_every}, not at least 1")
        if self.network not in NETWORKS:
            raise ValueError(f"network is {self.network!r}, not one of {', '.join(NETWORKS)}")

    @property
    def joining(self) -> int:
        """Steps before discriminators join in."""
        return round(self.adversarial_from * self.steps)

    @property
    def contested(self) -> bool:
        """Whether a discriminator is needed."""
        return self.joining < self.steps and any(getattr(self, name) for name in self.contests)


@dataclass(frozen=True)
class WarpedSettings(JudgedSettings):
    """How the auto-encoder with the warped decoder learns; the defaults are the paper's (SPEC section 7)."""

    steps: int = 460_000
    lr: float = 2e-4
    warmup: int = 0
    schedule: str = "constant"
    beta2: float = 0.999  # with the next, Adam as it comes
    weight_decay: float = 0.0
    l1: float = 1.0
    component: float = 100.0  # perceptual, within boxes of eyes and mouth
    part_adversarial: float = 1.0  # against discriminators of eyes and of lips; adversarial: of wholes on two scales

    losses = ("l1", "component", "part_adversarial", *_LOSSES)
    contests = ("part_adversarial", *_CONTESTS)


@dataclass(frozen=True)
class PatchSettings(JudgedSettings):
    """How an editor of patches learns; see ``floatcli.train.patch_parts``.

    Values and gradients weigh more where the truth differs from the source. Patches lie on the truth to begin with, so
    that discriminators have only to bring back what L1 leaves blurred: they join late, and weigh little.
    """

    l1: float = 2.0
    gradient: float = 2.0  # L1 of differences between neighbouring pixels
    sharpness: float = 3.0  # L1 of how strong these differences are nearby
    flow: float = 4.0  # L1 at landmarks
    still: float = 5.0  # price of moving what stays
    mask: float = 0.005  # price of paint
    perceptual: float = 2.0  # of the drawn reader: pulls at pixels about as hard as l1
    adversarial: float = 0.3
    gram: float = 30.0
    r1: float = 1.0
    adversarial_from: float = 0.6

    losses = ("l1", "gradient", "sharpness", "flow", "still", "mask", *_LOSSES)


_READER = LoopConfig(steps=2000, lr=5e-3)  # equalised weights are of the order of one


@dataclass(frozen=True)
class AutoencoderSettings:
    """Stage 1: the data, and the loop of each part."""

    drawn: DrawnConfig = DrawnConfig()
    encoder: LoopConfig = LoopConfig()
    landmarks: LoopConfig = LoopConfig()
    mouth: PatchSettings = PatchSettings()
    eyes: PatchSettings = PatchSettings()
    warp: LoopConfig = LoopConfig()
    warped: WarpedSettings = WarpedSettings()
    mouth_reader: LoopConfig = _READER
    eyes_reader: LoopConfig = _READER
    workers: int = 0  # processes that draw batches ahead

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"workers are {self.workers}, not 0 or more")


def _over(base: Any, values: Any) -> Any:
    """Tables within tables, with other values where there are any."""
    if not isinstance(base, dict) or not isinstance(values, dict):
        return values
    return base | {key: _over(base.get(key), value) for key, value in values.items()}


def _check_decoder(model: Any, base: ModelConfig) -> None:
    """Raise ValueError where a model's table asks for another decoder than the weights to start from have.

    Before it is built: what these say of their basis may not go with what it asks for.
    """
    asked = model["decoder"] if isinstance(model, dict) else base.decoder
    if asked != base.decoder:
        raise ValueError(f"[model] is {asked}, the weights to start from are {base.decoder}")


@dataclass(frozen=True)
class Settings:
    """A whole training: the model to make, and the two stages."""

    model: ModelConfig = ModelConfig()
    autoencoder: AutoencoderSettings = AutoencoderSettings()
    flow: FlowSettings = FlowSettings()


def load_settings(path: Path, base: ModelConfig | None = None) -> Settings:
    """Settings from a TOML file. The basis vectors of an anchored model get the renderer's names.

    Args:
        path: The file.
        base: Of weights to start from: what the file does not say of the model.

    Raises:
        InputError: The file is not there, is not TOML, has unknown or ill-typed keys, or asks for another decoder than
            the weights have, of which no part could be used.
    """
    try:
        values = tomllib.loads(text_of(path, "TOML file", largest=_LARGEST, longest=_LONGEST))
    except RecursionError:
        raise InputError(f"{path} is nested too deeply", "mend that") from None
    except ValueError as error:  # TOML's own, of text that is no UTF-8, or of numbers without end
        raise InputError(f"{path} is not TOML: {' '.join(str(error).split())}", "mend that line") from None
    try:
        if base is not None:
            values["model"] = _over(json.loads(base.to_json()), values.get("model", {}))
            _check_decoder(values["model"], base)
        settings = build(Settings, values, "settings")
        if settings.model.decoder == "warped":
            return settings
        if settings.model.basis_size != len(NAMES):
            said = f"basis_size is {settings.model.basis_size}, and of an anchored model {len(NAMES)}"
            raise ValueError(f"{said}, one for each of the coefficients that drawings have")
        scales = tuple(float(s) for s in SCALE)
        model = dataclasses.replace(settings.model, coefficient_names=NAMES, coefficient_scales=scales)
        return dataclasses.replace(settings, model=model)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}", "mend that; the settings.json of any run shows every key") from None
