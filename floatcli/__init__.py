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


def _keep_compiled_code() -> None:
    """Have torch keep what it compiles with the user's other caches, where they can be written to.

    Its own choice, a name in the folder for what is temporary, lasts until the next start, and whoever takes that name
    before it keeps it from being imported.
    """
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    place = os.path.join(os.environ.get("TORCH_HOME") or os.path.join(caches, "torch"), "inductor")
    there = place
    while there and not os.path.exists(there):
        there = os.path.dirname(there)
    if os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", place)


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads leave the cores they wait on to ffmpeg
_keep_compiled_code()

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
