"""A training's settings: one TOML file, read strictly into dataclasses."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Settings:
    """A whole training: the model to make, and the two stages."""

    model: ModelConfig = ModelConfig()
    autoencoder: AutoencoderSettings = AutoencoderSettings()
    flow: FlowSettings = FlowSettings()


def load_settings(path: Path) -> Settings:
    """Settings from a TOML file; the basis vectors get the renderer's names.

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
    try:
        settings = build(Settings, values, "settings")
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}", "see weights/embedded.toml for every key") from None
    model = dataclasses.replace(
        settings.model, coefficient_names=NAMES, coefficient_scales=tuple(float(s) for s in SCALE)
    )
    return dataclasses.replace(settings, model=model)
