"""``floatcli evaluate``: how good a set of weights is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from floatcli.checks import AUTO, check_run
from floatcli.cli import console, options
from floatcli.config import RunConfig, VideoConfig
from floatcli.errors import UsageError
from floatcli.evaluate.settings import DRAWN, NETWORKS, ClipsConfig, DrawnConfig, parse_networks
from floatcli.files import check_apart, check_place, replacing
from floatcli.media.video import check_output

DRAWN_FACES, CLIPS = "Drawn faces", "Prepared clips"
_WHAT = "; ".join(f"{name}: {', '.join(network.columns)}" for name, network in NETWORKS.items())


def evaluate(
    weights: Annotated[
        str, options.WeightsOption(help="Weights to measure: a file, or a name as in `floatcli weights list`.")
    ] = "embedded",
    data: Annotated[
        str, Option(help=f"{DRAWN}, or a folder of clips that no training saw, made by `floatcli train prepare`.")
    ] = DRAWN,
    output: Annotated[
        Path | None, options.PathOption("--output", "-o", help="Write every figure here, as JSON.")
    ] = None,
    clips: Annotated[
        int | None,
        Option(
            min=1,
            help="Clips, of as many videos as there are; of drawn data, of each kind of speech.",
            show_default=f"{ClipsConfig.clips}; {DrawnConfig.clips} of drawn data",
        ),
    ] = None,
    every: Annotated[
        int | None,
        Option(
            min=1,
            help="Every so-manyth frame is reconstructed.",
            show_default=str(ClipsConfig.every),
            rich_help_panel=CLIPS,
        ),
    ] = None,
    network: Annotated[
        list[str] | None,
        Option(
            metavar="NAME=FILE",
            help=f"A TorchScript network that columns need, else blank ({_WHAT}). Repeatable.",
            rich_help_panel=CLIPS,
        ),
    ] = None,
    video: Annotated[
        Path | None,
        options.PathOption(
            help="Show a clip, its reconstruction and its speech's, side by side.", rich_help_panel=CLIPS
        ),
    ] = None,
    identities: Annotated[
        int | None,
        Option(min=1, help="Held-out faces.", show_default=str(DrawnConfig.identities), rich_help_panel=DRAWN_FACES),
    ] = None,
    decoded: Annotated[
        int | None,
        Option(
            min=1,
            help="Of the clips, those whose decoded pixels are judged, each said by people of three tones of skin.",
            show_default=str(DrawnConfig.decoded),
            rich_help_panel=DRAWN_FACES,
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        options.PathOption(
            help="Show what is made of faces, a photograph among them, by what they are told: a .png.",
            rich_help_panel=DRAWN_FACES,
        ),
    ] = None,
    device: options.Device = RunConfig.device,
) -> None:
    """Measure a set of weights on prepared clips, or on faces drawn and speech synthesised for it.

    Prints tables. On prepared clips: how near the motion that is read from a clip, shown by its first frame, comes to
    the clip; how another's portrait takes it; and what the speech makes of the first frame. Columns of the paper that
    need networks of others are blank unless these are given.
    """
    check_run(RunConfig(device))
    if output is not None:
        check_place(output, overwrite=True)
    if data == DRAWN:
        if device not in (AUTO, "cpu"):
            raise UsageError(f"drawn faces are measured on the CPU, not on {device}", "leave --device out")
        _refuse({"every": every, "network": network, "video": video}, "prepared clips", "--data FOLDER")
        _check_sheet(sheet, output)
        given = {"identities": identities, "clips": clips, "decoded": decoded}
        figures, table = _drawn(weights, replace(DrawnConfig(), **_given(given)), sheet)
    else:
        _refuse({"identities": identities, "decoded": decoded, "sheet": sheet}, "drawn faces", f"--data {DRAWN}")
        networks = parse_networks(network or [])
        if video is not None:
            check_output(video, VideoConfig())
        check_apart([output, video], networks.values())
        config = replace(ClipsConfig(), **_given({"clips": clips, "every": every}))
        figures, table = _clips(weights, options.path(data), config, networks, video, device)
    if output is not None:
        with replacing(output) as temporary:
            temporary.write_text(json.dumps(figures, indent=2) + "\n")
    print(table)


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """Those settings that are given."""
    return {name: value for name, value in settings.items() if value is not None}


def _refuse(settings: dict[str, Any], what: str, hint: str) -> None:
    """Raise UsageError where a setting is given that this data has no use for."""
    for name in _given(settings):
        raise UsageError(f"--{name} is for {what}", f"it goes with {hint}")


def _check_sheet(sheet: Path | None, output: Path | None) -> None:
    """Raise UsageError or InputError where no sheet can be written."""
    if sheet is None:
        return
    if sheet.suffix.lower() != ".png":
        raise UsageError(f"{sheet} names no known kind of picture", "end it in .png")
    check_place(sheet, overwrite=True)
    check_apart([output, sheet], [])


def _drawn(weights: str, config: DrawnConfig, sheet: Path | None) -> tuple[dict[str, Any], str]:
    """Figures on drawn data, and their tables; a sheet, where one is asked for."""
    if config.clips < 2:
        raise UsageError("one clip of speech is too few", "each is held against the speech of another too")
    if config.decoded > config.clips:
        raise UsageError(f"{config.decoded} clips can't be decoded of {config.clips}", "lower --decoded")
    from floatcli.checkpoint.load import load_model
    from floatcli.evaluate.drawn import check_measurable, evaluate_drawn
    from floatcli.evaluate.drawn_report import table
    from floatcli.evaluate.faces_sheet import save_sheet

    model = load_model(weights)
    check_measurable(model)
    if sheet is not None:
        save_sheet(model, sheet)
    figures = evaluate_drawn(model, config, console.say)
    return figures, table(figures)


def _clips(
    weights: str, folder: Path, config: ClipsConfig, networks: dict[str, Path], video: Path | None, device: str
) -> tuple[dict[str, Any], str]:
    """Figures on prepared clips, and their tables."""
    from floatcli.evaluate.clips import evaluate_clips
    from floatcli.evaluate.report import tables
    from floatcli.pipeline import FloatPipeline

    pipe = FloatPipeline.from_weights(weights, device, notice=console.say)
    figures = evaluate_clips(pipe, folder, config, networks, video, console.say)
    about = {"weights": str(pipe.weights), "sha256": pipe.digest, "data": str(folder)}
    return about | figures, tables(figures["figures"])
