"""floatcli as processes of their own, which can be killed, and what they leave where they ran.

Importing torch takes longer than a short clip. So commands are forked from a process that has imported all there is,
and go from there through ``main`` as the console script does.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from floatcli.checkpoint.store import file_digest
from floatcli.media.ffmpeg import ffmpeg_executable
from floatcli.motion import Motion, motion_beside

BOUND = 120.0  # seconds that no command here may take, however busy the machine
FRAMES = 30
SECONDS = FRAMES / 25
QUICK = ("--crop", "none", "--nfe", "1")
MOTION = ".motion.safetensors"
PAIR = {"o.mp4", f"o{MOTION}"}

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.faults.warm"])

#: How often what was tried, and all was well afterwards.
survived: Counter[str] = Counter()


@dataclass(frozen=True)
class Order:
    """A command, and what is wrong with the world it runs in.

    Attributes:
        words: Its arguments.
        place: The folder that holds its working and its temporary folder.
        stdout: Where its results go, a file or a named pipe.
        stderr: A pipe, which takes what is said on a full disk, too.
        begun: Told when the command is about to begin, and signals are caught.
        environment: Variables that differ.
        room: Bytes beyond which no file of it may grow.
        world: Called in the process before the command begins.
    """

    words: Sequence[str]
    place: Path
    stdout: Path
    stderr: Connection
    begun: Connection
    environment: dict[str, str] = field(default_factory=dict)
    room: int | None = None
    world: Callable[[], None] | None = None


def _become(order: Order) -> None:
    """What the forked process does."""
    from floatcli.__main__ import main
    from floatcli.cli.signals import catch_signals

    os.setsid()
    os.chdir(order.place / "work")
    os.environ.update({"TMPDIR": str(order.place / "tmp"), "FLOATCLI_OFFLINE": "1"} | order.environment)
    tempfile.tempdir = None
    os.dup2(os.open(order.stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(order.stderr.fileno(), 2)
    order.stderr.close()
    if order.room is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.room, resource.RLIM_INFINITY))
    if order.world is not None:
        order.world()
    sys.argv = ["floatcli", *map(str, order.words)]
    catch_signals()
    order.begun.close()
    main()


class Run:
    """A command at work."""

    def __init__(self, words: Sequence[str], place: Path, stdout: Path, **wrong: Any):
        self._stderr, stderr = _forks.Pipe(duplex=False)
        self._said = b""
        waiting, begun = _forks.Pipe(duplex=False)
        self.order = order = Order(words, place, stdout, stderr, begun, **wrong)
        self._process = _forks.Process(target=_become, args=(order,))
        self._process.start()
        stderr.close()
        begun.close()
        waiting.poll(BOUND)  # how long a process takes to begin is not of the command
        waiting.close()
        self._began = time.monotonic()
        self.seconds = 0.0  # that it took, once it has ended

    @property
    def over(self) -> bool:
        return self._process.exitcode is not None

    def sleep(self, seconds: float) -> None:
        """Wait until it is so old."""
        time.sleep(max(0.0, self._began + seconds - time.monotonic()))

    def wait(self, seconds: float = BOUND) -> int:
        """Its exit code; below zero, the signal that ended it."""
        self._process.join(seconds)
        self.seconds = self.seconds or time.monotonic() - self._began
        if self._process.exitcode is None:
            self.kill(tree=True)
            raise AssertionError(f"{' '.join(map(str, self.order.words))} hangs: {self.said}")
        return self._process.exitcode

    def signal(self, number: int) -> None:
        if not self.over:
            os.kill(self._process.pid, number)

    def kill(self, tree: bool = False) -> int:
        """Kill it outright, with or without what it has begun; its exit code."""
        others = processes(self.order.place) if tree else []
        for pid in [self._process.pid, *others]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.join()
        return self._process.exitcode

    def deafen(self) -> None:
        """Nobody reads its stderr any more."""
        self._stderr.close()

    @property
    def said(self) -> str:
        """What it has written to stderr so far."""
        os.set_blocking(self._stderr.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self._stderr.fileno(), 1 << 16):
                self._said += more
        return self._said.decode(errors="replace")


def processes(place: Path) -> list[int]:
    """Programs that name something in a folder in their arguments: ffmpeg, as we begin it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(place) in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def wait_for(condition: Callable[[], object], seconds: float = BOUND) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it doesn't come to pass"
        time.sleep(0.005)


class Place:
    """Where commands run: a working folder, and a temporary folder of their own."""

    def __init__(self, folder: Path, options: Sequence[str]):
        self.folder = folder
        self.work, self.tmp = folder / "work", folder / "tmp"
        self.work.mkdir()
        self.tmp.mkdir()
        self.options = list(options)

    def start(self, *words: object, stdout: Path | None = None, **wrong: Any) -> Run:
        """Begin a command, with the options that all have in common; ``wrong`` as of an ``Order``."""
        out = self.folder / "stdout" if stdout is None else stdout
        return Run([*map(str, words), *self.options], self.folder, out, **wrong)

    def run(self, *words: object, **wrong: Any) -> Run:
        """A command that has ended."""
        run = self.start(*words, **wrong)
        run.wait()
        return run

    def there(self) -> set[str]:
        """All that is in the working folder, by its path, and in the temporary one."""
        work = {str(path.relative_to(self.work)) for path in self.work.rglob("*")}
        return work | {f"tmp/{path.relative_to(self.tmp)}" for path in self.tmp.rglob("*")}

    def empty(self) -> None:
        """Remove all that is in the working folder."""
        for path in self.work.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def quiet(self) -> None:
        """Wait until nothing that a command began is alive."""
        wait_for(lambda: not processes(self.folder), 20)

    def told(self, run: Run, code: int, *says: str) -> None:
        """Check that a command ended as it should: by its code, an error and a hint, and no traceback."""
        ended = run.wait()
        lines = run.said.splitlines()
        assert ended == code, lines
        assert len([line for line in lines if line.startswith("floatcli: error: ")]) == 1, lines
        assert "Traceback" not in run.said
        assert "bug in floatcli" not in run.said
        for text in says:
            assert text in run.said

    def check_recovery(self, *command: object, made: set[str] = PAIR, fault: str) -> None:
        """Nothing is left, and without the fault the same command makes all that it should: one more is survived."""
        self.quiet()
        assert self.there() == set()
        assert self.run(*command).wait() == 0
        assert self.there() == made
        whole_pair(self.work / "o.mp4")
        survived[fault] += 1


def animate(face: Path, speech: Path, output: object = "o.mp4") -> tuple[object, ...]:
    """The command that makes ``PAIR``."""
    return "animate", face, speech, "-o", output, *QUICK


def whole(video: Path, frames: int = FRAMES) -> None:
    """Check that a video can be decoded to its last frame, and that there are as many as there should be."""
    sound = [] if video.suffix == ".gif" else ["-map", "0:a:0", "-f", "null", "-"]
    small = ["-map", "0:v:0", "-vf", "scale=2:2", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"]
    strict = ["-v", "error", "-xerror", "-err_detect", "explode"]
    command = [ffmpeg_executable(), *strict, "-i", str(video), *small, *sound]
    done = subprocess.run(command, capture_output=True, timeout=BOUND, check=False)
    assert (done.returncode, done.stderr, len(done.stdout) // 4) == (0, b"", frames), video


def whole_pair(video: Path, frames: int = FRAMES) -> None:
    """Check that a video is whole, and its motion beside it is whole and its own."""
    whole(video, frames)
    motion = Motion.load(motion_beside(video))
    assert len(motion.latents) == frames
    assert motion.making.video == file_digest(video)
