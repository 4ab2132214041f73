"""``floatcli evaluate`` from end to end: JSON, tables, a video, and what can't be used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from floatcli.cli.app import run
from floatcli.errors import ExitCode
from floatcli.evaluate.clips import COPYING, CROSS, GROUPS, RECONSTRUCTION, SPEECH, TRUE
from floatcli.evaluate.held_out import held_out_clips
from floatcli.evaluate.performance import Performance
from floatcli.evaluate.settings import PAPER, DrawnConfig
from floatcli.media.ffmpeg import media_info
from floatcli.media.frames import decoded_frames
from floatcli.pipeline import FloatPipeline
from tests.evaluate.test_networks import Energy, HalfTurns, MeanColour, saved

CPU = ("--device", "cpu")


def measured(folder: Path, weights: Path, tmp_path: Path, *options: str) -> dict:
    """What ``floatcli evaluate`` writes."""
    out = tmp_path / "figures.json"
    command = ["evaluate", "--weights", str(weights), "--data", str(folder), "-o", str(out), *CPU, *options]
    assert run(command) == ExitCode.OK
    return json.loads(out.read_text())


def test_the_published_architecture_is_measured(
    prepared: Path, tiny_weights: Path, tmp_path: Path, monkeypatch, capsys
):
    video = tmp_path / "side.mp4"
    monkeypatch.setattr(Performance, "heard", "happy")
    written = measured(prepared, tiny_weights, tmp_path, "--clips", "3", "--video", str(video))
    figures = written["figures"]
    assert tuple(figures) == GROUPS
    assert (len(written["by clip"]), written["weights"], written["data"]) == (3, str(tiny_weights), str(prepared))
    for region in ("whole", "mouth", "eyes"):
        for key in ("PSNR", "SSIM", "L1"):
            assert np.isfinite(figures[RECONSTRUCTION][f"{region} {key}"])
    assert figures[COPYING]["eyes PSNR"] > figures[RECONSTRUCTION]["eyes PSNR"]  # the weights are random
    assert figures[TRUE]["mouth r"] > 0.9
    assert figures[TRUE]["mouth offset, frames"] == 0
    assert figures[TRUE]["blinks a minute"] == pytest.approx(60 / 1.04)
    assert figures[TRUE]["jerk"] > 0
    assert figures[SPEECH]["yaw range"] is None
    assert figures[CROSS]["motion L1"] > 0
    assert figures[SPEECH]["emotion accuracy"] == 1  # of the one clip that has a label
    assert [figures[group].get(name) for group in GROUPS for name in PAPER] == [None] * 35
    paper = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert paper[2:] == [f"| {group} |" + "  |" * 7 for group in (SPEECH, CROSS, RECONSTRUCTION, TRUE)]
    assert decoded_frames(video.read_bytes()).shape[0] == 26
    info = media_info(video)
    assert info.video
    assert info.audio


def test_the_anchored_decoder_with_its_named_basis_is_measured(prepared: Path, anchored_weights: Path, tmp_path: Path):
    figures = measured(prepared, anchored_weights, tmp_path, "--clips", "2")["figures"]
    assert figures[SPEECH]["yaw range"] > 0
    assert figures[TRUE]["roll range"] > 0
    assert "jaw r" in figures[SPEECH]
    assert np.isfinite(figures[CROSS]["motion r"])


def test_networks_fill_their_columns(prepared: Path, tiny_weights: Path, tmp_path: Path):
    scripted = {"inception": MeanColour(), "i3d": MeanColour(), "arcface": MeanColour(), "face3d": HalfTurns()}
    files = {name: saved(network, tmp_path / f"{name}.pt") for name, network in scripted.items()}
    files["syncnet"] = saved(Energy(), tmp_path / "syncnet.pt")
    options = [word for name, path in files.items() for word in ("--network", f"{name}={path}")]
    figures = measured(prepared, tiny_weights, tmp_path, "--clips", "2", *options)["figures"]
    assert all(figures[SPEECH][name] is not None for name in PAPER)
    assert figures[SPEECH]["FID"] > 0
    assert figures[TRUE]["CSIM"] > figures[SPEECH]["CSIM"]
    assert {name for name in PAPER if figures[TRUE].get(name) is not None} == {"CSIM", "LSE-D", "LSE-C"}
    assert figures[CROSS]["CSIM"] is not None
    assert figures[RECONSTRUCTION]["CSIM"] is not None


def test_a_decoder_that_gives_the_truth_is_perfect(prepared: Path, tiny_weights: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(Performance, "reconstructed", lambda take, frames: take.truth[frames])
    figures = measured(prepared, tiny_weights, tmp_path, "--clips", "1")["figures"][RECONSTRUCTION]
    assert figures["whole PSNR"] > 80
    assert figures["mouth SSIM"] == pytest.approx(1)
    assert figures["eyes L1"] == 0


def test_every_so_manyth_frame_is_reconstructed(prepared: Path, tiny_weights: Path, tmp_path: Path, monkeypatch):
    asked: list[np.ndarray] = []

    def reconstructed(take: Performance, frames: np.ndarray) -> np.ndarray:
        asked.append(frames)
        return take.truth[frames]

    monkeypatch.setattr(Performance, "reconstructed", reconstructed)
    measured(prepared, tiny_weights, tmp_path, "--clips", "1", "--every", "10")
    assert [frames.tolist() for frames in asked] == [[1, 11, 21]]


def test_clips_are_of_as_many_videos_as_there_are_and_always_the_same(prepared: Path):
    two = [clip.key for clip in held_out_clips(prepared, 2)]
    assert {key.split("-")[0] for key in two} == {"0", "1"}
    assert [clip.key for clip in held_out_clips(prepared, 2)] == two
    assert sorted(clip.key for clip in held_out_clips(prepared, 9)) == ["0-0", "0-1", "1-0", "1-1"]


def test_emotion_is_judged_where_the_manifest_names_one(prepared: Path, tiny_weights: Path):
    from floatcli.evaluate.clips import _heard_right

    told = {clip.key: clip.told.get("emotion") for clip in held_out_clips(prepared, 4)}
    assert told == {"0-0": None, "0-1": "Happy", "1-0": None, "1-1": "Happy"}
    assert _heard_right("Happy", "happy", ("sad", "happy")) == 1
    assert _heard_right("happy", "sad", ("sad", "happy")) == 0
    assert _heard_right("calm", "sad", ("sad", "happy")) is None
    assert _heard_right(None, "sad", ("sad", "happy")) is None
    pipe = FloatPipeline.from_weights(tiny_weights, "cpu")
    (clip,) = held_out_clips(prepared, 1)
    heard = pipe.model.feel(torch.from_numpy(clip.audio)[None]).argmax()
    assert Performance(pipe, clip).heard == pipe.config.emotions[heard]


def test_of_one_video_nothing_is_cross_identity(prepared: Path, tiny_weights: Path, tmp_path: Path, capsys):
    figures = measured(prepared, tiny_weights, tmp_path, "--clips", "1")["figures"]
    assert figures[CROSS] == {}
    assert "all clips are of one video" in (said := capsys.readouterr().err)
    assert "damaged" not in said


def test_a_damaged_shard_is_told_even_where_none_of_it_is_measured(
    prepared: Path, tiny_weights: Path, tmp_path: Path, capsys
):
    shutil.copytree(prepared, tmp_path / "data")
    (clip,) = held_out_clips(prepared, 1)
    shard = tmp_path / "data" / {"0.mp4": "1.tar", "1.mp4": "0.tar"}[clip.told["source"]]
    shard.write_bytes(shard.read_bytes()[:3000])
    measured(tmp_path / "data", tiny_weights, tmp_path, "--clips", "1")
    assert f"{shard} is damaged" in capsys.readouterr().err


def test_on_drawn_faces_settings_arrive_and_every_figure_is_written(tmp_path: Path, monkeypatch, capsys):
    pytest.importorskip("skia", exc_type=ImportError)
    from floatcli.evaluate import drawn, drawn_report, faces_sheet

    asked = []

    def evaluate_drawn(model, config, log):
        asked.append((model.config.name, config))
        return {"photograph": {"jaw": 0.5}}

    monkeypatch.setattr(drawn, "evaluate_drawn", evaluate_drawn)
    monkeypatch.setattr(drawn_report, "table", lambda figures: f"a table of {list(figures)}")
    monkeypatch.setattr(faces_sheet, "save_sheet", lambda model, path: path.write_bytes(b"a sheet"))
    out, sheet = tmp_path / "figures.json", tmp_path / "faces.png"
    options = ["--identities", "4", "--clips", "6", "--decoded", "5", "-o", str(out), "--sheet", str(sheet)]
    assert run(["evaluate", *options]) == ExitCode.OK
    assert run(["evaluate", "--data", "drawn"]) == ExitCode.OK
    assert [config for _, config in asked] == [DrawnConfig(4, 6, 5), DrawnConfig()]
    assert asked[0][0] == FloatPipeline.from_weights("embedded").config.name
    assert json.loads(out.read_text()) == {"photograph": {"jaw": 0.5}}
    assert sheet.read_bytes() == b"a sheet"
    assert capsys.readouterr().out.splitlines()[0] == "a table of ['photograph']"


BAD = [
    (["--data", "{tmp}/nowhere"], ExitCode.INPUT, "no clips are in {tmp}/nowhere"),
    (["--data", "{data}", "--weights", "{tmp}/no.safetensors"], ExitCode.WEIGHTS, "{tmp}/no.safetensors"),
    (["--data", "{data}", "--network", "i3d={tmp}/no.pt"], ExitCode.WEIGHTS, "{tmp}/no.pt is not there"),
    (["--data", "{data}", "--network", "i3d={data}/0.tar"], ExitCode.WEIGHTS, "is no TorchScript network"),
    (["--data", "{data}", "--network", "nose=a.pt"], ExitCode.USAGE, "'nose=a.pt' is not understood"),
    (["--data", "{data}", "--identities", "3"], ExitCode.USAGE, "--identities is for drawn faces"),
    (["--data", "{data}", "--video", "{tmp}/side.txt"], ExitCode.USAGE, "names no known kind of video"),
    (["--data", "{data}", "-o", "{tmp}/no/figures.json"], ExitCode.INPUT, "there is no folder"),
    (["--data", "{data}", "--sheet", "{tmp}/a.png"], ExitCode.USAGE, "--sheet is for drawn faces"),
    (["--sheet", "{tmp}/a.jpg"], ExitCode.USAGE, "names no known kind of picture"),
    (["--sheet", "{tmp}/no/a.png"], ExitCode.INPUT, "there is no folder"),
    (["--sheet", "{tmp}/a.png", "-o", "{tmp}/a.png"], ExitCode.USAGE, "would be written twice"),
    (["--video", "{tmp}/side.mp4"], ExitCode.USAGE, "--video is for prepared clips"),
    (["--network", "i3d=a.pt"], ExitCode.USAGE, "--network is for prepared clips"),
    (["--every", "2"], ExitCode.USAGE, "--every is for prepared clips"),
    (["--device", "cuda"], ExitCode.USAGE, "measured on the CPU"),
    (["--clips", "3", "--decoded", "5"], ExitCode.USAGE, "5 clips can't be decoded of 3"),
    (["--clips", "1", "--decoded", "1"], ExitCode.USAGE, "one clip of speech is too few"),
    (["--data", ""], ExitCode.USAGE, "a path is empty"),
    (["--data", "{data}", "--device", "cuda:99"], ExitCode.DEVICE, "there is no device cuda:99"),
    (["--data", "{data}", "-o", "{tmp}/a.mp4", "--video", "{tmp}/a.mp4"], ExitCode.USAGE, "would be written twice"),
]


@pytest.mark.parametrize(("words", "code", "said"), BAD)
def test_what_cannot_be_used_is_one_line_and_an_exit_code(
    words: list[str], code: int, said: str, prepared: Path, tiny_weights: Path, tmp_path: Path, capsys
):
    words = [word.format(tmp=tmp_path, data=prepared) for word in words]
    given = [] if "--weights" in words or "--data" not in words else ["--weights", str(tiny_weights)]
    assert run(["evaluate", *words, *given]) == code
    errors = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert len(errors) == 1
    assert said.format(tmp=tmp_path) in errors[0]
    assert not list(tmp_path.iterdir())
