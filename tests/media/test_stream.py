"""Videos that flow to a pipe: whole for who reads to the end, and there to be seen before the last frame is made."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from floatcli.config import VideoConfig
from floatcli.errors import FfmpegError, UsageError
from floatcli.media.ffmpeg import ffmpeg_executable, media_info
from floatcli.media.video import STREAMS, VideoStream
from tests.media.conftest import tone
from tests.media.test_video import FAST, FPS, FRAMES, LEFT, RATE, RIGHT, clip, read, write

DEADLINE = 600  # seconds; a busy machine is no failure


class Reader:
    """Reads a pipe as bytes arrive; ``pipe`` is the end to write to."""

    def __init__(self) -> None:
        self._end, writing = os.pipe()
        self.pipe = os.fdopen(writing, "wb")
        self.came = b""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while chunk := os.read(self._end, 65536):
            self.came += chunk
        os.close(self._end)

    def all(self) -> bytes:
        self.pipe.close()
        self._thread.join()
        return self.came


@pytest.fixture
def reader():
    reader = Reader()
    yield reader
    reader.all()


@pytest.fixture
def speech(recording) -> Path:
    """Silence, and from the sixth frame on a tone."""
    low = 16000  # Hz: a frame of AAC would last longer than one of the video
    silence = np.zeros(5 * low // FPS)
    return recording("speech.wav", np.concatenate([silence, tone((FRAMES - 5.3) / FPS, low)])[:, None], low)


def streamed(reader: Reader, format: str, pictures: np.ndarray, speech: Path | None = None, **options) -> bytes:
    height, width = pictures.shape[1:3]
    with VideoStream(reader.pipe, format, width, height, FPS, FAST, speech, **options) as writer:
        for start in range(0, len(pictures), 4):
            writer.write(pictures[start : start + 4])
    return reader.all()


def heard(path: Path, ffmpeg) -> np.ndarray:
    """Samples from the video's first moment on: a sound that starts later is preceded by silence."""
    in_step = ["-map", "0:a", "-af", "aresample=async=1:first_pts=0"]
    return np.frombuffer(ffmpeg("-i", path, *in_step, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"), "<f4")


def starts(path: Path, ffmpeg) -> list[int]:
    """When frames are shown, in frames."""
    lines = ffmpeg("-i", path, "-map", "0:v", "-f", "framehash", "-").splitlines()
    return [int(line.split(b",")[2]) for line in lines if not line.startswith(b"#")]


@pytest.mark.parametrize("format", STREAMS)
@pytest.mark.parametrize("known", [True, False])
def test_every_format_holds_all_frames_their_colours_and_the_sound_in_step(
    tmp_path, ffmpeg, speech, reader, format, known
) -> None:
    path = tmp_path / "came"
    path.write_bytes(streamed(reader, format, clip(64, 48), speech, frames=FRAMES if known else None))
    frames = read(path, ffmpeg, 64, 48)
    assert len(frames) == FRAMES
    assert starts(path, ffmpeg) == list(range(FRAMES))
    np.testing.assert_allclose(frames[:, 10, 10], np.tile(LEFT, (FRAMES, 1)), atol=4)
    np.testing.assert_allclose(frames[:, 10, 50], np.tile(RIGHT, (FRAMES, 1)), atol=4)
    np.testing.assert_allclose(frames[:, -2, 30, 0], 40 + 10 * np.arange(FRAMES), atol=6)
    info = media_info(path)
    if known:  # else Matroska cannot tell before its end
        assert abs(info.duration - FRAMES / FPS) < 1 / FPS
    if format == "gif":
        assert not info.audio
        return
    assert ("vp9" if format == "webm" else "h264") in info.video[0]
    assert "yuv420p(tv, bt709" in info.video[0]
    assert info.audio_codec == ("opus" if format == "webm" else "aac")
    samples = heard(path, ffmpeg)
    assert abs(len(samples) / RATE - FRAMES / FPS) < 1 / FPS
    assert abs(np.flatnonzero(abs(samples) > 0.2)[0] / RATE - 5 / FPS) < 0.005


@pytest.mark.parametrize("format", STREAMS)
def test_pictures_arrive_before_the_last_one_is_made(speech, reader, format) -> None:
    """Half a second of them is enough to see the first."""
    with VideoStream(reader.pipe, format, 64, 48, FPS, FAST, speech, 100) as writer:
        for frame in clip(64, 48):
            writer.write(frame[None])
        end = time.monotonic() + DEADLINE
        while not seen(reader.came):
            assert time.monotonic() < end
            time.sleep(0.05)
        writer.write(clip(64, 48, 87))
    assert len(seen(reader.all())) == 100


def seen(came: bytes) -> list[bytes]:
    """The frames that can be shown of what came so far."""
    command = [ffmpeg_executable(), "-v", "quiet", "-i", "pipe:0", "-map", "0:v", "-f", "framehash", "-"]
    said = subprocess.run(command, input=came, capture_output=True, check=False).stdout
    return [line for line in said.splitlines() if not line.startswith(b"#")]


def test_an_mp4_comes_in_fragments_of_a_fifth_of_a_second_and_starts_anew_every_second(
    tmp_path, ffmpeg, speech, reader
) -> None:
    path = tmp_path / "came.mp4"
    path.write_bytes(streamed(reader, "mp4", clip(64, 48, 60), speech))
    content = path.read_bytes()
    assert content.count(b"moof") == 12
    assert 0 < content.find(b"moov") < content.find(b"moof") < content.find(b"mdat")
    keys = ffmpeg("-skip_frame", "nokey", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framehash", "-")
    assert sum(not line.startswith(b"#") for line in keys.splitlines()) == 3


def test_sound_that_is_copied(tmp_path, ffmpeg, recording, reader) -> None:
    speech = recording("s.m4a", tone(FRAMES / FPS, RATE)[:, None], RATE)
    path = tmp_path / "came.mp4"
    with VideoStream(reader.pipe, "mp4", 64, 48, FPS, VideoConfig(copy_audio=True), speech, FRAMES) as writer:
        writer.write(clip(64, 48))
    path.write_bytes(reader.all())
    whole = write(tmp_path / "o.mp4", clip(64, 48), speech, VideoConfig(copy_audio=True), frames=FRAMES)
    samples = heard(whole, ffmpeg)
    np.testing.assert_array_equal(heard(path, ffmpeg)[: len(samples)], samples)


def test_an_open_file_takes_a_video_between_other_bytes(tmp_path) -> None:
    with open(tmp_path / "all", "wb") as file:
        file.write(b"before")
        with VideoStream(file, "gif", 63, 47, FPS) as writer:
            writer.write(clip(63, 47))
        file.write(b"after")
    content = (tmp_path / "all").read_bytes()
    assert content.startswith(b"beforeGIF89a")
    assert content.endswith(b";after")


def test_a_reader_that_goes_away_is_a_broken_pipe() -> None:
    end, writing = os.pipe()
    with open(writing, "wb") as pipe:
        writer = VideoStream(pipe, "mp4", 64, 48, FPS, FAST)

        def write_on() -> None:
            with writer:
                os.close(end)
                for _ in range(1000):
                    writer.write(clip(64, 48))

        with pytest.raises(BrokenPipeError, match="nobody reads"):
            write_on()
    assert writer._process.returncode is not None
    assert not writer._feeder.is_alive()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named() -> None:
    def write_on() -> None:
        with open("/dev/full", "wb") as full, VideoStream(full, "matroska", 64, 48, FPS, FAST) as writer:
            writer.write(clip(64, 48))

    with pytest.raises(FfmpegError, match=r"to the pipe: .*No space left"):
        write_on()


def test_a_format_that_does_not_flow(reader) -> None:
    with pytest.raises(UsageError, match=r"no format 'avi'.*mp4, matroska, webm, gif"):
        VideoStream(reader.pipe, "avi", 64, 48, FPS)
