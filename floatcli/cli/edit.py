"""``floatcli edit``: change single coefficients of a motion, and decode it again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from typer import Option

from floatcli.checkpoint.store import file_digest, find_weights
from floatcli.checks import check_run, check_source, check_video, is_there
from floatcli.cli import options
from floatcli.cli.clips import open_pipeline
from floatcli.cli.console import ProgressLine, say
from floatcli.cli.options import MODEL, MOTION
from floatcli.cli.orders import RIGHT_FORM, InOrder, pair_up
from floatcli.config import RunConfig, VideoConfig
from floatcli.edits import FITS, BasisEdit, borrowed, coefficients, edited
from floatcli.errors import InputError, UsageError, WeightsError
from floatcli.files import check_apart, check_place
from floatcli.jobs import save_clip
from floatcli.media.video import CONTAINERS, check_output
from floatcli.motion import SUFFIX, Making, Motion, motion_beside, read_making, recording_of

if TYPE_CHECKING:
    from floatcli.pipeline import FloatPipeline

_PICTURES = (".png", ".html")

app = typer.Typer(add_completion=False)


@app.command(cls=InOrder)
def edit(
    context: typer.Context,
    clip: Annotated[
        Path | None,
        options.PathArgument(
            metavar="[CLIP]",
            help=f"Motion file, or a video with its {SUFFIX} beside it.",
            show_default="the newest motion here",
        ),
    ] = None,
    basis: Annotated[
        list[str] | None,
        Option(help="Basis vector, by number from 0 or by name; what follows happens to it.", rich_help_panel=MOTION),
    ] = None,
    scale: Annotated[
        list[float] | None, Option(help="Multiply its coefficient (about 0).", rich_help_panel=MOTION)
    ] = None,
    offset: Annotated[list[float] | None, Option(help="Add to its coefficient.", rich_help_panel=MOTION)] = None,
    freeze: Annotated[
        bool, Option("--freeze", help="Hold its coefficient at its mean.", rich_help_panel=MOTION)
    ] = False,
    curve: Annotated[
        list[str] | None,
        Option(
            help="Scale over time, as seconds:value pairs (0:1,1.5:2) or a file of them; offset=0:0,1:2 for an offset.",
            rich_help_panel=MOTION,
        ),
    ] = None,
    about: Annotated[
        list[str] | None,
        Option(help="Where scaling starts from: zero, or the coefficient's own mean.", rich_help_panel=MOTION),
    ] = None,
    reference: Annotated[
        Path | None,
        options.PathOption(help="Take the vectors' coefficients from this motion first.", rich_help_panel=MOTION),
    ] = None,
    fit: Annotated[
        str | None,
        Option(
            help="A reference of another length: exact (refused), stretch or loop.",
            show_default="exact",
            rich_help_panel=MOTION,
        ),
    ] = None,
    output: Annotated[
        Path | None, options.PathOption("--output", "-o", help="Video to write.", show_default="CLIP-edit.mp4")
    ] = None,
    speech: Annotated[
        Path | None, options.PathOption(help="Its recording.", show_default="the one CLIP was made from")
    ] = None,
    sheet: Annotated[
        Path | None, options.PathOption(help="Show what every basis vector does: a .png, or an .html that moves.")
    ] = None,
    plot: Annotated[
        Path | None, options.PathOption(help="Draw the coefficients over time, before and after: a .png.")
    ] = None,
    weights: Annotated[
        str | None,
        options.WeightsOption(help="Weights.", show_default="those that made CLIP", rich_help_panel=MODEL),
    ] = None,
    crf: options.Crf = VideoConfig.crf,
    preset: options.Preset = VideoConfig.preset,
    audio_bitrate: options.AudioBitrate = VideoConfig.audio_bitrate,
    copy_audio: options.CopyAudio = VideoConfig.copy_audio,
    overwrite: options.Overwrite = VideoConfig.overwrite,
    metadata: options.Metadata = VideoConfig.metadata,
    save_motion: options.SaveMotion = True,
    device: options.Device = RunConfig.device,
    dtype: options.Dtype = RunConfig.dtype,
    batch_size: options.BatchSize = RunConfig.batch_size,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Change what a portrait does in a clip, without sampling it anew.

    Each --basis is followed by what happens to it: --scale, --offset, --freeze, --curve, --about. The coefficients of
    all other vectors stay as they are; a vector named twice is edited twice. With -o and no --basis, CLIP is decoded
    again as it is; with --sheet or --plot alone, nothing is written but the picture.
    """
    given = {"scale": scale, "offset": offset, "curve": curve, "about": about, "basis": basis}
    orders = pair_up(context, {name: list(values or []) for name, values in given.items()}, reference)
    place = find_clip(clip, say if not quiet else lambda line: None)
    making = read_making(place)
    if clip is not None and clip != place:
        check_video_is(clip, making)
    other = reference and find_clip(reference, say)
    if reference is not None and other is not None and other != reference:
        check_video_is(reference, read_making(other))
    if fit is not None and reference is None:
        raise UsageError("--fit is for a --reference", "leave it out")
    job = Job(
        clip=place,
        making=making,
        given=(clip, reference, *(Path(order.curve.rpartition("=")[2]) for order in orders if order.curve)),
        decode=bool(orders) or output is not None,
        edits=tuple(order.resolve(making) for order in orders),
        reference=other,
        fit=FITS[0] if fit is None else fit,
        output=output or place.with_name(place.name.removesuffix(SUFFIX) + "-edit.mp4"),
        speech=speech,
        sheet=sheet,
        plot=plot,
        weights=weights,
        video=VideoConfig(crf, preset, audio_bitrate, copy_audio, overwrite, metadata),
        run=RunConfig(device, dtype, batch_size),
        save_motion=save_motion,
    )
    job.check()
    result = job.do(ProgressLine(quiet))
    if as_json:
        print(json.dumps(result))


