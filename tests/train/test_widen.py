"""Networks of more channels that begin by doing what those of fewer do, and learn with all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from floatcli.errors import WeightsError
from floatcli.models.float_model import FloatModel
from floatcli.models.unet import EditDecoder, SourceEncoder
from floatcli.train.autoencoder_stage import MODULES
from floatcli.train.initial import begin
from floatcli.train.widen import is_wider, widened
from tests.train.test_initial import CONFIG


class Net(torch.nn.Module):
    def __init__(self, channels: tuple[int, ...], normalised: bool):
        super().__init__()
        self.encoder = SourceEncoder(3, channels, normalised)
        self.decoder = EditDecoder(channels, 5, 8, normalised)

    def forward(self, picture: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.decoder.prepare(self.encoder(picture)), condition)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("wide", [(8, 16, 40), (12, 24, 24)])
def test_it_begins_by_doing_the_same_and_learns_with_new_channels(normalised, wide):
    torch.manual_seed(0)
    narrow, wider = Net((8, 16, 24), normalised), Net(wide, normalised)
    torch.nn.init.normal_(narrow.decoder.out.weight)
    fresh = wider.state_dict()
    assert is_wider(fresh, narrow.state_dict())
    assert not is_wider(narrow.state_dict(), fresh)
    wider.load_state_dict(widened(narrow.state_dict(), fresh))
    given = torch.rand(2, 3, 32, 32), torch.rand(2, 8)
    assert torch.allclose(wider(*given), narrow(*given), atol=1e-4)
    wider(*given).square().mean().backward()
    heard = wider.encoder.levels[1][1].conv.weight.grad[:24, 24:]
    assert wide[2] == 24 or heard.abs().min() > 0


def test_a_part_that_edits_takes_narrower_weights():
    torch.manual_seed(0)
    init, size = FloatModel(CONFIG), CONFIG.anchored
    more = replace(CONFIG, anchored=replace(size, warp_channels=tuple(2 * count for count in size.warp_channels)))
    part = MODULES["warp"](more)
    begin("warp", part, init)
    given = torch.rand(1, 3, 64, 64), torch.rand(1, 7, 2) - 0.5, torch.zeros(1, 6)
    for mine, theirs in zip(part.warp.prepare(*given), init.decoder.warp.prepare(*given), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)
    with pytest.raises(WeightsError, match="are not of this"):
        begin("warp", MODULES["warp"](CONFIG), FloatModel(more))
