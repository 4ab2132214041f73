"""Frames and sound into a video file, frame by frame, through a pipe to ffmpeg."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import ffmpeg
import numpy as np

from floatcli.config import VideoConfig
from floatcli.errors import FfmpegError, InputError, UsageError
from floatcli.files import check_place, temporary_beside
from floatcli.media.ffmpeg import ffmpeg_executable, file_argument, last_word, media_info


@dataclass(frozen=True)
class Container:
    """What a kind of video file holds.

    Attributes:
        video: ffmpeg's name of the video encoder.
        audio: ffmpeg's name of the audio encoder; None where there is no sound.
        copied: Audio codecs it can take over as they are.
        options: Further options of its muxer.
    """

    video: str
    audio: str | None
    copied: frozenset[str] = frozenset()
    options: dict[str, Any] = field(default_factory=dict)


_PCM = {"pcm_s16le", "pcm_s24le", "pcm_f32le"}
_FASTSTART = {"movflags": "+faststart"}

CONTAINERS = {
    ".mp4": Container("libx264", "aac", frozenset({"aac", "mp3", "ac3", "alac"}), _FASTSTART),
    ".mov": Container("libx264", "aac", frozenset({"aac", "mp3", "ac3", "alac", *_PCM}), _FASTSTART),
    ".mkv": Container("libx264", "aac", frozenset({"aac", "mp3", "ac3", "flac", "opus", "vorbis", *_PCM})),
    ".webm": Container("libvpx-vp9", "libopus", frozenset({"opus", "vorbis"})),
    ".gif": Container("gif", None),
}

#: x264's presets on VP9's scale of speeds.
_VP9_SPEED = {"veryslow": 1, "slower": 2, "slow": 3, "medium": 4, "fast": 5}
_OPUS_LIMIT = 256  # kbit/s of one channel
_WAITING = 2  # batches of frames that may wait for ffmpeg


def check_output(path: str | Path, config: VideoConfig, inputs: Iterable[str | Path] = ()) -> None:
    """Find out before any heavy work whether a video can be written.

    Args:
        path: The video to be.
        config: How it will be encoded.
        inputs: Files it is made from, which it must not replace.

    Raises:
        UsageError: the suffix is not one of CONTAINERS, or the output is one of the inputs.
        InputError: the place can't be written to, or is taken and ``config.overwrite`` is off.
    """
    path = Path(path)
    if path.suffix.lower() not in CONTAINERS:
        kinds = ", ".join(suffix[1:] for suffix in CONTAINERS)
        raise UsageError(f"{path} names no known kind of video", f"end it in one of {kinds}")
    check_place(path, overwrite=True)
    if path.exists() and any(Path(other).exists() and path.samefile(other) for other in inputs):
        raise UsageError(f"{path} is an input too", "name another output")
    check_place(path, config.overwrite)


class VideoWriter:
    """Encodes frames as they come; the file appears under its name when it is complete, or not at all.

    H.264 (VP9 for webm) in yuv420p, BT.709 at limited range, converted and tagged so. Odd sizes grow by a pixel, which
    repeats the edge. A gif's palettes are made frame by frame, so that none of it has to be held.
    The sound is encoded anew, mono or stereo, unless ``config.copy_audio`` and the container takes its codec; that of a
    video is never copied, as it may start later than the file. It ends with the last frame, padded with silence.

    Used as a context manager. Frames are handed to ffmpeg by a thread, so that making the next overlaps.

    Args:
        path: Output; its suffix decides the container.
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
        fps: Frames per second.
        config: How to encode.
        speech: File with the sound; None for a silent video.
        frames: How many there will be, where that is known: the sound then ends with them exactly, and else about.

    Raises:
        UsageError, InputError: as ``check_output``.
        FfmpegError: ffmpeg is missing, or fails while frames are written or at the end.
    """

    def __init__(
        self,
        path: str | Path,
        width: int,
        height: int,
        fps: float,
        config: VideoConfig = VideoConfig(),
        speech: str | Path | None = None,
        frames: int | None = None,
    ):
        path = Path(path)
        check_output(path, config, [speech] if speech else [])
        self.path = path.resolve()  # a link's target is replaced, not the link
        self.size = (width, height)
        self._config = config
        self._temporary = temporary_beside(self.path, path.suffix.lower())
        seconds = None if frames is None else frames / fps
        even = (width + width % 2, height + height % 2)
        self._command = _command(self._temporary, even, fps, config, Path(speech) if speech else None, seconds)
        # Of the simple kind: a signal that ends a call of a Queue half-way would leave it locked for ever.
        self._frames: SimpleQueue[bytes | None] = SimpleQueue()
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(_WAITING):
            self._places.put(None)
        self._broken = False

    def __enter__(self) -> VideoWriter:
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._said,
            start_new_session=True,  # Ctrl-C is for us to handle: ffmpeg would complete the file
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
        assert self._process.stdin is not None
        self._frames.put(None)
        self._feeder.join()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.wait() or self._broken:
            raise self._failure()
        if self.path.exists() and not self._config.overwrite:  # appeared meanwhile
            raise InputError(f"{self.path} is there already", "name another output")
        os.replace(self._temporary, self.path)

    def _failure(self) -> FfmpegError:
        """Why ffmpeg ended, in its own words."""
        self._process.wait()
        self._said.seek(0)
        reason = last_word(self._said.read())
        hint = "mend that, and retry"
        if "unknown encoder" in reason.lower():
            hint = f"{self._command[0]} is built without it: install a fuller ffmpeg, or take it off the PATH"
        return FfmpegError(f"ffmpeg failed to write {self.path}: {reason}", hint)

    def _remove(self) -> None:
        """End what still runs and remove what is incomplete; after success there is neither."""
        self._process.kill()
        self._process.wait()
        if self._feeder.is_alive():
            self._frames.put(None)
            self._feeder.join()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._said.close()
        self._temporary.unlink(missing_ok=True)


def _command(
    path: Path,
    size: tuple[int, int],
    fps: float,
    config: VideoConfig,
    speech: Path | None,
    seconds: float | None,
) -> list[str]:
    """ffmpeg's argument list: raw rgb24 frames of an even size on stdin, and the sound of ``speech``, into ``path``."""
    container = CONTAINERS[path.suffix]
    raw = ffmpeg.input("pipe:0", format="rawvideo", pixel_format="rgb24", video_size=size, framerate=fps)
    streams, options = [_pictures(raw, container)], {**container.options, **_picture_options(container, config)}
    if speech is not None and container.audio is not None:
        sound, sound_options = _sound(speech, container, config, seconds)
        streams.append(sound)
        options |= sound_options
    return (
        ffmpeg.output(*streams, file_argument(path), map_chapters=-1, **options)
        .global_args("-nostdin", "-v", "error", "-n")
        .compile(cmd=ffmpeg_executable())
    )


