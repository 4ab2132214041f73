"""Recordings that are odd but sound are heard; those that are none, or traps, are refused, within bounds."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from floatcli.errors import InputError
from floatcli.media import audio, frames
from floatcli.media import ffmpeg as programs
from floatcli.media.audio import inspect_recording, load_speech
from tests.fuzz.seeds import ffmpeg
from tests.fuzz.worker import READ, TOLD
from tests.media.conftest import tone

RATE = 16000
FORMATS = ("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le")


def wav(samples: bytes, codec: int = 1, bits: int = 16, rate: int = RATE, channels: int = 1, told: int = -1) -> bytes:
    """A WAV file whose header may tell of more, or of other things, than there are."""
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", codec, channels, rate, (rate * frame) & 0xFFFFFFFF, frame & 0xFFFF, bits)
    size = len(samples) if told < 0 else told
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", size) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


def floats(values: np.ndarray) -> bytes:
    return wav(values.astype("<f4").tobytes(), 3, 32)


def heard(tmp_path, content: bytes, name: str = "a.wav") -> np.ndarray:
    path = tmp_path / name
    path.write_bytes(content)
    return load_speech(path, RATE).numpy()


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 176400, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_every_usual_rate_and_number_of_channels(tmp_path, rate, channels) -> None:
    sound = (tone(0.5, rate) * 32767).astype("<i2")
    samples = heard(tmp_path, wav(np.repeat(sound, channels).tobytes(), rate=rate, channels=channels))
    assert len(samples) == RATE // 2
    np.testing.assert_allclose(samples[1000:-1000], tone(0.5, RATE)[1000:-1000], atol=0.02)


@pytest.mark.parametrize("codec", FORMATS)
def test_every_size_of_sample(tmp_path, codec) -> None:
    raw = ("-f", "lavfi", "-i", f"sine=300:duration=0.5:sample_rate={RATE}", "-c:a", codec, "-f", "wav", "-")
    samples = heard(tmp_path, ffmpeg(*raw))
    assert len(samples) == RATE // 2
    np.testing.assert_allclose(np.abs(samples).max(), 0.125, atol=0.01)  # as ffmpeg's sine is


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_no_sound_has_are_refused(tried, value) -> None:
    sound = tone(0.5, RATE)
    sound[4000] = value
    assert "holds samples" in tried("speech", "a.wav", floats(sound)).text


def test_clipped_sound_silence_and_the_least_numbers_are_speech_too(tmp_path) -> None:
    loud = np.sign(tone(0.5, RATE)) * 2
    np.testing.assert_array_equal(heard(tmp_path, floats(loud)), loud)
    assert not heard(tmp_path, floats(np.zeros(8000))).any()
    assert np.isfinite(heard(tmp_path, floats(np.full(8000, 1e-42)))).all()


@pytest.mark.parametrize("told", [0xFFFFFFF0, 0x7FFFFFFF, 0x10000000])
def test_a_header_that_tells_of_hours_is_not_believed(tried, told) -> None:
    content = wav((tone(0.5, RATE) * 9999).astype("<i2").tobytes(), told=told)
    assert tried("speech", "a.wav", content).kind == READ


@pytest.mark.parametrize(("rate", "channels"), [(0, 1), (1, 1), (2**31, 1), (2**32 - 1, 2), (16000, 0), (16000, 512),
                                                (16000, 65535), (96001, 3)])  # fmt: skip
def test_rates_and_channels_that_there_are_not(tried, rate, channels) -> None:
    tried("speech", "a.wav", wav(b"\1\2" * 400_000, rate=rate, channels=channels))


NONE = {
    "no samples.wav": wav(b""),
    "one sample.wav": wav(b"\1\2"),
    "text.wav": b"good morning" * 100,
    "playlist.m3u8": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n",
    "concat.mp3": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "playlist.wav": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "dash.mp4": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    "session.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 96\n",
    "subtitles.srt": b"1\n00:00:00,000 --> 10:00:00,000\nhello\n",
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_recording_is_refused_in_one_line(tried, name) -> None:
    assert tried("speech", name, NONE[name]).kind == TOLD


def test_a_video_without_sound_is_refused_and_one_with_sound_is_heard(tmp_path, tried) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc=s=32x32:d=0.5")
    silent = ffmpeg(*picture, "-f", "matroska", "-")
    assert "has no sound" in tried("speech", "a.mkv", silent).text
    both = ffmpeg(*picture, "-f", "lavfi", "-i", "sine=300:duration=0.5", "-f", "matroska", "-")
    assert len(heard(tmp_path, both, "a.mkv")) == pytest.approx(RATE / 2, abs=400)


@pytest.mark.parametrize("name", ["a.mp3", "a.mp4", "a.txt", "a", "a.png", "a.m3u8"])
def test_a_wrong_suffix_does_not_matter(tmp_path, name) -> None:
    assert len(heard(tmp_path, floats(tone(0.5, RATE)), name)) == RATE // 2


def test_a_track_that_is_cut_off_says_so(tmp_path) -> None:
    with pytest.raises(InputError, match="too short"):
        heard(tmp_path, floats(tone(0.02, RATE)))


def test_chunks_of_nothing_are_not_walked_through(tried) -> None:
    """A million take ffmpeg no time; what looks through a header leaves off."""
    sound = wav((tone(0.5, RATE) * 9999).astype("<i2").tobytes())
    outcome = tried("speech", "a.wav", sound[:12] + b"JUNK\0\0\0\0" * 1_000_000 + sound[12:])
    assert outcome.kind == READ
    assert outcome.seconds < 20


def test_a_pipe_is_no_recording(tmp_path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(InputError, match="no regular file"):
        load_speech(tmp_path / "a.wav", RATE)


@pytest.fixture
def slow(tmp_path, monkeypatch) -> Path:
    """An ffmpeg that looks and looks, and little patience."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nexec sleep 100\n")
    program.chmod(0o755)
    monkeypatch.setattr(programs, "PATIENCE", 0.6)
    return program


