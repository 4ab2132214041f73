"""Stage 1 from drawing to weights: each part learns, and what it learnt is exported."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("skia", exc_type=ImportError)

from accelerate.utils import send_to_device

from floatcli.checkpoint.load import load_model
from floatcli.errors import InputError
from floatcli.models.landmark_net import POINTS, LandmarkNet
from floatcli.train import autoencoder_stage as stage
from floatcli.train.drawn_data import (
    ANCHOR_COLUMNS,
    EXPRESSIONS,
    FRAMES,
    OTHERS,
    POSE_COLUMNS,
    POSES,
    SOURCE,
    DrawnConfig,
    DrawnSets,
    draw_shards,
    set_parameters,
)  # fmt: skip
from floatcli.train.encoder_part import EncoderPart
from floatcli.train.export import export_run
from floatcli.train.landmarks_part import look_losses
from floatcli.train.likeness import flow_loss
from floatcli.train.loop import Run
from floatcli.train.loop_config import LoopConfig
from floatcli.train.parameters import rest
from floatcli.train.settings import AutoencoderSettings, PatchSettings, Settings, load_settings
from floatcli.train.warp_part import WarpPart
from tests.unit.test_anchored import CONFIG

EVERY = stage.MODULES | stage.READERS
EVERY |= {"picture reader": lambda config: EncoderPart(dataclasses.replace(config, decoder="warped"))}


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    """Twelve pictures of three persons, and loops of a few steps."""
    drawn = DrawnConfig(str(tmp_path_factory.mktemp("drawn")), identities=2, shard=2, restyled=1, size=64)
    draw_shards(drawn, lambda line: None)
    brief = {"steps": 2, "batch": 1, "save_every": 2, "log_every": 1}
    loops = dict.fromkeys((*stage.MODULES, *stage.READERS), LoopConfig(**brief))
    loops |= dict.fromkeys(("mouth", "eyes"), PatchSettings(**brief, network="drawn"))
    return Settings(CONFIG, AutoencoderSettings(drawn, **loops))


def test_sets_keep_their_roles():
    rows = set_parameters(np.random.default_rng(0), lambda rng: rng.normal(size=20).astype(np.float32))
    expression = np.setdiff1d(np.arange(20), POSE_COLUMNS)
    assert rows.shape == (FRAMES, 20)
    assert (rows[EXPRESSIONS][:, POSE_COLUMNS] == rows[SOURCE, POSE_COLUMNS]).all()
    assert (rows[POSES][:, expression] == rows[SOURCE, expression]).all()
    assert (rows[POSES][:, POSE_COLUMNS] != rows[SOURCE, POSE_COLUMNS]).all()
    assert (rows[OTHERS] != rows[SOURCE]).any(1).all()


def test_shards_are_drawn_once_and_the_same_again(settings, tmp_path, monkeypatch):
    drawn = settings.autoencoder.drawn
    files = sorted(Path(drawn.folder).glob("*.npy"))
    assert [file.name for file in files if "pictures" in file.name] == ["0000-1.pictures.npy", "0000.pictures.npy"]
    before = [file.stat().st_mtime_ns for file in files]
    draw_shards(drawn, lambda line: None)
    assert [file.stat().st_mtime_ns for file in files] == before
    with pytest.raises(InputError, match="drawings of other settings"):
        draw_shards(dataclasses.replace(drawn, seed=drawn.seed + 1), lambda line: None)
    monkeypatch.setattr("floatcli.train.drawn_data.LOOK", 1)
    with pytest.raises(InputError, match="drawings of other settings"):
        draw_shards(drawn, lambda line: None)
    again = dataclasses.replace(drawn, folder=str(tmp_path))
    draw_shards(again, lambda line: None)
    for file in files:
        assert file.read_bytes() == (tmp_path / file.name).read_bytes()


def test_batches_are_in_grid_coordinates(settings):
    batch = DrawnSets(settings.autoencoder.drawn).sample(np.random.default_rng(0), 2, (0, 3))
    assert batch.pictures.shape == (2, 2, 64, 64, 3)
    assert batch.landmarks.shape[:2] == (2, 2)
    assert -1 <= batch.images(0).min() < batch.images(0).max() <= 1
    anchors = batch.landmarks[:, :, ANCHOR_COLUMNS]
    assert (anchors[..., 0, 0] < anchors[..., 1, 0]).all()  # the left eye is left of the right one


def test_only_what_settings_ask_for_is_read(settings):
    drawn = settings.autoencoder.drawn
    assert len(DrawnSets(drawn).shards) == 1 + drawn.restyled
    assert len(DrawnSets(dataclasses.replace(drawn, restyled=0)).shards) == 1


def test_no_drawings_is_said(tmp_path):
    with pytest.raises(InputError, match="no drawn portraits"):
        DrawnSets(DrawnConfig(folder=str(tmp_path)))


@pytest.mark.parametrize("name", EVERY)
def test_each_part_descends_on_one_batch(settings, name):
    """Overfitting one batch: a part whose losses don't reach its weights could not."""
    torch.manual_seed(0)
    part = EVERY[name](settings.model)
    sets = DrawnSets(settings.autoencoder.drawn)
    batch = sets.sample(np.random.default_rng(1), 2, part.frames)
    optimiser = torch.optim.Adam(part.parameters(), lr=3e-3)

    def total() -> torch.Tensor:
        torch.manual_seed(2)
        return torch.stack(list(part.losses(batch, np.random.default_rng(3)).values())).sum()

    first = total().item()
    for _ in range(80):
        optimiser.zero_grad()
        total().backward()
        optimiser.step()
    assert total().item() < 0.93 * first
    assert all(p.grad is not None for p in part.parameters())


