"""What can't be done is told before anything is drawn or trained, and leaves the run's folder as it was."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from torch import nn

pytest.importorskip("skia", exc_type=ImportError)
pytest.importorskip("espeakng_loader")

from floatcli.checkpoint.load import save_model
from floatcli.cli.app import run
from floatcli.errors import ExitCode
from floatcli.train.learning import Learning
from floatcli.train.loop_config import LoopConfig
from floatcli.train.record import record
from floatcli.train.settings import load_settings
from tests.unlike import random_model

EXAMPLES = Path(__file__).parents[2] / "examples"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def example(name: str) -> Path:
    """One of the examples, in the current folder; what it draws goes there too."""
    path = Path(f"{name}.toml")
    path.write_text((EXAMPLES / path.name).read_text().replace(f"runs/{name}/", "made/"))
    return path


@pytest.mark.parametrize(
    ("name", "command", "part"),
    [
        ("tiny", ["autoencoder"], "warp"),  # the last, before which others would be trained
        ("tiny", ["autoencoder", "--part", "eyes"], "eyes_reader"),
        ("tiny", ["flow", "--part", "audio"], "audio"),
        ("tiny", ["flow"], "flow"),
        ("tiny", ["all", "-o", "a.safetensors"], "flow"),
        ("tiny-warped", ["autoencoder"], "autoencoder"),
        ("tiny-warped", ["autoencoder"], "encoder"),
        ("tiny-warped", ["all", "-o", "a.safetensors"], "emotion"),
    ],
)
def test_a_resume_that_is_refused_leaves_the_run_as_it_was(name, command, part, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config, folder = example(name), Path("run")
    record(load_settings(config), folder, ["train", "before"], print)
    Learning(part, nn.Linear(2, 2), LoopConfig(), folder).save()
    before = contents(tmp_path)
    config.write_text(config.read_text().replace("log_every = 10", "log_every = 5"))
    assert run(["train", command[0], str(config), "--run", str(folder), *command[1:]]) == ExitCode.INPUT
    assert f"{part}-0000000.pt cannot be resumed" in capsys.readouterr().err
    assert contents(tmp_path) == before | {config.name: config.read_bytes()}


@pytest.mark.parametrize("name", ["tiny", "tiny-warped"])
@pytest.mark.parametrize("command", [["autoencoder"], ["all", "-o", "a.safetensors"]])
def test_vgg19_that_cannot_be_had_is_told_before_anything_is_drawn(name, command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    config = example(name)
    config.write_text(config.read_text().replace('network = "drawn"', 'network = "vgg19"'))
    assert run(["train", command[0], str(config), "--run", "run", *command[1:]]) == ExitCode.INPUT
    assert "torchvision is not installed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / config.name]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["flow", "--data", "none"], "no clips are in none"),
        (["cache", "--data", "none", "-o", "cache"], "no clips are in none"),
        (["autoencoder", "--data", "none"], "which prepared clips have none of"),
        (["autoencoder", "--part", "autoencoder"], "no part autoencoder of the anchored decoder"),
    ],
)
def test_what_is_refused_is_not_begun(command, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = example("tiny")
    save_model(random_model(load_settings(config).model, 0), Path("w.safetensors"))
    start = ["train", command[0], str(config), "--run", "run", "--init", "w.safetensors"]
    assert run([*start, *command[1:]]) != ExitCode.OK
    assert said in capsys.readouterr().err
    assert not Path("run").exists()


def prepared(folder: Path, *frames: int) -> Path:
    """A folder that says it has a clip of so many frames each, without labels."""
    folder.mkdir()
    clips = [{"key": f"anna-{k:04d}", "frames": count} for k, count in enumerate(frames)]
    row = {"source": "anna.mp4", "status": "done", "shard": "anna.tar", "clips": clips}
    (folder / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    return folder


@pytest.mark.parametrize(
    ("frames", "setting", "said"),
    [
        ((60, 49), "", "data has 1 clips of at least 50 frames"),
        ((60, 60), '[flow]\nemotion_from = "labels"\n', "2 of 2 clips in data have no label"),
        ((60, 60), "[model.field]\npose = true\n", "data holds no poses"),
        ((60, 60), "[model]\nfps = 30\n", "the model 30, 16000"),
    ],
)
def test_clips_the_field_cannot_learn_from_are_told_before_stage_1(
    frames, setting, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    config, data = example("tiny-warped"), str(prepared(Path("data"), *frames))
    table, text = setting.partition("\n")[0] + "\n", config.read_text()
    config.write_text(text.replace(table, setting) if table in text else text + setting)
    save_model(random_model(load_settings(config).model, 0), Path("w.safetensors"))
    flow, init = ["flow", str(config), "--run", "run"], ["--init", "w.safetensors"]
    for command in (
        ["cache", str(config), "--run", "run", "--data", data, "-o", "cache", *init],
        [*flow, "--data", data, *init],
        ["all", str(config), "--run", "run", "--data", data, "-o", "a.safetensors"],
    ):
        assert run(["train", *command]) == ExitCode.INPUT
        assert said in capsys.readouterr().err
        assert not Path("run").exists()
        assert not Path("cache").exists()


@pytest.mark.parametrize("told", [{"size": 32}, {"drawn": {"size": 32}}])
def test_clips_smaller_than_the_models_pictures_are_told(told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config, data = example("tiny-warped"), prepared(Path("data"), 60, 60)
    (data / "settings.json").write_text(json.dumps(told))
    save_model(random_model(load_settings(config).model, 0), Path("w.safetensors"))
    start = [str(config), "--run", "run", "--data", "data", "--init", "w.safetensors"]
    for command in (["cache", *start, "-o", "cache"], ["flow", *start], ["autoencoder", *start]):
        assert run(["train", *command]) == ExitCode.USAGE
        assert "clips of 32 pixels a side, in data, are too small for a model of 64" in capsys.readouterr().err
        assert not Path("run").exists()
        assert not Path("cache").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[model.field]\n", "[model.field]\npose = true\n", "holds no poses"),
        ("seconds = 4", "seconds = 1", "has 0 clips of at least 50 frames"),
    ],
)
def test_drawn_clips_the_field_cannot_learn_from_are_told_before_stage_1(old, new, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = example("tiny-warped")
    config.write_text(config.read_text().replace(old, new))
    assert run(["train", "all", str(config), "--run", "run", "-o", "a.safetensors"]) == ExitCode.INPUT
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / config.name]


@pytest.mark.parametrize("command", [["flow", "--init", "w.safetensors"], ["all", "-o", "a.safetensors"]])
def test_drawn_clips_that_cannot_be_used_are_told_before_a_run_begins(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = example("tiny-warped")
    settings = load_settings(config)
    save_model(random_model(settings.model, 0), Path("w.safetensors"))
    start = ["train", command[0], str(config), "--run", "run", *command[1:]]
    clips = settings.autoencoder.drawn.clips_folder
    clips.mkdir(parents=True)
    (clips / "settings.json").write_text("{}")
    assert run(start) == ExitCode.INPUT
    assert f"{clips} holds clips of other settings" in capsys.readouterr().err
    config.write_text(config.read_text().replace("size = 96", "size = 32"))
    assert run(start) == ExitCode.USAGE
    assert "drawings of 32 pixels a side are too small for a model of 64" in capsys.readouterr().err
    assert not Path("run").exists()


def test_drawn_clips_of_emotions_that_the_weights_do_not_tell_are_told_before_a_run_begins(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    config = example("tiny-warped")
    model = dataclasses.replace(load_settings(config).model, emotions=("calm", "neutral"))
    save_model(random_model(model, 0), Path("w.safetensors"))
    config.write_text(config.read_text() + '\n[flow]\nemotion_from = "labels"\n')
    assert run(["train", "flow", str(config), "--run", "run", "--init", "w.safetensors"]) == ExitCode.INPUT
    assert "have no label" in capsys.readouterr().err
    assert not Path("run").exists()


@pytest.mark.parametrize("name", ["tiny", "tiny-warped"])
def test_drawings_of_other_settings_are_told_before_a_run_begins(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = example(name)
    drawn = Path(load_settings(config).autoencoder.drawn.folder)
    drawn.mkdir(parents=True)
    (drawn / "made.json").write_text("{}")
    assert run(["train", "autoencoder", str(config), "--run", "run"]) == ExitCode.INPUT
    assert f"{drawn} holds drawings of other settings" in capsys.readouterr().err
    assert not Path("run").exists()


def test_settings_that_cannot_be_meant_leave_no_trace_of_the_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = example("tiny")
    save_model(random_model(load_settings(config).model, 0), Path("w.safetensors"))
    config.write_text("[autoencoder.warp]\nsteps = 0")
    assert run(["train", "autoencoder", str(config), "--run", "run", "--init", "w.safetensors"]) == ExitCode.INPUT
    assert "steps is 0" in capsys.readouterr().err
    assert not Path("run").exists()
