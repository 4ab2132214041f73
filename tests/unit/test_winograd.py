import pytest
import torch
from torch.nn import functional as F

from floatcli.models import winograd


@pytest.mark.parametrize(("count", "size"), [(1, (4, 4)), (3, (16, 8)), (2, (32, 32))])
def test_it_is_a_styled_convolution(count: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randn(count, 5, *size), torch.randn(7, 5, 3, 3), torch.randn(7)
    style, gain = torch.rand(count, 5) + 0.5, torch.rand(count, 7) + 0.5
    found = winograd.styled_conv(x, style, winograd.transformed(weight), gain, bias)
    plain = F.conv2d((x * style[:, :, None, None]).double(), weight.double(), padding=1)
    expected = F.leaky_relu(plain * gain[:, :, None, None] + bias[:, None, None], 0.2)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 2e-5 * expected.std()


@pytest.mark.parametrize(
    ("channels", "size", "pays"),
    [(512, 32, True), (256, 64, True), (128, 128, False), (512, 8, False), (256, 18, False)],
)
def test_it_pays_where_channels_are_many_and_tiles_whole(channels: int, size: int, pays: bool) -> None:
    assert winograd.pays(torch.empty(1, channels, size, size), torch.empty(channels, channels, 3, 3)) is pays
