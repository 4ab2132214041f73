"""``floatcli batch``: many clips, with what is done kept, so that it can be stopped and run again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from floatcli.batch.cluster import cluster_workers
from floatcli.batch.ledger import Ledger
from floatcli.batch.lists import read_jobs
from floatcli.batch.run import Batch
from floatcli.batch.worker import Worker, device_workers
from floatcli.checkpoint.store import choice_of_weights, find_weights
from floatcli.checks import check_run, check_source
from floatcli.cli import options
from floatcli.cli.options import MACHINE
from floatcli.cli.table import Table
from floatcli.config import RunConfig
from floatcli.errors import InputError, UsageError

LOCAL, RAY = "local", "ray"


def batch(
    source: Annotated[
        Path, options.PathArgument(metavar="JOBS", help="jobs.csv, jobs.jsonl, or a folder.", show_default=False)
    ],
    outdir: Annotated[
        Path, options.PathOption("--output", "-o", help="Folder for videos and results.jsonl.", show_default=False)
    ],
    face: Annotated[Path | None, options.PathOption(help="One portrait for all recordings of the folder.")] = None,
    speech: Annotated[Path | None, options.PathOption(help="One recording for all pictures of the folder.")] = None,
    settings: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="NAME=VALUE",
            help="An option of animate for all clips, as in --set nfe=5; a column of the list comes first.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, Option("--force", help="Make again what is done already.")] = False,
    max_failures: Annotated[
        int | None, Option(min=1, help="Stop after so many failures.", show_default="never")
    ] = None,
    weights: options.Weights = None,
    save_motion: options.SaveMotion = True,
    device: Annotated[
        str,
        Option(
            help="auto, which takes every GPU, or cpu, cuda:N, mps; several as in cuda:0,cuda:1.",
            rich_help_panel=MACHINE,
        ),
    ] = RunConfig.device,
    dtype: options.Dtype = RunConfig.dtype,
    batch_size: options.BatchSize = RunConfig.batch_size,
    together: Annotated[
        int,
        Option(
            help="Clips that share evaluations and decode batches, on GPUs; above 1, animate's but for rounding.",
            rich_help_panel=MACHINE,
        ),
    ] = RunConfig.together,
    compile: options.Compile = RunConfig.compile,
    engine: Annotated[
        str, Option(help="local, or ray: a Ray cluster that is running.", rich_help_panel=MACHINE)
    ] = LOCAL,
    ray_address: Annotated[
        str | None,
        Option(help="The cluster's address.", show_default="RAY_ADDRESS, else this machine's", rich_help_panel=MACHINE),
    ] = None,
    ship: Annotated[
        bool,
        Option("--ship", help="Send files to the cluster and back: it shares no storage.", rich_help_panel=MACHINE),
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Make many clips; the weights are loaded once.

    JOBS has columns face, speech, and if wanted out and any option of animate (emotion, seed, crop ...). Of a folder,
    every picture says the recording of the same name. OUTDIR/results.jsonl gets a row a clip as it ends. Run again,
    only what is missing or has changed is made. A clip that fails stops no other, but the exit code tells.
    """
    runs = [RunConfig(name.strip(), dtype, batch_size, together, compile) for name in device.split(",")]
    for run in runs:
        check_run(run)
    if engine not in (LOCAL, RAY):
        raise UsageError(f"there is no engine {engine!r}", f"choose from {LOCAL}, {RAY}")
    if engine == LOCAL and (ship or ray_address is not None):
        raise UsageError("--ray-address and --ship are about a Ray cluster", "they go with --engine ray")
    if engine == RAY and len(runs) > 1:
        raise UsageError("on a Ray cluster every worker has one device", "name one, or auto")
    for path, what in ((face, "picture"), (speech, "recording")):
        if path is not None:
            check_source(path, what)
    place = find_weights(weights)
    table = Table(quiet)
    jobs = [
        replace(job, save_motion=job.save_motion and save_motion, video=replace(job.video, overwrite=True))
        for job in read_jobs(source, outdir, face, speech, settings or (), table.notice)
    ]
    try:
        outdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{outdir} can't be a folder: {error.strerror}", "name another with -o") from error
    if weights is None:
        table.notice(choice_of_weights(place))

    def hire() -> Sequence[Worker]:
        if engine == LOCAL:
            return device_workers(place, runs, table.notice)
        return cluster_workers(ray_address, place, runs[0], ship, table.notice)

    work = Batch(jobs, Ledger(outdir, place, runs[0]), place, force)
    with table.of(len(jobs)), closing(work.run(hire, table.frames, table.notice)) as ends:
        for ended in ends:
            table.ended(ended)
            if max_failures is not None and table.failed >= max_failures:
                table.notice(f"stopped after {table.failed} failures")
                break
    table.summary()
    if table.code:
        raise typer.Exit(table.code)
