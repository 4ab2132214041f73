"""Emotion tracks: what a file says reaches the field frame by frame, and a line that cannot be meant is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from floatcli import FloatPipeline
from floatcli.config import EMOTIONS, CropConfig, SampleConfig
from floatcli.errors import InputError, UsageError
from floatcli.tracks import EmotionTrack, read_track

WHOLE, QUICK = CropConfig(mode="none"), SampleConfig(nfe=1)


@pytest.fixture(scope="module")
def pipe(tiny_weights: Path) -> FloatPipeline:
    return FloatPipeline.from_weights(tiny_weights, device="cpu")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "track.csv"
    path.write_text(text)
    return path


def test_rows_are_interpolated_and_held_beyond(tmp_path):
    track = read_track(written(tmp_path, "time,happy,sad\n0.2,1,0\n0.6,0,1\n"), EMOTIONS)
    frames = track.frames(25, 25)
    happy, sad = frames[:, EMOTIONS.index("happy")], frames[:, EMOTIONS.index("sad")]
    np.testing.assert_allclose(happy[[0, 5, 10, 15, 24]], [1, 1, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(happy + sad, 1, atol=1e-6)
    assert frames.shape == (25, 7)


def test_what_is_written_is_read_again(tmp_path):
    shares = np.random.default_rng(0).dirichlet(np.ones(7), 5)
    track = EmotionTrack(EMOTIONS, 10000 + np.arange(5) * 0.02, shares)
    again = read_track(track.save(tmp_path / "t.csv"), EMOTIONS)
    np.testing.assert_allclose(again.shares, shares, atol=1e-6)
    np.testing.assert_allclose(again.times, track.times, atol=1e-6)


@pytest.mark.parametrize("header", ["time,Happy,SAD", "\ufefftime, happy , sad"])
def test_headers_as_spreadsheets_write_them(tmp_path, header):
    track = read_track(written(tmp_path, header + "\r\n0,0.25,0.75\r\n\r\n"), EMOTIONS)
    assert track.shares[0, EMOTIONS.index("sad")] == 0.75


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ".csv is empty"),
        ("\n \n", "line 1: the file is empty"),
        ("time,happy\n", "line 2: there are no rows"),
        ("happy,sad\n0,1\n", "line 1: the first column is 'happy', not time"),
        ("time,bored\n0,1\n", "line 1: the model knows no emotion 'bored'"),
        ("time\n0\n", "line 1: every emotion needs one column"),
        ("time,happy,happy\n0,1,0\n", "line 1: every emotion needs one column"),
        ("time,happy,sad\n0,1\n", "line 2: 2 values for 3 columns"),
        ("time,happy\n0,lots\n", "line 2: '0,lots' are not all numbers"),
        ("time,happy\n0,1\nnan,1\n", "line 3: 'nan,1' are not all finite"),
        ("time,happy,sad\n0,1,0\n1,0.7,0.2\n", "line 3: the shares add up to 0.9, not 1"),
        ("time,happy,sad\n0,1.5,-0.5\n", "line 2: -0.5 is negative"),
        ("time,happy\n-1,1\n", "line 2: -1 is negative"),
        ("time,happy\n0,1\n2,1\n\n1,1\n", "line 5: 1 s does not come after 2 s"),
        ('time,happy\n0,1\n"1\n",1\n1,1\n', "line 5: 1 s does not come after 1 s"),
        ("time,happy\n0," + "1" * 140_000 + "\n", "line 2: it is too long"),
        ("time,happy\n0,1\n0,1\n", "line 3: 0 s does not come after 0 s"),
    ],
)
def test_lines_that_cannot_be_meant_are_named(tmp_path, text, message):
    with pytest.raises(InputError) as error:
        read_track(written(tmp_path, text), EMOTIONS)
    assert message in error.value.message
    assert error.value.hint


def test_no_text_is_no_track(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="cannot be read as a track"):
        read_track(path, EMOTIONS)


def test_the_field_is_told_frame_by_frame(pipe, face_file, speech_file):
    """A track that turns after the first window moves that window as its first emotion alone does."""
    turns = EmotionTrack(EMOTIONS, np.array([2.2, 2.24]), np.eye(7)[[3, 5]])
    turned = pipe.animate(face_file, speech_file, WHOLE, QUICK, turns).motion
    happy = pipe.animate(face_file, speech_file, WHOLE, QUICK, "happy").motion
    np.testing.assert_allclose(turned.latents[:50], happy.latents[:50], atol=1e-5)
    assert np.abs(turned.latents[55:] - happy.latents[55:]).max() > 1e-3
    assert turned.emotion.shape == (63, 7)
    assert happy.emotion.shape == (1, 7)


def test_a_track_of_one_emotion_is_that_emotion(pipe, face_file, speech_file, tmp_path):
    path = written(tmp_path, "time,sad\n0,1\n")
    track = pipe.animate(face_file, speech_file, WHOLE, QUICK, path)
    sad = pipe.animate(face_file, speech_file, WHOLE, QUICK, "sad")
    np.testing.assert_allclose(track.motion.latents, sad.motion.latents, atol=1e-5)
    assert track.emotion == sad.emotion


@pytest.mark.parametrize("name", ["audio_scale", "emotion_scale", "ref_scale"])
def test_every_scale_changes_the_motion(pipe, face_file, speech_file, name):
    usual = pipe.animate(face_file, speech_file, WHOLE, QUICK, "happy").motion.latents
    changed = SampleConfig(nfe=1, **{name: getattr(QUICK, name) + 0.5})
    other = pipe.animate(face_file, speech_file, WHOLE, changed, "happy").motion.latents
    assert np.abs(usual - other).max() > 1e-4


def test_windows_are_heard_at_their_middles(pipe, speech_file):
    track = pipe.feel(speech_file, window=1.0, hop=0.5)
    np.testing.assert_allclose(track.times, [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(track.shares.sum(1), 1, atol=1e-5)
    samples = torch.from_numpy(np.random.default_rng(0).standard_normal(16000).astype(np.float32))
    np.testing.assert_allclose(pipe.feel(samples, 5.0).shares, pipe.feel(samples).shares, atol=1e-6)


def test_a_window_hears_nothing_else(pipe):
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 16000)).astype(np.float32)
    track = pipe.feel(np.concatenate([first, second]), window=1.0, hop=1.0)
    np.testing.assert_allclose(track.shares[0], pipe.feel(first).shares[0], atol=1e-6)
    np.testing.assert_allclose(track.shares[1], pipe.feel(second).shares[0], atol=1e-6)


@pytest.mark.parametrize(("window", "hop"), [(0.1, 2.0), (0.5, 3.0), (1.0, 1.0), (1.0, 0.7), (9.0, 1.0)])
def test_windows_reach_the_end_and_are_whole(pipe, speech_file, window, hop):
    track = pipe.feel(speech_file, window, hop)
    half = min(window, 2.5) / 2
    assert track.times[0] == pytest.approx(half, abs=1e-3)
    assert track.times[-1] == pytest.approx(2.5 - half, abs=1e-3)
    assert (np.diff(track.times) > 0).all()


def test_tracks_of_other_emotions_are_refused(pipe, face_file, speech_file):
    other = EmotionTrack(("glad", "mad"), np.zeros(1), np.array([[0.5, 0.5]]))
    with pytest.raises(UsageError, match="a track of glad, mad is not of this model's emotions"):
        pipe.animate(face_file, speech_file, WHOLE, QUICK, other)


@pytest.mark.parametrize(("window", "hop"), [(0.0, 0.5), (float("nan"), 0.5), (2.0, 0.0), (2.0, float("inf"))])
def test_windows_of_no_length_are_refused(pipe, speech_file, window, hop):
    with pytest.raises(UsageError):
        pipe.feel(speech_file, window, hop)
