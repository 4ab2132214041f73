"""Layers of the StyleGAN2 family that the motion auto-encoder is made of (SPEC section 2)."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from floatcli.models import winograd

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


def look_up(maps: Tensor, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Maps at places between their pixels, weighted: bilinear, zero outside, corners not aligned.

    Args:
        maps: (1 or N, C, H, W); one serves all samples.
        x: Horizontal places in -1..1, float32 (N, h, w).
        y: Vertical places, likewise.
        weight: What the values at each place are multiplied by, (N, 1, h, w).

    Returns:
        (N, C, h, w), of ``weight``'s dtype.
    """
    if maps.device.type != "cpu" or len(maps) > 1 or torch.is_grad_enabled():
        source = maps.float().expand(len(x), -1, -1, -1)
        found = F.grid_sample(source, torch.stack((x, y), -1), padding_mode="zeros", align_corners=False)
        return found.to(weight.dtype) * weight
    colour = maps.shape[1] == 3  # so many channels OpenCV does at once
    found = _remapped(maps, x, y) * weight if colour else _summed(maps, x, y, weight[:, 0])
    return found.to(weight.dtype)


def remap(picture: np.ndarray, at: np.ndarray, beyond: int, out: np.ndarray | None = None) -> np.ndarray:
    """A picture (H, W, ...) at its pixels ``at`` (h, w, 2), interpolated by OpenCV.

    Args:
        picture: float32.
        at: Columns and rows, float32.
        beyond: OpenCV's number of what it takes for lying outside.
        out: Where to write it.
    """
    return cv2.remap(picture, at, None, cv2.INTER_LINEAR, out, beyond)  # type: ignore[call-overload, no-any-return]


