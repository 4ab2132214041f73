"""Frames and sound into a video, frame by frame: a file that appears when it is complete, or a pipe it flows to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import ffmpeg

from floatcli.checkpoint.store import file_digest
from floatcli.config import VideoConfig
from floatcli.errors import UsageError
from floatcli.files import Draft, check_place, place, writing
from floatcli.media.encoder import Encoder
from floatcli.media.ffmpeg import MediaInfo, ffmpeg_executable, file_argument, file_input, media_info, pipe_input
from floatcli.media.mark import SOURCE_TYPE, add_comment, add_xmp


@dataclass(frozen=True)
class Container:
    """What a kind of video file holds.

    Attributes:
        video: ffmpeg's name of the video encoder.
        audio: ffmpeg's name of the audio encoder; None where there is no sound.
        copied: Audio codecs it can take over as they are.
        rate: Samples per second of sound that is encoded anew; None for those it has.
        options: Further options of its muxer and its encoders.
        mp3_rate: Samples per second below which it takes no MP3.
    """

    video: str
    audio: str | None
    copied: frozenset[str] = frozenset()
    rate: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    mp3_rate: int = 0

    def takes(self, sound: MediaInfo) -> bool:
        """Whether it can hold a file's sound as it is."""
        too_low = sound.audio_codec == "mp3" and sound.audio_rate < self.mp3_rate
        return sound.audio_codec in self.copied and not too_low


_PCM = {"pcm_s16le", "pcm_s24le", "pcm_f32le"}
_FASTSTART = {"movflags": "+faststart"}
_FINE_RATE = 48_000  # Hz: where sound ends with a whole packet of it, of 1024 samples, that is to be a short one

CONTAINERS = {
    ".mp4": Container("libx264", "aac", frozenset({"aac", "mp3", "ac3", "alac"}), None, _FASTSTART, 16_000),
    ".mov": Container("libx264", "aac", frozenset({"aac", "mp3", "ac3", "alac", *_PCM}), options=_FASTSTART),
    ".mkv": Container("libx264", "aac", frozenset({"aac", "mp3", "ac3", "flac", "opus", "vorbis", *_PCM}), _FINE_RATE),
    ".webm": Container("libvpx-vp9", "libopus", frozenset({"opus", "vorbis"})),
    ".gif": Container("gif", None),
}

_AT_ONCE = {"flush_packets": 1}
_RESTARTS = {"force_key_frames": "expr:gte(t,n_forced)"}  # every second, for who comes later
_FRAGMENTS = {
    "movflags": "+frag_keyframe+empty_moov+default_base_moof+delay_moov",  # delayed, it can tell when the sound starts
    "frag_duration": 200_000,  # microseconds
}
_CLUSTERS = {"cluster_time_limit": 200}  # ms
_H264 = {"tune": "zerolatency", **_RESTARTS}
_VP9 = {"lag-in-frames": 0, **_RESTARTS}

#: What a video can be that flows to a pipe, by ffmpeg's name of the format.
STREAMS = {
    name: replace(CONTAINERS[suffix], rate=_FINE_RATE, options={"format": name, **_AT_ONCE, **options})
    for name, suffix, options in (
        ("mp4", ".mp4", _FRAGMENTS | _H264),
        ("matroska", ".mkv", _CLUSTERS | _H264),
        ("webm", ".webm", _CLUSTERS | _VP9),
        ("gif", ".gif", {}),
    )
}

#: x264's presets on VP9's scale of speeds.
_VP9_SPEED = {"veryslow": 1, "slower": 2, "slow": 3, "medium": 4, "fast": 5, "faster": 5}
_OPUS_LIMIT = 256  # kbit/s of one channel


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


def check_format(format: str) -> None:
    """Raise UsageError where no video of this format can flow to a pipe."""
    if format not in STREAMS:
        raise UsageError(f"there is no format {format!r}", f"choose from {', '.join(STREAMS)}")