def find_clip(clip: Path | None, tell: Callable[[str], None]) -> Path:
    """The motion file of a clip; None means the newest motion in the current folder, and ``tell`` says which."""
    if clip is None:
        there = [path for path in Path().glob(f"*{SUFFIX}") if path.is_file() and not path.name.startswith(".")]
        here = sorted(there, key=lambda path: path.stat().st_mtime)
        if not here:
            raise InputError("there is no motion in this folder", "name one, or animate first: it is kept beside OUT")
        tell(f"editing {here[-1]}, the newest motion here")
        return here[-1]
    if clip.suffix.lower() in CONTAINERS:
        beside = motion_beside(clip)
        if not (is_there(beside) and beside.is_file()):
            raise InputError(
                f"{beside} is not there", "animate keeps a video's motion unless --no-save-motion is given"
            )
        check_source(beside, "motion")
        return beside
    check_source(clip, "motion")
    return clip


def check_video_is(video: Path, making: Making) -> None:
    """Raise InputError where a motion was kept beside another video of that name."""
    if not video.is_file() or making.video is None:
        return
    check_source(video, "video")
    if file_digest(video) != making.video:
        beside = motion_beside(video)
        raise InputError(f"{beside} belongs to another video than {video}", f"edit it all the same: edit {beside}")


