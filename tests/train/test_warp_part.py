"""What the turn of the head learns its light by."""

import pytest
import torch

pytest.importorskip("skia", exc_type=ImportError)

from floatcli.train.warp_part import Turn, shade_loss

SIZE = 8


def turn(shift=0.0, light=0.0):
    """A grey picture that gets lighter by a tenth, and comes ``shift`` to the right."""
    source, truth = torch.zeros(1, 3, 2 * SIZE, 2 * SIZE), torch.full((1, 3, 2 * SIZE, 2 * SIZE), 0.1)
    flow = torch.zeros(1, 2, SIZE, SIZE)
    flow[:, 0] = -shift
    lit, solid = torch.full((1, 3, SIZE, SIZE), light), torch.ones(1, 1, SIZE, SIZE)
    return Turn(source, truth, truth, flow, -flow, solid, lit, 20 * solid)


def moves(shift=0.0):
    return torch.tensor([shift, 0.0]).expand(1, SIZE, SIZE, 2).clone()


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_light_is_the_change_along_the_true_way(shift):
    assert shade_loss(turn(shift, 0.1), moves(shift)) < 1e-6
    assert float(shade_loss(turn(shift), moves(shift))) == pytest.approx(0.1, abs=1e-5)


def test_what_is_hidden_or_not_known_or_gone_is_not_compared():
    half = moves()
    half[:, :, : SIZE // 2] = torch.nan
    lit = turn(light=0.1)
    lit.light[..., : SIZE // 2] = 9
    assert shade_loss(lit, half) < 1e-6
    assert shade_loss(turn(0.9), moves()) == 0  # the flow comes from elsewhere
    assert shade_loss(turn(2.5), moves(2.5)) == 0
