"""Audio-driven talking portraits by flow matching.

Names are looked up when first used, so that importing the package (and ``floatcli --help``) stays free of torch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from floatcli.version import __version__

if TYPE_CHECKING:
    from floatcli.clip import Clip
    from floatcli.edits import BasisEdit, edited
    from floatcli.motion import Motion
    from floatcli.pipeline import FloatPipeline

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads leave the cores they wait on to ffmpeg

__all__ = ["BasisEdit", "Clip", "FloatPipeline", "Motion", "__version__", "edited"]

_LAZY = {
    "BasisEdit": "floatcli.edits",
    "Clip": "floatcli.clip",
    "FloatPipeline": "floatcli.pipeline",
    "Motion": "floatcli.motion",
    "edited": "floatcli.edits",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
