"""``floatcli emotion``: hear the emotion in speech, keep it as a track, and redirect it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from floatcli.checkpoint.store import find_weights, stated_config
from floatcli.checks import check_crop, check_run, check_sample, check_source, check_video, check_windows
from floatcli.cli import options
from floatcli.cli.clips import open_pipeline
from floatcli.cli.console import ProgressLine
from floatcli.cli.options import FACE, MOTION
from floatcli.config import CropConfig, RunConfig, SampleConfig, VideoConfig
from floatcli.errors import UsageError
from floatcli.files import check_apart, check_place
from floatcli.jobs import save_clip
from floatcli.media.video import check_output
from floatcli.motion import motion_beside

if TYPE_CHECKING:
    from floatcli.pipeline import FloatPipeline
    from floatcli.tracks import EmotionTrack

_HOP = 0.5
LARGEST_GRID = 64  # clips in one video
_SHOWING = ("scale", "seed", "nfe", "crop", "save_motion", "crf", "preset", "metadata")


def emotion(
    context: typer.Context,
    speech: Annotated[
        Path,
        options.PathArgument(metavar="SPEECH", help="Speech: any sound, or a video with sound.", show_default=False),
    ],
    window: Annotated[float | None, Option(help="Seconds heard at a time.", show_default="all at once")] = None,
    hop: Annotated[float | None, Option(help="Seconds between windows.", show_default=str(_HOP))] = None,
    plot: Annotated[Path | None, options.PathOption(help="Draw the timeline: a .png.")] = None,
    output: Annotated[
        Path | None,
        options.PathOption("--output", "-o", help="track.csv to write; with --to, the video.", show_default=False),
    ] = None,
    face: Annotated[
        Path | None, options.PathOption(help="Portrait that says SPEECH in other emotions.", rich_help_panel=FACE)
    ] = None,
    to: Annotated[
        str | None,
        Option(
            help="Emotions to show, as in happy,sad: a row each (a column each at one scale).", rich_help_panel=MOTION
        ),
    ] = None,
    scale: Annotated[
        str, Option(help="Emotion scales to show them at, as in 0.5,1,2: a column each.", rich_help_panel=MOTION)
    ] = f"{SampleConfig.emotion_scale:g}",
    seed: Annotated[int, Option(help="One for all of them.", rich_help_panel=MOTION)] = SampleConfig.seed,
    nfe: Annotated[
        int | None, Option(help="Evaluations of the field per window.", show_default="9", rich_help_panel=MOTION)
    ] = SampleConfig.nfe,
    crop: Annotated[str, Option(help="As for animate.", rich_help_panel=FACE)] = CropConfig.mode,
    weights: options.Weights = None,
    crf: options.Crf = VideoConfig.crf,
    preset: options.Preset = VideoConfig.preset,
    overwrite: options.Overwrite = VideoConfig.overwrite,
    metadata: options.Metadata = VideoConfig.metadata,
    device: options.Device = RunConfig.device,
    dtype: options.Dtype = RunConfig.dtype,
    batch_size: options.BatchSize = RunConfig.batch_size,
    save_motion: options.SaveMotion = True,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Hear the emotion in a recording, or let a portrait say it in others.

    Alone, it prints the share of every emotion; --window gives them over time, as a track that `animate --emotion
    track.csv` takes. With --face and --to it makes a video: of one emotion a clip with its motion beside it, of
    several a labelled grid.
    """
    shown = [name for name in _SHOWING if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    if face is None and to is None and shown:
        option = shown[0].replace("_", "-")
        raise UsageError(f"--{option} is for showing emotions", "it goes with --face FACE --to happy,sad")
    if to is not None and not _words(to):
        raise UsageError("--to names no emotion", "as in --to happy,sad")
    job = Job(
        speech=speech,
        window=window if window is not None or hop is None else 2.0,
        hop=_HOP if hop is None else hop,
        plot=plot,
        output=output,
        face=face,
        to=_words(to),
        scales=_numbers(scale),
        crop=CropConfig(crop),
        sample=SampleConfig(nfe=nfe, seed=seed),
        weights=weights,
        video=VideoConfig(crf, preset, overwrite=overwrite, metadata=metadata),
        run=RunConfig(device, dtype, batch_size),
        save_motion=save_motion,
    )
    job.check()
    with ProgressLine(quiet) as progress:
        result = job.do(progress)
    if as_json:
        print(json.dumps(result))
    elif job.face is None and job.output is None and job.plot is None:
        _print_bars(result["track"], list(result["emotion"]))


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip()) if text else ()


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"scale {text!r} is no list of numbers", "as in 0.5,1,2") from None


