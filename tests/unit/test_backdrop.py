"""What shows where a head was: nothing of the head, and its surroundings carried on."""

import torch

from floatcli.models.backdrop import apart, completed, fill, opacity


def disc(size: int, radius: float, gain: float) -> torch.Tensor:
    """Logits of a disc's matte (1, 1, size, size)."""
    at = torch.linspace(-1, 1, size)
    distance = (at[:, None] ** 2 + at**2).sqrt()
    return gain * (radius - distance)[None, None]


def test_a_head_over_its_own_backdrop_is_the_picture():
    torch.manual_seed(0)
    picture, head = torch.rand(1, 3, 64, 64) * 2 - 1, opacity(disc(64, 0.6, 60))
    colours, backdrop = apart(picture, head)
    assert (torch.lerp(backdrop, colours, head) - picture).abs().max() < 1 / 255
    assert (backdrop - picture).abs().max() > 0.5
    assert colours.abs().max() <= 1
    assert backdrop.abs().max() < 1.01


def test_neither_keeps_a_rim_of_the_other():
    """A white head with a soft edge before a grey wall."""
    head = opacity(disc(128, 0.6, 40))
    colours, backdrop = apart(0.2 + 0.8 * head.expand(1, 3, 128, 128), head)
    assert (backdrop - 0.2).abs().max() < 0.2
    assert (colours[head.expand_as(colours) > 0.7] > 0.9).all()


def test_the_head_is_gone_and_what_surrounds_it_carries_on():
    slope = torch.linspace(-0.5, 0.5, 128).expand(1, 3, 128, 128)
    head = opacity(disc(128, 0.7, 200))
    picture = torch.where(disc(128, 0.6, 1) > 0, torch.ones(()), slope)
    _, without = apart(picture, head)
    assert (without - slope).abs().max() < 0.2
    assert torch.equal(without[..., :10, :], slope[..., :10, :])


def test_known_pixels_stay_and_a_constant_fills_any_hole():
    known = (torch.rand(2, 1, 37, 37) > 0.7).float()
    picture = torch.rand(2, 3, 37, 37)
    assert torch.equal(fill(picture, known) * known, picture * known)
    constant = torch.full((1, 3, 37, 37), 0.3)
    holes = torch.zeros(1, 1, 37, 37)
    holes[..., :2, 5] = 1
    assert torch.allclose(fill(constant * holes, holes), constant, atol=1e-5)


def test_what_a_matte_leaves_out_beside_a_head_belongs_to_it():
    """A dark head before a light wall, whose matte is a few pixels too small; the wall's own texture stays a wall's."""
    wall = 0.5 + 0.02 * torch.rand(1, 3, 256, 256)
    truth = disc(256, 0.63, 1) > 0
    picture = torch.where(truth, torch.tensor(-0.8), wall)
    matte = opacity(disc(256, 0.6, 400))
    head = completed(picture, matte)
    assert (head >= matte).all()
    assert head[truth].min() > 0.7
    assert head[~truth].max() < 0.05
    _, without = apart(picture, head)
    assert (without[truth.expand_as(without)] - 0.51).abs().max() < 0.15


def test_a_backdrops_own_texture_stays_behind():
    """Bricks right beside a head are as much of a wall as those further off."""
    torch.manual_seed(0)
    wall = torch.where(torch.rand(1, 1, 32, 32) > 0.5, 0.6, -0.2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    matte = opacity(disc(256, 0.6, 400))
    assert (completed(wall.expand(1, 3, -1, -1), matte) - matte).mean() < 0.002


def test_what_lies_further_off_is_no_part_of_a_head():
    picture = torch.full((1, 3, 256, 256), 0.5)
    picture[..., :10, :] = -0.8
    matte = opacity(disc(256, 0.6, 400))
    assert torch.equal(completed(picture, matte)[..., :40, :], matte[..., :40, :])
