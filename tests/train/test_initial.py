"""Runs that start from weights: equal to them at first, of their sizes, and true to them until exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("skia", exc_type=ImportError)
pytest.importorskip("espeakng_loader")

from floatcli.checkpoint.load import load_model, save_model
from floatcli.cli.app import run
from floatcli.config import ModelConfig
from floatcli.errors import InputError, WeightsError
from floatcli.models.conditions import WindowCondition
from floatcli.train import checkpoints
from floatcli.train.audio_stage import AudioPart, EmotionPart
from floatcli.train.autoencoder_stage import MODULES, READERS
from floatcli.train.export import export_run
from floatcli.train.flow_stage import FlowPart, FlowSettings, flow_part, named_basis
from floatcli.train.frozen import frozen_model
from floatcli.train.initial import begin, initial_weights
from floatcli.train.loop import Run
from floatcli.train.loop_config import LoopConfig
from floatcli.train.parameters import NAMES, SCALE
from floatcli.train.patch_parts import MouthPart
from floatcli.train.record import record
from floatcli.train.settings import Settings, load_settings
from tests.unit.test_anchored import CONFIG as ANCHORED
from tests.unlike import random_model

CONFIG = replace(ANCHORED, name="anna", coefficient_names=NAMES, coefficient_scales=tuple(map(float, SCALE)))
EXAMPLE = Path(__file__).parents[2] / "examples" / "finetune.toml"
SHORT = "steps = 1\nbatch = 2\nsave_every = 1\nlog_every = 1\n"


def saved(path: Path, config: ModelConfig = CONFIG, seed: int = 0) -> Path:
    save_model(random_model(config, seed), path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("weights") / "anna.safetensors")


def silent(line: str) -> None:
    pass


def parts(config: ModelConfig) -> dict[str, torch.nn.Module]:
    """New ones of every kind."""
    modules = {name: kind(config) for name, kind in MODULES.items()}
    modules |= {"audio": AudioPart(config), "emotion": EmotionPart(config)}
    return modules | {"flow": FlowPart(config, modules["audio"].encoder, named_basis(config))}


def test_a_run_that_has_not_learnt_yet_is_the_weights_it_starts_from(weights: Path, tmp_path: Path):
    init = load_model(weights, lazily=True)
    for name, module in parts(CONFIG).items():
        begin(name, module, init)
        Run(name, module, LoopConfig(), tmp_path).save()
    export_run(CONFIG, tmp_path, tmp_path / "out.safetensors")  # from the checkpoints alone
    before, after = load_model(weights).state_dict(), load_model(tmp_path / "out.safetensors").state_dict()
    assert all(torch.equal(before[name].half(), after[name].half()) for name in before)


def test_what_only_trains_starts_anew(weights: Path):
    part = AudioPart(CONFIG)
    lips = part.lips.weight.clone()
    begin("audio", part, load_model(weights))
    assert torch.equal(part.lips.weight, lips)


def test_a_checkpoint_comes_before_the_weights(weights: Path, tmp_path: Path):
    learnt = MouthPart(CONFIG)
    Run("mouth", learnt, LoopConfig(), tmp_path).save()
    part = MouthPart(CONFIG)
    begin("mouth", part, load_model(weights))
    resumed = Run("mouth", part, LoopConfig(), tmp_path).module.state_dict()
    assert all(torch.equal(resumed[name], tensor) for name, tensor in learnt.state_dict().items())


def test_parts_that_were_not_trained_are_exported_as_they_were(weights: Path, tmp_path: Path):
    part = MouthPart(CONFIG)
    Run("mouth", part, LoopConfig(), tmp_path).save()
    export_run(CONFIG, tmp_path, tmp_path / "out.safetensors", load_model(weights, lazily=True))
    before, after = load_model(weights), load_model(tmp_path / "out.safetensors")
    assert torch.equal(
        after.decoder.mouth.state_dict()["decoder.out.weight"], part.editor.decoder.out.weight.half().float()
    )
    assert torch.equal(after.field.motion_in.weight, before.field.motion_in.weight.half().float())


def test_the_weights_say_what_the_settings_do_not(tmp_path: Path):
    (tmp_path / "a.toml").write_text('[model]\nname = "ben"\n[model.field]\nreach = 7\n')
    model = load_settings(tmp_path / "a.toml", CONFIG).model
    assert model == replace(CONFIG, name="ben", field=replace(CONFIG.field, reach=7))
    assert load_settings(tmp_path / "a.toml").model.motion_dim == ModelConfig().motion_dim
    (tmp_path / "a.toml").write_text('[model]\ndecoder = "warped"\nbasis_size = 12\n')
    with pytest.raises(InputError, match=r"\[model\] is warped, the weights to start from are anchored"):
        load_settings(tmp_path / "a.toml", CONFIG)
    (tmp_path / "a.toml").write_text("model = 3")
    with pytest.raises(InputError, match="model is not an object"):
        load_settings(tmp_path / "a.toml", CONFIG)


def test_the_settings_for_fine_tuning_are_the_papers():
    field = load_settings(EXAMPLE, CONFIG).flow.field
    assert (field.lr, field.batch, field.schedule, field.grad_norm) == (1e-5, 8, "constant", 1)
    assert load_settings(EXAMPLE, CONFIG).model == CONFIG


def test_weights_of_other_sizes_are_one_line(weights: Path):
    other = replace(CONFIG, field=replace(CONFIG.field, width=CONFIG.field.width * 2))
    with pytest.raises(
        WeightsError, match=r"are not of this \[model\]: flow's field\.\S+ is \d+(x\d+)*, not \d+"
    ) as told:
        begin("flow", parts(other)["flow"], load_model(weights))
    assert "leave [model] out" in told.value.hint
    deeper = replace(CONFIG, field=replace(CONFIG.field, depth=CONFIG.field.depth + 1))
    with pytest.raises(WeightsError, match="is not there, not"):
        begin("flow", parts(deeper)["flow"], load_model(weights))
    wider = replace(CONFIG, audio_dim=CONFIG.audio_dim * 2)
    with pytest.raises(WeightsError, match=r"audio_encoder's norm\.bias is 32, not 64"):
        frozen_model(wider, Path("no run"), load_model(weights))


@torch.no_grad()
def test_a_field_that_shall_follow_a_pose_starts_as_one_that_does_not(weights: Path):
    posed, init = replace(CONFIG, field=replace(CONFIG.field, pose=True)), load_model(weights)
    part = flow_part(posed, FlowSettings(), init.audio_encoder, init.basis, init)
    torch.manual_seed(0)
    frames = CONFIG.preceding + CONFIG.window
    given = WindowCondition(
        torch.randn(1, CONFIG.motion_dim), torch.randn(1, CONFIG.preceding, CONFIG.motion_dim),
        torch.randn(1, CONFIG.preceding, CONFIG.audio_dim), torch.randn(1, CONFIG.window, CONFIG.audio_dim),
        torch.rand(1, len(CONFIG.emotions)),
    )  # fmt: skip
    t, x_t = torch.tensor([0.4]), torch.randn(1, CONFIG.window, CONFIG.motion_dim)
    told = given._replace(pose=part.field.pose_in(torch.randn(1, frames, 6)))
    assert torch.allclose(part.field(t, x_t, told), init.field(t, x_t, given), atol=1e-4)


def test_a_run_remembers_its_weights_and_keeps_to_them(weights: Path, tmp_path: Path):
    said: list[str] = []
    assert initial_weights(None, tmp_path, said.append) is None
    initial = initial_weights(str(weights), tmp_path / "run", said.append)
    assert initial is not None
    record(Settings(), tmp_path / "run", [], print, initial)
    again = initial_weights(None, tmp_path / "run", said.append)
    assert again is not None
    assert again.model.config == CONFIG
    assert said == [f"starting from {weights}"] * 2
    other = saved(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(InputError, match="started from other weights"):
        initial_weights(str(other), tmp_path / "run", said.append)
    mine = saved(tmp_path / "mine.safetensors")
    record(Settings(), tmp_path / "mine", [], print, initial_weights(str(mine), tmp_path / "mine", said.append))
    mine.unlink()
    with pytest.raises(WeightsError, match="there are no weights at"):
        initial_weights(None, tmp_path / "mine", said.append)


@pytest.mark.parametrize(("name", "licence"), [("float", "CC BY-NC-ND 4.0: for research"), ("embedded", "Apache-2.0")])
def test_the_licence_of_known_weights_is_repeated(tmp_path: Path, name: str, licence: str):
    said: list[str] = []
    path = saved(tmp_path / "some.safetensors", replace(CONFIG, name=name))
    initial_weights(str(path), tmp_path / "run", said.append)
    assert said[0].startswith(f"starting from {path}: {name}, {licence}")


def toml(folder: Path) -> str:
    loops = "".join(f"[autoencoder.{name}]\n{SHORT}" for name in MODULES | READERS)
    loops = loops.replace("mouth]", 'mouth]\nnetwork = "drawn"').replace("eyes]", 'eyes]\nnetwork = "drawn"')
    loops += "".join(f"[flow.{name}]\n{SHORT}" for name in ("audio", "emotion", "field"))
    drawn = f'[autoencoder.drawn]\nfolder = "{folder}/drawn"\nidentities = 1\nshard = 1\nrestyled = 0\nsize = 64\n'
    speech = f'[flow.speech]\nfolder = "{folder}/speech"\nclips = 3\nseconds = 8\n'
    return loops + drawn + speech


def test_both_stages_from_weights_make_weights_that_animate(
    weights: Path, tmp_path: Path, face_file, speech_file, capsys
):
    (tmp_path / "a.toml").write_text(toml(tmp_path))
    out, folder = str(tmp_path / "out.safetensors"), tmp_path / "run"
    command = ["train", "all", str(tmp_path / "a.toml"), "--run", str(folder), "-o", out, "--threads", "1"]
    assert run([*command, "--init", str(weights)]) == 0
    assert f"starting from {weights}" in capsys.readouterr().err
    assert all(checkpoints.checkpoints(folder, name) for name in (*MODULES, "audio", "emotion", "flow"))
    before, after = load_model(weights).state_dict(), load_model(out).state_dict()
    change = [
        (after[name] - before[name]).abs().max() / before[name].std() for name in before if before[name].numel() > 1
    ]
    assert max(change) < 0.5  # a step from where it started, not from anywhere
    made = ["--weights", out, "--crop", "none", "--device", "cpu", "-q", "-o", str(tmp_path / "a.mp4")]
    assert run(["animate", str(face_file), str(speech_file), *made]) == 0
