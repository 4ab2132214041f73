"""``floatcli train``: make a set of weights from nothing, or from where the last run stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from floatcli.cli import console
from floatcli.errors import UsageError

app = typer.Typer(help="Train a FLOAT of your own, in two stages, and measure it.", no_args_is_help=True)

Config = Annotated[Path, typer.Argument(help="The training's settings, a TOML file such as weights/embedded.toml.")]
RunFolder = Annotated[Path, typer.Option("--run", help="Folder of checkpoints and samples; a run there is resumed.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="CPU threads; 1 where several parts train at once.")]

PARTS = ("encoder", "landmarks", "mouth", "eyes", "warp")


@app.command()
def draw(config: Config) -> None:
    """Draw the portraits that stage 1 learns from, as far as they are not there yet."""
    from floatcli.train.drawn_data import draw_shards
    from floatcli.train.settings import load_settings

    draw_shards(load_settings(config).autoencoder.drawn, console.say)


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
    from floatcli.train.settings import load_settings

    torch.set_num_threads(threads)
    settings = load_settings(config)
    draw_shards(settings.autoencoder.drawn, console.say)
    for name in part or PARTS:
        train_part(name, settings, run, console.say)
