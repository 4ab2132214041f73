"""Recordings of every kind come out mono at the asked rate; what holds no speech is said to hold none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from floatcli.errors import InputError
from floatcli.media import audio
from floatcli.media.audio import load_speech, pieces, speech_blocks
from floatcli.media.ffmpeg import ffmpeg_executable
from tests.media.conftest import tone

RATE = 16000


def test_samples_at_the_same_rate_are_untouched(recording) -> None:
    wave = tone(0.5, RATE).astype(np.float32)
    path = recording("a.wav", wave[:, None], RATE, "-c:a", "pcm_f32le")
    speech = load_speech(path, RATE)
    assert speech.dtype == torch.float32
    np.testing.assert_array_equal(speech.numpy(), wave)


def test_channels_are_averaged(recording) -> None:
    wave = tone(0.5, RATE)
    path = recording("a.wav", np.stack([wave, 0 * wave, -wave / 2], axis=1), RATE, "-c:a", "pcm_f32le")
    np.testing.assert_allclose(load_speech(path, RATE), wave / 6, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 44099])
def test_rates_are_converted_in_tune(recording, rate: int) -> None:
    path = recording("a.wav", tone(1.0, rate)[:, None], rate, "-c:a", "pcm_f32le")
    speech = load_speech(path, RATE).numpy()
    assert abs(len(speech) - RATE) <= 2
    middle = slice(RATE // 10, RATE * 9 // 10)
    np.testing.assert_allclose(speech[:RATE][middle], tone(1.0, RATE)[middle], atol=0.01)


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.flac", "a.ogg", "a.opus", 'it\'s a "%03d" ü.wav', "-a.wav"])
def test_formats_and_names(recording, name: str) -> None:
    speech = load_speech(recording(name, tone(0.6, 48000)[:, None], 48000), RATE)
    assert abs(len(speech) / RATE - 0.6) < 0.08
    assert 0.3 < float(speech.square().mean().sqrt()) < 0.4


def test_the_first_sound_of_a_video_from_its_first_sample(tmp_path: Path, recording, ffmpeg) -> None:
    loud, soft = (recording(f"{v}.wav", v * tone(0.5, RATE)[:, None], RATE) for v in (1.0, 0.1))
    path = tmp_path / "v.mp4"
    pictures = ("-f", "lavfi", "-i", "color=size=32x32:duration=1")
    ffmpeg(*pictures, "-itsoffset", "0.3", "-i", loud, "-i", soft, "-map", "0", "-map", "1", "-map", "2", path)
    speech = load_speech(path, RATE)
    assert 0.45 < len(speech) / RATE < 0.6  # and no silence for the delay
    assert float(speech[2000:6000].abs().max()) > 0.45


def test_silence_is_speech_too(recording) -> None:
    speech = load_speech(recording("a.wav", np.zeros((RATE, 1)), RATE), RATE)
    assert len(speech) == RATE
    assert not speech.any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_numbers_are_refused(recording, value) -> None:
    wave = tone(0.5, RATE)
    wave[100:110] = value
    with pytest.raises(InputError, match="holds samples that are no numbers"):
        load_speech(recording("a.wav", wave[:, None], RATE, "-c:a", "pcm_f32le"), RATE)


@pytest.mark.parametrize("side", [[1.0], [1.0, -1.0]])
def test_samples_far_too_loud_are_refused(recording, side) -> None:
    """Also where the channels cancel each other: the sound is encoded from all of them."""
    wave = 1e30 * tone(0.5, RATE)[:, None] * np.array(side)
    with pytest.raises(InputError, match=r"holds samples of 5e\+29, where 1 is full scale"):
        load_speech(recording("a.wav", wave, RATE, "-c:a", "pcm_f32le"), RATE)


def test_samples_of_ten_are_a_recording(recording) -> None:
    wave = (20 * tone(0.5, RATE)).astype(np.float32)
    np.testing.assert_array_equal(load_speech(recording("a.wav", wave[:, None], RATE, "-c:a", "pcm_f32le"), RATE), wave)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.aiff"])
def test_a_recording_cut_short_gives_what_is_there_and_is_told(recording, name: str) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (4 * RATE, 1))
    path = recording(name, noise, RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    said: list[str] = []
    seconds = len(load_speech(path, RATE, said.append)) / RATE
    assert 1.8 < seconds <= 2.1
    assert said == [f"{path} breaks off after {seconds:.1f} s: its header tells of 4.0 s"]


@pytest.mark.parametrize(
    "name",
    ["a.wav", "a.flac", "a.mp3", "a.mp2", "a.m4a", "a.aac", "a.ac3", "a.ogg", "a.opus", "a.webm", "a.mka", "a.ts",
     "a.wma", "a.caf", "a.w64"],
)  # fmt: skip
def test_a_whole_recording_does_not_break_off(recording, name: str) -> None:
    said: list[str] = []
    load_speech(recording(name, tone(4.0, 48000)[:, None], 48000), RATE, said.append)
    assert said == []


def test_a_length_that_is_guessed_or_of_something_else_is_no_promise(recording, ffmpeg, tmp_path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (4 * RATE, 1)) * np.linspace(0, 1, 4 * RATE)[:, None] ** 4
    guessed = recording("a.mp3", noise, RATE, "-write_xing", "0", "-q:a", "5")
    video = tmp_path / "v.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=size=32x32:duration=9", "-i", guessed, video)
    late = tmp_path / "late.mka"
    ffmpeg("-itsoffset", "3", "-i", guessed, "-c", "copy", late)
    said: list[str] = []
    for path in (guessed, video, late):
        load_speech(path, RATE, said.append)
    assert said == []


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_length_left_open_is_no_promise(recording, size: int) -> None:
    """As in the header of a WAV file that was written through a pipe."""
    path = recording("a.wav", tone(1.0, RATE)[:, None], RATE, "-bitexact")
    content = path.read_bytes()
    at = content.index(b"data") + 4
    path.write_bytes(content[:at] + size.to_bytes(4, "little") + content[at + 4 :])
    said: list[str] = []
    assert len(load_speech(path, RATE, said.append)) == RATE
    assert said == []


def test_a_recording_that_breaks_off_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording) -> None:
    """With an ffmpeg that gives its whole output, and then fails."""
    fails = tmp_path / "ffmpeg"
    fails.write_text(f'#!/bin/sh\n"{ffmpeg_executable()}" "$@"\necho "x: Error while decoding" >&2\nexit 1\n')
    fails.chmod(0o755)
    path = recording("a.wav", tone(1.0, RATE)[:, None], RATE)
    monkeypatch.setattr(audio, "ffmpeg_executable", lambda: str(fails))
    said: list[str] = []
    assert len(load_speech(path, RATE, said.append)) == RATE
    assert said == [f"{path} breaks off after 1.0 s: x: Error while decoding"]


def test_recordings_that_are_none(tmp_path: Path, recording) -> None:
    def refused(path: Path, message: str) -> None:
        with pytest.raises(InputError, match=message) as error:
            load_speech(path, RATE)
        assert str(path) in error.value.message
        assert error.value.hint
        assert "\n" not in str(error.value)

    refused(tmp_path / "missing.wav", "is not there")
    refused(tmp_path, "is a folder")
    (tmp_path / "empty.wav").touch()
    refused(tmp_path / "empty.wav", "is empty")
    (tmp_path / "text.wav").write_text("hello there, this is not sound\n" * 100)
    refused(tmp_path / "text.wav", "no recording")
    Image.new("RGB", (32, 32)).save(tmp_path / "picture.png")
    refused(tmp_path / "picture.png", "no recording")
    refused(recording("short.wav", np.ones((300, 1)), RATE), "too short")
    refused(recording("shorter.wav", np.ones((639, 1)), RATE), r"too short \(39.9 ms\)")
    refused(recording("slow.wav", np.ones((3, 1)), 1), "has 1 samples a second, too few for speech")
    whole = recording("broken.m4a", tone(0.5, RATE)[:, None], RATE).read_bytes()
    (tmp_path / "broken.m4a").write_bytes(whole[:2000])
    refused(tmp_path / "broken.m4a", "no recording|can't be decoded")


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_long_recordings_are_the_same_in_blocks(recording, monkeypatch, rate: int) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (3 * rate + 1234, 1))
    path = recording("a.wav", noise, rate)
    whole = load_speech(path, RATE)
    monkeypatch.setattr("floatcli.media.audio._AT_ONCE", 1)
    monkeypatch.setattr("floatcli.media.audio._BLOCK", 1000)
    blocks = list(speech_blocks(path, RATE))
    assert len(blocks) == 4
    assert sum(map(len, blocks)) == len(whole) == -(-len(noise) * RATE // rate)
    np.testing.assert_allclose(torch.cat(blocks), whole, atol=1e-6)


@pytest.mark.parametrize("length", [1, 9, 10, 14, 15, 20, 37])
def test_pieces_cover_everything_once_with_their_surroundings(length: int) -> None:
    samples = torch.arange(1.0, length + 1)
    made = list(pieces(samples.split(4), core=10, context=3))
    assert torch.equal(torch.cat([piece[before : before + count] for piece, before, count in made]), samples)
    for k, (piece, before, count) in enumerate(made):
        assert before == min(3, 10 * k)
        assert len(piece) == min(length, 10 * k + count + 3) - (10 * k - before)
    assert [count for *_, count in made[:-1]] == [10] * (len(made) - 1)


def test_who_wants_no_more_leaves_no_ffmpeg_behind(recording) -> None:
    import subprocess

    path = recording("a.wav", np.zeros((90 * RATE, 2)), RATE)
    blocks = speech_blocks(path, RATE)
    next(blocks)
    blocks.close()
    left = subprocess.run(["pgrep", "-f", str(path)], capture_output=True, check=False)
    assert left.returncode == 1