@dataclass(frozen=True)
class Job:
    """One recording to hear, or to say in other emotions."""

    speech: Path
    window: float | None
    hop: float
    plot: Path | None
    output: Path | None
    face: Path | None
    to: tuple[str, ...]
    scales: tuple[float, ...]
    crop: CropConfig
    sample: SampleConfig
    weights: str | None
    video: VideoConfig
    run: RunConfig
    save_motion: bool

    def check(self) -> None:
        """Find what can be found wrong without torch: usage first, then files."""
        check_windows(self.window, self.hop)
        check_sample(self.sample)
        check_crop(self.crop)
        check_video(self.video)
        check_run(self.run)
        for scale in self.scales:
            check_sample(replace(self.sample, emotion_scale=scale))
        if len(self.to) * len(self.scales) > LARGEST_GRID:
            said = f"a grid of {len(self.to)} emotions at {len(self.scales)} scales is too large"
            raise UsageError(said, f"up to {LARGEST_GRID} clips fit")
        named = (self.speech, self.face, self.weights)
        check_apart((self.output, self.plot, motion_beside(self.output) if self.output and self.face else None), named)
        if bool(self.to) != (self.face is not None):
            missing = "--face FACE" if self.to else "--to happy,sad"
            raise UsageError("a portrait and the emotions it shall show go together", f"add {missing}")
        if self.face is not None and (self.window is not None or self.plot is not None):
            raise UsageError(
                "--window, --hop and --plot are for hearing, --face and --to for showing", "do one of them"
            )
        check_source(self.speech, "recording")
        if self.face is not None:
            check_source(self.face, "picture")
            if self.output is None:
                raise UsageError("where shall the video go?", "say so: -o out.mp4")
            check_output(self.output, self.video, [self.face, self.speech])
            if self.save_motion and self._single:
                check_place(motion_beside(self.output), self.video.overwrite)
            labels = stated_config(find_weights(self.weights)).emotions
            for name in self.to:
                if name.casefold() not in (label.casefold() for label in labels):
                    raise UsageError(f"this model knows no emotion {name!r}", f"choose from {', '.join(labels)}")
            return
        for path, suffix in ((self.output, ".csv"), (self.plot, ".png")):
            if path is not None and path.suffix.lower() != suffix:
                name = path.stem.lstrip(".") or "track"
                raise UsageError(f"{str(path)!r} does not end in {suffix}", f"call it {name}{suffix}")
            if path is not None:
                check_place(path, self.video.overwrite)
        find_weights(self.weights)

    @property
    def _single(self) -> bool:
        """Whether one clip is to be shown, rather than a grid."""
        return len(self.to) == len(self.scales) == 1

    def do(self, progress: ProgressLine) -> dict[str, Any]:
        """Hear or show; answer what there is to tell about it."""
        pipeline = open_pipeline(self.weights, self.run, progress)
        return self._hear(pipeline) if self.face is None else self._show(pipeline, progress)

    def _hear(self, pipeline: FloatPipeline) -> dict[str, Any]:
        track = pipeline.feel(self.speech, self.window, self.hop)
        if self.output is not None:
            track.save(self.output)
        if self.plot is not None:
            self._draw(pipeline, track)
        mean = track.shares.mean(0)
        rows = [
            {"time": round(float(time), 4)} | _shares(track.labels, row)
            for time, row in zip(track.times, track.shares, strict=True)
        ]
        return {
            "emotion": _shares(track.labels, mean),
            "track": rows,
            "path": os.fspath(self.output) if self.output else None,
            "plot": os.fspath(self.plot) if self.plot else None,
            "weights": {"name": pipeline.config.name, "digest": pipeline.digest},
        }

    def _draw(self, pipeline: FloatPipeline, track: EmotionTrack) -> None:
        from floatcli.inputs import read_speech
        from floatcli.plots import plot_track

        assert self.plot is not None
        sound = read_speech(self.speech, pipeline.config.sample_rate)[0].numpy()
        plot_track(self.plot, track, sound, len(sound) / pipeline.config.sample_rate)

    def _show(self, pipeline: FloatPipeline, progress: ProgressLine) -> dict[str, Any]:
        from floatcli.grid import save_grid

        assert self.face is not None
        assert self.output is not None
        samples = [replace(self.sample, emotion_scale=scale) for scale in self.scales]
        still, heard = pipeline.portrait(self.face, self.crop), pipeline.hear(self.speech)
        clips = [[pipeline.animate(still, heard, self.crop, s, name) for s in samples] for name in self.to]
        if self._single:
            clip = clips[0][0]
            return save_clip(clip, self.output, self.video, self.save_motion, pipeline, progress.frames)
        rows, columns = list(self.to), [f"emotion scale {scale:g}" for scale in self.scales]
        if len(columns) == 1:  # a wide video rather than a tall one
            clips, rows, columns = [[row[0] for row in clips]], [f"scale {self.scales[0]:g}"], rows
        save_grid(self.output, clips, rows, columns, self.video, progress.frames)
        return {
            "path": os.fspath(self.output),
            "to": list(self.to),
            "scales": list(self.scales),
            "frames": clips[0][0].frames,
            "seed": self.sample.seed,
            "weights": {"name": pipeline.config.name, "digest": pipeline.digest},
        }


def _shares(labels: tuple[str, ...], row: Any) -> dict[str, float]:
    return {label: round(float(share), 6) for label, share in zip(labels, row, strict=True)}


def _print_bars(track: list[dict[str, float]], labels: list[str]) -> None:
    """The shares as bars; of a timeline, its strongest emotion a line."""
    block = "█" if "utf" in (sys.stdout.encoding or "").lower() else "#"
    if len(track) == 1:
        for label in sorted(labels, key=lambda name: -track[0][name]):
            share = track[0][label]
            print(f"{label:<10} {share:6.1%} {block * round(40 * share)}".rstrip())
        return
    for row in track:
        strongest = max(labels, key=lambda name: row[name])
        print(
            f"{row['time']:7.2f} s  {strongest:<10} {row[strongest]:6.1%} {block * round(40 * row[strongest])}".rstrip()
        )
