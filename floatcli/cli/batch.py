"""``floatcli batch``: many clips in one process, with what is done kept, so that it can be stopped and run again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from typer import Option

from floatcli.checkpoint.store import file_digest, find_weights
from floatcli.checks import check_run, check_source
from floatcli.cli import animate, console, options
from floatcli.config import RunConfig
from floatcli.errors import ExitCode, FloatCliError, InputError
from floatcli.jobs import Wanted, read_jobs
from floatcli.version import __version__

if TYPE_CHECKING:
    from floatcli.pipeline import FloatPipeline

RESULTS = "results.jsonl"
DONE, FAILED = "done", "failed"


def batch(
    source: Annotated[
        Path, typer.Argument(metavar="JOBS", help="jobs.csv, jobs.jsonl, or a folder.", show_default=False)
    ],
    outdir: Annotated[Path, Option("--output", "-o", help="Folder for videos and results.jsonl.", show_default=False)],
    face: Annotated[Path | None, Option(help="One portrait for all recordings of the folder.")] = None,
    speech: Annotated[Path | None, Option(help="One recording for all pictures of the folder.")] = None,
    force: Annotated[bool, Option("--force", help="Make again what is done already.")] = False,
    max_failures: Annotated[
        int | None, Option(min=1, help="Stop after so many failures.", show_default="never")
    ] = None,
    weights: options.Weights = None,
    save_motion: options.SaveMotion = True,
    device: options.Device = RunConfig.device,
    dtype: options.Dtype = RunConfig.dtype,
    batch_size: options.BatchSize = RunConfig.batch_size,
    quiet: options.Quiet = False,
) -> None:
    """Make many clips; the weights are loaded once.

    JOBS has columns face, speech, and if wanted out and any option of animate (emotion, seed, crop ...). Of a folder,
    every picture says the recording of the same name. OUTDIR/results.jsonl gets a row a clip as it ends. Run again,
    only what is missing or has changed is made. A clip that fails stops no other, but the exit code tells.
    """
    run = RunConfig(device, dtype, batch_size)
    check_run(run)
    for path, what in ((face, "picture"), (speech, "recording")):
        if path is not None:
            check_source(path, what)
    place = find_weights(weights)
    jobs = read_jobs(source, outdir, face, speech)
    try:
        outdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{outdir} can't be a folder: {error.strerror}", "name another with -o") from error
    with Shown(len(jobs), quiet) as shown:
        maker = Maker(place, run, save_motion, outdir / RESULTS, shown.notice)
        for job in jobs:
            shown.ended(job, maker.make(job, force, shown.frames))
            if max_failures is not None and shown.failed >= max_failures:
                break
    shown.summary()
    if shown.code:
        raise typer.Exit(shown.code)


class Maker:
    """Makes clips one after the other with weights that are loaded once, and keeps their results."""

    def __init__(self, weights: Path, run: RunConfig, save_motion: bool, results: Path, notice: Callable[[str], None]):
        self.weights, self.run, self.save_motion, self.results = weights, run, save_motion, results
        self._notice = notice
        self._pipeline: FloatPipeline | None = None
        self._digest = file_digest(weights)
        self._known = _read_results(results)

    def make(self, wanted: Wanted, force: bool, progress: Callable[[int, int], None]) -> dict[str, Any] | None:
        """The row of a clip's result; None where it is done already."""
        start = time.monotonic()
        row: dict[str, Any] = {"out": os.fspath(wanted.out), "key": None}
        try:
            job = self._job(wanted)
            job.check()
            row["key"] = self._key(wanted)
            if not force and self._is_done(row):
                return None
            result = job.make(self._loaded(), progress)
            row |= {"status": DONE, "frames": result["frames"], "digests": result["digests"], "seed": result["seed"]}
        except FloatCliError as error:
            row |= {"status": FAILED, "error": str(error), "code": int(error.exit_code)}
        except Exception as error:
            said = f"a bug in floatcli: {type(error).__name__}: {' '.join(str(error).split())}"
            row |= {"status": FAILED, "error": said, "code": int(ExitCode.BUG)}
        row["seconds"] = round(time.monotonic() - start, 3)
        self._keep(row)
        return row

    def _job(self, wanted: Wanted) -> animate.Job:
        wanted.out.parent.mkdir(parents=True, exist_ok=True)
        return animate.Job(
            wanted.face,
            wanted.speech,
            wanted.out,
            self.weights,
            wanted.emotion,
            wanted.crop,
            wanted.sample,
            replace(wanted.video, overwrite=True),
            self.run,
            self.save_motion,
        )

    def _key(self, wanted: Wanted) -> str:
        """What a clip depends on, in one digest."""
        track = Path(wanted.emotion)
        made_of = asdict(wanted) | {
            "face": file_digest(wanted.face),
            "speech": file_digest(wanted.speech),
            "emotion": file_digest(track) if track.suffix.lower() == ".csv" else wanted.emotion,
            "out": None,
            "weights": self._digest,
            "dtype": self.run.dtype,
            "version": __version__,
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode()).hexdigest()

    def _is_done(self, row: dict[str, Any]) -> bool:
        """Whether the last result of this clip was of the same key, and its video is still what it was."""
        last, out = self._known.get(row["out"]), Path(row["out"])
        if last is None or last.get("status") != DONE or last.get("key") != row["key"] or not out.is_file():
            return False
        return file_digest(out) == last.get("digests", {}).get("output")

    def _loaded(self) -> FloatPipeline:
        if self._pipeline is None:
            from floatcli.pipeline import FloatPipeline

            run = self.run
            self._pipeline = FloatPipeline.from_weights(
                self.weights, run.device, run.dtype, run.batch_size, self._notice
            )
        return self._pipeline

    def _keep(self, row: dict[str, Any]) -> None:
        """Add a row to the results at once: whatever happens next, it stays."""
        self._known[row["out"]] = row
        try:
            with self.results.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            raise InputError(f"{self.results} can't be written: {error.strerror}", "make room there") from error


