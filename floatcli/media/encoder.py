"""ffmpeg at work: frames go in as they are made, and errors come out in its own words."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from itertools import count
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, TypeVar

import numpy as np

from floatcli.errors import FfmpegError, InputError
from floatcli.files import nameless
from floatcli.media.ffmpeg import begun, killed, last_word

_WAITING = 2  # batches of frames that may wait for ffmpeg
_WAIT, _GRACE = 10.0, 5.0  # seconds that are waited at a time, and that ffmpeg gets to end where it reads no more
_Self = TypeVar("_Self", bound="Encoder")

_ELSEWHERE = "name another output"
#: What ffmpeg says where it is the place that fails, and what to do then.
_FULL = {
    "No space left on device": f"make room there, or {_ELSEWHERE}",
    "quota exceeded": f"make room there, or {_ELSEWHERE}",
    "File too large": f"{_ELSEWHERE}, on a disk that takes larger files",
    "Read-only file system": _ELSEWHERE,
}
#: The same, where it may be about an input too.
_CLOSED = {
    "Permission denied": f"{_ELSEWHERE}, or change its folder's permissions",
    "No such file or directory": _ELSEWHERE,
    "Not a directory": _ELSEWHERE,
}


def _silent(code: int) -> str:
    """Why ffmpeg ended without a word."""
    if code == -getattr(signal, "SIGXFSZ", 0):
        return "File too large"
    return killed(code) or last_word(b"")


class Encoder:
    """Encodes frames as they come, to wherever ``command`` says.

    Used as a context manager. Frames are handed to ffmpeg by a thread, so that making the next overlaps.

    Args:
        command: ffmpeg's argument list, which reads raw rgb24 frames from stdin; odd sizes grow by a pixel.
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
        target: What it writes to, in words.
        stdout: Where its stdout goes, a file with a descriptor; None for nowhere.

    Attributes:
        waits: How often it is waited for where it takes no frames; None for ever.

    Raises:
        InputError: the target is full or closed.
        FfmpegError: ffmpeg fails otherwise while frames are written or at the end.
    """

    waits: int | None = 60

    def __init__(self, command: list[str], width: int, height: int, target: str, stdout: IO[bytes] | None = None):
        self.size = (width, height)
        self._command = command
        self._target = target
        self._stdout = stdout
        # Of the simple kind: a signal that ends a call of a Queue half-way would leave it locked for ever.
        self._frames: SimpleQueue[bytes | None] = SimpleQueue()
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(_WAITING):
            self._places.put(None)
        self._broken = False

    def __enter__(self: _Self) -> _Self:
        self._said = nameless()
        self._process = begun(
            self._command, stdin=subprocess.PIPE, stdout=self._stdout or subprocess.DEVNULL, stderr=self._said,
            start_new_session=True,  # Ctrl-C is for us to handle: ffmpeg would complete the video
        )  # fmt: skip
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()
        return self

    def write(self, frames: np.ndarray) -> None:
        """Encode frames uint8 (B, height, width, 3) RGB. Blocks while ffmpeg has enough to do.

        Raises:
            InputError, FfmpegError: ffmpeg has failed.
        """
        width, height = self.size
        assert frames.dtype == np.uint8
        assert frames.shape[1:] == (height, width, 3), (frames.shape, self.size)
        if self._broken:
            raise self._failure()
        if width % 2 or height % 2:
            frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._take_place()
        self._frames.put(frames.tobytes())

    def _take_place(self) -> None:
        """Wait until ffmpeg has taken frames, ``waits`` times: a clock would go on while this process is stopped."""
        for _ in count() if self.waits is None else range(self.waits):
            with contextlib.suppress(Empty):
                return self._places.get(timeout=_WAIT)
        said = f"ffmpeg takes no frames of {self._target}"
        raise FfmpegError(said, "see what holds up ffmpeg or that disk, and retry")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._remove()

    def _feed(self) -> None:
        """Hand over what is queued; once ffmpeg is gone, discard it, so that no ``write`` waits for ever."""
        assert self._process.stdin is not None
        for frames in iter(self._frames.get, None):
            try:
                if not self._broken:
                    self._process.stdin.write(frames)
            except OSError:
                self._broken = True
            self._places.put(None)

    def _finish(self) -> None:
        """Let ffmpeg encode what it still has in hand."""
        assert self._process.stdin is not None
        for _ in range(_WAITING):
            self._take_place()
        self._frames.put(None)
        self._feeder.join()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.wait() or self._broken:
            raise self._failure()

    def _failure(self) -> Exception:
        """Why ffmpeg ended, in its own words."""
        words = self._last_words()
        reason = last_word(words) if words.strip() else _silent(self._process.returncode)
        for said, hint in {**_FULL, **(_CLOSED if self._target in reason else {})}.items():
            if said in reason:
                return InputError(f"failed to write {self._target}: {said}", hint)
        hint = "mend that, and retry"
        if "unknown encoder" in reason.lower():
            hint = f"{self._command[0]} is built without it: install a fuller ffmpeg, or take it off the PATH"
        return FfmpegError(f"ffmpeg failed to write {self._target}: {reason}", hint)

    def _last_words(self) -> bytes:
        """All that ffmpeg said before it ended, which it shall do now."""
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._kill()
        self._said.seek(0)
        return self._said.read()

    def _kill(self) -> None:
        """End it outright, with all that it has begun: ffmpeg may be a script that calls another."""
        if self._process.returncode is None:  # nobody else has its number yet
            with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter on macOS, of what has ended
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _remove(self) -> None:
        """End what still runs; after success nothing does."""
        self._kill()
        if self._feeder.is_alive():
            self._frames.put(None)
            self._feeder.join()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._said.close()
