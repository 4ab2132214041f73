"""A U-Net in two halves: the source picture is read once, its edit is drawn once a frame."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import NORMALISED


def _conv(c_in: int, c_out: int, stride: int, normalised: bool) -> nn.Conv2d:
    """3x3 convolution; where nothing normalises it, it starts by keeping the size of what goes through."""
    conv = nn.Conv2d(c_in, c_out, 3, stride, 1)
    if not normalised:
        nn.init.kaiming_normal_(conv.weight, a=0.2)
    return conv


class ConvBlock(nn.Module):
    """3x3 convolution, group normalisation if wanted, leaky ReLU."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1, normalised: bool = True):
        super().__init__()
        self.conv = _conv(c_in, c_out, stride, normalised)
        self.norm = nn.GroupNorm(c_out // NORMALISED, c_out) if normalised else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
        return F.leaky_relu(self.norm(self.conv(x)), 0.2)


class SourceEncoder(nn.Module):
    """The half that looks at the source: maps at every level, finest first."""

    def __init__(self, c_in: int, channels: tuple[int, ...], normalised: bool = True):
        super().__init__()
        self.stem = ConvBlock(c_in, channels[0], 1, normalised)
        self.levels = nn.ModuleList(
            nn.Sequential(ConvBlock(fine, coarse, 2, normalised), ConvBlock(coarse, coarse, 1, normalised))
            for fine, coarse in pairwise(channels)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, c_in, S, S) -> maps of S, S/2, S/4 ... pixels a side."""
        maps = [self.stem(x)]
        for level in self.levels:
            maps.append(level(maps[-1]))
        return maps


class ModulatedBlock(nn.Module):
    """3x3 convolution whose (normalised) output is scaled and shifted by a condition."""

    def __init__(self, c_in: int, c_out: int, condition: int, normalised: bool):
        super().__init__()
        self.conv = _conv(c_in, c_out, 1, normalised)
        self.norm = nn.GroupNorm(c_out // NORMALISED, c_out, affine=False) if normalised else nn.Identity()
        self.modulation = nn.Linear(condition, 2 * c_out)

    def forward(self, x: Tensor, condition: Tensor, skip: Tensor | None = None) -> Tensor:
        """(N, c_in, H, W), (N, condition) and a map to add, (1 or N, c_out, H, W) -> (N, c_out, H, W)."""
        return self.modulate(self.mix(x, skip), condition)

    def mix(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """What no condition changes: (N, c_in, H, W) and a map to add -> (N, c_out, H, W)."""
        x = self.conv(x)
        return self.norm(x if skip is None else x + skip)

    def modulate(self, x: Tensor, condition: Tensor) -> Tensor:
        """What ``mix`` made, (1 or N, c_out, H, W), as the conditions (N, condition) have it."""
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, 1)
        return F.leaky_relu(torch.addcmul(shift, x, 1 + scale), 0.2)


class EditDecoder(nn.Module):
    """The half that draws: source maps and a condition -> an output map at the finest level."""

    def __init__(self, channels: tuple[int, ...], c_out: int, condition: int, normalised: bool = True):
        super().__init__()
        self.skips = nn.ModuleList(nn.Conv2d(c, c, 1) for c in channels)
        self.bottom = ModulatedBlock(channels[-1], channels[-1], condition, normalised)
        self.up = nn.ModuleList(
            ModulatedBlock(coarse, fine, condition, normalised) for fine, coarse in reversed(list(pairwise(channels)))
        )
        self.refine = nn.ModuleList(ModulatedBlock(c, c, condition, normalised) for c in reversed(channels[:-1]))
        self.out = nn.Conv2d(channels[0], c_out, 3, 1, 1)
        for parameter in self.out.parameters():  # begins by drawing nothing
            nn.init.zeros_(parameter)

    def prepare(self, maps: list[Tensor]) -> list[Tensor]:
        """What of the source stays the same in every frame: maps ready to be added, the first to begin with."""
        coarsest, *finer = [skip(x) for skip, x in zip(self.skips, maps, strict=True)][::-1]
        return [self.bottom.mix(coarsest), *finer]

    def forward(self, prepared: list[Tensor], condition: Tensor) -> Tensor:
        """``prepare``'s maps (batch 1 or N) and (N, condition) -> (N, c_out, S, S)."""
        x = self.bottom.modulate(prepared[0], condition)
        for up, refine, skip in zip(self.up, self.refine, prepared[1:], strict=True):
            x = up(F.interpolate(x, scale_factor=2.0, mode="nearest"), condition, skip)
            x = refine(x, condition)
        return self.out(x)