@torch.compiler.disable
def _remapped(picture: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """``look_up`` in a picture (1, 3, H, W) by OpenCV, which takes a quarter of grid_sample's time."""
    _, channels, height, width = picture.shape
    source = picture[0].float().permute(1, 2, 0).contiguous().numpy()
    across, down = x * (width / 2) + (width - 1) / 2, y * (height / 2) + (height - 1) / 2
    found = np.empty((*x.shape, channels), np.float32)
    for out, *at in zip(found, across.numpy(), down.numpy(), strict=True):
        remap(source, cv2.merge(at), cv2.BORDER_CONSTANT, out)
    return torch.from_numpy(found).permute(0, 3, 1, 2)


@torch.compiler.disable
def _summed(maps: Tensor, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """``look_up`` as weighted sums of rows of a table, which takes a third of grid_sample's time."""
    _, channels, height, width = maps.shape
    table = maps.float().permute(0, 2, 3, 1).reshape(height * width, channels)
    left, right = _neighbours(x, width)
    above, below = _neighbours(y, height)
    above, below = ((at * width, share * weight) for at, share in (above, below))
    corners = [(row[0] + column[0], row[1] * column[1]) for row in (above, below) for column in (left, right)]
    places, shares = (torch.stack(part, -1).view(-1, 4) for part in zip(*corners, strict=True))
    found = F.embedding_bag(places, table, per_sample_weights=shares, mode="sum")
    return found.view(*x.shape, channels).permute(0, 3, 1, 2)


def _neighbours(at: Tensor, size: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The two pixels about places in -1..1 along an axis: their indices, and their shares, zero outside."""
    at = at * (size / 2) + (size - 1) / 2
    first = at.floor()
    share = at - first
    index = first.clamp(-2, size).int()
    return (
        (index.clamp(0, size - 1), (1 - share) * ((index >= 0) & (index < size))),
        ((index + 1).clamp(0, size - 1), share * ((index >= -1) & (index < size - 1))),
    )


def per_pixel(x: Tensor, weight: Tensor) -> Tensor:
    """A 1x1 convolution to a few channels, which come out as planes.

    Args:
        x: (N, C, H, W).
        weight: (N or 1, C', C).

    Returns:
        (N, C', H, W), contiguous, whatever the layout of x.
    """
    return (weight @ x.permute(0, 2, 3, 1).flatten(1, 2).mT).view(len(x), -1, *x.shape[2:])


def leaky_conv(x: Tensor, weight: Tensor, bias: Tensor, groups: int = 1) -> Tensor:
    """Convolution with padding 1, bias and leaky ReLU of slope 0.2, on a CPU in one pass over the map.

    Args:
        x: (N, C, H, W).
        weight: (C', C / groups, k, k).
        bias: (C',).
        groups: of channels.

    Returns:
        (N, C', H + 3 - k, W + 3 - k).
    """
    if not _plain(x) or not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return F.leaky_relu(F.conv2d(x, weight, bias, padding=1, groups=groups), 0.2, inplace=True)
    ones = [1, 1]  # padding, stride, dilation
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, ones, ones, ones, groups, "leaky_relu", [0.2], "")


def _plain(x: Tensor) -> bool:
    """Whether something is computed as it is: float32 on a CPU, and not to be learnt from."""
    there = x.device.type == "cpu" and x.dtype == torch.float32
    return there and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


class Blur(nn.Module):
    """The FIR filter [1, 3, 3, 1] in both directions, normalised to sum ``gain``."""

    taps: Tensor

    def __init__(self, padding: int, stride: int = 1, gain: float = 1.0):
        super().__init__()
        self.padding, self.stride = padding, stride
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0], device="cpu") / 8 * math.sqrt(gain)
        self.register_buffer("taps", taps[:, None] * taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W') with H' = (H + 2 padding - 4) // stride + 1."""
        return F.conv2d(x, self.kernel(x), None, self.stride, self.padding, groups=x.shape[1])

    def kernel(self, x: Tensor) -> Tensor:
        """The filter for every channel of x (N, C, H, W), (C, 1, 4, 4)."""
        return self.taps.to(x.dtype).expand(x.shape[1], 1, 4, 4).contiguous()  # expanded, it takes a CPU twice as long


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
    share: the same mathematics as a weight of its own per sample, in one batch. A large map alone gets a weight
    of its own, which is smaller.
    """

    power: Tensor | None
    kernel: Tensor | None
    at_points: Tensor | None

    def __init__(self, inputs: int, outputs: int, style_dim: int, up: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.style = EqualLinear(style_dim, inputs, bias=1.0)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1 / math.sqrt(inputs * 9)
        self.blur = Blur(padding=1, gain=4.0) if up else None
        self.register_buffer("power", None, persistent=False)
        self.register_buffer("kernel", None, persistent=False)
        self.register_buffer("at_points", None, persistent=False)

    @torch.no_grad()
    def fold(self) -> None:
        """Work out once what depends on the weight alone, which is not to change any more."""
        self.power, self.kernel, self.at_points = self._power(), self._kernel().detach(), None

    def _power(self) -> Tensor:
        """Squares of the weight, summed over the kernel, (inputs, outputs)."""
        return self.weight.float().square().sum((2, 3)).T.contiguous()

    def _kernel(self) -> Tensor:
        """The weight as the convolution takes it, channels last."""
        weight = self.weight if self.blur is None else self.weight.transpose(0, 1)
        return weight.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """(N, inputs, H, W) and latent (N, style_dim) to (N, outputs, H, W), or twice the size."""
        style = self.style(latent) * self.scale
        with torch.autocast(x.device.type, enabled=False):  # the squares and the epsilon leave 16 bits' range
            power = style.float().square() @ (self._power() if self.power is None else self.power)
            # The activation's gain goes through it: leaky(x) is the leaky ReLU of sqrt2 x.
            gain = (SQRT2 * torch.rsqrt(power + 1e-8)).to(x.dtype)
        kernel = self._kernel() if self.kernel is None else self.kernel
        bias = SQRT2 * self.bias
        if self.kernel is not None and self.blur is None and _plain(x) and winograd.pays(x, kernel):
            return self._by_points(x, style, gain, bias)
        if len(x) == 1 and x[0].numel() > kernel.numel():
            return self._alone(x, self._modulated(kernel, style[0], gain[0]), bias)
        x = x * style[:, :, None, None]
        x = F.conv2d(x, kernel, padding=1) if self.blur is None else self.blur(F.conv_transpose2d(x, kernel, stride=2))
        x = torch.addcmul(bias[:, None, None], x, gain[:, :, None, None])
        return F.leaky_relu(x, 0.2, inplace=True)

    @torch.compiler.disable
    def _by_points(self, x: Tensor, style: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        """By ``winograd``, whose weight is kept from the first map on that needs it."""
        if self.at_points is None:
            self.at_points = winograd.transformed(self.weight)
        return winograd.styled_conv(x, style, self.at_points, gain, bias)

    def _alone(self, x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        """One sample, (1, inputs, H, W), with its own kernel."""
        if self.blur is None:
            return leaky_conv(x, kernel, bias)
        x = F.conv_transpose2d(x, kernel, stride=2)
        return leaky_conv(x, self.blur.kernel(x), bias, groups=len(bias))

    def _modulated(self, kernel: Tensor, style: Tensor, gain: Tensor) -> Tensor:
        """The kernel of one sample: ``style`` for what goes in, ``gain`` for what comes out."""
        first, second = (gain, style) if self.blur is None else (style, gain)
        return kernel * (first[:, None] * second)[:, :, None, None]


class PackedLinear(nn.Linear):
    """A linear layer whose large weight, once folded, MKL keeps in its own order: on a CPU 1.3 times as fast.

    What is kept depends on the number of rows that are multiplied, and is made anew when that changes. It comes on top
    of the weight: as much again, and 8 MB.
    """

    _LARGE = 1 << 20  # numbers from which on a weight is packed

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self._packs = False
        self._packed: tuple[int, Tensor] | None = None  # rows, weight

    def fold(self) -> None:
        """Allow for packing the weight, which is not to change any more."""
        self._packs = self.weight.numel() >= self._LARGE and hasattr(torch.ops.mkl, "_mkl_linear")

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        weight, rows = self.weight, x.shape[:-1].numel()
        if not self._packs or not _plain(weight) or torch.compiler.is_compiling():
            return super().forward(x)
        if self._packed is None or self._packed[0] != rows:
            self._packed = rows, torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)
        return torch.ops.mkl._mkl_linear(x, self._packed[1], weight, self.bias, rows)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # it can be neither copied nor pickled


class StyledHead(nn.Module):
    """1x1 convolution to a few channels, modulated by a latent but not demodulated, plus bias."""

    def __init__(self, inputs: int, outputs: int, style_dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.style = EqualLinear(style_dim, inputs, bias=1.0)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """(N, inputs, H, W) and latent (N, style_dim) to (N, outputs, H, W), as exact as its weights are."""
        with torch.autocast(x.device.type, enabled=False):  # coordinates come of it
            style = self.style(latent.to(self.weight)) * self.scale
            # With so few outputs a weight per sample is cheaper than a modulated copy of the input.
            weight = self.weight.flatten(1) * style[:, None, :]
            return per_pixel(x.to(weight), weight) + self.bias[:, None, None]


def fold(part: nn.Module) -> None:
    """Make ready for speed a network whose weights are not to change any more.

    What depends on the weights alone is worked out once, and the weights of convolutions lie channels last, as their
    maps then do: a CPU convolves that several times as fast.
    """
    part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in part.modules():
        if isinstance(module, (StyledConv, PackedLinear)):
            module.fold()
