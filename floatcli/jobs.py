"""A clip to make, with every setting of it, and what there is to tell of one that is made. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from floatcli.checkpoint.store import find_weights, stated_config
from floatcli.checks import (
    AUTO,
    check_crop,
    check_sample,
    check_source,
    check_video,
    is_track,
    match_emotion,
)
from floatcli.config import DEFAULT_FORMAT, CropConfig, SampleConfig, VideoConfig
from floatcli.errors import FloatCliError
from floatcli.files import check_apart, check_place
from floatcli.media.video import check_format, check_output
from floatcli.motion import motion_beside, read_making
from floatcli.poses import check_follows, is_table, read_pose
from floatcli.tracks import read_track

if TYPE_CHECKING:
    from floatcli.clip import Clip
    from floatcli.pipeline import FloatPipeline


@dataclass(frozen=True)
class Pipe:
    """Where a video flows while it is made, in place of a file.

    Attributes:
        file: A pipe, or any open binary file that has a descriptor.
        format: What the video is, as ``Clip.stream`` takes it.
    """

    file: IO[bytes]
    format: str = DEFAULT_FORMAT


@dataclass(frozen=True)
class Job:
    """One clip to make.

    Attributes:
        face: Portrait.
        speech: Recording.
        out: Video.
        crop: How the face is cut out.
        sample: How motion is sampled.
        video: How frames are encoded.
        emotion: A label, "auto" or a track's path.
        save_motion: Whether its motion is kept beside it.
        pose: A track's or another motion's path, whose pose the head takes.
        pipe: Where the video flows in place of ``out``; nothing is kept beside it.
        fault: What can't be meant in the line of a list that asks for it; ``check`` refuses it by this.
    """

    face: Path
    speech: Path
    out: Path
    crop: CropConfig = CropConfig()
    sample: SampleConfig = SampleConfig()
    video: VideoConfig = VideoConfig()
    emotion: str = AUTO
    save_motion: bool = True
    pose: Path | None = None
    pipe: Pipe | None = None
    fault: FloatCliError | None = field(default=None, compare=False)

    @property
    def track(self) -> Path | None:
        """The emotion's track, where it is one."""
        return Path(self.emotion) if is_track(self.emotion) else None

    @property
    def files(self) -> list[Path]:
        """What it is made of, but for the weights."""
        return [path for path in (self.face, self.speech, self.track, self.pose) if path is not None]

    def check(self, weights: str | Path | None) -> None:
        """Find what can be found wrong without torch: usage first, then files, then ``weights``, a file or a name."""
        if self.fault is not None:
            raise self.fault
        check_sample(self.sample)
        check_crop(self.crop)
        check_video(self.video)
        if self.pipe is not None:
            check_format(self.pipe.format)
        check_source(self.face, "picture")
        check_source(self.speech, "recording")
        if self.pipe is None:
            self._check_places(weights)
        config = stated_config(find_weights(weights))
        if self.track is not None:
            check_source(self.track, "track")
            read_track(self.track, config.emotions)
        else:
            match_emotion(self.emotion, config.emotions)
        if self.pose is not None:
            check_follows(config)
            check_source(self.pose, "pose")
            read_pose(self.pose) if is_table(self.pose) else read_making(self.pose)

    def _check_places(self, weights: str | Path | None) -> None:
        """Find out whether the video and its motion can be written, and replace nothing they are made from."""
        check_output(self.out, self.video, [self.face, self.speech])
        if self.save_motion:
            check_place(motion_beside(self.out), self.video.overwrite)
            check_apart([motion_beside(self.out)], [self.face, self.speech, self.pose, weights])

    def make(self, pipeline: FloatPipeline, progress: Callable[[int, int], None]) -> dict[str, Any]:
        """Make the clip; answer what there is to tell about it."""
        clip = pipeline.animate(self.face, self.speech, self.crop, self.sample, self.emotion, self.pose)
        if self.pipe is not None:
            clip.stream(self.pipe.file, self.pipe.format, self.video, progress)
            return _told(clip, self.out, None, pipeline)
        return save_clip(clip, self.out, self.video, self.save_motion, pipeline, progress)


def save_clip(
    clip: Clip,
    output: Path,
    video: VideoConfig,
    save_motion: bool,
    pipeline: FloatPipeline,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Write a clip and, if wanted, its motion beside it; what ``--json`` prints of it."""
    motion = motion_beside(output) if save_motion else None
    clip.save(output, video, progress, motion)
    return _told(clip, output, motion, pipeline)


def _told(clip: Clip, output: Path, motion: Path | None, pipeline: FloatPipeline) -> dict[str, Any]:
    """What there is to tell about a clip that is made."""
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
