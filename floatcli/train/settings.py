"""A training's settings: one TOML file, read strictly into dataclasses."""

from __future__ import annotations

import dataclasses
import json
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


@dataclass(frozen=True)
class AutoencoderSettings:
    """Stage 1: the data, and the loop of each part."""

    drawn: DrawnConfig = DrawnConfig()
    encoder: LoopConfig = LoopConfig()
    landmarks: LoopConfig = LoopConfig()
    mouth: LoopConfig = LoopConfig()
    eyes: LoopConfig = LoopConfig()
    warp: LoopConfig = LoopConfig()


def _stated(base: ModelConfig, values: dict[str, Any]) -> dict[str, Any]:
    """A model as TOML has it. With another decoder than these values ask for, its coefficients have other meanings."""
    stated = json.loads(base.to_json())
    if isinstance(model := values.get("model"), dict) and model.get("decoder", base.decoder) != base.decoder:
        stated |= {"coefficient_names": [], "coefficient_scales": []}
    return stated


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
        InputError: The file is not there, is not TOML, or has unknown or ill-typed keys.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except PermissionError:
        raise InputError(f"{path} may not be read", "check the file's permissions") from None
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}", "name a training's TOML file, such as weights/embedded.toml"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}", "mend that line") from None
    if base is not None:
        values["model"] = _over(_stated(base, values), values.get("model", {}))
    try:
        settings = build(Settings, values, "settings")
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}", "see weights/embedded.toml for every key") from None
    if settings.model.decoder != "anchored":
        return settings
    model = dataclasses.replace(
        settings.model, coefficient_names=NAMES, coefficient_scales=tuple(float(s) for s in SCALE)
    )
    return dataclasses.replace(settings, model=model)