def test_a_clip_that_is_decoded_without_end_is_refused(monkeypatch, slow) -> None:
    monkeypatch.setattr(frames, "ffmpeg_executable", lambda: str(slow))
    monkeypatch.setattr(frames, "PATIENCE", 0.6)
    with pytest.raises(InputError, match="does not end within"):
        frames.decoded_frames(b"mp4")


def test_sound_of_a_video_that_ffmpeg_looks_for_without_end_is_refused(tmp_path, monkeypatch, slow) -> None:
    monkeypatch.setattr(frames, "ffmpeg_executable", lambda: str(slow))
    with pytest.raises(InputError, match="can't be decoded: nothing is found within"):
        frames.video_sound(tmp_path / "a.mp4", RATE)


def test_days_of_sound_are_refused(tmp_path, monkeypatch) -> None:
    mp3 = ffmpeg("-f", "lavfi", "-i", "sine=duration=1:sample_rate=16000", "-write_xing", "0", "-f", "mp3", "-")
    (tmp_path / "a.mp3").write_bytes(mp3)
    os.truncate(tmp_path / "a.mp3", 300_000_000)
    with pytest.raises(InputError, match="more than 24 hours of sound"):
        inspect_recording(tmp_path / "a.mp3")
    monkeypatch.setattr(audio, "LONGEST_HOURS", 1 / 3600)
    with pytest.raises(InputError, match="hours of sound"):
        heard(tmp_path, wav(b"\1\2" * 2 * RATE))


def test_what_ffmpeg_looks_at_without_end_is_refused(tmp_path, monkeypatch, slow) -> None:
    monkeypatch.setattr(programs, "ffmpeg_executable", lambda: str(slow))
    with pytest.raises(InputError, match="does not see within"):
        heard(tmp_path, wav(b"\1\2" * 8000))


def test_sound_that_ffmpeg_looks_for_without_end_is_refused(tmp_path, monkeypatch, slow) -> None:
    monkeypatch.setattr("floatcli.media.audio.ffmpeg_executable", lambda: str(slow))
    with pytest.raises(InputError, match="can't be decoded: ffmpeg finds nothing more within"):
        heard(tmp_path, wav(b"\1\2" * 8000))
