import copy
import math

import pytest
import torch
from torch.nn import functional as F

from floatcli.models.layers import (
    Blur,
    EqualConv,
    EqualLinear,
    PackedLinear,
    StyledConv,
    StyledHead,
    fold,
    leaky,
    look_up,
    upsample,
)

FILTER = torch.outer(*[torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8] * 2)


def filtered(x: torch.Tensor, before: int, after: int, gain: float = 1.0) -> torch.Tensor:
    """The FIR filter as SPEC section 2 states it, one channel at a time."""
    n, c, h, w = x.shape
    x = F.pad(x.reshape(n * c, 1, h, w), (before, after, before, after))
    return F.conv2d(x, FILTER[None, None] * gain).unflatten(0, (n, c)).squeeze(2)


def test_leaky_relu_scales_by_root_two() -> None:
    assert torch.allclose(leaky(torch.tensor([1.0, -1.0])), torch.tensor([1.0, -0.2]) * math.sqrt(2))


@pytest.mark.parametrize(("padding", "stride", "gain"), [(2, 1, 1.0), (1, 2, 1.0), (1, 1, 4.0)])
def test_blur_is_the_outer_product_filter(padding: int, stride: int, gain: float) -> None:
    x = torch.randn(2, 3, 8, 10)
    expected = filtered(x, padding, padding, gain)[..., ::stride, ::stride]
    assert torch.allclose(Blur(padding, stride, gain)(x), expected, atol=1e-6)


def test_upsample_is_zero_insertion_and_filter() -> None:
    x = torch.randn(2, 3, 5, 4)
    inserted = x.new_zeros(2, 3, 10, 8)
    inserted[..., ::2, ::2] = x
    assert torch.allclose(upsample(x), filtered(inserted, 2, 1, gain=4), atol=1e-6)


def test_equalised_layers_scale_the_stored_weight() -> None:
    linear, conv = EqualLinear(9, 2, bias=3.0), EqualConv(4, 2, 3, padding=1)
    x, image = torch.randn(5, 9), torch.randn(1, 4, 6, 6)
    assert torch.allclose(linear(x), x @ linear.weight.T / 3 + 3, atol=1e-6)
    assert torch.allclose(conv(image), F.conv2d(image, conv.weight / 6, padding=1), atol=1e-6)


@pytest.mark.parametrize("up", [False, True])
def test_styled_conv_is_a_weight_per_sample(up: bool) -> None:
    layer = StyledConv(6, 4, 5, up)
    torch.nn.init.normal_(layer.bias)
    x, latent = torch.randn(3, 6, 7, 7), torch.randn(3, 5)
    for sample, style, result in zip(x, layer.style(latent), layer(x, latent), strict=True):
        weight = layer.weight / math.sqrt(6 * 9) * style[:, None, None]
        weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        if up:
            y = F.conv_transpose2d(sample[None], weight.transpose(0, 1), stride=2)
            y = filtered(y, 1, 1, gain=4)
        else:
            y = F.conv2d(sample[None], weight, padding=1)
        assert torch.allclose(result, leaky(y[0] + layer.bias[:, None, None]), atol=1e-5)


def test_styled_conv_survives_a_style_of_zero() -> None:
    layer = StyledConv(2, 3, 4)
    torch.nn.init.zeros_(layer.style.weight)
    torch.nn.init.zeros_(layer.style.bias)
    assert torch.equal(layer(torch.randn(1, 2, 4, 4), torch.randn(1, 4)), torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("up", [False, True])
def test_a_large_map_alone_is_convolved_as_among_others(up: bool) -> None:
    layer = StyledConv(2, 3, 4, up)
    torch.nn.init.normal_(layer.bias)
    x, latent = torch.randn(2, 2, 9, 9), torch.randn(2, 4)
    expected = layer(x, latent)[:1]
    assert torch.allclose(layer(x[:1], latent[:1]), expected, atol=1e-5)  # where it is learnt
    fold(layer)
    with torch.inference_mode():
        assert torch.allclose(layer(x[:1], latent[:1]), expected, atol=1e-5)


def test_styled_head_is_not_demodulated() -> None:
    layer = StyledHead(6, 3, 5)
    torch.nn.init.normal_(layer.bias)
    x, latent = torch.randn(2, 6, 4, 4), torch.randn(2, 5)
    styled = x * layer.style(latent)[:, :, None, None]
    expected = F.conv2d(styled, layer.weight / math.sqrt(6), layer.bias)
    assert torch.allclose(layer(x, latent), expected, atol=1e-5)


def test_a_packed_linear_layer_multiplies_as_before() -> None:
    layer = PackedLinear(512, 2048)
    x, other = torch.randn(2, 5, 512), torch.randn(3, 512)
    expected = layer(x), layer(other)
    fold(layer)
    with torch.inference_mode():
        found = layer(x), layer(other)  # packed anew for other rows
        again = layer(x)
    assert layer._packed is not None
    assert torch.equal(found[0], again)  # whatever was multiplied in between
    assert torch.equal(copy.deepcopy(layer)(x), expected[0])
    assert all(torch.allclose(*pair, atol=1e-5) for pair in zip(found, expected, strict=True))
    assert layer(x).requires_grad  # where it is learnt, it is not packed
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16


@pytest.mark.parametrize("channels", [1, 3, 5, 32])
def test_looking_up_is_weighted_bilinear_sampling_with_zeros_outside(channels: int) -> None:
    maps, weight = torch.randn(1, channels, 8, 8), torch.rand(3, 1, 6, 7)
    x, y = (torch.rand(2, 3, 6, 7) * 3 - 1.5).unbind()
    with torch.no_grad():
        found = look_up(maps, x, y, weight)
    grid = torch.stack((x, y), -1)
    expected = F.grid_sample(maps.expand(3, -1, -1, -1), grid, align_corners=False) * weight
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(look_up(maps, x, y, weight), expected, atol=1e-5)  # where it is learnt


@torch.no_grad()
def test_folding_again_follows_the_weight_and_stores_nothing() -> None:
    layer, x, latent = StyledConv(256, 4, 5), torch.randn(1, 256, 16, 16), torch.randn(1, 5)
    names = set(layer.state_dict())
    for _ in range(2):
        layer.weight.normal_()
        fold(layer)
        plain = StyledConv(256, 4, 5)
        plain.load_state_dict(layer.state_dict())
        found, unfolded = layer(x, latent), plain(x, latent)
        assert torch.allclose(found, unfolded, atol=1e-4 * unfolded.std().item())
        assert layer.at_points is not None
    assert set(layer.state_dict()) == names
