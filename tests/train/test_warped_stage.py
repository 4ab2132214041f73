"""Stage 1 for the published decoder: its switches, where gradients go, who judges, and weights that animate."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("skia", exc_type=ImportError)

from floatcli.checkpoint.load import load_model
from floatcli.cli.app import run as cli
from floatcli.errors import ExitCode, InputError, UsageError
from floatcli.models.audio_encoder import AudioEncoder
from floatcli.models.motion_basis import MotionBasis
from floatcli.models.motion_encoder import MotionEncoder
from floatcli.train import autoencoder_stage, warped_stage
from floatcli.train.audio_stage import AudioPart, EmotionPart
from floatcli.train.discriminators import Adversary
from floatcli.train.drawn_data import DrawnConfig, drawn_sets
from floatcli.train.export import PLACES, export_run, places
from floatcli.train.flow_stage import FlowPart
from floatcli.train.loop import Run
from floatcli.train.loop_config import LoopConfig
from floatcli.train.pairs import DrawnPairs, Pairs
from floatcli.train.perceptual import EncoderMaps, Perceptual
from floatcli.train.settings import AutoencoderSettings, Settings, WarpedSettings, load_settings
from floatcli.train.views import picture_views
from floatcli.train.warped_stage import WarpedPart
from tests.conftest import TINY
from tests.train.test_pairs import clips

ROOT = Path(__file__).parents[2]
MODEL = dataclasses.replace(TINY, image_size=32, basis_size=7, motion_dim=24)
ANEW = DrawnConfig(identities=0, restyled=0, size=32)
QUICK = {"steps": 2, "batch": 2, "save_every": 1, "log_every": 1}
LOSSES = ("l1", "perceptual", "component", "adversarial", "part_adversarial", "gram", "r1")


def warped(**changes) -> WarpedSettings:
    """Every loss switched off but for those named."""
    return WarpedSettings(**(dict.fromkeys(LOSSES, 0.0) | QUICK | changes))


def settings(**changes) -> Settings:
    loops = {"encoder": LoopConfig(**QUICK), "warped": warped(**changes)}
    return Settings(MODEL, AutoencoderSettings(ANEW, **loops))


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return DrawnPairs(drawn_sets(ANEW), 2, 32)(np.random.default_rng(1))[0]


@pytest.fixture(scope="module")
def eye() -> Perceptual:
    torch.manual_seed(5)
    return Perceptual(EncoderMaps(MotionEncoder(MODEL)))


@pytest.mark.parametrize(
    ("switch", "shown"),
    [("l1", "l1"), ("perceptual", "perceptual"), ("component", "component"), ("adversarial", "adversarial"),
     ("part_adversarial", "parts"), ("gram", "gram")],
)  # fmt: skip
def test_each_switch_is_one_loss_that_reaches_encoder_basis_and_decoder(switch, shown, pairs, eye):
    loop = warped(**{switch: 2.0})
    torch.manual_seed(0)
    part = WarpedPart(MODEL, loop, eye)
    torch.nn.init.normal_(part.decoder.levels[0].flow.weight, std=0.1)  # it starts at zero, and would stop gradients
    if loop.contested:
        losses, _ = part.losses(pairs, Adversary(picture_views(MODEL, loop), loop))
    else:
        losses = part.losses(pairs)
    assert set(losses) == {shown}
    losses[shown].backward()
    for parameter in (part.motion_encoder.stem.weight, part.basis.weight, part.decoder.start):
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("switch", ["l1", "perceptual", "component"])
def test_a_weight_multiplies_its_loss(switch, pairs, eye):
    def loss(weight: float) -> torch.Tensor:
        torch.manual_seed(0)
        return WarpedPart(MODEL, warped(**{switch: weight}), eye).losses(pairs)[switch].detach()

    torch.testing.assert_close(loss(3.0), 3 * loss(1.0))


def test_the_defaults_are_the_papers():
    paper = WarpedSettings()
    assert [getattr(paper, name) for name in LOSSES] == [1, 10, 100, 1, 1, 100, 10]
    assert (paper.lr, paper.batch, paper.steps, paper.schedule) == (2e-4, 8, 460_000, "constant")
    assert [paper.rate(step) for step in (0, 459_999)] == [2e-4, 2e-4]


def test_what_is_switched_off_is_not_made(monkeypatch, tmp_path):
    made = []

    class Spy(Run):
        def __init__(self, name, module, config, folder, adversary, joining):
            made.append((name, module.perceptual, adversary))
            self.average = copy.deepcopy(module)

        def train(self, *given):
            pass

    monkeypatch.setattr(warped_stage, "Run", Spy)
    monkeypatch.setattr(warped_stage, "train_encoder", lambda *given: pytest.fail("nobody needs it"))
    warped_stage.train_stage(settings(l1=1), (), "drawn", tmp_path, print)
    assert made == [("autoencoder", None, None)]
    warped_stage.train_stage(settings(adversarial=1), (), "drawn", tmp_path, print)
    assert list(made[1][2].judges) == ["full_size", "half_size"]


def test_the_running_average_of_what_was_trained_comes_back(monkeypatch, tmp_path):
    averages = []

    class Spy(Run):
        def train(self, *given):
            averages.append(self.average)

    monkeypatch.setattr(warped_stage, "Run", Spy)
    trained = warped_stage.train_autoencoder(settings(l1=1), "drawn", tmp_path, print)
    assert averages == [trained]
    assert not trained.training


def test_to_begin_with_the_flow_moves_nothing():
    part = WarpedPart(MODEL, warped(l1=1), None)
    level, latent = part.decoder.levels[0], torch.randn(1, 24)
    flow = level.flow(torch.randn(1, 16, 8, 8), latent)
    assert not flow.any()


def test_a_frame_is_identity_and_motion_as_in_the_model(pairs):
    from floatcli.models.float_model import FloatModel

    part, model = WarpedPart(MODEL, warped(l1=1), None).eval(), FloatModel(MODEL).eval()
    assert not model.load_state_dict(part.state_dict(), strict=False).unexpected_keys
    with torch.inference_mode():
        driving = model.encode(pairs.driving)
        expected = model.decode(model.encode(pairs.source), driving.ref_motion)
        assert torch.allclose(part(pairs.source, pairs.driving), expected, atol=1e-5)


def test_it_descends_on_one_batch(pairs, eye):
    torch.manual_seed(0)
    part = WarpedPart(MODEL, warped(l1=1, perceptual=1, component=10), eye)
    optimiser = torch.optim.Adam(part.parameters(), lr=5e-3)
    seen = []
    for _ in range(30):
        optimiser.zero_grad()
        total = sum(part.losses(pairs).values())
        total.backward()
        optimiser.step()
        seen.append(total.item())
    assert seen[-1] < 0.6 * seen[0]
    assert all(p.grad is not None for p in part.parameters())


def test_without_vgg19_drawings_teach_who_judges_and_the_log_says_so(monkeypatch, tmp_path):
    def none(notice):
        raise InputError("torchvision is not installed", "pip install")

    monkeypatch.setattr("floatcli.train.perceptual.vgg19", none)
    lines: list[str] = []
    warped_stage.train_stage(settings(perceptual=1), (), "drawn", tmp_path, lines.append)
    (said,) = [line for line in lines if "VGG-19" in line]
    assert said.startswith("pictures are compared by an encoder that learns from drawings, not by VGG-19: torchvision")
    assert sorted(path.name for path in tmp_path.glob("encoder-*.pt"))[-1] == "encoder-0000002.pt"
    assert (tmp_path / "autoencoder-000002.png").exists()
    again: list[str] = []
    (tmp_path / "autoencoder-0000002.pt").unlink()
    warped_stage.train_stage(settings(perceptual=1), (), "drawn", tmp_path, again.append)
    assert not any(line.startswith("encoder ") for line in again)  # it has learnt already
    with pytest.raises(InputError, match="torchvision is not installed"):
        warped_stage.train_stage(settings(perceptual=1, network="vgg19"), (), "drawn", tmp_path, print)


def test_without_losses_that_compare_no_network_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(warped_stage, "choose_perceptual", lambda *given: pytest.fail("nobody needs it"))
    warped_stage.train_stage(settings(l1=1), (), "drawn", tmp_path, lambda line: None)


def contested(folder: Path, steps: int, **changes) -> dict:
    """The last checkpoint after so many steps against all discriminators."""
    everything = settings(l1=1, adversarial=1, part_adversarial=1, gram=1, r1=1, r1_every=2, steps=steps, **changes)
    warped_stage.train_stage(everything, (), "drawn", folder, lambda line: None)
    return torch.load(folder / f"autoencoder-{steps:07d}.pt", weights_only=True)


def test_a_contest_resumed_equals_a_whole_one_bit_for_bit(tmp_path):
    whole = contested(tmp_path / "whole", 3)
    contested(tmp_path / "parted", 2)
    resumed = contested(tmp_path / "parted", 3)
    for kind in ("module", "average", "adversary"):
        assert all(torch.equal(tensor, resumed[kind][name]) for name, tensor in whole[kind].items())
    assert not any("perceptual" in name for name in whole["module"])


def test_discriminators_may_join_late(tmp_path):
    early, late = contested(tmp_path / "early", 2), contested(tmp_path / "late", 2, adversarial_from=1)
    assert "adversary" in early
    assert "adversary" not in late


def test_workers_that_draw_ahead_change_nothing(tmp_path):
    made = {}
    for workers in (0, 1):
        chosen = settings(l1=1)
        chosen = dataclasses.replace(chosen, autoencoder=dataclasses.replace(chosen.autoencoder, workers=workers))
        warped_stage.train_stage(chosen, (), "drawn", tmp_path / str(workers), lambda line: None)
        made[workers] = torch.load(tmp_path / str(workers) / "autoencoder-0000002.pt", weights_only=True)["module"]
    assert all(torch.equal(tensor, made[1][name]) for name, tensor in made[0].items())


def test_prepared_clips_teach_it(tmp_path):
    folder = clips(tmp_path / "data")
    warped_stage.train_stage(settings(l1=1), (), str(folder), tmp_path / "run", lambda line: None)
    assert (tmp_path / "run" / "autoencoder-0000002.pt").exists()
    with pytest.raises(InputError, match="no clips are in"):
        warped_stage.check_stage(settings(l1=1), (), str(tmp_path / "none"), tmp_path / "run", print)


def test_drawings_smaller_than_the_model_are_told(tmp_path):
    large = dataclasses.replace(settings(l1=1), model=TINY)
    with pytest.raises(UsageError, match=r"drawings of 32 pixels .* model of 64 \(set size = 64 under"):
        warped_stage.check_stage(large, (), "drawn", tmp_path, print)


def test_an_anchored_model_learns_nothing_from_clips_and_parts_are_of_their_decoder(tmp_path):
    anchored = Settings(dataclasses.replace(MODEL, decoder="anchored"))
    with pytest.raises(UsageError, match="which prepared clips have none of"):
        autoencoder_stage.check_stage(anchored, (), str(tmp_path), tmp_path, print)
    with pytest.raises(UsageError, match="no part autoencoder of the anchored decoder"):
        autoencoder_stage.check_stage(anchored, ("autoencoder",), "drawn", tmp_path, print)
    with pytest.raises(UsageError, match=r"no part mouth of the warped decoder \(choose from encoder, autoencoder\)"):
        warped_stage.check_stage(settings(l1=1), ("mouth",), "drawn", tmp_path, print)


def test_what_it_learns_is_exported_and_animates(tmp_path, face_file, speech_file):
    chosen = settings(l1=1)
    warped_stage.train_stage(chosen, (), "drawn", tmp_path, lambda line: None)
    learnt = torch.load(tmp_path / "autoencoder-0000002.pt", weights_only=True)["average"]
    basis = MotionBasis(MODEL)
    basis.load_state_dict({"weight": learnt["basis.weight"]})
    flow = FlowPart(MODEL, AudioEncoder(MODEL), basis)
    for name, part in (("audio", AudioPart(MODEL)), ("emotion", EmotionPart(MODEL)), ("flow", flow)):
        Run(name, part, LoopConfig(), tmp_path).save()
    weights = tmp_path / "made.safetensors"
    export_run(chosen.model, tmp_path, weights)
    model = load_model(weights)
    for name in ("motion_encoder.stem.weight", "basis.weight", "decoder.start"):
        assert torch.allclose(model.state_dict()[name], learnt[name], atol=2e-3)
    video = tmp_path / "a.mp4"
    made = ["--weights", str(weights), "--crop", "none", "-o", str(video)]
    assert cli(["animate", str(face_file), str(speech_file), *made]) == ExitCode.OK
    assert video.stat().st_size > 500


def test_places_are_those_of_the_decoder():
    assert {row[0] for row in places(MODEL)} == {"autoencoder", "audio", "emotion", "flow"}
    anchored = dataclasses.replace(MODEL, decoder="anchored")
    assert {row[0] for row in places(anchored)} == {row[0] for row in PLACES} - {"autoencoder"}


def test_shipped_settings_load_and_a_learnt_basis_has_no_names():
    loaded = load_settings(ROOT / "examples" / "tiny-warped.toml")
    assert (loaded.model.decoder, loaded.model.coefficient_names) == ("warped", ())
    assert loaded.autoencoder.warped.l1 == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("l1 = -1", "l1 is -1"),
        ("gram = inf", "gram is inf, not a finite number from 0 up"),
        ("r1 = nan", "r1 is nan, not a finite number from 0 up"),
        ("l1 = 0\nperceptual = 0\ncomponent = 0\nadversarial = 0\npart_adversarial = 0\ngram = 0", "all losses are"),
        ("r1_every = 0", "r1_every is 0"),
        ("adversarial_from = 1.5", "adversarial_from is 1.5, not in 0..1"),
        ("network = 'resnet'", "network is 'resnet', not one of auto, vgg19, drawn"),
        ("l2 = 1", "unknown keys: l2"),
    ],
)
def test_losses_that_cannot_be_meant_are_told(tmp_path, text, says):
    (tmp_path / "a.toml").write_text(f"[model]\ndecoder = 'warped'\n[autoencoder.warped]\n{text}")
    with pytest.raises(InputError, match=says):
        load_settings(tmp_path / "a.toml")


def test_an_anchored_basis_of_another_size_than_the_drawings_is_told(tmp_path):
    (tmp_path / "a.toml").write_text("[model]\ndecoder = 'anchored'\nbasis_size = 12")
    with pytest.raises(InputError, match="basis_size is 12, and of an anchored model 20"):
        load_settings(tmp_path / "a.toml")


def test_parts_and_data_are_options(tmp_path, capsys):
    config = str(ROOT / "examples" / "tiny-warped.toml")
    assert cli(["train", "autoencoder", config, "--part", "nose"]) == ExitCode.USAGE
    assert "there is no part nose (choose from" in capsys.readouterr().err.replace("\nfloatcli: hint: ", " (")
    assert cli(["train", "autoencoder", config, "--run", str(tmp_path), "--data", str(tmp_path)]) == ExitCode.INPUT
    assert "no clips are in" in capsys.readouterr().err
