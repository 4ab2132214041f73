"""Pictures and sound out of videos, on one clock: both begin with the file, whatever starts later within it."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import ffmpeg
import numpy as np

from floatcli.checks import check_source
from floatcli.errors import InputError
from floatcli.files import nameless
from floatcli.media.ffmpeg import (
    LONGEST_HOURS,
    PATIENCE,
    Patient,
    begun,
    ffmpeg_executable,
    file_input,
    last_word,
    media_info,
    pipe_input,
)  # fmt: skip
from floatcli.spool import Spool


def check_video(path: Path) -> None:
    """Raise InputError where a file is no video with sound."""
    check_source(path, "video")
    info = media_info(path)
    if info is None or not info.video:
        raise InputError(f"{path} is no video that ffmpeg can read", "use MP4, MOV, MKV or WebM")
    if not info.audio:
        raise InputError(f"{path} has no sound", "give a video of somebody who speaks")


def video_frames(path: Path, fps: int) -> Iterator[np.ndarray]:
    """Upright pictures uint8 (H, W, 3) RGB of a video at ``fps`` a second, never all held.

    Raises:
        InputError: there are none, or more than there can be of ``LONGEST_HOURS``.
    """
    command = _pictures(file_input(path)["V:0"].filter("fps", fps, start_time=0))
    count = 0
    with nameless() as said:
        with begun(command, stdout=subprocess.PIPE, stderr=said) as process:
            assert process.stdout is not None
            try:
                for picture in _ppm(stream := Patient(process.stdout)):
                    count += 1
                    if count > 3600 * LONGEST_HOURS * fps:
                        raise _too_long(path)
                    yield picture
                if stream.silent:
                    said_so = f"ffmpeg finds no more pictures in {path} within {PATIENCE:g} s"
                    raise InputError(said_so, "convert it to MP4")
            finally:
                process.kill()  # nobody may want the rest
        if not count:
            said.seek(0)
            reason = last_word(said.read())
            raise InputError(f"the pictures of {path} can't be decoded: {reason}", "convert it to MP4")


def decoded_frames(video: bytes, only: Sequence[int] = ()) -> np.ndarray:
    """Pictures uint8 (F, H, W, 3) RGB of an mp4 that is held whole: all, or ``only`` those of these numbers.

    Raises:
        InputError: it can't be decoded, or has too few pictures.
    """
    stream, wanted = pipe_input("mp4").video, sorted(set(only))
    if wanted:  # those in between are decoded, but neither converted nor handed over
        stream = stream.filter("select", "+".join(f"eq(n,{number})" for number in wanted)).filter("setpts", "N/FR/TB")
    try:
        done = subprocess.run(_pictures(stream, len(wanted)), input=video, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        said = f"a clip can't be decoded: ffmpeg does not end within {PATIENCE:g} s"
        raise InputError(said, "prepare it again") from None
    pictures = list(_ppm(io.BytesIO(done.stdout)))
    if done.returncode or len(pictures) < max(1, len(wanted)):
        raise InputError(f"a clip can't be decoded: {last_word(done.stderr)}", "prepare it again")
    return np.stack([pictures[wanted.index(number)] for number in only] if wanted else pictures)


def video_sound(path: Path, rate: int) -> np.ndarray:
    """The first sound of a video, mono, int16 (samples,) at ``rate`` a second, mapped from disk.

    Raises:
        InputError: it can't be decoded or kept, or is longer than ``LONGEST_HOURS``.
    """
    sound = file_input(path)["a:0"].filter("aformat", channel_layouts="mono")
    sound = sound.filter("aresample", rate, **{"async": 1, "first_pts": 0})  # silence where there is none
    command, kept = _compiled(sound, format="s16le", acodec="pcm_s16le"), Spool(f"the sound of {path}", "<i2")
    with nameless() as said:
        with begun(command, stdout=subprocess.PIPE, stderr=said) as process:
            assert process.stdout is not None
            stream, seconds = Patient(process.stdout), 0
            try:
                while block := stream.read(2 * rate):
                    seconds += 1
                    if seconds > 3600 * LONGEST_HOURS:
                        raise _too_long(path)
                    kept.append(np.frombuffer(block[: len(block) // 2 * 2], "<i2"))
            finally:
                process.kill()  # it may find no end
        if not seconds:
            said.seek(0)
            reason = f"nothing is found within {PATIENCE:g} s" if stream.silent else last_word(said.read())
            raise InputError(f"the sound of {path} can't be decoded: {reason}", "convert it to MP4")
    return kept.rows()


def _too_long(path: Path) -> InputError:
    return InputError(f"{path} is longer than {LONGEST_HOURS} hours", "cut it into shorter videos")


def _pictures(stream: Any, count: int = 0) -> list[str]:
    """ffmpeg's argument list for pictures that each tell their own size: all, or the first so many."""
    enough = {"vframes": count} if count else {}
    return _compiled(stream, format="image2pipe", vcodec="ppm", pix_fmt="rgb24", **enough)


def _compiled(stream: Any, **options: str | int) -> list[str]:
    output = ffmpeg.output(stream, "pipe:1", **options).global_args("-nostdin", "-v", "error")
    return output.compile(cmd=ffmpeg_executable())


def _ppm(stream: IO[bytes] | Patient) -> Iterator[np.ndarray]:
    """Pictures uint8 (H, W, 3) of a stream of PPM files, up to the first that is cut off."""
    while stream.readline() == b"P6\n":
        width, height = map(int, stream.readline().split())
        stream.readline()  # the largest value, 255
        data = stream.read(width * height * 3)
        if len(data) == width * height * 3:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
