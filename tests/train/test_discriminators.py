"""Discriminators: what each is shown, what switches them on, and what they learn from."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from floatcli.train.discriminators import Adversary, Discriminator, gram, slope
from floatcli.train.settings import WarpedSettings
from floatcli.train.views import crop, picture_views
from tests.conftest import TINY

OFF = WarpedSettings(perceptual=0, component=0, adversarial=0, part_adversarial=0, gram=0, r1=0)
BOXES = torch.tensor([[-0.6, -0.5, -0.1, -0.1], [0.1, -0.5, 0.6, -0.1], [-0.3, 0.2, 0.3, 0.7]]).expand(2, 3, 4)


def pictures(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def adversary(**weights: float) -> Adversary:
    settings = dataclasses.replace(OFF, **weights)
    torch.manual_seed(0)
    return Adversary(picture_views(TINY, settings), settings)


@pytest.mark.parametrize(
    ("weights", "judges", "fools", "judged"),
    [
        ({"adversarial": 1}, ["full_size", "half_size"], {"adversarial"}, {"judging"}),
        ({"part_adversarial": 1}, ["eyes", "lips"], {"parts"}, {"judging"}),
        ({"gram": 1}, ["eyes", "lips"], {"gram"}, {"judging"}),
        ({"adversarial": 1, "gram": 1, "r1": 1}, ["full_size", "half_size", "eyes", "lips"], {"adversarial", "gram"},
         {"judging", "r1"}),
    ],
)  # fmt: skip
def test_each_switch_brings_its_discriminators_and_losses(weights, judges, fools, judged):
    there = adversary(**weights)
    assert list(there.judges) == judges
    assert set(there.fool(pictures(), pictures(1), BOXES)) == fools
    assert set(there.losses(0, pictures(), pictures(1), BOXES)) == judged


@pytest.mark.parametrize("name", ["adversarial", "part_adversarial", "gram"])
def test_a_weight_multiplies_its_loss(name):
    (once,) = adversary(**{name: 1.0}).fool(pictures(), pictures(1), BOXES).values()
    (thrice,) = adversary(**{name: 3.0}).fool(pictures(), pictures(1), BOXES).values()
    assert thrice.item() == pytest.approx(3 * once.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["adversarial", "part_adversarial"])
def test_pictures_that_are_taken_for_true_lose_less(name):
    there = adversary(**{name: 1.0})
    (before,) = there.fool(pictures(), pictures(1), BOXES).values()
    for judge in there.judges.values():
        judge.score.bias.data += 3
    (after,) = there.fool(pictures(), pictures(1), BOXES).values()
    assert after < before


def test_wholes_are_seen_on_two_scales():
    views = adversary(adversarial=1).views
    assert [views[name].show(pictures(), BOXES).shape[-1] for name in ("full_size", "half_size")] == [64, 32]


def test_parts_reach_the_pixels_of_their_boxes_alone():
    made = pictures().requires_grad_()
    sum(adversary(part_adversarial=1, gram=1).fool(made, pictures(1), BOXES).values()).backward()
    reached = made.grad.abs().sum((0, 1)) > 0
    assert reached[17:28, 14:28].all()  # left eye
    assert reached[40:53, 24:40].all()  # lips
    assert not reached[56:].any()
    assert not reached[:, :11].any()


def test_eyes_are_seen_alike_on_both_sides():
    picture = pictures()
    mirrored = torch.cat([picture[..., :32], picture[..., :32].flip(-1)], -1)
    left, right = adversary(gram=1).views["eyes"].show(mirrored, BOXES).chunk(2)
    assert torch.allclose(left, right, atol=1e-5)


def test_crops_are_what_lies_in_boxes():
    ramp = ((torch.arange(64) + 0.5) / 32 - 1).expand(1, 1, 64, 64)
    seen = crop(ramp, torch.tensor([[-0.5, -0.5, 0.25, 0.5]]), 4)
    assert torch.allclose(seen[0, 0, 0], torch.tensor([-0.40625, -0.21875, -0.03125, 0.15625]), atol=1e-5)
    assert torch.equal(seen[0, 0, 0], seen[0, 0, 3])
    assert crop(ramp, torch.tensor([[0.2, 0.2, 0.1, 0.1]]), 4).isfinite().all()  # turned inside out: a spot


def test_gram_matrices_tell_how_channels_go_together_and_not_where():
    maps = torch.randn(2, 3, 4, 5)
    expected = torch.einsum("nchw,ndhw->ncd", maps, maps) / 60
    assert torch.allclose(gram(maps), expected, atol=1e-6)
    assert torch.allclose(gram(maps.flip(-1)), gram(maps), atol=1e-6)


def test_a_batch_of_copies_is_seen_to_be_one():
    torch.manual_seed(0)
    judge = Discriminator([8, 8, 8])
    judge.conv.weight.data[:, -1] += 3  # of the map of spread
    one = pictures()[:1, :, :16, :16]
    (alone, _), (beside, _) = judge(one.expand(2, -1, -1, -1)), judge(pictures()[:, :, :16, :16])
    assert (alone[0] - beside[0]).abs() > 1e-3


def test_r1_is_the_squared_slope_at_true_pictures():
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))

        def forward(self, x):
            return (x * self.weight[:, None, None]).sum((1, 2, 3)), []

    judge = Linear()
    penalty = slope(judge, torch.rand(5, 3, 2, 2))
    assert penalty.item() == pytest.approx(4 * (1 + 4 + 9))
    penalty.backward()
    assert torch.allclose(judge.weight.grad, 8 * judge.weight)


def test_r1_comes_every_so_many_steps_and_as_much_heavier():
    lazy = adversary(adversarial=1, r1=10, r1_every=4)
    keys = ["r1" in lazy.losses(step, pictures(), pictures(1), BOXES) for step in range(6)]
    assert keys == [True, False, False, False, True, False]
    always = adversary(adversarial=1, r1=10, r1_every=1)
    found = [there.losses(0, pictures(), pictures(1), BOXES)["r1"].item() for there in (lazy, always)]
    assert found[0] == pytest.approx(4 * found[1], rel=1e-4)
    seen = [lazy.views[name].show(pictures(1), BOXES) for name in lazy.judges]
    slopes = sum(slope(judge, x).item() for judge, x in zip(lazy.judges.values(), seen, strict=True))
    assert found[1] == pytest.approx(5 * slopes, rel=1e-4)


def test_discriminators_learn_to_tell_and_made_pictures_to_fool():
    there = adversary(adversarial=1, part_adversarial=1)
    optimiser = torch.optim.Adam(there.parameters(), lr=1e-2, betas=(0.0, 0.99))
    true, made = pictures(1), F.avg_pool2d(pictures(), 5, 1, 2).requires_grad_()
    first = there.losses(1, made, true, BOXES)["judging"].item()
    for step in range(8):
        optimiser.zero_grad()
        there.losses(step, made.detach(), true, BOXES)["judging"].backward()
        optimiser.step()
    assert there.losses(1, made, true, BOXES)["judging"] < 0.5 * first
    told = sum(there.fool(made, true, BOXES).values())
    (gradient,) = torch.autograd.grad(told, made)
    moved = made - 0.05 * gradient / gradient.abs().mean()
    assert sum(there.fool(moved, true, BOXES).values()) < told