@pytest.mark.parametrize("name", EVERY)
def test_each_part_learns_on_other_devices(settings, name):
    """On torch's device without numbers, which refuses whatever lies elsewhere as a GPU would."""
    part = EVERY[name](settings.model).to("meta")
    batch = DrawnSets(settings.autoencoder.drawn).sample(np.random.default_rng(1), 2, part.frames)
    losses = part.losses(send_to_device(batch, "meta"), np.random.default_rng(3))
    torch.stack(list(losses.values())).sum().backward()
    assert {loss.device.type for loss in losses.values()} == {"meta"}


def test_flow_loss_is_zero_for_the_true_flow():
    here = torch.tensor([[[0.2, -0.4], [-0.5, 0.1]]])
    shift = torch.tensor([0.1, -0.05])
    flow = shift.view(1, 2, 1, 1).expand(1, 2, 8, 8)
    assert flow_loss(flow, here, here + shift) < 1e-6
    assert flow_loss(flow, here, here) == pytest.approx(0.15, abs=1e-5)


def test_a_run_becomes_weights_that_load(settings, tmp_path):
    for name in stage.MODULES:
        stage.train_part(name, settings, tmp_path, lambda line: None)
    assert all((tmp_path / f"{name}-000002.png").exists() for name in stage.MODULES)
    with pytest.raises(InputError, match="has no checkpoint of audio"):
        export_run(settings.model, tmp_path, tmp_path / "out.safetensors")
    from floatcli.models.audio_encoder import AudioEncoder
    from floatcli.train.audio_stage import AudioPart, EmotionPart
    from floatcli.train.flow_stage import FlowPart, named_basis

    audio = AudioEncoder(settings.model)
    for name, part in (
        ("audio", AudioPart(settings.model)),
        ("emotion", EmotionPart(settings.model)),
        ("flow", FlowPart(settings.model, audio, named_basis(settings.model))),
    ):
        Run(name, part, LoopConfig(), tmp_path).save()
    export_run(settings.model, tmp_path, tmp_path / "out.safetensors")
    model = load_model(tmp_path / "out.safetensors")
    mouth = Run("mouth", stage.MouthPart(settings.model), LoopConfig(), tmp_path).average.editor.decoder.out.weight
    assert torch.allclose(model.decoder.mouth.decoder.out.weight, mouth, atol=1e-3)
    portrait = model.encode(torch.zeros(1, 3, 64, 64))
    assert model.decode(portrait, portrait.ref_motion).shape == (1, 3, 64, 64)


def test_parts_learn_from_portraits_that_are_drawn_meanwhile(settings, tmp_path):
    anew = dataclasses.replace(settings.autoencoder, drawn=DrawnConfig(identities=0, size=64), workers=1)
    endless = dataclasses.replace(settings, autoencoder=anew)
    said: list[str] = []
    stage.train_stage(endless, ("landmarks",), "drawn", tmp_path, said.append)
    assert [line.split("  ")[0] for line in said] == ["landmarks 1/2", "landmarks 2/2"]


def test_shipped_settings_load_and_name_the_basis():
    settings = load_settings(Path(__file__).parents[2] / "weights" / "embedded.toml")
    assert settings.model.coefficient_names[0] == "jaw"
    assert len(settings.model.coefficient_names) == len(rest()) == settings.model.basis_size


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[model]\nnmae = 'x'", "unknown keys: nmae"),
        ("[model\n", "is not TOML"),
        ("[autoencoder.mouth]\nsteps = 'many'", "steps"),
        ("[autoencoder.nose]\nsteps = 3", "unknown keys: nose"),
    ],
)
def test_bad_settings_are_told(tmp_path, text, says):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(InputError, match=says):
        load_settings(tmp_path / "a.toml")


def test_missing_settings_are_told(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        load_settings(tmp_path / "none.toml")


def test_settings_that_may_not_be_read_are_told(tmp_path, monkeypatch):
    closed = tmp_path / "closed.toml"
    closed.write_text("[model]")
    monkeypatch.setattr("floatcli.checks.os.access", lambda *_: False)
    with pytest.raises(InputError, match=r"may not be read \(check the file's permissions\)"):
        load_settings(closed)


def test_points_beyond_the_picture_do_not_count(settings):
    look = LandmarkNet(settings.model.anchored).face
    pictures, truth = torch.rand(2, 3, 32, 32), torch.rand(2, len(POINTS), 2) - 0.5
    truth[:, 5] = 3.0
    away = truth.clone()
    away[:, 5] = -7.0
    assert dict(look_losses(look, pictures, truth)) == dict(look_losses(look, pictures, away))


def test_mattes_are_taught_in_the_source_and_where_it_turns_to(settings):
    part = WarpPart(settings.model)
    batch = DrawnSets(settings.autoencoder.drawn).sample(np.random.default_rng(1), 2, part.frames)
    turn = part.turn(batch, np.random.default_rng(3))
    truth = torch.nn.functional.interpolate(batch.opacity(0), size=turn.matte.shape[-2:], mode="area")
    right = turn._replace(
        matte=torch.logit(truth.clamp(1e-4, 1 - 1e-4)).repeat_interleave(2, 0),
        head=batch.opacity(slice(1, None)).flatten(0, 1),
    )
    wrong, losses = part.matte_losses(turn, batch), part.matte_losses(right, batch)
    assert losses["silhouette"] == 0
    assert losses["matte"] < 0.2 * wrong["matte"]
