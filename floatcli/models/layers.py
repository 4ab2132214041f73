"""Layers of the StyleGAN2 family that the motion auto-encoder is made of (SPEC section 2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SQRT2 = math.sqrt(2.0)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, times sqrt 2 so that it keeps the variance."""
    return F.leaky_relu(x, 0.2) * SQRT2


def upsample(x: Tensor) -> Tensor:
    """Twice the resolution: zero insertion, then the FIR filter x4 with padding (2, 1).

    That is bilinear interpolation over a picture surrounded by zeros.

    Args:
        x: (N, C, H, W).

    Returns:
        (N, C, 2H, 2W).
    """
    return F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear")[..., 2:-2, 2:-2]


class Blur(nn.Module):
    """The FIR filter [1, 3, 3, 1] in both directions, normalised to sum ``gain``, as two passes."""

    taps: Tensor

    def __init__(self, padding: int, stride: int = 1, gain: float = 1.0):
        super().__init__()
        self.padding, self.stride = padding, stride
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0], device="cpu") / 8 * math.sqrt(gain)
        self.register_buffer("taps", taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W') with H' = (H + 2 padding - 4) // stride + 1."""
        channels = x.shape[1]
        taps = self.taps.to(x.dtype)
        rows = taps.view(1, 1, 4, 1).expand(channels, 1, 4, 1)
        columns = taps.view(1, 1, 1, 4).expand(channels, 1, 1, 4)
        x = F.conv2d(x, rows, stride=(self.stride, 1), padding=(self.padding, 0), groups=channels)
        return F.conv2d(x, columns, stride=(1, self.stride), padding=(0, self.padding), groups=channels)


class EqualLinear(nn.Module):
    """Linear layer whose stored weight is scaled by 1/sqrt(inputs) when used; the bias is used as stored."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        return F.linear(x * self.scale, self.weight, self.bias)


class EqualConv(nn.Module):
    """Convolution without bias whose stored weight is scaled by 1/sqrt(inputs k^2) when used."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H', W')."""
        return F.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.padding)


class ActivatedConv(EqualConv):
    """Equalised convolution, bias and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0):
        super().__init__(inputs, outputs, kernel, stride, padding)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H', W')."""
        return leaky(F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding))


class StyledConv(nn.Module):
    """3x3 convolution modulated by a latent, demodulated, then bias and leaky ReLU.

    The style scales the input and the demodulation scales the output of one convolution that all samples
    share: the same mathematics as a weight of its own per sample, in one batch.
    """

    def __init__(self, inputs: int, outputs: int, style_dim: int, up: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.style = EqualLinear(style_dim, inputs, bias=1.0)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1 / math.sqrt(inputs * 9)
        self.blur = Blur(padding=1, gain=4.0) if up else None

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """(N, inputs, H, W) and latent (N, style_dim) to (N, outputs, H, W), or twice the size."""
        style = self.style(latent) * self.scale
        with torch.autocast(x.device.type, enabled=False):  # the squares and the epsilon leave 16 bits' range
            power = style.float().square() @ self.weight.float().square().sum((2, 3)).T
            demodulation = torch.rsqrt(power + 1e-8).to(x.dtype)
        x = x * style[:, :, None, None]
        if self.blur is None:
            x = F.conv2d(x, self.weight, padding=1)
        else:
            x = self.blur(F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2))
        return leaky(torch.addcmul(self.bias[:, None, None], x, demodulation[:, :, None, None]))


class StyledHead(nn.Module):
    """1x1 convolution to a few channels, modulated by a latent but not demodulated, plus bias."""

    def __init__(self, inputs: int, outputs: int, style_dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.style = EqualLinear(style_dim, inputs, bias=1.0)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """(N, inputs, H, W) and latent (N, style_dim) to (N, outputs, H, W)."""
        style = self.style(latent) * self.scale
        # With so few outputs a weight per sample is cheaper than a modulated copy of the input.
        weight = self.weight.flatten(1) * style[:, None, :]
        return torch.einsum("noc,nchw->nohw", weight, x) + self.bias[:, None, None]
