"""One command from nothing to weights that animate."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open

pytest.importorskip("skia", exc_type=ImportError)
pytest.importorskip("espeakng_loader")

from floatcli.checkpoint.load import load_model
from floatcli.cli import train
from floatcli.cli.app import run
from floatcli.config import EMOTIONS
from floatcli.errors import ExitCode
from floatcli.media.ffmpeg import media_info
from floatcli.rows import read_rows
from floatcli.train import autoencoder_stage, checkpoints, loop, motion_stage
from floatcli.train.cached_data import read_index
from floatcli.train.parts import PARTS
from floatcli.train.record import STARTS, recorded

EXAMPLES = Path(__file__).parents[2] / "examples"
TINY = EXAMPLES / "tiny.toml"


@pytest.mark.training
def test_both_stages_make_weights_that_animate(tmp_path, monkeypatch, capsys, face_file, speech_file):
    monkeypatch.chdir(tmp_path)
    assert run(["train", "all", str(TINY), "--run", "run", "-o", "tiny.safetensors"]) == ExitCode.OK
    said = capsys.readouterr().err
    for name, loss in (("landmarks", "whole_points"), ("audio", "lips"), ("flow", "field")):
        losses = [float(value) for value in re.findall(rf"{name} \d+/\d+ .*?{loss} ([\d.]+)", said)]
        assert losses[-1] < 0.95 * losses[0], f"{name} learns nothing: {losses}"
    parts = (*PARTS["anchored"], "audio", "emotion", "flow")
    assert all(checkpoints.checkpoints(Path("run"), name) for name in parts)
    info = media_info(Path("run/flow-000100.mp4"))
    assert info is not None
    assert info.audio
    assert info.video
    made = ["--weights", "tiny.safetensors", "--crop", "none", "-o", "a.mp4"]
    assert run(["animate", str(face_file), str(speech_file), *made]) == ExitCode.OK
    assert Path("a.mp4").stat().st_size > 1000
    assert run(["train", "all", str(TINY), "--run", "run", "-o", "again.safetensors"]) == ExitCode.OK
    assert not re.search(r"\d+/\d+ ", capsys.readouterr().err)
    with safe_open("tiny.safetensors", "pt") as first, safe_open("again.safetensors", "pt") as again:
        assert again.metadata() == first.metadata()  # in no order
        assert all(torch.equal(again.get_tensor(key), first.get_tensor(key)) for key in first.keys())  # noqa: SIM118


@pytest.mark.training
def test_the_published_decoder_learns_from_drawn_people_who_speak(tmp_path, monkeypatch, capsys):
    """Stage 1 from portraits, listeners from synthetic speech, clips that are drawn, cached and learnt from."""
    monkeypatch.chdir(tmp_path)
    example = (EXAMPLES / "tiny-warped.toml").read_text()
    Path("brief.toml").write_text(
        example.replace("steps = 160", "steps = 40").replace("save_every = 80", "save_every = 40")
    )
    assert run(["train", "all", "brief.toml", "--run", "run", "-o", "tiny.safetensors"]) == 0
    said = capsys.readouterr().err
    for name, loss in (("autoencoder", "l1"), ("audio", "lips"), ("flow", "preceding")):
        losses = [float(value) for value in re.findall(rf"{name} \d+/\d+ .*?{loss} ([\d.]+)", said)]
        assert losses[-1] < 0.95 * losses[0], f"{name} learns nothing: {losses}"
    labels = {clip.emotion for clip in read_index(Path("run/cache"))["clips"]}
    assert labels <= set(EMOTIONS)  # every drawn clip is labelled
    info = media_info(Path("run/flow-000100.mp4"))
    assert info is not None
    assert info.audio
    *_, start = read_rows(Path("run") / STARTS)
    assert start["commit"] is None or len(start["commit"]) >= 40
    assert recorded(Path("run")).model.name == "tiny-warped"
    assert load_model("tiny.safetensors").config == recorded(Path("run")).model


@pytest.mark.parametrize("first", [True, False])
def test_of_several_processes_one_exports(first, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(loop, "processes", lambda: SimpleNamespace(is_main_process=first))
    monkeypatch.setattr(train, "_begin", lambda *given: None)
    monkeypatch.setattr(train, "export", lambda *given: written.append(given))
    for stage in (autoencoder_stage, motion_stage):
        for name in ("check_stage", "train_stage"):
            monkeypatch.setattr(stage, name, lambda *given, **more: None)
    output = tmp_path / "tiny.safetensors"
    assert run(["train", "all", str(TINY), "--run", str(tmp_path), "-o", str(output)]) == ExitCode.OK
    assert written == [(tmp_path, output)] * first


def test_where_weights_cannot_go_is_told_before_anything_is_trained(tmp_path, capsys):
    assert run(["train", "all", str(TINY), "--run", str(tmp_path), "-o", "tiny.pth"]) == ExitCode.USAGE
    assert "does not end in .safetensors" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
