"""ffmpeg at work: frames go in as they are made, and errors come out in its own words."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
from queue import SimpleQueue
from types import TracebackType
from typing import IO, TypeVar

import numpy as np

from floatcli.errors import FfmpegError
from floatcli.media.ffmpeg import last_word

_WAITING = 2  # batches of frames that may wait for ffmpeg
_Self = TypeVar("_Self", bound="Encoder")


class Encoder:
    """Encodes frames as they come, to wherever ``command`` says.

    Used as a context manager. Frames are handed to ffmpeg by a thread, so that making the next overlaps.

    Args:
        command: ffmpeg's argument list, which reads raw rgb24 frames from stdin; odd sizes grow by a pixel.
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
        target: What it writes to, in words.
        stdout: Where its stdout goes, a file with a descriptor; None for nowhere.

    Raises:
        FfmpegError: ffmpeg fails while frames are written or at the end.
    """

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
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=self._stdout or subprocess.DEVNULL, stderr=self._said,
            start_new_session=True,  # Ctrl-C is for us to handle: ffmpeg would complete the video
        )  # fmt: skip
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()
        return self

    def write(self, frames: np.ndarray) -> None:
        """Encode frames uint8 (B, height, width, 3) RGB. Blocks while ffmpeg has enough to do.

        Raises:
            FfmpegError: ffmpeg has failed.
        """
        width, height = self.size
        assert frames.dtype == np.uint8
        assert frames.shape[1:] == (height, width, 3), (frames.shape, self.size)
        if self._broken:
            raise self._failure()
        if width % 2 or height % 2:
            frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._places.get()
        self._frames.put(frames.tobytes())

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
        self._frames.put(None)
        self._feeder.join()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.wait() or self._broken:
            raise self._failure()

    def _failure(self) -> Exception:
        """Why ffmpeg ended, in its own words."""
        reason = last_word(self._last_words())
        hint = "mend that, and retry"
        if "unknown encoder" in reason.lower():
            hint = f"{self._command[0]} is built without it: install a fuller ffmpeg, or take it off the PATH"
        return FfmpegError(f"ffmpeg failed to write {self._target}: {reason}", hint)

    def _last_words(self) -> bytes:
        """All that ffmpeg said before it ended."""
        self._process.wait()
        self._said.seek(0)
        return self._said.read()

    def _remove(self) -> None:
        """End what still runs; after success nothing does."""
        self._process.kill()
        self._process.wait()
        if self._feeder.is_alive():
            self._frames.put(None)
            self._feeder.join()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._said.close()
