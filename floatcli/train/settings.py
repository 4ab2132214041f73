"""A training's settings: one TOML file, read strictly into dataclasses."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floatcli.config import ModelConfig, build
from floatcli.errors import InputError
from floatcli.train.drawn_data import DrawnConfig
from floatcli.train.flow_stage import FlowSettings
from floatcli.train.loop import LoopConfig
from floatcli.train.parameters import NAMES, SCALE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


NETWORKS = ("auto", "vgg19", "drawn")  # that perceptual losses may compare by


@dataclass(frozen=True)
class WarpedSettings(LoopConfig):
    """How the auto-encoder with the warped decoder learns; the defaults are the paper's (SPEC section 7).

    A loss of weight 0 is switched off: the networks that only it needs are not made.
    """

    steps: int = 460_000
    lr: float = 2e-4
    warmup: int = 0
    schedule: str = "constant"
    beta2: float = 0.999  # with the next, Adam as it comes
    weight_decay: float = 0.0
    l1: float = 1.0
    perceptual: float = 10.0
    component: float = 100.0  # perceptual, within boxes of eyes and mouth
    adversarial: float = 1.0  # against discriminators of whole pictures on two scales
    part_adversarial: float = 1.0  # against discriminators of eyes and of lips
    gram: float = 100.0  # Gram matrices of what these see
    r1: float = 10.0  # StyleGAN2's penalty on the slope of all discriminators
    r1_every: int = 16  # steps
    network: str = "auto"  # that perceptual losses compare by: vgg19, drawn, or the first that can be had

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = ("l1", "perceptual", "component", "adversarial", "part_adversarial", "gram", "r1")
        for name in weights:
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, not 0 or more")
        if not any(getattr(self, name) for name in weights[:-1]):
            raise ValueError("all losses are switched off")
        if self.r1_every < 1:
            raise ValueError(f"r1_every is {self.r1_every}, not at least 1")
        if self.network not in NETWORKS:
            raise ValueError(f"network is {self.network!r}, not one of {', '.join(NETWORKS)}")

    @property
    def contested(self) -> bool:
        """Whether a discriminator is needed."""
        return bool(self.adversarial or self.part_adversarial or self.gram)


@dataclass(frozen=True)
class AutoencoderSettings:
    """Stage 1: the data, and the loop of each part."""

    drawn: DrawnConfig = DrawnConfig()
    encoder: LoopConfig = LoopConfig()
    landmarks: LoopConfig = LoopConfig()
    mouth: LoopConfig = LoopConfig()
    eyes: LoopConfig = LoopConfig()
    warp: LoopConfig = LoopConfig()
    warped: WarpedSettings = WarpedSettings()
    workers: int = 0  # processes that draw batches ahead

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"workers are {self.workers}, not 0 or more")


def _over(base: Any, values: Any) -> Any:
    """Tables within tables, with other values where there are any."""
    if not isinstance(base, dict) or not isinstance(values, dict):
        return values
    return base | {key: _over(base.get(key), value) for key, value in values.items()}


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
        values = tomllib.loads(path.read_text("utf-8"))
    except PermissionError:
        raise InputError(f"{path} may not be read", "check the file's permissions") from None
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}", "name a training's TOML file, such as weights/embedded.toml"
        ) from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply", "mend that") from None
    except ValueError as error:  # TOML's own, of text that is no UTF-8, or of numbers without end
        raise InputError(f"{path} is not TOML: {' '.join(str(error).split())}", "mend that line") from None
    if base is not None:
        values["model"] = _over(json.loads(base.to_json()), values.get("model", {}))
    try:
        settings = build(Settings, values, "settings")
        if base is not None and base.decoder != settings.model.decoder:
            raise ValueError(f"[model] is {settings.model.decoder}, the weights to start from are {base.decoder}")
        if settings.model.decoder == "warped":
            return settings
        scales = tuple(float(s) for s in SCALE)
        model = dataclasses.replace(settings.model, coefficient_names=NAMES, coefficient_scales=scales)
        return dataclasses.replace(settings, model=model)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: {error}", "mend that; weights/embedded.toml and examples/tiny-warped.toml show every key"
        ) from None
