"""``floatcli animate``: a portrait and a recording in, a talking video out."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

from typer import Exit, Option

from floatcli.checks import AUTO, check_run, parse_colour
from floatcli.cli import options
from floatcli.cli.clips import open_pipeline, stdout_pipe
from floatcli.cli.console import ProgressLine
from floatcli.cli.options import FACE, MOTION, VIDEO
from floatcli.config import DEFAULT_FORMAT, DEFAULT_NFE, CropConfig, RunConfig, SampleConfig, VideoConfig
from floatcli.errors import ExitCode
from floatcli.flow.solvers import ADAPTIVE_SOLVERS, FIXED_SOLVERS
from floatcli.jobs import Job
from floatcli.media.video import STREAMS


def animate(
    face: Annotated[Path, options.PathArgument(metavar="FACE", help="Portrait: any picture.", show_default=False)],
    speech: Annotated[
        Path,
        options.PathArgument(metavar="SPEECH", help="Speech: any sound, or a video with sound.", show_default=False),
    ],
    output: Annotated[
        Path | None,
        options.PathOption(
            "--output",
            "-o",
            help="Video to write: mp4, mov, mkv, webm, or gif (silent); - for stdout, while it is made.",
            show_default="FACE-SPEECH.mp4",
        ),
    ] = None,
    weights: options.Weights = None,
    emotion: Annotated[
        str,
        Option(help="Emotion to show, or a track.csv of them; auto hears it in the speech.", rich_help_panel=MOTION),
    ] = AUTO,
    pose: Annotated[
        Path | None,
        options.PathOption(
            help="For weights that follow a pose: a .csv with time and yaw, pitch, roll (degrees), shift_x, shift_y, "
            "zoom (shares), or another clip's .motion.safetensors.",
            show_default="the head moves by itself",
            rich_help_panel=MOTION,
        ),
    ] = None,
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
    format: Annotated[
        str | None,
        Option(
            help=f"Of a video that goes to stdout, with -o -: {', '.join(STREAMS)}.",
            show_default=DEFAULT_FORMAT,
            rich_help_panel=VIDEO,
        ),
    ] = None,
    overwrite: options.Overwrite = VideoConfig.overwrite,
    metadata: options.Metadata = VideoConfig.metadata,
    save_motion: options.SaveMotion = True,
    device: options.Device = RunConfig.device,
    dtype: options.Dtype = RunConfig.dtype,
    batch_size: options.BatchSize = RunConfig.batch_size,
    compile: options.Compile = RunConfig.compile,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Turn a portrait and a recording into a talking video.

    Without -o, the video goes to the current folder and is named after both: face.png and speech.wav make
    face-speech.mp4. Its motion goes beside it, as face-speech.motion.safetensors, for `floatcli edit`. With -o -, the
    video flows to stdout while it is made, and its motion is not kept: floatcli animate FACE SPEECH -o - | ffplay -
    """
    run = RunConfig(device, dtype, batch_size, compile=compile)
    check_run(run)
    pipe = stdout_pipe(output, format, as_json)
    job = Job(
        face,
        speech,
        output or Path(f"{face.stem}-{speech.stem}.mp4"),
        CropConfig(crop, margin, face_number, align, parse_colour(background)),
        SampleConfig(audio_scale, emotion_scale, ref_scale, nfe, solver, tolerance, seed),
        VideoConfig(crf, preset, audio_bitrate, copy_audio, overwrite, metadata),
        emotion,
        save_motion,
        pose,
        pipe,
    )
    job.check(weights)
    try:
        with redirect_stdout(sys.stderr), ProgressLine(quiet) as progress:  # what a library prints is no result
            result = job.make(open_pipeline(weights, run, progress), progress.frames)
    except BrokenPipeError:  # whoever read the video has gone, which is their right
        raise Exit(ExitCode.UNREAD) from None
    progress.done(f"{job.out}: {result['frames']} frames, {result['seconds']:.1f} s")
    if as_json:
        print(json.dumps(result))
