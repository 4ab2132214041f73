"""Videos that are what they claim: read back through ffmpeg, stream by stream and pixel by pixel."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from floatcli.config import VideoConfig
from floatcli.errors import FfmpegError, InputError, UsageError
from floatcli.media.audio import load_speech
from floatcli.media.ffmpeg import media_info
from floatcli.media.video import CONTAINERS, VideoWriter, check_output
from tests.media.conftest import tone

FPS, FRAMES, RATE = 25, 13, 48000
FAST = VideoConfig(preset="ultrafast", crf=10)
LEFT, RIGHT = (200, 40, 30), (20, 180, 90)


def clip(width: int, height: int, frames: int = FRAMES) -> np.ndarray:
    """Frames of two flat colours, whose lowest rows grow brighter from frame to frame."""
    pictures = np.empty((frames, height, width, 3), np.uint8)
    pictures[:, :, : width // 2] = LEFT
    pictures[:, :, width // 2 :] = RIGHT
    pictures[:, -8:] = (40 + 10 * np.arange(frames, dtype=np.uint8))[:, None, None, None]
    return pictures


def write(path: Path, pictures: np.ndarray, speech: Path | None = None, config: VideoConfig = FAST, **options) -> Path:
    height, width = pictures.shape[1:3]
    with VideoWriter(path, width, height, FPS, config, speech, **options) as writer:
        for start in range(0, len(pictures), 4):
            writer.write(pictures[start : start + 4])
    return path


def read(path: Path, ffmpeg, width: int, height: int) -> np.ndarray:
    raw = ffmpeg("-i", path, "-map", "0:v", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3).astype(int)


def seconds_of_sound(path: Path, ffmpeg) -> float:
    return len(ffmpeg("-i", path, "-map", "0:a", "-f", "s16le", "-ac", "1", "-ar", str(RATE), "-")) / 2 / RATE


@pytest.fixture
def speech(recording) -> Path:
    return recording("speech.wav", tone((FRAMES - 0.3) / FPS, RATE)[:, None], RATE)


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("known", [True, False])
def test_every_container_holds_all_frames_their_colours_and_the_sound(tmp_path, ffmpeg, speech, suffix, known) -> None:
    path = write(tmp_path / f"o{suffix}", clip(64, 48), speech, frames=FRAMES if known else None)
    frames = read(path, ffmpeg, 64, 48)
    assert len(frames) == FRAMES
    np.testing.assert_allclose(frames[:, 10, 10], np.tile(LEFT, (FRAMES, 1)), atol=4)
    np.testing.assert_allclose(frames[:, 10, 50], np.tile(RIGHT, (FRAMES, 1)), atol=4)
    np.testing.assert_allclose(frames[:, -2, 30, 0], 40 + 10 * np.arange(FRAMES), atol=6)
    info = media_info(path)
    if suffix == ".gif":
        assert not info.audio
        return
    assert ("vp9" if suffix == ".webm" else "h264") in info.video[0]
    assert "yuv420p(tv, bt709" in info.video[0]
    assert info.audio_codec == ("opus" if suffix == ".webm" else "aac")
    assert abs(seconds_of_sound(path, ffmpeg) - FRAMES / FPS) < 1 / FPS
    assert abs(info.duration - FRAMES / FPS) < 1 / FPS


@pytest.mark.parametrize("suffix", [suffix for suffix in CONTAINERS if CONTAINERS[suffix].audio])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("frames", [10, 13, 48])
@pytest.mark.parametrize("known", [True, False])
def test_sound_of_any_rate_ends_with_the_last_frame(tmp_path, ffmpeg, recording, suffix, rate, frames, known) -> None:
    speech = recording("s.wav", tone((frames - 0.3) / FPS, rate)[:, None], rate)
    path = write(tmp_path / f"o{suffix}", clip(64, 48, frames), speech, frames=frames if known else None)
    assert abs(seconds_of_sound(path, ffmpeg) - frames / FPS) < 1 / FPS
    assert abs(media_info(path).duration - frames / FPS) < 1 / FPS


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_of_the_example_ends_with_the_last_frame(tmp_path, ffmpeg, suffix) -> None:
    speech = Path(__file__).parents[2] / "examples" / "speech.wav"
    seconds = media_info(speech).duration
    frames = round(seconds * FPS)
    path = write(tmp_path / f"o{suffix}", clip(64, 48, frames), speech, frames=frames)
    assert abs(seconds_of_sound(path, ffmpeg) - seconds) < 1 / FPS
    assert abs(media_info(path).duration - seconds) < 1 / FPS


def test_colours_are_those_of_bt709_at_limited_range(tmp_path, ffmpeg) -> None:
    path = write(tmp_path / "o.mp4", clip(64, 48))
    y, u, v = (
        np.frombuffer(ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "yuv444p", "-"), np.uint8)[: 3 * 64 * 48]
        .reshape(3, 48, 64)[:, 10, 10]
        .astype(float)
    )
    red, green, blue = (value / 255 for value in LEFT)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    expected = 16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748
    np.testing.assert_allclose([y, u, v], expected, atol=2)


def test_the_index_comes_first(tmp_path, speech) -> None:
    content = write(tmp_path / "o.mp4", clip(64, 48), speech).read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")


@pytest.mark.parametrize(("width", "height"), [(63, 48), (64, 47), (17, 33)])
def test_odd_sizes_repeat_their_edge(tmp_path, ffmpeg, width, height) -> None:
    path = write(tmp_path / "o.mp4", clip(width, height))
    frames = read(path, ffmpeg, width + width % 2, height + height % 2)
    np.testing.assert_allclose(frames[0, 4, -1], RIGHT, atol=8)
    np.testing.assert_allclose(frames[0, -1, 4], 40, atol=8)


@pytest.mark.parametrize("seconds", [0.2, 3.0])
def test_sound_is_padded_or_cut_to_the_frames(tmp_path, ffmpeg, recording, seconds) -> None:
    speech = recording("s.wav", tone(seconds, RATE)[:, None], RATE)
    path = write(tmp_path / "o.mp4", clip(64, 48), speech, frames=FRAMES)
    assert len(read(path, ffmpeg, 64, 48)) == FRAMES
    assert abs(seconds_of_sound(path, ffmpeg) - FRAMES / FPS) < 0.5 / FPS


@pytest.mark.parametrize(("source", "target", "copied"), [("m4a", "mp4", True), ("opus", "webm", True),
                                                          ("flac", "mkv", True), ("opus", "mp4", False),
                                                          ("m4a", "webm", False)])  # fmt: skip
def test_sound_is_copied_where_the_container_takes_it(tmp_path, ffmpeg, recording, source, target, copied) -> None:
    def packets(path: Path) -> set[bytes]:
        lines = ffmpeg("-i", path, "-map", "0:a", "-c", "copy", "-f", "framehash", "-").splitlines()
        return {line.split(b",")[-1] for line in lines if not line.startswith(b"#")}

    speech = recording(f"s.{source}", tone(FRAMES / FPS, RATE)[:, None], RATE)
    path = write(tmp_path / f"o.{target}", clip(64, 48), speech, VideoConfig(preset="ultrafast", copy_audio=True))
    assert (len(packets(path) & packets(speech)) >= 3) == copied
    assert len(read(path, ffmpeg, 64, 48)) == FRAMES
    assert abs(seconds_of_sound(path, ffmpeg) - FRAMES / FPS) < 1 / FPS


@pytest.mark.parametrize(("suffix", "rate", "codec"), [(".mp4", 8000, "aac"), (".mp4", 12000, "aac"),
                                                       (".mp4", 16000, "mp3"), (".mkv", 8000, "mp3")])  # fmt: skip
def test_mp3_of_a_rate_that_mp4_does_not_take_is_encoded_anew(tmp_path, recording, suffix, rate, codec) -> None:
    speech = recording("s.mp3", tone(FRAMES / FPS, rate)[:, None], rate)
    path = write(tmp_path / f"o{suffix}", clip(64, 48), speech, VideoConfig(preset="ultrafast", copy_audio=True))
    assert media_info(path).audio_codec == codec


def test_sound_whose_table_lies_is_encoded_as_far_as_it_is_heard(tmp_path, ffmpeg, recording) -> None:
    damaged = bytearray(recording("s.m4a", tone(4, RATE)[:, None], RATE).read_bytes())
    sizes = damaged.index(b"stsz") + 16
    (count,) = struct.unpack_from(">I", damaged, sizes - 4)
    for packet in range(20, count):
        struct.pack_into(">I", damaged, sizes + 4 * packet, 7)
    speech, said = tmp_path / "damaged.m4a", list[str]()
    speech.write_bytes(damaged)
    load_speech(speech, RATE, said.append)
    assert len(said) == 1
    assert "breaks off" in said[0]
    path = write(tmp_path / "o.mp4", clip(64, 48), speech, frames=FRAMES)
    assert abs(seconds_of_sound(path, ffmpeg) - FRAMES / FPS) < 0.5 / FPS


def test_sound_of_a_video_and_many_channels(tmp_path, ffmpeg, recording) -> None:
    surround = recording("s.wav", np.tile(tone(0.5, RATE)[:, None], (1, 6)), RATE)
    video = tmp_path / "v.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=size=32x32:duration=1", "-i", surround, "-shortest", video)
    for target in ("o.webm", "o.mp4"):
        info = media_info(write(tmp_path / target, clip(64, 48), video, VideoConfig(copy_audio=True), frames=FRAMES))
        assert "stereo" in info.audio[0]


@pytest.mark.parametrize("name", ["a b 'c' \"d\" %03d ü.mp4", "-o.mp4", "http:x.mp4", "UP.MP4", "x" * 240 + ".mp4"])
def test_names_mean_nothing(tmp_path, monkeypatch, recording, name) -> None:
    speech = recording('-it\'s %d "s".wav', tone(0.5, RATE)[:, None], RATE)
    monkeypatch.chdir(tmp_path)
    write(Path(name), clip(64, 48), Path(speech.name), frames=FRAMES)
    assert sorted(os.listdir()) == sorted([name, speech.name])


def test_a_silent_video(tmp_path) -> None:
    assert not media_info(write(tmp_path / "o.mp4", clip(64, 48))).audio


def test_quality_follows_crf_and_preset(tmp_path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (FRAMES, 64, 64, 3), dtype=np.uint8)
    sizes = [write(tmp_path / "o.mp4", noise, config=VideoConfig(crf=crf)).stat().st_size for crf in (5, 40)]
    assert sizes[0] > 3 * sizes[1]
    assert b"cabac=0" in write(tmp_path / "o.mp4", noise, config=VideoConfig(preset="ultrafast")).read_bytes()


def test_the_file_appears_when_complete(tmp_path) -> None:
    path = tmp_path / "o.mp4"
    path.write_bytes(b"what was there")
    with VideoWriter(path, 64, 48, FPS, FAST) as writer:
        writer.write(clip(64, 48))
        assert path.read_bytes() == b"what was there"
    assert media_info(path).video
    assert os.listdir(tmp_path) == ["o.mp4"]


def test_permissions_and_links_are_as_for_any_new_file(tmp_path) -> None:
    (tmp_path / "plain").touch()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "real")
    write(tmp_path / "link.mp4", clip(64, 48))
    assert (tmp_path / "link.mp4").is_symlink()
    assert (tmp_path / "real").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_what_was_interrupted(tmp_path, kind) -> None:
    writer = VideoWriter(tmp_path / "o.mp4", 64, 48, FPS, FAST)

    def interrupted() -> None:
        with writer:
            for _ in range(20):
                writer.write(clip(64, 48))
            raise kind

    with pytest.raises(kind):
        interrupted()
    assert not os.listdir(tmp_path)
    assert writer._process.returncode is not None
    assert not writer._feeder.is_alive()


def test_what_ffmpeg_says_is_passed_on(tmp_path) -> None:
    (tmp_path / "speech.wav").write_text("no sound")
    frames = clip(64, 48, 200)
    with pytest.raises(FfmpegError, match=r"o\.mp4: .*(Invalid data|speech)"):
        write(tmp_path / "o.mp4", frames, tmp_path / "speech.wav")
    assert os.listdir(tmp_path) == ["speech.wav"]


def test_a_killed_ffmpeg_is_noticed_while_writing(tmp_path) -> None:
    writer = VideoWriter(tmp_path / "o.mp4", 64, 48, FPS, FAST)

    def write_on() -> None:
        with writer:
            writer._process.kill()
            for _ in range(100):
                writer.write(clip(64, 48))

    with pytest.raises(FfmpegError, match="it was ended by SIGKILL"):
        write_on()
    assert not os.listdir(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path, monkeypatch) -> None:
    writer = VideoWriter(tmp_path / "o.mkv", 64, 48, FPS, FAST)
    opened = writer._draft.__enter__

    def full() -> None:
        opened()
        writer._draft.file.symlink_to("/dev/full")

    monkeypatch.setattr(writer._draft, "__enter__", full)
    writer._command = [word if word != "-n" else "-y" for word in writer._command]

    def write_on() -> None:
        with writer:
            for _ in range(50):
                writer.write(np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), dtype=np.uint8))

    with pytest.raises(InputError, match=r"failed to write .*/o\.mkv: No space left on device \(make room there"):
        write_on()


SAID = "[out#0/mp4 @ 0x1] Error opening output {}: {}\nError opening output file {}."
OF_OLD = "{}: {}\n{}"  # as ffmpeg 4 says it


def fail_saying(writer: VideoWriter, said: str, reason: str) -> None:
    """Write with an ffmpeg that fails at once with these words."""
    internal = f"file:{writer._draft.file}"
    writer._command = ["sh", "-c", 'printf "%s\\n" "$1" >&2; exit 1', "sh", said.format(internal, reason, internal)]
    with writer:
        writer.write(clip(64, 48))


@pytest.mark.parametrize(("reason", "hint"), [("No such file or directory", "name another output"),
                                              ("Not a directory", "name another output"),
                                              ("Permission denied", "change its folder's permissions"),
                                              ("Read-only file system", "name another output"),
                                              ("File too large", "on a disk that takes larger files"),
                                              ("Disk quota exceeded", "make room there")])  # fmt: skip
@pytest.mark.parametrize("said", [SAID, OF_OLD])
def test_a_place_that_proves_closed_is_named(tmp_path, reason, hint, said) -> None:
    writer = VideoWriter(tmp_path / "o.mp4", 64, 48, FPS, FAST)
    with pytest.raises(InputError) as caught:
        fail_saying(writer, said, reason)
    assert caught.value.message.startswith(f"failed to write {writer.path}: ")
    assert reason.endswith(caught.value.message.rpartition(": ")[2])
    assert hint in caught.value.hint


def test_a_link_into_no_folder_is_named(tmp_path) -> None:
    (tmp_path / "o.mp4").symlink_to(tmp_path / "missing" / "o.mp4")
    with pytest.raises(InputError, match=r"/missing/o\.mp4 can't be written: No such file or directory"):
        write(tmp_path / "o.mp4", clip(64, 48))


def test_a_recording_that_went_away_is_no_fault_of_the_place(tmp_path, speech) -> None:
    writer = VideoWriter(tmp_path / "o.mp4", 64, 48, FPS, FAST, speech)
    speech.unlink()

    def write_on() -> None:
        with writer:
            writer.write(clip(64, 48))

    with pytest.raises(FfmpegError, match="input: No such file"):
        write_on()


def test_failures_tell_no_internal_name(tmp_path) -> None:
    writer = VideoWriter(tmp_path / "o.mp4", 64, 48, FPS, FAST)
    with pytest.raises(FfmpegError, match=r"output .*/o\.mp4: Input/output error") as caught:
        fail_saying(writer, SAID, "Input/output error")
    assert ".floatcli-" not in str(caught.value)


def test_outputs_that_cannot_be(tmp_path, monkeypatch) -> None:
    there = tmp_path / "there.mp4"
    there.touch()
    with pytest.raises(UsageError, match=r"no known kind of video.*mp4, mov, mkv, webm, gif"):
        check_output(tmp_path / "o.avi", FAST)
    with pytest.raises(UsageError):
        check_output(tmp_path / "o", FAST)
    with pytest.raises(InputError, match=r"there is no folder .*mkdir"):
        check_output(tmp_path / "missing" / "o.mp4", FAST)
    with pytest.raises(InputError, match="is a file, not a folder"):
        check_output(there / "o.mp4", FAST)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        check_output(tmp_path / "folder.mp4", FAST)
    for name, target in (("one.mp4", "two.mp4"), ("two.mp4", "one.mp4")):
        (tmp_path / name).symlink_to(tmp_path / target)
    with pytest.raises(InputError, match=r"one\.mp4' is no usable path: Too many levels of symbolic links"):
        check_output(tmp_path / "one.mp4", FAST)
    with pytest.raises(UsageError, match="is an input too"):
        check_output(there, FAST, [tmp_path / "missing.wav", tmp_path / "folder.mp4" / ".." / "there.mp4"])
    with pytest.raises(InputError, match="is there already"):
        check_output(there, VideoConfig(overwrite=False))
    check_output(there, FAST)
    check_output(tmp_path / "new.mp4", VideoConfig(overwrite=False))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="can't be written to"):
        check_output(tmp_path / "new.mp4", FAST)


def test_a_file_that_appeared_meanwhile_is_kept(tmp_path) -> None:
    path = tmp_path / "o.mp4"
    writer = VideoWriter(path, 64, 48, FPS, VideoConfig(overwrite=False))

    def write_on() -> None:
        with writer:
            writer.write(clip(64, 48))
            path.write_bytes(b"mine")

    with pytest.raises(InputError, match="is there already"):
        write_on()
    assert path.read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["o.mp4"]