def _read_results(path: Path) -> dict[str, dict[str, Any]]:
    """The last row of every clip; a last line that was cut off is no row."""
    rows: dict[str, dict[str, Any]] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
                rows[row["out"]] = row
            except (ValueError, KeyError, TypeError):
                continue
    return rows


class Shown:
    """What people see of a batch: a line on a terminal, else a line a clip; counts and the exit code."""

    def __init__(self, total: int, quiet: bool):
        self.total, self.quiet = total, quiet
        self.done = self.failed = self.kept = 0
        self.code = 0
        self._frames = 0
        self._since = time.monotonic()
        console_ = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"))
        shown = not quiet and os.isatty(2)
        self._progress = Progress(*columns, TimeRemainingColumn(), console=console_, transient=True, disable=not shown)
        self._lines = not quiet and not shown
        self._task = self._progress.add_task("", total=total, speed="")
        self._said: set[str] = set()

    def __enter__(self) -> Shown:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def notice(self, line: str) -> None:
        """Say something that is no error, once."""
        if not self.quiet and line not in self._said:
            self._said.add(line)
            console.say(line)

    def frames(self, done: int, total: int) -> None:
        """Frames of the clip at hand."""
        self._update(done / total, done)

    def ended(self, wanted: Wanted, row: dict[str, Any] | None) -> None:
        """A clip has ended, or was done before."""
        if row is None:
            self.kept += 1
        elif row["status"] == DONE:
            self.done += 1
            self._frames += row["frames"]
        else:
            self.failed += 1
            self.code = self.code or row["code"]
        self._update()
        if row is not None and row["status"] == FAILED:
            console.say(f"failed: {wanted.out}: {row['error']}")
        elif row is not None and self._lines:
            console.say(f"{self._count()} {wanted.out}: {row['frames']} frames in {row['seconds']:.1f} s")

    def summary(self) -> None:
        """Say how it went."""
        if not self.quiet:
            console.say(f"{self.done} made, {self.kept} there already, {self.failed} failed")

    def _count(self) -> str:
        return f"{self.done + self.failed + self.kept}/{self.total}"

    def _update(self, share: float = 0.0, frames: int = 0) -> None:
        ended = self.done + self.failed + self.kept
        speed = (self._frames + frames) / max(time.monotonic() - self._since, 1e-6)
        words = f"{self._count()}, {self.failed} failed"
        self._progress.update(self._task, description=words, completed=ended + share, speed=f"{speed:.1f} frames/s")
