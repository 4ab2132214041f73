"""One command from nothing to weights that animate."""

import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

pytest.importorskip("skia", exc_type=ImportError)
pytest.importorskip("espeakng_loader")

from floatcli.cli.app import run
from floatcli.errors import ExitCode
from floatcli.train import checkpoints

TINY = Path(__file__).parents[2] / "examples" / "tiny.toml"


@pytest.mark.training
def test_both_stages_make_weights_that_animate(tmp_path, monkeypatch, capsys, face_file, speech_file):
    monkeypatch.chdir(tmp_path)
    assert run(["train", "all", str(TINY), "--run", "run", "-o", "tiny.safetensors"]) == ExitCode.OK
    said = capsys.readouterr().err
    for name, loss in (("landmarks", "anchors"), ("audio", "lips"), ("flow", "field")):
        losses = [float(value) for value in re.findall(rf"{name} \d+/\d+ .*?{loss} ([\d.]+)", said)]
        assert losses[-1] < 0.95 * losses[0], f"{name} learns nothing: {losses}"
    parts = ("encoder", "landmarks", "mouth", "eyes", "warp", "audio", "emotion", "flow")
    assert all(checkpoints.checkpoints(Path("run"), name) for name in parts)
    made = ["--weights", "tiny.safetensors", "--crop", "none", "-o", "a.mp4"]
    assert run(["animate", str(face_file), str(speech_file), *made]) == ExitCode.OK
    assert Path("a.mp4").stat().st_size > 1000
    assert run(["train", "all", str(TINY), "--run", "run", "-o", "again.safetensors"]) == ExitCode.OK
    assert not re.search(r"\d+/\d+ ", capsys.readouterr().err)
    with safe_open("tiny.safetensors", "pt") as first, safe_open("again.safetensors", "pt") as again:
        assert again.metadata() == first.metadata()  # in no order
        assert all(torch.equal(again.get_tensor(key), first.get_tensor(key)) for key in first.keys())  # noqa: SIM118


def test_where_weights_cannot_go_is_told_before_anything_is_trained(tmp_path, capsys):
    assert run(["train", "all", str(TINY), "--run", str(tmp_path), "-o", "tiny.pth"]) == ExitCode.USAGE
    assert "does not end in .safetensors" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
