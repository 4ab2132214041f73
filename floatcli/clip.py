"""A talking video that comes into being while it is watched, saved or streamed."""

from __future__ import annotations

import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import IO, TypeVar

import numpy as np
from torch import Tensor

from floatcli.checks import check_video
from floatcli.config import DEFAULT_FORMAT, VideoConfig
from floatcli.files import Draft
from floatcli.media.encoder import Encoder
from floatcli.media.mark import mark
from floatcli.media.video import VideoStream, VideoWriter
from floatcli.motion import FileSource, Making, Motion
from floatcli.spool import Spool

_Encoder = TypeVar("_Encoder", bound=Encoder)


def ignore(*_: object) -> None:
    """A listener that does not listen."""


@dataclass
class Stages:
    """Seconds spent in each stage of the work, in the order they were first entered; what is nested counts inside."""

    begin: Callable[[str], None] = ignore  # told the name of a stage when it begins
    seconds: dict[str, float] = field(default_factory=dict)
    _inside: threading.local = field(default_factory=threading.local)  # each thread is in stages of its own

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.begin(name)
        before = getattr(self._inside, "seconds", 0.0)  # of stages that were entered within the one around
        start, self._inside.seconds = perf_counter(), 0.0
        try:
            yield
        finally:
            spent = perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - self._inside.seconds
            self._inside.seconds = before + spent


@dataclass
class Clip:
    """A portrait that speaks: frames are computed as they are asked for, and never all held.

    Iterating yields frames (height, width, 3) uint8 RGB. Every iteration starts afresh and yields the same frames.

    Attributes:
        windows: Starts the motion: calls yield latents (n, D), window by window.
        decode: Latents (n, D) to batches of frames (b, height, width, 3) uint8.
        portrait: The crop that moves, uint8 (H, H, 3), and its anchors (7, 2) in grid coordinates or None.
        plan: How the motion comes about, as far as is known before it does.
        weights: Answers what the weights are. Not asked before there are frames: it reads all of them.
        track: What the field is told of emotion, (1, E) or (T, E).
        frames: How many frames there are, T.
        fps: Frames per second.
        size: Width and height in pixels.
        sample_rate: Of ``speech`` where it is samples, in Hz.
        speech: Where the sound comes from: a file, or mono samples (n,) float32 in [-1, 1].
        stages: Seconds by stage.
        digests: SHA-256 of the files read and, once saved, of "output".
        notices: What was out of the ordinary, in one line each.
    """

    windows: Callable[[], Iterator[Tensor]]
    decode: Callable[[Tensor], Iterator[np.ndarray]]
    portrait: tuple[np.ndarray, np.ndarray | None]
    plan: Making
    weights: Callable[[], FileSource | None]
    track: np.ndarray
    frames: int
    fps: int
    size: tuple[int, int]
    sample_rate: int
    speech: Path | np.ndarray
    stages: Stages
    digests: dict[str, str]
    notices: list[str]
    _latents: np.ndarray | None = None

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[np.ndarray]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[np.ndarray]:
        """Frames in the batches they are decoded in, (n, height, width, 3) uint8."""
        for window in self._kept():
            yield from self.decode(window)

    def _kept(self) -> Iterator[Tensor]:
        """Windows of motion as they come, kept on disk meanwhile: a long clip's would fill the memory."""
        spool = Spool()
        for window in self.windows():
            spool.append(window.cpu().numpy())
            yield window
        self._latents = spool.rows()

    @cached_property
    def making(self) -> Making:
        """How the motion comes about."""
        return replace(self.plan, weights=self.weights())

    @property
    def seed(self) -> int:
        """Seed of the motion."""
        return self.plan.sample.seed

    @property
    def emotion(self) -> dict[str, float]:
        """Share of every emotion the model knows, as used for this clip, on average over its frames."""
        return dict(zip(self.plan.emotions, self.track.mean(0).tolist(), strict=True))

    @property
    def motion(self) -> Motion:
        """The motion of all frames: what the last iteration made, or made now without decoding anything."""
        if self._latents is None:
            for _ in self._kept():
                pass
        assert self._latents is not None
        making = replace(self.making, video=self.digests.get("output"))
        return Motion(self._latents, self.track, *self.portrait, making)

    def save(
        self,
        path: str | Path,
        video: VideoConfig = VideoConfig(),
        progress: Callable[[int, int], None] = ignore,
        motion: str | Path | None = None,
    ) -> Path:
        """Write the clip with its speech to a file of the kind its suffix says.

        Files appear when they are complete, together: a failure or an interruption leaves nothing.

        Args:
            path: Output file: mp4, mov, mkv, webm or gif.
            video: How to encode.
            progress: Told the frames written so far and in all.
            motion: File in the same folder that is to keep the motion; None to keep none.

        Raises:
            UsageError: the settings or the suffix cannot be meant.
            InputError: the output place cannot be used, or is full.
            FfmpegError: ffmpeg is missing or failed.
        """
        check_video(video)
        path = Path(path)

        @contextmanager
        def beside(digest: str) -> Iterator[list[Draft]]:
            self.digests["output"] = digest
            with ExitStack() as closing:
                yield [] if motion is None else [closing.enter_context(self.motion.drafted(Path(motion)))]

        self._write(lambda *about: VideoWriter(path, *about, beside=beside), video, progress)
        return path

    def stream(
        self,
        pipe: IO[bytes],
        format: str = DEFAULT_FORMAT,
        video: VideoConfig = VideoConfig(),
        progress: Callable[[int, int], None] = ignore,
    ) -> None:
        """Write the clip with its speech to a pipe, frame by frame as it comes into being.

        Args:
            pipe: As ``sys.stdout.buffer``, or any open binary file that has a descriptor. It is left open.
            format: mp4 (in fragments), matroska, webm or gif (silent).
            video: How to encode; there is nothing to overwrite.
            progress: Told the frames handed over so far and in all.

        Raises:
            UsageError: the settings or the format cannot be meant.
            BrokenPipeError: whoever read the pipe has gone.
            InputError: the pipe is a file, and its disk is full.
            FfmpegError: ffmpeg is missing or failed.
        """
        check_video(video)
        self._write(lambda *about: VideoStream(pipe, format, *about), video, progress)

    def _write(
        self, encoder: Callable[..., _Encoder], video: VideoConfig, progress: Callable[[int, int], None]
    ) -> _Encoder:
        """Hand all frames to an encoder that is told what they are, and what to make of them."""
        done, about = 0, mark([self.plan], video.metadata)
        with ExitStack() as closing:
            speech = closing.enter_context(self.speech_file())
            writer = encoder(*self.size, self.fps, video, speech, self.frames, about)
            closing.enter_context(writer)
            for batch in self.batches():
                with self.stages("write"):
                    writer.write(batch)
                done += len(batch)
                progress(done, self.frames)
            with self.stages("write"):  # ffmpeg still has frames in hand
                closing.close()
        return writer

    @contextmanager
    def speech_file(self) -> Iterator[Path]:
        """The speech as a file that ffmpeg can read."""
        if isinstance(self.speech, Path):
            yield self.speech
            return
        with TemporaryDirectory() as folder:
            path = Path(folder, "speech.wav")
            with wave.open(str(path), "wb") as sound:
                sound.setnchannels(1)
                sound.setsampwidth(2)
                sound.setframerate(self.sample_rate)
                sound.writeframes((self.speech.clip(-1, 1) * 32767).astype("<i2").tobytes())
            yield path
