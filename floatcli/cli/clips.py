"""How commands that make one clip come by a pipeline, and by a pipe."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from floatcli.cli.console import ProgressLine
from floatcli.config import DEFAULT_FORMAT, RunConfig
from floatcli.errors import UsageError
from floatcli.jobs import Pipe

if TYPE_CHECKING:
    from floatcli.pipeline import FloatPipeline

STDOUT = Path("-")  # as -o takes it


def stdout_pipe(output: Path | None, format: str | None, as_json: bool) -> Pipe | None:
    """Stdout, where a video is to flow there; None where it goes to a file.

    Raises:
        UsageError: the options contradict each other, or stdout is no place for a video.
    """
    if output != STDOUT:
        if format is not None:
            raise UsageError("--format is for a video that goes to stdout", "add -o -, or say it by the suffix of OUT")
        return None
    if as_json:
        raise UsageError("--json and -o - cannot both have stdout", "leave --json out, or name a file with -o")
    pipe = getattr(sys.stdout, "buffer", None)  # what stands for a closed one takes text alone
    if pipe is None or sys.stdout.isatty():
        said = "stdout is closed" if pipe is None else "stdout is a terminal"
        raise UsageError(f"{said}, no place for a video", "pipe it to a player, as in: -o - | ffplay -")
    return Pipe(pipe, DEFAULT_FORMAT if format is None else format)


def open_pipeline(weights: str | Path | None, run: RunConfig, progress: ProgressLine) -> FloatPipeline:
    """A pipeline that tells ``progress`` what it does; torch is imported here."""
    progress.stage("imports")
    from floatcli.pipeline import FloatPipeline

    return FloatPipeline.from_weights(weights, notice=progress.notice, stage=progress.stage, **asdict(run))
