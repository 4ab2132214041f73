"""What people see on stderr: complaints, notices, progress. stdout is left to results."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from floatcli.errors import InputError, brief

#: Controls; ends of lines and paragraphs; what turns the direction of writing.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def say(line: str) -> None:
    """One line to people, on stderr, if anybody reads it."""
    if sys.stderr is None:  # closed
        return
    try:
        print(f"floatcli: {visible(line)}", file=sys.stderr, flush=True)
    except OSError:  # nobody reads it any more, or its disk is full: the work goes on
        discard(sys.stderr)


def visible(line: str) -> str:
    """A line as no terminal takes it for more: line ends and commands within it, as names may have, are spelt out."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), line)


def complain(message: str, hint: str = "") -> None:
    """An error and what to do about it."""
    say(f"error: {brief(message)}")
    if hint:
        say(f"hint: {brief(hint)}")


def discard(stream: IO[str]) -> None:
    """What is left to flush of a stream goes nowhere, or leaving would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Results:
    """stdout, whose failures are told as what they are: a place that can't be written to.

    That nobody reads it any more is left to the caller.
    """

    def __init__(self, stream: IO[str]):
        self._stream = stream

    def write(self, text: str) -> int:
        """As of the stream. Raises InputError where it fails."""
        with self._told():
            return self._stream.write(text)

    def flush(self) -> None:
        """As of the stream. Raises InputError where it fails."""
        with self._told():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            discard(self._stream)
            raise InputError(f"stdout can't be written: {error.strerror}", "make room, or send it elsewhere") from error


class _Speed(ProgressColumn):
    """Frames per second, once there are frames."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} frames/s" if task.speed and task.total else "", style="progress.data.speed")


class ProgressLine:
    """A line on stderr with the stage, the frames done, frames/s and the time left.

    Silent where stderr is not a terminal. Use as a context manager; ``notice`` prints above the line.
    """

    def __init__(self, quiet: bool):
        console = Console(stderr=True)
        self.quiet = quiet
        self._said: set[str] = set()
        self.shown = not quiet and sys.stderr.isatty()  # rich's own answer heeds FORCE_COLOR
        self.progress = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            _Speed(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self.shown,
        )
        self.task: TaskID = self.progress.add_task("weights", total=None, count="")

    def __enter__(self) -> ProgressLine:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def stage(self, name: str) -> None:
        """Name the stage that has begun."""
        self.progress.update(self.task, description=name)

    def frames(self, done: int, total: int) -> None:
        """Frames finished so far, of how many."""
        if self.progress.tasks[0].total is None:
            self.progress.reset(self.task, total=total)  # the clock of frames/s starts with the frames
        self.progress.update(self.task, completed=done, total=total, count=f"{done}/{total}")

    def notice(self, line: str) -> None:
        """Say something that is no error, once, unless asked to be quiet."""
        if self.quiet or line in self._said:
            return
        self._said.add(line)
        if self.shown:
            self.progress.console.print(f"floatcli: {visible(line)}", markup=False, highlight=False, soft_wrap=True)
        else:
            say(line)

    def done(self, line: str) -> None:
        """Say how it ended, where somebody is watching."""
        if self.shown:
            say(line)
