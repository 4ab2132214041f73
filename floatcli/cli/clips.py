"""How commands that make one clip come by a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from floatcli.cli.console import ProgressLine
from floatcli.config import RunConfig

if TYPE_CHECKING:
    from floatcli.pipeline import FloatPipeline


def open_pipeline(weights: str | Path | None, run: RunConfig, progress: ProgressLine) -> FloatPipeline:
    """A pipeline that tells ``progress`` what it does; torch is imported here."""
    progress.stage("imports")
    from floatcli.pipeline import FloatPipeline

    return FloatPipeline.from_weights(weights, run.device, run.dtype, run.batch_size, progress.notice, progress.stage)
