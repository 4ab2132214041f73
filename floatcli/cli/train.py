"""``floatcli train``: make a set of weights from nothing, or from where the last run stopped."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from floatcli.checks import check_run
from floatcli.cli import console, options
from floatcli.config import RunConfig
from floatcli.errors import UsageError
from floatcli.files import check_place
from floatcli.train.prepare_settings import PrepareConfig, check_prepare

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

Exported = Annotated[Path, options.PathOption("--output", "-o", help="The safetensors file to write.")]

PARTS = ("encoder", "landmarks", "mouth", "eyes", "warp")


@app.command()
def draw(config: Config) -> None:
    """Draw the portraits that stage 1 learns from, as far as they are not there yet."""
    from floatcli.train.drawn_data import draw_shards
    from floatcli.train.settings import load_settings

    draw_shards(load_settings(config).autoencoder.drawn, console.say)


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
def autoencoder(
    config: Config,
    run: RunFolder = Path("runs/embedded"),
    part: Annotated[list[str] | None, typer.Option(help=f"Only this part, of {', '.join(PARTS)}. Repeatable.")] = None,
    threads: Threads = 2,
) -> None:
    """Stage 1: motion encoder, landmarks, mouth and eye editors, head warp."""
    unknown = sorted(set(part or ()) - set(PARTS))
    if unknown:
        raise UsageError(f"there is no part {', '.join(unknown)}", f"choose from {', '.join(PARTS)}")
    import torch

    from floatcli.train.autoencoder_stage import train_part
    from floatcli.train.drawn_data import draw_shards
    from floatcli.train.loop import processes
    from floatcli.train.settings import load_settings

    torch.set_num_threads(threads)
    settings = load_settings(config)
    with processes().main_process_first():  # the others find them drawn
        draw_shards(settings.autoencoder.drawn, console.say)
    for name in part or PARTS:
        train_part(name, settings, run, console.say)


@app.command()
def flow(config: Config, run: RunFolder = Path("runs/embedded"), threads: Threads = 2) -> None:
    """Stage 2: audio encoder, emotion classifier, then the vector field by flow matching."""
    import torch

    from floatcli.train.flow_stage import train_stage
    from floatcli.train.settings import load_settings

    torch.set_num_threads(threads)
    settings = load_settings(config)
    train_stage(settings.model, settings.flow, run, console.say)


@app.command(name="all")
def whole(config: Config, output: Exported, run: RunFolder = Path("runs/embedded"), threads: Threads = 2) -> None:
    """Both stages, one after the other, and what they make as one file that animate loads."""
    _check_exported(output)
    autoencoder(config, run, threads=threads)
    flow(config, run, threads)
    export(config, output, run)


@app.command()
def export(config: Config, output: Exported, run: RunFolder = Path("runs/embedded")) -> None:
    """Put the parts of a run together, as one 16-bit file that animate loads."""
    _check_exported(output)
    from floatcli.train.export import export_run
    from floatcli.train.settings import load_settings

    export_run(load_settings(config), run, output)
    console.say(f"wrote {output}, {output.stat().st_size / 1e6:.1f} MB")


def _check_exported(output: Path) -> None:
    if output.suffix != ".safetensors":
        raise UsageError(f"{output} does not end in .safetensors", f"call it {output.stem}.safetensors")
    check_place(output, overwrite=True)
