"""``floatcli emotion``: what is heard, what is written, and clips that differ in emotion only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from floatcli import Motion
from floatcli.cli.app import run
from floatcli.config import EMOTIONS
from floatcli.media.ffmpeg import media_info
from floatcli.tracks import read_track
from tests.cli.bad import Bad

USAGE, INPUT, WEIGHTS = 2, 3, 4


@pytest.fixture
def emotion(tiny_weights, speech_file, tmp_path, monkeypatch):
    """The command on the tests' speech, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *options: run(
        ["emotion", str(speech_file), "--weights", str(tiny_weights), "--device", "cpu", "-q", *options]
    )


def test_alone_it_prints_a_bar_for_every_emotion(emotion, capsys):
    assert emotion() == 0
    lines = capsys.readouterr().out.splitlines()
    shares = {line.split()[0]: float(line.split()[1].rstrip("%")) for line in lines}
    assert set(shares) == set(EMOTIONS)
    assert sum(shares.values()) == pytest.approx(100, abs=0.4)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_json_has_the_shares_and_the_weights(emotion, capsys):
    assert emotion("--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert sum(result["emotion"].values()) == pytest.approx(1, abs=1e-5)
    assert result["weights"]["name"] == "tiny"
    assert len(result["track"]) == 1


def test_a_timeline_is_printed_kept_and_drawn(emotion, capsys, tmp_path):
    assert emotion("--window", "1", "--hop", "0.5") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["0.50", "1.00", "1.50", "2.00"]
    assert emotion("--window", "1", "-o", "track.csv", "--plot", "timeline.png", "--json") == 0
    track = read_track(tmp_path / "track.csv", EMOTIONS)
    heard = json.loads(capsys.readouterr().out)["track"]
    np.testing.assert_allclose(track.shares[:, 0], [row["angry"] for row in heard], atol=1e-6)
    assert Image.open(tmp_path / "timeline.png").width == 1280


def test_the_track_goes_into_animate(emotion, tiny_weights, face_file, speech_file, tmp_path):
    assert emotion("--window", "1", "-o", "track.csv") == 0
    arguments = ["animate", str(face_file), str(speech_file), "-o", "out.mp4", "--emotion", "track.csv", "-q"]
    assert run([*arguments, "--weights", str(tiny_weights), "--crop", "none", "--nfe", "1", "--device", "cpu"]) == 0
    kept = Motion.load(tmp_path / "out.motion.safetensors").emotion
    np.testing.assert_allclose(kept, read_track("track.csv", EMOTIONS).frames(63, 25), atol=1e-5)


def test_one_emotion_makes_one_clip(emotion, face_file, tmp_path, capsys):
    options = ["--face", str(face_file), "--crop", "none", "--to", "happy", "--nfe", "1", "-o", "out.mp4", "--json"]
    assert emotion(*options) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["emotion"]["happy"] == 1
    assert (result["frames"], result["motion"]) == (63, "out.motion.safetensors")


def test_several_make_a_grid_with_the_sound(emotion, face_file, tmp_path, capsys):
    options = ["--face", str(face_file), "--crop", "none", "--nfe", "1", "-o", "sheet.mp4", "--json"]
    assert emotion(*options, "--to", "happy,sad", "--scale", "0.5,1,2") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["to"], result["scales"], result["frames"]) == (["happy", "sad"], [0.5, 1, 2], 63)
    info = media_info(tmp_path / "sheet.mp4")
    assert info is not None
    assert "878x546" in info.video[0]
    assert info.audio
    assert info.duration == pytest.approx(2.52, abs=0.05)


def test_cells_of_a_grid_differ_in_emotion_alone(tiny_weights, face_file, speech_file):
    from floatcli import FloatPipeline
    from floatcli.config import CropConfig, SampleConfig
    from floatcli.grid import CELL, _frames, _paper

    pipe = FloatPipeline.from_weights(tiny_weights, device="cpu")
    clip, again, other = (
        pipe.animate(face_file, speech_file, CropConfig("none"), SampleConfig(nfe=1), name)
        for name in ("happy", "happy", "sad")
    )
    grid = next(_frames(_paper(["a"], ["x", "y", "z"]), [[clip, again, other]]))
    cells = [grid[34:, 110 + CELL * k : 110 + CELL * (k + 1)].astype(int) for k in range(3)]
    np.testing.assert_array_equal(cells[0], cells[1])
    assert np.abs(cells[0] - cells[2]).max() > 0


