"""Weights say how their field is conditioned and what it predicts, and ``animate`` goes by that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from floatcli.checkpoint.load import load_model, save_model
from floatcli.cli.app import run
from floatcli.config import OBJECTIVES, ModelConfig
from floatcli.errors import ExitCode
from floatcli.models.float_model import FloatModel
from tests.conftest import TINY


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of models that differ in one setting each; those that have the same tensors hold the same."""
    crossed = replace(TINY, field=replace(TINY.field, conditioning="cross-attention"))
    configs = {name: replace(TINY, objective=name) for name in OBJECTIVES} | {"cross-attention": crossed}
    return {
        name: _saved(config, tmp_path_factory.mktemp("weights") / "w.safetensors") for name, config in configs.items()
    }


def _saved(config: ModelConfig, path: Path) -> Path:
    torch.manual_seed(0)
    model = FloatModel(config)
    for parameter in model.field.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    save_model(model, path)
    return path


def _animate(weights: Path, face: Path, speech: Path, output: Path, *options: str) -> int:
    made = ["--weights", str(weights), "--crop", "none", "--nfe", "2", "--device", "cpu", "-o", str(output)]
    return run(["animate", str(face), str(speech), *made, *options])


def test_what_is_set_travels_with_the_weights(weights):
    for name in OBJECTIVES:
        model = load_model(weights[name])
        assert model.config == replace(TINY, objective=name)
        assert model.field.objective == name
    assert load_model(weights["cross-attention"]).config.field.conditioning == "cross-attention"


def test_animate_samples_by_what_the_weights_predict(weights, face_file, speech_file, tmp_path):
    motions = {}
    for name, path in weights.items():
        output = tmp_path / f"{name}.mp4"
        assert _animate(path, face_file, speech_file, output) == ExitCode.OK
        motions[name] = load_file(output.with_suffix(".motion.safetensors"))["latents"]
        assert motions[name].isfinite().all()
    for name in ("epsilon", "x0", "cross-attention"):
        assert not torch.allclose(motions[name], motions["flow"], atol=1e-2), name
    assert not torch.allclose(motions["epsilon"], motions["x0"], atol=1e-2)


def test_a_solver_that_makes_no_sense_is_one_clear_line(weights, face_file, speech_file, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    assert _animate(weights["x0"], face_file, speech_file, output, "--solver", "midpoint") == ExitCode.USAGE
    said = capsys.readouterr().err.strip()
    assert "these weights predict x0" in said
    assert "Traceback" not in said
    assert not output.exists()
