"""A process that reads what it is given, within bounds of time and memory that it can't help but keep."""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

SECONDS = 60  # that reading a small file may take on a machine with much else to do
ROOM = 6 << 30  # bytes that the worker's address space may grow by, lest a failure takes the machine down

READ, TOLD = "read", "told"


@dataclass(frozen=True)
class Outcome:
    """How reading a file ended.

    Attributes:
        kind: READ; TOLD, by an error of floatcli's; or else what went wrong, a traceback for example.
        text: What was told.
        seconds: How long it took.
        megabytes: What the worker's memory rose by meanwhile, at its highest, or an ffmpeg's was above it.
    """

    kind: str
    text: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0

    @property
    def fine(self) -> bool:
        return self.kind in (READ, TOLD)


@dataclass
class Tally:
    """What was tried in all."""

    kinds: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    megabytes: float = 0.0

    def count(self, outcome: Outcome) -> Outcome:
        self.kinds[outcome.kind if outcome.fine else "traceback"] += 1
        self.seconds, self.megabytes = (
            max(self.seconds, outcome.seconds), max(self.megabytes, outcome.megabytes),
        )  # fmt: skip
        return outcome

    def __str__(self) -> str:
        tried = sum(self.kinds.values())
        return (
            f"{tried} inputs tried, {self.kinds['traceback']} tracebacks: {self.kinds[READ]} read, "
            f"{self.kinds[TOLD]} refused in one line; at most {self.seconds:.1f} s and {self.megabytes:.0f} MB"
        )


TALLY = Tally()


class Worker:
    """Reads files in a process of its own, which is ended where it takes too long, and begun anew."""

    def __init__(self) -> None:
        self._process: multiprocessing.process.BaseProcess | None = None

    def read(self, reader: str, name: str, content: bytes, seconds: float = SECONDS) -> Outcome:
        """Have a file of this name and content read."""
        if self._process is None:
            self._start()
        self._pipe.send((reader, name, content))
        return TALLY.count(self._answer(seconds))

    def _answer(self, seconds: float) -> Outcome:
        if not self._pipe.poll(seconds):
            self.stop()
            return Outcome(f"hang: more than {seconds} s", seconds=seconds)
        try:
            return self._pipe.recv()
        except EOFError:
            self.stop()
            return Outcome("the process died")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        assert self._pipe.poll(300), "the worker does not start"
        assert self._pipe.recv() == "ready"

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _work(pipe: Connection) -> None:
    from tests.fuzz.readers import READERS

    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        limit = _status("VmSize") + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pipe.send("ready")
        while True:
            try:
                reader, name, content = pipe.recv()
            except EOFError:
                return
            path = Path(folder, name)
            path.write_bytes(content)
            pipe.send(_tried(READERS[reader], path))
            path.unlink()


def _tried(read, path: Path) -> Outcome:
    from floatcli.errors import FloatCliError

    begun, before = time.perf_counter(), _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is what it is now
    kind, text = READ, ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # numpy's: they would be lines on stderr
            read(path)
    except FloatCliError as error:
        kind, text = TOLD, f"{error.message}\n{error.hint}"
        if not error.message:
            kind = "an error without words"
    except BaseException:
        kind = traceback.format_exc(limit=-6)
    others = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # which begin as copies of this one
    risen = max(_status("VmHWM"), others) - before
    return Outcome(kind, text, time.perf_counter() - begun, risen / 1e6)


def _status(name: str) -> int:
    """A figure of this process's memory, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