SHOW = ["--face", "{face}", "--crop", "none", "--nfe", "1", "-o", "out.mp4"]
TRACK = "choose from angry, disgust, fear, happy, neutral, sad, surprise"
BAD = [
    Bad("no window", USAGE, "window must lie in 0.1..3600 s, not 0.0", "2 seconds tell an emotion", ["--window", "0"]),
    Bad("endless window", USAGE, "window must lie in 0.1..3600 s, not inf", "2 seconds tell an emotion",
        ["--window", "inf"]),
    Bad("no hop", USAGE, "hop must lie in 0.02..3600 s, not 0.0", "0.5 gives two rows a second", ["--hop", "0"]),
    Bad("face without emotions", USAGE, "a portrait and the emotions it shall show go together", "add --to happy,sad",
        ["--face", "{face}", "-o", "out.mp4"]),
    Bad("emotions without a face", USAGE, "a portrait and the emotions it shall show go together", "add --face FACE",
        ["--to", "happy"]),
    Bad("video to nowhere", USAGE, "where shall the video go?", "say so: -o out.mp4",
        ["--face", "{face}", "--to", "happy"]),
    Bad("unknown emotion", USAGE, "this model knows no emotion 'bored'", TRACK, [*SHOW, "--to", "happy,bored"]),
    Bad("endless hop", USAGE, "hop must lie in 0.02..3600 s, not 1e+305", "0.5 gives two rows a second",
        ["--hop", "1e305"]),
    Bad("seed for hearing", USAGE, "--seed is for showing emotions", "it goes with --face FACE --to happy,sad",
        ["--seed", "3"]),
    Bad("scale for hearing", USAGE, "--scale is for showing emotions", "it goes with --face FACE --to happy,sad",
        ["--scale", "3"]),
    Bad("auto among emotions", USAGE, "this model knows no emotion 'auto'", TRACK, [*SHOW, "--to", "auto"]),
    Bad("scale in words", USAGE, "scale 'much' is no list of numbers", "as in 0.5,1,2",
        [*SHOW, "--to", "happy", "--scale", "much"]),
    Bad("endless scale", USAGE, "emotion-scale must lie in -1000..1000, not inf", "1 is neutral, 0 ignores it",
        [*SHOW, "--to", "happy", "--scale", "1,inf"]),
    Bad("no name but a suffix", USAGE, "'.csv' does not end in .csv", "call it csv.csv", ["-o", ".csv"]),
    Bad("emotions that are none", USAGE, "--to names no emotion", "as in --to happy,sad", [*SHOW, "--to", ","]),
    Bad("too large a grid", USAGE, "a grid of 2 emotions at 33 scales is too large", "up to 64 clips fit",
        [*SHOW, "--to", "happy,sad", "--scale", ",".join(["1"] * 33)]),
    Bad("motion kept of what is heard", USAGE, "--save-motion is for showing emotions",
        "it goes with --face FACE --to happy,sad", ["--no-save-motion"]),
    Bad("hearing and showing", USAGE, "--window, --hop and --plot are for hearing, --face and --to for showing",
        "do one of them", [*SHOW, "--to", "happy", "--window", "1"]),
    Bad("track suffix", USAGE, "'track.txt' does not end in .csv", "call it track.csv", ["-o", "track.txt"]),
    Bad("plot suffix", USAGE, "'t.pdf' does not end in .png", "call it t.png", ["--plot", "t.pdf"]),
    Bad("track into nowhere", INPUT, "there is no folder not/there", "create it: mkdir -p 'not/there'",
        ["-o", "not/there/track.csv"]),
    Bad("track that is there", INPUT, "old.csv is there already", "allow it with --overwrite, or name another output",
        ["-o", "old.csv", "--no-overwrite"]),
    Bad("video suffix", USAGE, "out.avi names no known kind of video", "end it in one of mp4, mov, mkv, webm, gif",
        [*SHOW[:-1], "out.avi", "--to", "happy"]),
    Bad("no face file", INPUT, "me.png is not there", "check the picture's path",
        ["--face", "me.png", "--to", "happy", "-o", "out.mp4"]),
    Bad("no evaluations", USAGE, "nfe must lie in 1..10000, not 0", "9 is what the published model uses",
        [*SHOW, "--to", "happy", "--nfe", "0"]),
    Bad("device", USAGE, "there is no device 'abacus'", "choose from auto, cpu, cuda, cuda:N, mps",
        ["--device", "abacus"]),
    Bad("no weights", WEIGHTS, "there are no weights at nowhere", "see 'floatcli weights list'",
        ["--weights", "nowhere"]),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_bad_input_gets_one_line_and_a_hint(emotion, face_file, tmp_path, capsys, bad):
    (tmp_path / "old.csv").write_text("time,sad\n0,1\n")
    assert emotion(*(option.format(face=face_file) for option in bad.options)) == bad.code
    said = capsys.readouterr()
    assert said.err.splitlines() == [f"floatcli: error: {bad.message}", f"floatcli: hint: {bad.hint}"]
    assert said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]


def test_bars_are_plain_where_the_terminal_knows_no_blocks(tiny_weights, speech_file):
    import os
    import subprocess
    import sys

    command = [sys.executable, "-m", "floatcli", "emotion", speech_file, "--weights", tiny_weights, "--device", "cpu"]
    said = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, capture_output=True, check=True)
    assert b"#" in said.stdout


def test_speech_that_is_none(tmp_path, capsys):
    silent = tmp_path / "p.png"
    Image.new("RGB", (32, 32)).save(silent)
    for path, message in (
        (Path("no.wav"), "no.wav is not there"),
        (silent, f"{silent} is no recording that ffmpeg can read"),
    ):
        assert run(["emotion", str(path), "--device", "cpu", "-q"]) == INPUT
        assert capsys.readouterr().err.splitlines()[0] == f"floatcli: error: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", "{path}, line 1: the file is empty"),
        ("time,sad\n0,0.5\n", "{path}, line 2: the shares add up to 0.5, not 1"),
    ],
)
def test_animate_refuses_a_bad_track_before_any_work(face_file, speech_file, tmp_path, capsys, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert run(["animate", str(face_file), str(speech_file), "--emotion", str(path), "-q"]) == INPUT
    assert capsys.readouterr().err.splitlines()[0] == f"floatcli: error: {message.format(path=path)}"


@pytest.mark.parametrize("options", [["-o", "sound.csv"], ["--plot", "sound.csv"]])
def test_the_recording_is_not_replaced(tiny_weights, speech_file, tmp_path, monkeypatch, capsys, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sound.csv").write_bytes(speech_file.read_bytes())
    assert run(["emotion", "sound.csv", *options, "--weights", str(tiny_weights), "--device", "cpu"]) == USAGE
    assert "sound.csv is an input and would be replaced" in capsys.readouterr().err
    assert (tmp_path / "sound.csv").read_bytes() == speech_file.read_bytes()
