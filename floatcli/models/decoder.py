"""The published decoder: the portrait's feature maps, warped by a flow from motion (SPEC section 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.cores import each_on_a_core
from floatcli.models.layers import ActivatedConv, StyledConv, StyledHead, leaky, look_up, per_pixel, upsample

ALONE = 128  # pixels a side from which on a CPU decodes each frame by itself: maps that its caches do not hold


class Maps(NamedTuple):
    """Features of several portraits at one resolution."""

    each: Sequence[Tensor]  # (1, C, r, r)
    frames: list[int]  # of every portrait, N in all


def _of_frame(feature: Tensor | Maps, frame: int) -> Tensor:
    """Features (1, C, r, r) that one of N frames needs, of those that serve one, several or all."""
    if isinstance(feature, Tensor):
        return feature if len(feature) == 1 else feature[frame : frame + 1]
    ends = accumulate(feature.frames)
    return next(map_ for map_, end in zip(feature.each, ends, strict=True) if frame < end)


def _each(change: Callable[[Tensor], Tensor], feature: Tensor | Maps) -> Tensor | Maps:
    """Features of one portrait or several, changed."""
    if isinstance(feature, Tensor):
        return change(feature)
    return feature._replace(each=[change(map_) for map_ in feature.each])


class RgbHead(ActivatedConv):
    """1x1 convolution to colour, bias, leaky ReLU and a second bias."""

    def __init__(self, inputs: int):
        super().__init__(inputs, 3, 1)
        self.output_bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, r, r) to (N, 3, r, r)."""
        return self.activated(self.colour(x))

    def colour(self, x: Tensor) -> Tensor:
        """The linear part, (N, inputs, r, r) to (N, 3, r, r)."""
        return per_pixel(x, (self.weight.flatten(1) * self.scale)[None])

    def activated(self, colour: Tensor) -> Tensor:
        """What follows it, (N, 3, r, r) to the same."""
        return leaky(colour + self.bias[:, None, None]) + self.output_bias[:, None, None]


class Level(nn.Module):
    """One resolution of the decoder: two styled convolutions, a flow with a mask, and colour."""

    ticks: Tensor

    def __init__(self, inputs: int, outputs: int, style_dim: int, resolution: int, last: bool):
        super().__init__()
        self.last = last  # nothing follows that would use its activations
        self.up = StyledConv(inputs, outputs, style_dim, up=True)
        self.conv = StyledConv(outputs, outputs, style_dim)
        self.flow = StyledHead(outputs, 3, style_dim)
        self.rgb = RgbHead(outputs)
        # The ticks are those of align_corners=True although sampling is with False: the weights learnt the mismatch.
        self.register_buffer("ticks", torch.linspace(-1, 1, resolution, device="cpu"), persistent=False)

    def forward(
        self, x: Tensor, latent: Tensor, feature: Tensor | Maps, flow: Tensor, rgb: Tensor
    ) -> tuple[Tensor, ...]:
        """Decode one resolution.

        Args:
            x: activations (N, inputs, r/2, r/2).
            latent: (N, D).
            feature: the portrait's (N or 1, outputs, r, r), or those of several; of the last level their ``colour``.
            flow: of the resolution before (N, 3, r/2, r/2).
            rgb: of the resolution before (N, 3, r/2, r/2).

        Returns:
            Activations (N, outputs, r, r), flow and rgb (N, 3, r, r).
        """
        x = self.conv(self.up(x, latent), latent)
        flow = self.flow(x, latent) + upsample(flow)
        mask = flow[:, 2:].sigmoid()
        if self.last:  # of the warped features only the colour is wanted, and colour can be warped as well
            return x, flow, self.rgb.activated(self.warp(feature, flow, mask)) + upsample(rgb)
        warped = self.warp(feature, flow, mask)
        rgb = self.rgb(warped) + upsample(rgb)
        return torch.addcmul(warped, x, 1 - mask), flow, rgb

    def warp(self, feature: Tensor | Maps, flow: Tensor, mask: Tensor) -> Tensor:
        """The portrait's features where the flow looks for them, masked.

        Args:
            feature: (N or 1, C, r, r), or those of several portraits.
            flow: (N, 3, r, r) before its non-linearities: x, y, mask.
            mask: (N, 1, r, r) in (0, 1).

        Returns:
            (N, C, r, r).
        """
        shift = flow[:, :2].float().tanh()  # positions need float32: 16 bits are coarser than a pixel
        places = shift[:, 0] + self.ticks, shift[:, 1] + self.ticks[:, None]
        if isinstance(feature, Tensor):
            return look_up(feature, *places, mask)
        # Portrait by portrait, so that no map is copied for every frame.
        parts = zip(feature.each, *(each.split(feature.frames) for each in (*places, mask)), strict=True)
        return torch.cat([look_up(*part) for part in parts])


