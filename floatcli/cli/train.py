"""``floatcli train``: make a set of weights from nothing, or from where the last run stopped."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from floatcli.checks import check_run
from floatcli.cli import console, options
from floatcli.cli.training import training_table
from floatcli.config import RunConfig
from floatcli.errors import UsageError
from floatcli.files import check_place
from floatcli.train.parts import DRAWN, EVERY_PART, check_parts
from floatcli.train.prepare_settings import PrepareConfig, check_prepare

if TYPE_CHECKING:
    from types import ModuleType

    from floatcli.models.float_model import FloatModel
    from floatcli.train.initial import Initial
    from floatcli.train.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train a FLOAT of your own, in two stages.")

Config = Annotated[
    Path, options.PathArgument(help="The training's settings, a TOML file such as weights/embedded.toml.")
]
RunFolder = Annotated[
    Path,
    options.PathOption(
        "--run",
        "--run-folder",  # torchrun takes the first for one of its own
        help="Folder of checkpoints and samples; a run there is resumed.",
    ),
]
Threads = Annotated[int, typer.Option("--threads", min=1, help="CPU threads; 1 where several parts train at once.")]

LISTENERS = ("audio", "emotion")

Init = Annotated[
    str | None,
    options.WeightsOption(
        help="Weights to start from: a file, or a name as in `floatcli weights list`. A run keeps to them, and to its "
        "own checkpoints first.",
        show_default="from nothing",
    ),
]

Exported = Annotated[Path, options.PathOption("--output", "-o", help="The safetensors file to write.")]

Data = Annotated[
    str,
    typer.Option(
        help=f"{DRAWN}: what training draws and has said for itself. Or a FOLDER that train prepare made; stage 2 also "
        "takes one that train cache made.",
        metavar=f"{DRAWN}|FOLDER",
    ),
]


@app.command()
def draw(
    config: Config,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Draw so many clips of people who speak, and nothing else.")
    ] = None,
    output: Annotated[
        Path | None,
        options.PathOption(
            "--output",
            "-o",
            help="Folder of these clips, like those of train prepare.",
            show_default="beside portraits",
        ),
    ] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="Draw nothing: count the people of these settings by skin, age, hair ...")
    ] = False,
) -> None:
    """Draw the portraits that stage 1 learns from, or clips for both stages, as far as they are not there yet."""
    if counts and clips is not None:
        raise UsageError("--counts is for portraits", "leave out --clips")
    if output is not None and clips is None:
        raise UsageError("--output is for clips", "say how many with --clips; portraits go where the settings say")
    from floatcli.train.drawn.census import census, table
    from floatcli.train.drawn_clips import DrawnClips, draw_clips
    from floatcli.train.drawn_data import draw_shards, identities
    from floatcli.train.settings import load_settings

    settings = load_settings(config)
    drawn = settings.autoencoder.drawn
    if counts:
        typer.echo(table(census(identities(drawn))))
        return
    if clips is not None:
        draw_clips(DrawnClips(drawn, settings.flow.speech), clips, output or drawn.clips_folder, console.say)
        return
    if not drawn.identities:
        console.say("identities = 0: portraits are drawn while training learns from them")
    draw_shards(drawn, console.say)


@app.command()
def prepare(
    videos: Annotated[
        list[Path], options.PathArgument(metavar="VIDEOS...", help="Videos, and folders of them.", show_default=False)
    ],
    output: Annotated[
        Path, options.PathOption("--output", "-o", help="Folder for shards and manifest.jsonl.", show_default=False)
    ],
    size: Annotated[int, typer.Option(help="Pixels a side.")] = PrepareConfig.size,
    shortest: Annotated[float, typer.Option(help="Seconds: shorter clips are dropped.")] = PrepareConfig.shortest,
    longest: Annotated[float, typer.Option(help="Seconds: longer takes are cut up.")] = PrepareConfig.longest,
    max_yaw: Annotated[
        float, typer.Option(help="Degrees: clips with a head turned further are dropped, where landmarks tell.")
    ] = PrepareConfig.yaw,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.", show_default="one a core")] = None,
    device: options.Device = RunConfig.device,
) -> None:
    """Cut videos into clips of one face each: one steady crop, 25 frames/s, 16 kHz, in WebDataset shards.

    Clips end at scene changes and where the face is lost. What is too short, silent or turned away is dropped and
    counted in manifest.jsonl. Run again, only what is missing or has changed is made. A video that can't be used stops
    no other, but the exit code tells.
    """
    config = PrepareConfig(size, shortest, longest, max_yaw)
    check_prepare(config)
    check_run(RunConfig(device))
    from floatcli.cli.prepared import tell
    from floatcli.device import choose_device
    from floatcli.train.prepare import find_videos, prepare

    found = find_videos(videos)
    chosen = str(choose_device(device))
    ends = prepare(found, output, config, workers or os.cpu_count() or 1, chosen, console.say)
    with closing(ends):
        code = tell(ends, len(found), output)
    if code:
        raise typer.Exit(code)


@app.command()
def cache(
    config: Config,
    data: Annotated[Path, options.PathOption(help="Folder that `floatcli train prepare` made.", show_default=False)],
    output: Annotated[Path, options.PathOption("--output", "-o", help="Folder of the cache.", show_default=False)],
    run: RunFolder = Path("runs/embedded"),
    init: Init = None,
    emotions: Annotated[
        Path | None,
        options.PathOption(
            help="CSV with columns clip (a key, or a video's file name) and emotion.", show_default="none"
        ),
    ] = None,
    pose_from: Annotated[
        str | None,
        options.WeightsOption(
            help="Weights whose coefficients tell the head's pose by name, such as embedded.",
            show_default="the model's own, where they have names",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Frames encoded at a time.")] = 32,
    device: options.Device = RunConfig.device,
) -> None:
    """Encode prepared clips once for stage 2: motion, audio features, emotion, and the head's pose.

    The encoders are those of the run, or of the weights it starts from. Run again, only what is missing or has changed
    is made. A video whose shard is damaged stops no other, but the exit code tells.
    """
    check_run(RunConfig(device))
    from floatcli.device import choose_device
    from floatcli.poses import tells_pose
    from floatcli.train.cache import Encoders, make_cache, read_labels, told_clips
    from floatcli.train.cached_data import learnable
    from floatcli.train.frozen import frozen_model
    from floatcli.train.initial import pose_model
    from floatcli.train.prepared_data import check_size, prepared_videos

    chosen = choose_device(device)
    settings, initial, weights = _asked(config, run, init)
    model, teller = settings.model, pose_model(pose_from)
    labels = {} if emotions is None else read_labels(emotions, model.emotions)
    clips = told_clips(prepared_videos(data), labels, model.emotions)
    check_size(data, model.image_size)
    learnable(data, clips, tells_pose(teller.config if teller else model), model, settings.flow.emotion_from)
    encoders = Encoders(frozen_model(model, run, weights), teller, chosen, batch_size)
    _begin(settings, run, initial)
    code = make_cache(data, output, encoders, labels, console.say)
    if code:
        raise typer.Exit(code)


@app.command()
def autoencoder(
    config: Config,
    run: RunFolder = Path("runs/embedded"),
    init: Init = None,
    part: Annotated[
        list[str] | None, typer.Option(help=f"Only this part, of {', '.join(EVERY_PART)}. Repeatable.")
    ] = None,
    threads: Threads = 2,
    data: Data = DRAWN,
) -> None:
    """Stage 1: the motion encoder, and what draws frames.

    A model with the warped decoder is one part, autoencoder. Of an anchored one encoder, landmarks, mouth, eyes and
    warp learn each by itself. Pictures are compared by VGG-19; where it can't be had, by what learns so first: encoder,
    or mouth_reader and eyes_reader.
    """
    check_parts(part or ())
    import torch

    torch.set_num_threads(threads)
    settings, initial, weights = _asked(config, run, init)
    given = settings, part or (), data, run
    _stage_1(settings).check_stage(*given, console.say, weights)
    _begin(settings, run, initial)
    with training_table() as told:
        _stage_1(settings).train_stage(*given, told, weights)


@app.command()
def flow(
    config: Config,
    run: RunFolder = Path("runs/embedded"),
    part: Annotated[
        list[str] | None,
        typer.Option(help=f"Only this network, of {', '.join(LISTENERS)}, on synthetic speech. Repeatable."),
    ] = None,
    init: Init = None,
    threads: Threads = 2,
    data: Data = DRAWN,
) -> None:
    """Stage 2: audio encoder, emotion classifier, then the vector field by flow matching.

    Clips are cached in the run first, unless they are already. Weights to start from bring their encoders.
    """
    unknown = sorted(set(part or ()) - set(LISTENERS))
    if unknown:
        raise UsageError(f"there is no part {', '.join(unknown)}", f"choose from {', '.join(LISTENERS)}")
    if part and data != DRAWN:
        raise UsageError("on clips the field alone is trained", "leave out --part, or --data")
    import torch

    from floatcli.train import motion_stage
    from floatcli.train.flow_stage import check_networks, train_encoder

    torch.set_num_threads(threads)
    settings, initial, weights = _asked(config, run, init)
    if part:
        check_networks(part, settings.model, settings.flow, run, weights)
    else:
        motion_stage.check_stage(settings, data, run, weights)
    _begin(settings, run, initial)
    with training_table() as told:
        for name in part or ():
            train_encoder(name, settings.model, settings.flow, run, told, weights)
        if not part:
            motion_stage.train_stage(settings, data, run, told, weights)


@app.command(name="all")
def whole(
    config: Config,
    output: Exported,
    run: RunFolder = Path("runs/embedded"),
    init: Init = None,
    threads: Threads = 2,
    data: Data = DRAWN,
) -> None:
    """Both stages, one after the other, and what they make as one file that animate loads."""
    _check_exported(output)
    import torch

    from floatcli.train import motion_stage
    from floatcli.train.loop import processes

    torch.set_num_threads(threads)
    settings, initial, weights = _asked(config, run, init)
    _stage_1(settings).check_stage(settings, (), data, run, console.say, weights)
    motion_stage.check_stage(settings, data, run, weights, after_stage_1=True)
    _begin(settings, run, initial)
    with training_table() as told:
        _stage_1(settings).train_stage(settings, (), data, run, told, weights)
        motion_stage.train_stage(settings, data, run, told, weights)
    if processes().is_main_process:
        export(run, output)


@app.command()
def export(
    run: Annotated[Path, options.PathArgument(help="Folder of the run.", show_default=False)], output: Exported
) -> None:
    """Put the parts of a run together, as one 16-bit file that animate loads.

    Parts that a run has not trained are those of the weights it started from.
    """
    _check_exported(output)
    from floatcli.train.export import export_run
    from floatcli.train.initial import initial_weights
    from floatcli.train.record import recorded

    settings, initial = recorded(run), initial_weights(None, run, console.say)
    export_run(settings.model, run, output, initial.model if initial else None)
    console.say(f"wrote {output}, {output.stat().st_size / 1e6:.1f} MB")


def _check_exported(output: Path) -> None:
    if output.suffix != ".safetensors":
        raise UsageError(f"{output} does not end in .safetensors", f"call it {output.stem}.safetensors")
    check_place(output, overwrite=True)


def _asked(config: Path, run: Path, init: str | None) -> tuple[Settings, Initial | None, FloatModel | None]:
    """The settings of a run, and the weights it starts from, which say of the model what the settings do not."""
    from floatcli.train.initial import initial_weights
    from floatcli.train.settings import load_settings

    initial = initial_weights(init, run, console.say)
    weights = initial.model if initial else None
    return load_settings(config, weights.config if weights else None), initial, weights


def _begin(settings: Settings, run: Path, initial: Initial | None) -> None:
    """Write the start down in the run's folder, once nothing is in its way."""
    from floatcli.train.record import record

    record(settings, run, sys.argv[1:], console.say, initial)


def _stage_1(settings: Settings) -> ModuleType:
    """What trains it, by the decoder."""
    from floatcli.train import autoencoder_stage, warped_stage

    return {"anchored": autoencoder_stage, "warped": warped_stage}[settings.model.decoder]
