"""``floatcli animate``: a portrait and a recording in, a talking video out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from floatcli.checkpoint.store import emotion_labels, find_weights
from floatcli.checks import (
    AUTO,
    check_crop,
    check_run,
    check_sample,
    check_source,
    check_video,
    is_track,
    match_emotion,
    parse_colour,
)
from floatcli.cli import options
from floatcli.cli.clips import open_pipeline, save_clip
from floatcli.cli.console import ProgressLine
from floatcli.cli.options import FACE, MOTION
from floatcli.config import DEFAULT_NFE, CropConfig, RunConfig, SampleConfig, VideoConfig
from floatcli.files import check_apart, check_place
from floatcli.flow.solvers import ADAPTIVE_SOLVERS, FIXED_SOLVERS
from floatcli.media.video import check_output
from floatcli.motion import motion_beside
from floatcli.tracks import read_track

if TYPE_CHECKING:
    from floatcli.pipeline import FloatPipeline


def animate(
    face: Annotated[Path, typer.Argument(metavar="FACE", help="Portrait: any picture.", show_default=False)],
    speech: Annotated[
        Path, typer.Argument(metavar="SPEECH", help="Speech: any sound, or a video with sound.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            help="Video to write: mp4, mov, mkv, webm, or gif (silent).",
            show_default="FACE-SPEECH.mp4",
        ),
    ] = None,
    weights: options.Weights = None,
    emotion: Annotated[
        str,
        Option(help="Emotion to show, or a track.csv of them; auto hears it in the speech.", rich_help_panel=MOTION),
    ] = AUTO,
    audio_scale: Annotated[
        float, Option(help="How strongly lips and head follow the speech.", rich_help_panel=MOTION)
    ] = SampleConfig.audio_scale,
    emotion_scale: Annotated[
        float, Option(help="How strongly the emotion shows.", rich_help_panel=MOTION)
    ] = SampleConfig.emotion_scale,
    ref_scale: Annotated[
        float, Option(help="How strongly motion keeps to the portrait's own pose.", rich_help_panel=MOTION)
    ] = SampleConfig.ref_scale,
    nfe: Annotated[
        int | None,
        Option(help="Evaluations of the field per window.", show_default=str(DEFAULT_NFE), rich_help_panel=MOTION),
    ] = SampleConfig.nfe,
    solver: Annotated[
        str, Option(help=", ".join((*FIXED_SOLVERS, *ADAPTIVE_SOLVERS)) + ".", rich_help_panel=MOTION)
    ] = SampleConfig.solver,
    tolerance: Annotated[
        float, Option(help="Error that an adaptive solver allows.", rich_help_panel=MOTION)
    ] = SampleConfig.tolerance,
    seed: Annotated[
        int, Option(help="The same seed gives the same motion.", rich_help_panel=MOTION)
    ] = SampleConfig.seed,
    crop: Annotated[
        str,
        Option(
            help="auto, none (the whole picture, or its central square), or x,y,w,h in pixels, grown to a square.",
            rich_help_panel=FACE,
        ),
    ] = CropConfig.mode,
    margin: Annotated[
        float, Option(help="Half side of the crop over half side of the face.", rich_help_panel=FACE)
    ] = CropConfig.margin,
    face_number: Annotated[
        int, Option("--face", help="Which face, 0 the largest.", rich_help_panel=FACE)
    ] = CropConfig.face,
    align: Annotated[
        bool, Option("--align/--no-align", help="Level a tilted head.", rich_help_panel=FACE)
    ] = CropConfig.align,
    background: Annotated[
        str, Option(help="Colour behind transparent parts, by name or #rrggbb.", rich_help_panel=FACE)
    ] = "#{:02x}{:02x}{:02x}".format(*CropConfig.background),
    crf: options.Crf = VideoConfig.crf,
    preset: options.Preset = VideoConfig.preset,
    audio_bitrate: options.AudioBitrate = VideoConfig.audio_bitrate,
    copy_audio: options.CopyAudio = VideoConfig.copy_audio,
    overwrite: options.Overwrite = VideoConfig.overwrite,
    save_motion: options.SaveMotion = True,
    device: options.Device = RunConfig.device,
    dtype: options.Dtype = RunConfig.dtype,
    batch_size: options.BatchSize = RunConfig.batch_size,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Turn a portrait and a recording into a talking video.

    Without -o, the video goes to the current folder and is named after both: face.png and speech.wav make
    face-speech.mp4. Its motion goes beside it, as face-speech.motion.safetensors, for `floatcli edit`.
    """
    job = Job(
        face=face,
        speech=speech,
        output=output or Path(f"{face.stem}-{speech.stem}.mp4"),
        weights=weights,
        emotion=emotion,
        crop=CropConfig(crop, margin, face_number, align, parse_colour(background)),
        sample=SampleConfig(audio_scale, emotion_scale, ref_scale, nfe, solver, tolerance, seed),
        video=VideoConfig(crf, preset, audio_bitrate, copy_audio, overwrite),
        run=RunConfig(device, dtype, batch_size),
        save_motion=save_motion,
    )
    job.check()
    result = job.do(ProgressLine(quiet))
    if as_json:
        print(json.dumps(result))


@dataclass(frozen=True)
class Job:
    """One video to make, with every setting."""

    face: Path
    speech: Path
    output: Path
    weights: Path | None
    emotion: str
    crop: CropConfig
    sample: SampleConfig
    video: VideoConfig
    run: RunConfig
    save_motion: bool

    def check(self) -> None:
        """Find what can be found wrong without torch: usage first, then files."""
        check_sample(self.sample)
        check_crop(self.crop)
        check_video(self.video)
        check_run(self.run)
        check_source(self.face, "picture")
        check_source(self.speech, "recording")
        check_output(self.output, self.video, [self.face, self.speech])
        if self.save_motion:
            check_place(motion_beside(self.output), self.video.overwrite)
            check_apart([motion_beside(self.output)], [self.face, self.speech, self.weights])
        labels = emotion_labels(find_weights(self.weights))
        if is_track(self.emotion):
            check_source(Path(self.emotion), "track")
            read_track(self.emotion, labels)
        else:
            match_emotion(self.emotion, labels)

    def do(self, progress: ProgressLine) -> dict[str, Any]:
        """Make the video; answer what there is to tell about it."""
        with progress:
            result = self.make(open_pipeline(self.weights, self.run, progress), progress.frames)
        progress.done(f"{self.output}: {result['frames']} frames, {result['seconds']:.1f} s")
        return result

    def make(self, pipeline: FloatPipeline, progress: Callable[[int, int], None]) -> dict[str, Any]:
        """Make the video with a pipeline that is there; answer what there is to tell about it."""
        clip = pipeline.animate(self.face, self.speech, self.crop, self.sample, self.emotion)
        return save_clip(clip, self.output, self.video, self.save_motion, pipeline, progress)
