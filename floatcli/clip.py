"""A talking video that comes into being while it is watched or saved."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from floatcli.checkpoint.store import file_digest
from floatcli.checks import check_video
from floatcli.config import VideoConfig
from floatcli.media.video import VideoWriter


def ignore(*_: object) -> None:
    """A listener that does not listen."""


@dataclass
class Stages:
    """Seconds spent in each stage of the work, in the order they were first entered."""

    begin: Callable[[str], None] = ignore  # told the name of a stage when it begins
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.begin(name)
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start


@dataclass
class Clip:
    """A portrait that speaks: frames are computed as they are asked for, and never all held.

    Iterating yields frames (height, width, 3) uint8 RGB. Every iteration starts afresh and yields the same frames.

    Attributes:
        make: Starts the frames: calls yield batches (n, height, width, 3) uint8.
        frames: How many frames there are, T.
        fps: Frames per second.
        size: Width and height in pixels.
        sample_rate: Of ``speech`` where it is samples, in Hz.
        speech: Where the sound comes from: a file, or mono samples (n,) float32 in [-1, 1].
        seed: Seed of the motion.
        emotion: Probability of every emotion the model knows, as used for this clip.
        stages: Seconds by stage.
        digests: SHA-256 of the files read and, once saved, of "output".
        notices: What was out of the ordinary, in one line each.
    """

    make: Callable[[], Iterator[np.ndarray]]
    frames: int
    fps: int
    size: tuple[int, int]
    sample_rate: int
    speech: Path | np.ndarray
    seed: int
    emotion: dict[str, float]
    stages: Stages
    digests: dict[str, str]
    notices: list[str]

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[np.ndarray]:
        for batch in self.make():
            yield from batch

    def batches(self) -> Iterator[np.ndarray]:
        """Frames in the batches they are decoded in, (n, height, width, 3) uint8."""
        return self.make()

    def save(
        self,
        path: str | Path,
        video: VideoConfig = VideoConfig(),
        progress: Callable[[int, int], None] = ignore,
    ) -> Path:
        """Write the clip with its speech to a file of the kind its suffix says.

        The file appears when it is complete: a failure or an interruption leaves nothing.

        Args:
            path: Output file: mp4, mov, mkv, webm or gif.
            video: How to encode.
            progress: Told the frames written so far and in all.

        Raises:
            UsageError: the settings or the suffix cannot be meant.
            InputError: the output place cannot be used.
            FfmpegError: ffmpeg is missing or failed.
        """
        check_video(video)
        path = Path(path)
        done = 0
        with ExitStack() as closing:
            speech = closing.enter_context(self._speech_file())
            writer = closing.enter_context(VideoWriter(path, *self.size, self.fps, video, speech, self.frames))
            for batch in self.make():
                with self.stages("write"):
                    writer.write(batch)
                done += len(batch)
                progress(done, self.frames)
            with self.stages("write"):  # ffmpeg still has frames in hand
                closing.close()
        self.digests["output"] = file_digest(path)
        return path

    @contextmanager
    def _speech_file(self) -> Iterator[Path]:
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