def _pictures(raw: Any, container: Container) -> Any:
    """The filters of the pictures: colours converted just as they are tagged, or reduced to palettes."""
    if container.video == "gif":
        both = raw.video.filter_multi_output("split")
        palette = both[0].filter("palettegen", stats_mode="single")
        return ffmpeg.filter([both[1], palette], "paletteuse", new=1, dither="sierra2_4a")
    return (
        raw.video.filter(
            "scale", in_range="pc", out_range="tv", out_color_matrix="bt709",
            flags="bicubic+accurate_rnd+full_chroma_int",
        )
        .filter("format", "yuv420p")
        .filter("setparams", range="tv", colorspace="bt709", color_primaries="bt709", color_trc="bt709")
    )  # fmt: skip


def _picture_options(container: Container, config: VideoConfig) -> dict[str, Any]:
    if container.video == "gif":
        return {"c:v": "gif"}
    tags = {"color_range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
    if container.video == "libx264":
        return {"c:v": "libx264", "crf": config.crf, "preset": config.preset, **tags}
    crf = round(config.crf * 63 / 51)  # VP9's scale is longer
    speed = _VP9_SPEED.get(config.preset, 6)
    return {"c:v": container.video, "crf": crf, "b:v": 0, "cpu-used": speed, "row-mt": 1, **tags}


def _sound(
    speech: Path, container: Container, config: VideoConfig, seconds: float | None
) -> tuple[Any, dict[str, Any]]:
    """The first sound of a file, from its first sample on as ``load_speech`` hears it, and how to encode it."""
    source = ffmpeg.input(file_argument(speech))["a:0"]
    length: dict[str, Any] = {} if seconds is None else {"t": f"{seconds:.6f}"}
    info = media_info(speech)
    if config.copy_audio and info is not None and info.audio_codec in container.copied and not info.video:
        return source, {"c:a": "copy", **length}
    heard = source.filter("asetpts", "N/SR/TB").filter("aformat", channel_layouts="mono|stereo").filter("apad")
    bitrate = min(config.audio_bitrate, _OPUS_LIMIT) if container.audio == "libopus" else config.audio_bitrate
    return heard, {"c:a": container.audio, "b:a": f"{bitrate}k", **(length or {"shortest": None})}
