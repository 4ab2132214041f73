"""One video as clips of one face each, in a shard."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
import wave
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from floatcli.errors import InputError
from floatcli.face.crop import Crop
from floatcli.files import resolved
from floatcli.media.frames import video_frames, video_sound
from floatcli.media.video import VideoWriter
from floatcli.rows import Row
from floatcli.train.prepare_faces import FaceFinder, Track, takes, tracks
from floatcli.train.prepare_settings import FPS, PARTS, RATE, SILENCE, PrepareConfig
from floatcli.train.prepare_shots import frames_of_shots
from floatcli.train.shards import Sample, write_shard

# Why clips are dropped, and shots.
SHORT, SILENT, TURNED, FACELESS = "too short", "silent", "turned away", "without a face"
_SAMPLES = RATE // FPS  # of a frame


@dataclass(frozen=True)
class Clip:
    """A track with its sound.

    Attributes:
        key: Its name in shards.
        track: The face.
        sound: int16 (640 F,), of F frames.
    """

    key: str
    track: Track
    sound: np.ndarray

    @property
    def level(self) -> float:
        """How loud it is on average, in dB below full scale."""
        return level(self.sound)


def level(sound: np.ndarray) -> float:
    """How loud samples int16 are on average, in dB below full scale."""
    power = np.square(sound / 32768.0).mean()
    return float(10 * np.log10(max(power, 1e-12)))


def shard_name(video: Path) -> str:
    """The name of a video's shard, the same on every run; nothing in it but letters, digits, - and _."""
    path = str(resolved(video))
    return f"{re.sub('[^A-Za-z0-9_-]', '_', video.stem)[:60]}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"


def prepare_video(video: Path, folder: Path, config: PrepareConfig, finder: FaceFinder) -> Row:
    """Make the shard of a video, and tell of it: its clips, and how many of what else were dropped.

    A video of which nothing is kept has no shard.

    Raises:
        InputError: it can't be decoded, shows no face, or the shard can't be written.
        FfmpegError: ffmpeg is missing or fails.
    """
    name, dropped = shard_name(video), Counter[str]()
    shard = folder / f"{name}.tar"
    shard.unlink(missing_ok=True)  # of what the video was before
    clips = list(_kept(_clips(video, name, config, finder, dropped), config, dropped))
    if clips:
        write_shard(shard, _samples(video, clips, config.size, finder))
    return {
        "shard": shard.name if clips else None,
        "bytes": shard.stat().st_size if clips else 0,
        "dropped": dict(dropped),
        "clips": [_told(clip, config.size, finder) for clip in clips],
    }


def _clips(video: Path, name: str, config: PrepareConfig, finder: FaceFinder, dropped: Counter[str]) -> Iterator[Clip]:
    """What a video shows of faces, each with its sound, whatever it may be good for."""
    sound, number = video_sound(video, RATE), 0
    for take in takes(frames_of_shots(video_frames(video, FPS)), finder.look):
        if not take:
            dropped[FACELESS] += 1
            continue
        for track in tracks(take, config.most):
            yield Clip(f"{name}-{number:04d}", track, _part(sound, track))
            number += 1
    if not number:
        raise InputError(f"no face found in {video}", "give videos of somebody who looks into the camera")


def _part(sound: np.ndarray, track: Track) -> np.ndarray:
    """The sound of a track's frames; silence where the recording has ended."""
    part = sound[track.start * _SAMPLES : track.stop * _SAMPLES]
    return np.pad(part, (0, len(track.boxes) * _SAMPLES - len(part)))


def _kept(clips: Iterable[Clip], config: PrepareConfig, dropped: Counter[str]) -> Iterator[Clip]:
    """Clips to learn from; the others are counted, each by the first reason that holds."""
    for clip in clips:
        if len(clip.track.boxes) < config.fewest:
            dropped[SHORT] += 1
        elif clip.level <= SILENCE:
            dropped[SILENT] += 1
        elif clip.track.yaw is not None and clip.track.yaw > config.yaw:
            dropped[TURNED] += 1
        else:
            yield clip


def _samples(video: Path, clips: list[Clip], size: int, finder: FaceFinder) -> Iterator[tuple[str, Sample]]:
    """Clips of a video, in their order, as files: the video is decoded once, and a frame held at a time."""
    pictures, at = video_frames(video, FPS), 0
    for clip in clips:
        track, crop = clip.track, clip.track.crop()
        told = {"source": str(video)} | _told(clip, size, finder) | {"boxes": rounded(_parts(track, crop, size))}
        yield (
            clip.key,
            {
                "mp4": mp4((crop.cut(p, size) for p in islice(pictures, track.start - at, track.stop - at)), size),
                "wav": wav(clip.sound),
                "json": json.dumps(told).encode(),
            },
        )
        at = track.stop


def _told(clip: Clip, size: int, finder: FaceFinder) -> Row:
    """What there is to know of a clip; boxes are x1, y1, x2, y2 in pixels of the clip, around a part on all frames."""
    track, crop = clip.track, clip.track.crop()
    parts = _parts(track, crop, size)
    return {
        "key": clip.key,
        "start": track.start / FPS,
        "end": track.stop / FPS,
        "frames": len(track.boxes),
        "crop": [crop.left, crop.top, crop.side],
        **dict(zip(PARTS, rounded(around(parts)), strict=True)),
        "found_by": finder.found_by,
        "parts_from": finder.parts_from,
        "yaw": None if track.yaw is None else round(track.yaw, 1),
        "level": round(clip.level, 1),
    }


def _parts(track: Track, crop: Crop, size: int) -> np.ndarray:
    """Boxes (F, 3, 4) of eyes and mouth in pixels of the clip."""
    parts = track.parts()
    return crop.from_picture(parts.reshape(-1, 2), size).reshape(parts.shape)


def around(boxes: np.ndarray) -> np.ndarray:
    """The box (..., 4) around those of all frames (F, ..., 4)."""
    return np.concatenate([boxes[..., :2].min(axis=0), boxes[..., 2:].max(axis=0)], axis=-1)


def rounded(boxes: np.ndarray) -> list:
    """Boxes for JSON, to a tenth of a pixel."""
    return boxes.round(1).tolist()


def mp4(pictures: Iterable[np.ndarray], size: int) -> bytes:
    """Pictures uint8 (size, size, 3) as H.264 that looks lossless, without sound."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with VideoWriter(path, size, size, FPS) as writer:
            for picture in pictures:
                writer.write(picture[None])
        return path.read_bytes()


def wav(sound: np.ndarray) -> bytes:
    """Samples int16 (n,) as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.astype("<i2").tobytes())
    return buffer.getvalue()