class VideoWriter(Encoder):
    """Encodes frames as they come; the file appears under its name when it is complete, or not at all.

    H.264 (VP9 for webm) in yuv420p, BT.709 at limited range, converted and tagged so. Odd sizes grow by a pixel, which
    repeats the edge. A gif's palettes are made frame by frame, so that none of it has to be held.
    The sound is encoded anew, mono or stereo, unless ``config.copy_audio`` and the container takes its codec; that of a
    video is never copied, as it may start later than the file. It ends with the last frame, padded with silence. What
    is copied is cut there and not padded; in an mkv, MP3 and AAC keep whole packets and what their encoder put before,
    so that they end later: up to 0.04 s at 44.1 kHz, 0.2 s at 8 kHz.

    Args:
        path: Output; its suffix decides the container.
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
        fps: Frames per second.
        config: How to encode.
        speech: File with the sound; None for a silent video.
        frames: How many there will be, where that is known: the sound then ends with them exactly, and else about.
        mark: What a generated video tells of itself, as by ``mark``; None for pictures that were recorded.
        beside: Given the digest of the file once it is complete, yields drafts that take their places with it.

    Attributes:
        digest: SHA-256 of the file, once it is complete.

    Raises:
        UsageError: as ``check_output``.
        InputError: as there, or the place proves full or closed while frames are written or at the end.
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
        mark: str | None = None,
        *,
        beside: Callable[[str], AbstractContextManager[list[Draft]]] = lambda digest: nullcontext([]),
    ):
        path = Path(path)
        check_output(path, config, [speech] if speech else [])
        self.path = path.resolve()  # a link's target is replaced, not the link
        self._config, self._mark, self._beside = config, mark, beside
        suffix = path.suffix.lower()
        self._draft = Draft(self.path, suffix)
        target = file_argument(self._draft.file)
        command = _command(target, CONTAINERS[suffix], (width, height), fps, config, speech, frames, mark)
        super().__init__(command, width, height, str(self.path))

    def __enter__(self) -> VideoWriter:
        try:
            with writing(self.path):
                self._draft.__enter__()
            return super().__enter__()
        except BaseException:
            self._draft.__exit__()
            raise

    def _finish(self) -> None:
        super()._finish()
        if not self._draft.file.exists():
            raise self._failure()
        with writing(self.path):
            if self._mark is not None:
                self._add_mark(self._mark)
            self.digest = file_digest(self._draft.file)
        with self._beside(self.digest) as others:
            place([self._draft, *others], self._config.overwrite)

    def _add_mark(self, mark: str) -> None:
        """What ffmpeg can't write of it."""
        if self._draft.file.suffix == ".gif":
            add_comment(self._draft.file, mark)
        elif self._draft.file.suffix in (".mp4", ".mov"):
            add_xmp(self._draft.file)

    def _last_words(self) -> bytes:
        internal, name = file_argument(self._draft.file), str(self.path)
        return super()._last_words().replace(os.fsencode(internal), os.fsencode(name))

    def _remove(self) -> None:
        super()._remove()
        self._draft.__exit__()


class VideoStream(Encoder):
    """Encodes frames as they come, and writes what is ready to a pipe at once; in all else as ``VideoWriter``.

    H.264 and VP9 look at no later frame and start anew every second; an mp4 comes in fragments of a fifth of a second.

    Args:
        pipe: A pipe, or any open binary file that has a descriptor: it is ffmpeg that writes to it.
        format: One of STREAMS.
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
        fps: Frames per second.
        config: How to encode.
        speech: File with the sound; None for a silent video.
        frames: How many there will be, where that is known.
        mark: As for ``VideoWriter``; a gif to a pipe can't bear it, as ffmpeg writes no comments there.

    Raises:
        UsageError: as ``check_format``.
        BrokenPipeError: whoever read the pipe has gone.
        InputError: the pipe is a file, and its disk is full.
        FfmpegError: ffmpeg is missing, or fails while frames are written or at the end.
    """

    waits = None  # whoever reads may pause

    def __init__(
        self,
        pipe: IO[bytes],
        format: str,
        width: int,
        height: int,
        fps: float,
        config: VideoConfig = VideoConfig(),
        speech: str | Path | None = None,
        frames: int | None = None,
        mark: str | None = None,
    ):
        check_format(format)
        command = _command("pipe:1", STREAMS[format], (width, height), fps, config, speech, frames, mark)
        pipe.flush()  # what was written before comes first
        super().__init__(command, width, height, "to the pipe", pipe)

    def _failure(self) -> Exception:
        if b"Broken pipe" in self._last_words():
            return BrokenPipeError("nobody reads the video any more")
        return super()._failure()


def _command(
    target: str,
    container: Container,
    size: tuple[int, int],
    fps: float,
    config: VideoConfig,
    speech: str | Path | None,
    frames: int | None,
    mark: str | None,
) -> list[str]:
    """ffmpeg's argument list: raw rgb24 frames from stdin, grown to an even size, and the sound of ``speech``."""
    even = tuple(side + side % 2 for side in size)
    raw = pipe_input("rawvideo", pixel_format="rgb24", video_size=even, framerate=fps)
    streams, options = [_pictures(raw, container)], {**container.options, **_picture_options(container, config)}
    if speech is not None and container.audio is not None:
        seconds = None if frames is None else frames / fps
        sound, sound_options = _sound(Path(speech), container, config, seconds)
        streams.append(sound)
        options |= sound_options
    tags = {} if mark is None else {"comment": mark, "digital_source_type": SOURCE_TYPE}
    options |= {f"metadata:g:{k}": f"{name}={value}" for k, (name, value) in enumerate(tags.items())}
    return (
        # who spoke when, or where, is in the tags of many a recording, and nobody asked for that to go along
        ffmpeg.output(*streams, target, map_chapters=-1, map_metadata=-1, **options)
        # sound that is damaged for the most part is encoded as far as it was heard; its reader has told of that
        .global_args("-nostdin", "-v", "error", "-n", "-max_error_rate", "1")
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
    source = file_input(speech)["a:0"]
    length: dict[str, Any] = {} if seconds is None else {"t": f"{seconds:.6f}"}
    info = media_info(speech)
    if config.copy_audio and info is not None and container.takes(info) and not info.video:
        return source, {"c:a": "copy", **length}
    heard = source.filter("asetpts", "N/SR/TB").filter("aformat", channel_layouts="mono|stereo").filter("apad")
    rate = {} if container.rate is None else {"ar": container.rate}
    bitrate = min(config.audio_bitrate, _OPUS_LIMIT) if container.audio == "libopus" else config.audio_bitrate
    return heard, {"c:a": container.audio, "b:a": f"{bitrate}k", **rate, **(length or {"shortest": None})}
