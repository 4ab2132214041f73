"""torch.compile, where it pays for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from floatcli.errors import DeviceError

if TYPE_CHECKING:
    from floatcli.models.float_model import FloatModel

PAYS_FROM = 15_000  # frames asked for, ten minutes: compiling takes minutes, and saves a few milliseconds a frame
_SIZES = 64  # that one piece of code may be compiled for: a decoder's levels share theirs, and batches differ


def compile_networks(model: FloatModel) -> None:
    """Have field and decoder compiled when they are next called; what is compiled stays on disk, for other runs.

    Each part that is called over and over is compiled by itself, which takes less time than the whole of them at once.
    """
    torch._dynamo.config.recompile_limit = _SIZES
    torch._dynamo.config.error_on_nested_fx_trace = False  # while one thread compiles, others compute as they are
    for part in (*model.field.blocks, *model.decoder.repeated()):
        part.compile()


@contextmanager
def compiling_told() -> Iterator[None]:
    """Raise DeviceError where networks cannot be compiled, as for want of a compiler."""
    try:
        yield
    except RuntimeError as error:
        if not _of_compiler(error):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        hint = "take --no-compile; compiling needs a C++ compiler, and on a GPU Triton"
        raise DeviceError(f"the networks cannot be compiled here: {reason}", hint) from error


def _of_compiler(error: BaseException) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
