"""The editors of mouth and eyes: every loss a switch, who compares patches, and an adversary that joins late."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("skia", exc_type=ImportError)

from floatcli.errors import InputError
from floatcli.models.patches import EYE_EXTENT, MOUTH_EXTENT, WHOLE, pixel_grid, soft_window
from floatcli.train import autoencoder_stage as stage
from floatcli.train import checkpoints
from floatcli.train.coefficients import as_read
from floatcli.train.drawn_data import Batch, DrawnConfig, draw_shards, drawn_sets
from floatcli.train.export import PLACES
from floatcli.train.initial import begin
from floatcli.train.likeness import picture_losses
from floatcli.train.loop import Run
from floatcli.train.loop_config import LoopConfig
from floatcli.train.patch_cuts import EYE_PATCH
from floatcli.train.patch_parts import EyesPart, MouthPart, PatchPart, patch_losses
from floatcli.train.patch_readers import EyesReader, MouthReader
from floatcli.train.perceptual import EncoderMaps, Perceptual
from floatcli.train.settings import AutoencoderSettings, PatchSettings, Settings, load_settings
from floatcli.train.views import Middle, middle_channels
from tests.unit.test_anchored import CONFIG
from tests.unlike import random_model

QUICK = {"steps": 4, "batch": 1, "save_every": 2, "log_every": 1, "network": "drawn", "adversarial_from": 0}
BRIEF = LoopConfig(steps=1, batch=1, save_every=1, log_every=1)
PATCH = ("l1", "gradient", "sharpness", "flow", "still", "mask")


def only(**changes) -> PatchSettings:
    """Every loss switched off but for those named."""
    return PatchSettings(**(dict.fromkeys(PatchSettings.losses, 0.0) | QUICK | changes))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> DrawnConfig:
    drawn = DrawnConfig(str(tmp_path_factory.mktemp("drawn")), identities=2, shard=2, restyled=0, size=64)
    draw_shards(drawn, lambda line: None)
    return drawn


@pytest.fixture(scope="module")
def batch(drawn) -> Batch:
    return drawn_sets(drawn).sample(np.random.default_rng(1), 2, PatchPart.frames)


@pytest.fixture(scope="module")
def reader() -> Perceptual:
    torch.manual_seed(5)
    return Perceptual(EncoderMaps(MouthReader(CONFIG).encoder))


def made(kind: type = MouthPart, judge: Perceptual | None = None, **changes) -> PatchPart:
    """A part that paints something already."""
    torch.manual_seed(0)
    part = kind(CONFIG, only(**changes), judge)
    torch.nn.init.normal_(part.editor.decoder.out.weight, std=0.1)
    return part


def losses(part: PatchPart, batch: Batch, contested: bool = False) -> dict:
    torch.manual_seed(2)
    found = part.losses(batch, np.random.default_rng(3), part.adversary() if contested else None)
    return found[0] if contested else found


def test_sources_are_misread_as_often_like_their_targets_as_asked():
    torch.manual_seed(0)
    own, wanted = torch.zeros(2000, 1, 7), torch.ones(2000, 3, 7)
    seen, asked = as_read(own, wanted, 0.5, 0.7)
    alike = (asked - seen - 1).abs().amax((1, 2)) < 1e-6
    assert 0.66 < alike.float().mean() < 0.74
    assert torch.equal(asked[~alike], wanted[~alike])  # what is not misread is asked for as it is
    assert 0.2 < seen.std() < 0.4


@pytest.mark.parametrize("kind", [MouthPart, EyesPart])
@pytest.mark.parametrize("switch", PatchSettings.losses)
def test_each_switch_is_one_loss_that_reaches_the_editor_as_often_as_it_weighs(switch, kind, batch, reader):
    contested = switch in PatchSettings.contests
    judge = reader if switch == "perceptual" else None
    part = made(kind, judge, **{switch: 1.0})
    (name,), (once,) = zip(*losses(part, batch, contested).items(), strict=True)
    assert name == switch
    once.backward()
    assert part.editor.decoder.out.weight.grad.abs().sum() > 0
    (thrice,) = losses(made(kind, judge, **{switch: 3.0}), batch, contested).values()
    torch.testing.assert_close(thrice, 3 * once)


def test_without_judges_the_losses_are_those_of_the_shipped_set(batch):
    part = made(l1=1)
    trial = part.edits(batch, np.random.default_rng(3))
    found = patch_losses(trial, PatchSettings())
    assert set(found) == set(PATCH)
    for name, loss in picture_losses(trial.edited, trial.truth, trial.source, trial.window).items():
        torch.testing.assert_close(found[name], loss)
    torch.testing.assert_close(found["mask"], 0.005 * (trial.edit.mask * trial.window).mean())
    assert [getattr(PatchSettings(), name) for name in PATCH] == [2, 2, 3, 4, 5, 0.005]


@pytest.mark.parametrize(("side", "extent", "size"), [(80, MOUTH_EXTENT, 64), (48, EYE_EXTENT, 64), (96, WHOLE, 128)])
def test_judges_see_what_the_picture_takes_of_a_patch_pixel_by_pixel(side, extent, size):
    patch = torch.rand(1, 3, side, side) + 0.5
    seen = Middle(side, extent)(patch)
    assert seen.shape[-2:] == (size, size)
    taken = patch * soft_window(pixel_grid(side, patch), extent)
    assert set(seen[seen > 0].tolist()) <= set(taken[taken > 0].tolist())  # none in between
    assert seen.sum() > 0.99 * taken.sum()
    rows, columns = (seen[0, 0].sum(axis).nonzero()[:, 0] for axis in (1, 0))
    for found in (rows, columns):  # in the middle
        assert abs(int(found[0] + found[-1]) - (size - 1)) <= 3


def test_a_judge_has_the_channels_of_the_editor_and_the_last_to_the_end():
    assert middle_channels(Middle(80, MOUTH_EXTENT), (16, 32, 64)) == (16, 32, 64, 64, 64)
    assert middle_channels(Middle(24, EYE_EXTENT), (8, 12, 16, 20, 24)) == (8, 12, 16, 20)


def test_patches_are_compared_with_the_truth_and_not_with_the_source(batch, reader, monkeypatch):
    part = made(judge=reader, perceptual=1, adversarial=1)
    trial = part.edits(batch, np.random.default_rng(3))
    assert not torch.equal(trial.truth, trial.source)
    monkeypatch.setattr(part, "edits", lambda *given: trial._replace(edited=trial.truth))
    found, shown = part.losses(batch, np.random.default_rng(3), part.adversary())
    assert found["perceptual"] == 0
    assert all(torch.equal(patches, trial.truth) for patches in shown)
    monkeypatch.setattr(part, "edits", lambda *given: trial._replace(edited=trial.source))
    found, (edited, truth) = part.losses(batch, np.random.default_rng(3), part.adversary())
    assert found["perceptual"] > 0
    assert torch.equal(edited, trial.source)
    assert torch.equal(truth, trial.truth)


def test_outside_the_window_nobody_is_judged(batch, reader):
    part = made(judge=reader, perceptual=1, adversarial=1, gram=1)
    trial = part.edits(batch, np.random.default_rng(3))
    edited = trial.edited.detach().requires_grad_()
    maps = reader(part.middle(edited))
    (sum(m.square().sum() for m in maps) + sum(part.adversary().fool(edited, trial.truth).values())).backward()
    inside = (trial.window > 0).expand_as(edited)
    assert not edited.grad[~inside].any()
    assert edited.grad[inside].abs().sum() > 0


def test_r1_comes_every_so_many_steps(batch):
    part = made(adversarial=1, r1=2.0, r1_every=3)
    (_, shown), adversary = part.losses(batch, np.random.default_rng(3), part.adversary()), part.adversary()
    assert ["r1" in adversary.losses(step, *shown) for step in range(5)] == [True, False, False, True, False]


@pytest.mark.parametrize("kind", [MouthReader, EyesReader])
def test_a_reader_learns_to_read(kind, batch):
    torch.manual_seed(0)
    part = kind(CONFIG)
    optimiser, seen = torch.optim.Adam(part.parameters(), lr=2e-2), []
    for _ in range(60):
        torch.manual_seed(2)
        optimiser.zero_grad()
        (loss,) = part.losses(batch, np.random.default_rng(3)).values()
        loss.backward()
        optimiser.step()
        seen.append(loss.item())
    assert seen[-1] < 0.6 * seen[0]


def test_either_eye_reads_alike(batch):
    """A face and its mirror image, the left eye of one and the right eye of the other."""
    sides = [next(k for k in range(9) if _side(k) == side) for side in (0, 1)]
    left, right = (EYE_PATCH.cut(batch, np.random.default_rng(k)).coeffs for k in sides)
    lid, gaze_x, gaze_y, *_ = range(6)
    assert torch.equal(left[..., gaze_x], -right[..., gaze_x])
    assert torch.equal(left[..., gaze_y], right[..., gaze_y])
    assert not torch.equal(left[..., lid], right[..., lid])


def _side(seed: int) -> int:
    """Of the eye that chance cuts out."""
    rng = np.random.default_rng(seed)
    rng.uniform()
    return int(rng.integers(2))


def settings(drawn: DrawnConfig, **changes) -> Settings:
    patch = only(**changes)
    loops = {"mouth": patch, "eyes": patch, "mouth_reader": BRIEF, "eyes_reader": BRIEF}
    return Settings(CONFIG, AutoencoderSettings(drawn, **loops))


def state(folder: Path, name: str, step: int) -> dict:
    return checkpoints.load(checkpoints.place(folder, name, step))


def silent(line: str) -> None:
    pass


@pytest.mark.parametrize("name", ["mouth", "eyes"])
def test_without_vgg19_a_reader_learns_first_and_the_log_says_so(name, drawn, tmp_path):
    lines: list[str] = []
    stage.train_stage(settings(drawn, l1=1, perceptual=1), (name,), "drawn", tmp_path, lines.append)
    asked = "are compared by an encoder that learns from drawings, not by VGG-19: 'drawn' is asked for"
    assert lines[0] == f"patches of the {name} {asked}"
    assert lines[1].startswith(f"{name}_reader 1/1  coeffs ")
    assert " perceptual " in lines[-1]
    assert checkpoints.checkpoints(tmp_path, f"{name}_reader")
    assert not any("perceptual" in key or "encoder.to_coeffs" in key for key in state(tmp_path, name, 4)["average"])
    assert f"{name}_reader" not in {row[0] for row in PLACES}  # it is not exported


def test_vgg19_compares_patches_where_it_can_be_had(drawn, tmp_path, monkeypatch):
    found = Perceptual(EncoderMaps(MouthReader(CONFIG).encoder))
    monkeypatch.setattr("floatcli.train.perceptual.vgg19", lambda notice: found)
    lines: list[str] = []
    stage.train_part("mouth", settings(drawn, perceptual=1, network="vgg19", steps=1), tmp_path, lines.append)
    assert lines[0] == "patches of the mouth are compared by VGG-19"
    assert not checkpoints.checkpoints(tmp_path, "mouth_reader")


def test_what_is_switched_off_is_not_made(drawn, tmp_path, monkeypatch):
    against = []

    class Spy(Run):
        def __init__(self, name, module, config, folder, *adversary):
            against.append(adversary)
            super().__init__(name, module, config, folder, *adversary)

    monkeypatch.setattr(stage, "Run", Spy)
    monkeypatch.setattr(stage, "choose_perceptual", lambda *given: pytest.fail("nobody needs it"))
    for changes in ({"l1": 1}, {"l1": 1, "adversarial": 1, "gram": 1, "adversarial_from": 1}, {"gram": 1}):
        stage.train_part("mouth", settings(drawn, steps=1, **changes), tmp_path / str(changes), silent)
    assert against[:2] == [(), ()]
    adversary, joining = against[2]
    assert (list(adversary.judges), joining) == (["middle"], 0)


def test_the_adversary_is_absent_before_its_start_and_present_after(drawn, tmp_path):
    lines: list = []
    late = settings(drawn, l1=1, adversarial=1, gram=1, adversarial_from=0.75)
    stage.train_part("eyes", late, tmp_path, lines.append)
    assert [set(line.losses) for line in lines] == [{"l1"}] * 3 + [{"l1", "adversarial", "gram", "judging"}]
    assert [("adversary" in state(tmp_path, "eyes", step)) for step in (2, 4)] == [False, True]


@pytest.mark.parametrize("share", [0.25, 0.75])  # the run is parted after half of it
def test_a_part_resumed_on_either_side_of_the_start_equals_a_whole_one_bit_for_bit(share, drawn, tmp_path):
    chosen = settings(drawn, l1=1, perceptual=1, adversarial=1, gram=1, r1=1, r1_every=2, adversarial_from=share)

    class KilledError(Exception):
        pass

    def killed(report):
        if report.startswith("mouth 3/4"):
            raise KilledError

    stage.train_part("mouth", chosen, tmp_path / "whole", silent)
    with pytest.raises(KilledError):
        stage.train_part("mouth", chosen, tmp_path / "parted", killed)
    stage.train_part("mouth", chosen, tmp_path / "parted", silent)
    whole, resumed = (state(tmp_path / name, "mouth", 4) for name in ("whole", "parted"))
    for kind in ("module", "average", "adversary"):
        assert all(torch.equal(tensor, resumed[kind][name]) for name, tensor in whole[kind].items())


def test_a_judged_part_starts_from_weights(drawn, tmp_path):
    init = random_model(CONFIG, 0)
    chosen = settings(drawn, l1=1, perceptual=1, adversarial=1, gram=1, adversarial_from=0, lr=1e-9, steps=1)
    trained = stage.train_part("mouth", chosen, tmp_path, silent, init)
    fresh = MouthPart(CONFIG)
    begin("mouth", fresh, init)
    for name, tensor in fresh.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], tensor, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("still = -1", "still is -1"),
        ("adversarial_from = -0.1", "adversarial_from is -0.1, not in 0..1"),
        ("\n".join(f"{name} = 0" for name in PatchSettings.losses), "all losses are switched off"),
        ("\n".join(f"{name} = 0" for name in (*PATCH, "perceptual")), "before it all losses are switched off"),
        ("component = 1", "unknown keys: component"),
    ],
)
def test_losses_that_cannot_be_meant_are_told(tmp_path, text, says):
    (tmp_path / "a.toml").write_text(f"[autoencoder.eyes]\n{text}")
    with pytest.raises(InputError, match=says):
        load_settings(tmp_path / "a.toml")


def test_the_shipped_recipe_judges_late_and_by_drawings():
    loaded = load_settings(Path(__file__).parents[2] / "weights" / "embedded.toml").autoencoder
    for loop in (loaded.mouth, loaded.eyes):
        assert loop.perceptual
        assert loop.contested
        assert loop.joining > loop.steps / 2
        assert loop.network == "drawn"
    assert dataclasses.replace(loaded.mouth, adversarial_from=1.0).contested is False
