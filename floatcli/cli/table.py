"""What people see of a batch: a live table on a terminal, else a line a clip; counts and the exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from floatcli.batch.ledger import DONE, FAILED
from floatcli.batch.run import Ended
from floatcli.cli import console
from floatcli.jobs import Job


class Table:
    """Clips done, failed and left, frames/s and the time left; below, the clips at work.

    Where stderr is no terminal it tells a line a clip; where it shall be quiet, failures alone.
    """

    def __init__(self, quiet: bool):
        self.quiet, self.total = quiet, 0
        self.done = self.failed = self.kept = self.code = 0
        self._frames = 0
        self._since = time.monotonic()
        self._said: set[str] = set()
        self.shown = not quiet and sys.stderr.isatty()
        text = TextColumn("{task.description}", markup=False)
        self._whole = Progress(text, BarColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn())
        self._task = self._whole.add_task("", speed="")
        self._clips = Progress(text, BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"))
        self._tasks: dict[Job, TaskID] = {}
        self._live = Live(Group(self._whole, self._clips), console=Console(stderr=True), transient=True)

    @contextmanager
    def of(self, total: int) -> Iterator[None]:
        """Show a batch of so many clips while it is at work."""
        self.total, self._since = total, time.monotonic()
        self._update()
        with self._live if self.shown else nullcontext():
            yield

    def notice(self, line: str) -> None:
        """Say something that is no error, once."""
        if not self.quiet and line not in self._said:
            self._said.add(line)
            self._say(line)

    def frames(self, job: Job, done: int, total: int) -> None:
        """Frames of a clip at work; called from its thread."""
        if job not in self._tasks:
            self._tasks[job] = self._clips.add_task(f"  {job.out.name}", total=total)
        self._clips.update(self._tasks[job], completed=done)
        self._update()

    def ended(self, ended: Ended) -> None:
        """A clip has ended, or was done before."""
        job, row = ended
        if job in self._tasks:
            self._clips.remove_task(self._tasks.pop(job))
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
            self._say(f"failed: {job.out}: {row['error']}")
        elif row is not None and not self.quiet and not self.shown:
            console.say(f"{self._count()} {job.out}: {row['frames']} frames in {row['seconds']:.1f} s")

    def summary(self) -> None:
        """Say how it went."""
        if not self.quiet:
            speed = f", {self._speed():.1f} frames/s" if self._frames else ""
            left = self.total - self.done - self.kept - self.failed
            rest = f", {left} not tried" if left else ""
            console.say(f"{self.done} made, {self.kept} there already, {self.failed} failed{rest}{speed}")

    def _say(self, line: str) -> None:
        if self.shown:
            self._live.console.print(
                f"floatcli: {console.visible(line)}", markup=False, highlight=False, soft_wrap=True
            )
        else:
            console.say(line)

    def _count(self) -> str:
        return f"{self.done + self.failed + self.kept}/{self.total}"

    def _speed(self) -> float:
        at_work = sum(task.completed for task in self._clips.tasks)
        return (self._frames + at_work) / max(time.monotonic() - self._since, 1e-6)

    def _update(self) -> None:
        shares = sum(task.completed / (task.total or 1) for task in self._clips.tasks)
        # Clips that were there already took no time, so the time left is judged by the others.
        completed, total = self.done + self.failed + shares, self.total - self.kept
        words = f"{self._count()}, {self.failed} failed"
        speed = f"{self._speed():.1f} frames/s"
        self._whole.update(self._task, description=words, completed=completed, total=total, speed=speed)