@dataclass(frozen=True)
class Job:
    """One motion to edit or to show, with every setting."""

    clip: Path
    making: Making
    given: tuple[Path | None, ...]  # files that were named: the clip, the reference, curves
    decode: bool
    edits: tuple[BasisEdit, ...]
    reference: Path | None
    fit: str
    output: Path
    speech: Path | None
    sheet: Path | None
    plot: Path | None
    weights: str | None
    video: VideoConfig
    run: RunConfig
    save_motion: bool

    def check(self) -> None:
        """Find what can be found wrong without torch."""
        check_video(self.video)
        check_run(self.run)
        if not (self.decode or self.sheet or self.plot):
            raise UsageError("there is nothing to do", f"{RIGHT_FORM}, or --sheet basis.png")
        if self.fit not in FITS:
            raise UsageError(f"there is no fit {self.fit!r}", f"choose from {', '.join(FITS)}")
        for path, kinds in ((self.sheet, _PICTURES), (self.plot, _PICTURES[:1])):
            if path is not None and path.suffix.lower() not in kinds:
                raise UsageError(f"{path} names no known kind of picture", f"end it in {' or '.join(kinds)}")
            if path is not None:
                check_place(path, self.video.overwrite)
        if self.reference is not None:
            read_making(self.reference)
        if self.speech is not None:
            check_source(self.speech, "recording")
        if self.decode:
            check_output(self.output, self.video, [])
            if self.save_motion:
                check_place(motion_beside(self.output), self.video.overwrite)
        if self.decode or self.plot is not None:
            self._sound()
        self._check_places()

    def _sound(self) -> Path:
        """The recording that is heard: the one given, else the motion's own. Raises InputError."""
        if self.speech is not None:
            return self.speech
        return recording_of(self.making)

    def _check_places(self) -> None:
        """Raise UsageError where something to be written would replace something that is read, or written too."""
        read = [*self.given, self.clip, self.reference, self.speech, self.weights]
        for motion in filter(None, (self.clip, self.reference)):
            stem, making = motion.name.removesuffix(SUFFIX), read_making(motion)
            beside = [path for path in motion.parent.iterdir() if path.suffix.lower() in CONTAINERS]
            read += [path for path in beside if path.stem == stem]
            sources = (making.face, making.speech, making.weights)
            read += [Path(source.path) for source in sources if source is not None]
        written = [self.sheet, self.plot]
        if self.decode:
            written += [motion_beside(self.output) if self.save_motion else None, self.output]
        check_apart(written, read)

    def do(self, progress: ProgressLine) -> dict[str, Any]:
        """Edit, decode, draw; answer what there is to tell about it."""
        with progress:
            motion = Motion.load(self.clip)
            pipeline = open_pipeline(self.weights or self._own_weights(), self.run, progress)
            pipeline.check_weights(motion)
            if self.decode or self.plot is not None:
                from floatcli.media.audio import inspect_recording

                inspect_recording(self._sound())
            basis = pipeline.model.basis.matrix.detach().double().cpu().numpy()
            after = motion
            if self.reference is not None:
                other = Motion.load(self.reference)
                pipeline.check_weights(other)
                taken = [edit.basis for edit in self.edits]
                after = borrowed(after, other, basis, taken, self.reference.name, self.fit)
            after = edited(after, basis, self.edits)
            result: dict[str, Any] = {"clip": os.fspath(self.clip), "edits": list(after.making.edits)}
            if self.sheet is not None:
                from floatcli.sheet import basis_sheet

                rows = basis_sheet(pipeline, motion, self.sheet, progress.frames)
                result |= {"sheet": os.fspath(self.sheet), "basis": rows}
            if self.plot is not None:
                progress.stage("plot")
                self._draw(motion, after, basis, pipeline.config.sample_rate)
                result["plot"] = os.fspath(self.plot)
            if self.decode:
                result |= self._decode(pipeline, after, progress)
        return result

    def _draw(self, before: Motion, after: Motion, basis: np.ndarray, sample_rate: int) -> None:
        from floatcli.inputs import read_speech
        from floatcli.plots import plot_coefficients

        assert self.plot is not None
        sound = read_speech(self._sound(), sample_rate)[0].numpy()
        samples = round(before.seconds * sample_rate)
        names = self.making.coefficient_names or [""] * self.making.basis_size
        plot_coefficients(
            self.plot,
            coefficients(before, basis),
            coefficients(after, basis),
            [f"{k}  {name}" for k, name in enumerate(names)],
            np.pad(sound, (0, max(0, samples - len(sound))))[:samples],
            before.seconds,
        )

    def _own_weights(self) -> Path | None:
        """The weights that made the motion, where they were or among the sets at hand; None where nobody knows them.

        Raises:
            WeightsError: they are gone.
        """
        made_with = self.making.weights
        if made_with is None:
            return None
        if is_there(Path(made_with.path)) and Path(made_with.path).is_file():
            return Path(made_with.path)
        for known in map(find_weights, ("embedded", None)):
            if file_digest(known) == made_with.digest:
                return known
        said = f"the weights that made the motion are not at {made_with.path} any more"
        raise WeightsError(said, "say where they are with --weights")

    def _decode(self, pipeline: FloatPipeline, motion: Motion, progress: ProgressLine) -> dict[str, Any]:
        clip = pipeline.replay(motion, self.speech)
        result = save_clip(clip, self.output, self.video, self.save_motion, pipeline, progress.frames)
        progress.done(f"{self.output}: {clip.frames} frames, {clip.frames / clip.fps:.1f} s")
        return result