class WarpedDecoder(nn.Module):
    """Decodes frames from identity, motion and the portrait's features."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        channels = [config.channels_at(r) for r in config.resolutions]
        self.start = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        self.first = StyledConv(channels[0], channels[0], config.motion_dim)
        self.levels = nn.ModuleList(
            Level(c_in, c_out, config.motion_dim, resolution, last=resolution == config.image_size)
            for c_in, c_out, resolution in zip(channels[:-1], channels[1:], config.resolutions[1:], strict=True)
        )
        self.shared = sum(resolution < ALONE for resolution in config.resolutions[1:])

    def forward(self, identity: Tensor, motion: Tensor, features: Sequence[Tensor | Maps]) -> Tensor:
        """Decode frames.

        Args:
            identity: (N or 1, D).
            motion: (N, D).
            features: the encoder's maps (N or 1, C, r, r), r = 8, ..., S; one set is shared by all frames. Or those of
                several portraits.

        Returns:
            Frames (N, 3, S, S), in [-1, 1] up to overshoot.
        """
        latent = identity + motion
        features = [*features[:-1], _each(self._colour, features[-1])]
        x = self.first(self.start.expand(len(latent), -1, -1, -1), latent)
        flow = rgb = x.new_zeros(len(latent), 3, 4, 4)
        alone = x.device.type == "cpu" and not torch.is_grad_enabled()
        together = self.shared if alone else len(self.levels)
        state = self._through(self.levels[:together], latent, features[:together], (x, flow, rgb))
        if together == len(self.levels):
            return state[2]

        def frame(k: int) -> Tensor:
            style, *own = (part[k : k + 1] for part in (latent, *state))
            return self._through(self.levels[together:], style, [_of_frame(f, k) for f in features[together:]], own)[2]

        return torch.cat(each_on_a_core(frame, range(len(latent))))

    def _colour(self, feature: Tensor) -> Tensor:
        """What the last level needs of its map (N, C, S, S), (N, 3, S, S)."""
        last = self.levels[-1]
        assert isinstance(last, Level)
        return last.rgb.colour(feature).contiguous(memory_format=torch.channels_last)

    @staticmethod
    def _through(
        levels: Iterable[nn.Module], latent: Tensor, features: Sequence[Tensor | Maps], state: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Activations, flow and rgb after some levels."""
        for level, feature in zip(levels, features, strict=True):
            state = level(state[0], latent, feature, *state[1:])
        return state

    def repeated(self) -> list[nn.Module]:
        """The parts that frames are computed by, which may be compiled."""
        return list(self.levels)

    def several(
        self, identities: Sequence[Tensor], motions: Sequence[Tensor], features: Sequence[list[Tensor]]
    ) -> list[Tensor]:
        """Frames (n, 3, S, S) of each of several portraits, (1, D) with maps (1, C, r, r), in motions (n, D)."""
        frames = [len(motion) for motion in motions]
        identity = torch.cat([each.expand(n, -1) for each, n in zip(identities, frames, strict=True)])
        maps = [Maps(level, frames) for level in zip(*features, strict=True)]
        return list(self(identity, torch.cat(list(motions)), maps).split(frames))
