"""3x3 convolutions as products of matrices: Winograd's minimal filtering (Lavin and Gray, arXiv 1509.09308).

A tile of 4x4 results takes 36 products for each pair of channels in place of 144. What that saves, passes over the map
cost again where there are few channels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TILE = 4  # results a side
_POINTS = TILE + 2  # a side of what they depend on, and of the points

# F(4x4, 3x3) with the points 0, 1, -1, 2, -2 and infinity: Y = A^T [(G g G^T) * (B^T d B)] A, their equation 8.
_OF_MAP = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float32,
    device="cpu",
)
_OF_KERNEL = (
    torch.tensor(
        [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64, device="cpu"
    )
    / 24
)
_TO_RESULT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    dtype=torch.float32,
    device="cpu",
)


def pays(x: Tensor, weight: Tensor) -> bool:
    """Whether that is faster for a map (N, C, H, W) than its convolution with (C', C, 3, 3) as it stands."""
    height, width = x.shape[2:]
    return weight.shape[1] >= 256 and min(height, width) >= 4 * TILE and height % TILE == width % TILE == 0


def transformed(weight: Tensor) -> Tensor:
    """A weight (C', C, 3, 3) at the points, (36, C, C')."""
    outputs, inputs = weight.shape[:2]
    both = torch.kron(_OF_KERNEL, _OF_KERNEL) @ weight.double().flatten(2).permute(2, 1, 0).flatten(1)
    return both.float().view(-1, inputs, outputs)


def styled_conv(x: Tensor, style: Tensor, kernel: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Convolution with padding 1 of ``style`` times x, times ``gain``, plus ``bias``, and leaky ReLU of slope 0.2.

    Args:
        x: float32 (N, C, H, W), H and W multiples of 4.
        style: (N, C).
        kernel: what ``transformed`` gives, (36, C, C').
        gain: (N, C').
        bias: (C',).

    Returns:
        (N, C', H, W), channels last.
    """
    count, inputs, height, width = x.shape
    padded = x.new_zeros(count, height + 2, width + 2, inputs)
    torch.mul(x.permute(0, 2, 3, 1), style[:, None, None], out=padded[:, 1:-1, 1:-1])
    result = x.new_empty(count, height, width, kernel.shape[2])
    at_once = max(1, inputs * TILE**2 // (height * width))  # frames, of which the points take no less than the kernel
    parts = (part.split(at_once) for part in (padded, gain, result))
    for some, some_gain, out in zip(*parts, strict=True):
        tiles = out.unflatten(1, (-1, TILE)).unflatten(3, (-1, TILE))  # (n, rows, 4, columns, 4, C')
        found = _from_points(torch.bmm(_to_points(some), kernel))
        found = found.view(TILE, TILE, len(out), height // TILE, width // TILE, -1).permute(2, 3, 0, 4, 1, 5)
        torch.addcmul(bias, found, some_gain[:, None, None, None, None], out=tiles)
        F.leaky_relu(out, 0.2, inplace=True)
    return result.permute(0, 3, 1, 2)


def _to_points(padded: Tensor) -> Tensor:
    """What tiles depend on, (n, 4 rows + 2, 4 columns + 2, C), at the points: (36, tiles, C)."""
    count, height, width, channels = padded.shape
    along, down, across, _ = padded.stride()
    shape = (_POINTS, _POINTS, count, height // TILE, width // TILE, channels)
    tiles = padded.as_strided(shape, (down, across, along, TILE * down, TILE * across, 1), padded.storage_offset())
    return _both_ways(_OF_MAP, tiles.reshape(_POINTS, _POINTS, -1)).view(_POINTS**2, -1, channels)


def _from_points(at_points: Tensor) -> Tensor:
    """Results of tiles (4, 4, tiles x C') of what is at the points (36, tiles, C')."""
    return _both_ways(_TO_RESULT, at_points.view(_POINTS, _POINTS, -1))


def _both_ways(change: Tensor, tiles: Tensor) -> Tensor:
    """``change`` (a, b), applied to rows and columns of (b, b, n): (a, a, n)."""
    rows = (change @ tiles.flatten(1)).view(len(change), *tiles.shape[1:])
    return change @ rows
