"""What every command that makes clips shares: a pipeline, and a clip written with its motion beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floatcli.cli.console import ProgressLine
from floatcli.config import RunConfig, VideoConfig
from floatcli.motion import motion_beside

if TYPE_CHECKING:
    from floatcli.clip import Clip
    from floatcli.pipeline import FloatPipeline


def open_pipeline(weights: str | Path | None, run: RunConfig, progress: ProgressLine) -> FloatPipeline:
    """A pipeline that tells ``progress`` what it does; torch is imported here."""
    progress.stage("imports")
    from floatcli.pipeline import FloatPipeline

    return FloatPipeline.from_weights(weights, run.device, run.dtype, run.batch_size, progress.notice, progress.stage)


def save_clip(
    clip: Clip,
    output: Path,
    video: VideoConfig,
    save_motion: bool,
    pipeline: FloatPipeline,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Write a clip and, if wanted, its motion beside it; what ``--json`` prints of it."""
    clip.save(output, video, progress)
    motion = clip.motion.save(motion_beside(output)) if save_motion else None
    width, height = clip.size
    return {
        "path": os.fspath(output),
        "motion": os.fspath(motion) if motion else None,
        "frames": clip.frames,
        "fps": clip.fps,
        "seconds": clip.frames / clip.fps,
        "width": width,
        "height": height,
        "seed": clip.seed,
        "emotion": clip.emotion,
        "stages": {name: round(seconds, 3) for name, seconds in clip.stages.seconds.items()},
        "weights": {"name": pipeline.config.name, "digest": pipeline.digest},
        "digests": clip.digests,
        "notices": clip.notices,
    }
