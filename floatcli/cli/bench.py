"""``floatcli bench``: how fast this machine is, stage by stage."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from typer import Option

from floatcli.checks import check_run
from floatcli.cli import console, options
from floatcli.config import RunConfig
from floatcli.errors import UsageError

if TYPE_CHECKING:
    from floatcli.bench import Report

LONGEST = 60.0  # what is heard at once
WIDTH = 110  # of the table, in a file or a pipe


def bench(
    weights: options.Weights = None,
    device: options.Device = RunConfig.device,
    dtype: options.Dtype = RunConfig.dtype,
    batch_size: options.BatchSize = RunConfig.batch_size,
    seconds: Annotated[float, Option(help="Length of the speech.")] = 4.0,
    repeats: Annotated[int, Option(min=1, max=100, help="Runs of each stage that count.")] = 3,
    compile: Annotated[
        bool, Option("--compile/--no-compile", help="Compile the networks first, however short the speech.")
    ] = RunConfig.compile,
    compare: Annotated[
        bool, Option("--compare", help="Run a plain rendering of the model in turn, and print ratios.")
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Time every stage and the whole, against what the machine can do.

    Runs that do not count come first. Frames/s of a stage are those that the clip would have if there were nothing
    else. First frames are those handed to ffmpeg. The plain rendering runs in float32 with torch's own settings, in a
    thread whose memory is not kept as floatcli keeps its own; torch's threads sleep while they wait, as for floatcli.
    """
    run = RunConfig(device, dtype, batch_size)
    check_run(run)
    if not 0.1 <= seconds <= LONGEST:
        raise UsageError(f"seconds must lie in 0.1..{LONGEST:g}, not {seconds}", "4 are two windows of motion")
    from floatcli.allocator import PlainThread

    beside = PlainThread() if compare else None  # before there are other threads
    from floatcli.bench import Bench
    from floatcli.pipeline import FloatPipeline

    told = (lambda line: None) if quiet else console.say
    pipe = FloatPipeline.from_weights(weights, notice=told, **asdict(run))
    if compile:
        pipe.networks.compile()
    report = Bench(pipe, seconds, repeats, beside).report(told)
    if as_json:
        print(json.dumps(report.as_json()))
    else:
        _show(report, compare)


def _show(report: Report, compare: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    titles = ["seconds", "spread", "frames/s", "GFLOP/s", "GB/s", *(["plain, s", "times as fast"] if compare else [])]
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for row in report.rows:
        cells = [f"{row.seconds:.3f}", f"{row.fastest:.3f}-{row.slowest:.3f}", f"{row.frames / row.seconds:.1f}"]
        cells += ["" if rate is None else f"{rate:.0f}" for rate in (row.gflops, row.gbytes)]
        if compare and row.ratio is not None:
            cells += [f"{row.plain:.3f}", f"{row.ratio:.2f}"]
        table.add_row(row.stage, *cells)
    screen = Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH)
    screen.print(table)
    machine = report.machine
    screen.print(
        f"this machine: matrix product {machine.matmul:.0f} GFLOP/s, "
        f"3x3 convolution {machine.convolution:.0f} GFLOP/s, copy {machine.copy:.1f} GB/s"
    )
    rss = "" if report.peak_rss is None else f", peak {report.peak_rss:.0f} MB"
    gpu = "" if report.peak_gpu is None else f", {report.peak_gpu:.0f} MB of GPU memory"
    screen.print(f"{report.realtime:.2f} times real time, first frames after {report.first_frame:.2f} s{rss}{gpu}")
    screen.print(", ".join(f"{name} {value}" for name, value in report.about.items()))
