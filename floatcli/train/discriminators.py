"""Who tells made pictures from true ones: StyleGAN2's discriminator, of wholes, eyes and lips (SPEC section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from floatcli.config import ModelConfig
from floatcli.models.layers import ActivatedConv, EqualLinear
from floatcli.models.motion_encoder import ResidualDown
from floatcli.train.loop import Losses
from floatcli.train.settings import WarpedSettings

SCALES = ("full_size", "half_size")  # of whole pictures
CROPS = ("eyes", "lips")
_SMALLEST_CROP = 16  # pixels a side
_LEAST_BOX = 0.05  # in grid coordinates: a box that is smaller has nothing to see


class Discriminator(nn.Module):
    """StyleGAN2's residual discriminator, down to 4x4, with the spread of the batch as one more map.

    Args:
        channels: By resolution, from the picture's to 4.
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        last = channels[-1]
        self.stem = ActivatedConv(3, channels[0], 1)
        self.blocks = nn.ModuleList(ResidualDown(c_in, c_out) for c_in, c_out in pairwise(channels))
        self.conv = ActivatedConv(last + 1, last, 3, padding=1)
        self.hidden = EqualLinear(last * 16, last)
        self.score = EqualLinear(last, 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores (N,), high for true pictures, and the maps (N, C, r, r) of all blocks, of (N, 3, S, S)."""
        maps = [self.stem(pictures)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        x = maps[-1]
        spread = (x.float().var(0, correction=0) + 1e-8).sqrt().mean().to(x.dtype)
        x = self.conv(torch.cat([x, spread.expand(len(x), 1, *x.shape[2:])], 1))
        hidden = F.leaky_relu(self.hidden(x.flatten(1)), 0.2)
        return self.score(hidden)[:, 0], maps[1:]


def crop(pictures: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Boxes (N, 4) x1, y1, x2, y2 in grid coordinates out of pictures (N, C, H, W), as (N, C, size, size)."""
    centre, half = (boxes[:, 2:] + boxes[:, :2]) / 2, (boxes[:, 2:] - boxes[:, :2]).clamp(min=_LEAST_BOX) / 2
    matrix = torch.cat([torch.diag_embed(half), centre[..., None]], -1)
    grid = F.affine_grid(matrix, [len(pictures), pictures.shape[1], size, size], align_corners=False)
    return F.grid_sample(pictures, grid.to(pictures.dtype), padding_mode="border", align_corners=False)


def gram(maps: Tensor) -> Tensor:
    """How channels go together, (N, C, C), of maps (N, C, h, w): sums over pixels, per pixel and channel."""
    flat = maps.float().flatten(2)
    return flat @ flat.mT / flat[0].numel()


class Adversary(nn.Module):
    """The discriminators that are switched on, what they say of pictures, and what they learn from.

    Args:
        config: Whose channels the discriminators have.
        settings: The weights of losses.
    """

    def __init__(self, config: ModelConfig, settings: WarpedSettings):
        super().__init__()
        self.settings = settings
        self.sizes: dict[str, int] = {}
        if settings.adversarial:
            self.sizes |= dict(zip(SCALES, (config.image_size, config.image_size // 2), strict=True))
        if settings.part_adversarial or settings.gram:
            self.sizes |= dict.fromkeys(CROPS, max(config.image_size // 4, _SMALLEST_CROP))
        self.judges = nn.ModuleDict()
        for name, size in self.sizes.items():
            sizes = [resolution for resolution in reversed(config.resolutions) if resolution <= size]
            self.judges[name] = Discriminator([config.channels_at(resolution) for resolution in sizes])

    def view(self, name: str, pictures: Tensor, boxes: Tensor) -> Tensor:
        """What a discriminator is shown of pictures (N, 3, S, S) with boxes (N, 3, 4) of left eye, right eye, mouth."""
        size = self.sizes[name]
        if name in SCALES:
            return F.interpolate(pictures, size=(size, size), mode="area")
        if name == "lips":
            return crop(pictures, boxes[:, 2], size)
        left, right = (crop(pictures, boxes[:, k], size) for k in (0, 1))
        return torch.cat([left, right.flip(-1)])  # one network for both sides

    def fool(self, made: Tensor, truth: Tensor, boxes: Tensor) -> Losses:
        """What made pictures lose by being told from true ones (non-saturating), and by eyes and lips unlike theirs."""
        losses: Losses = {}
        weights = {"adversarial": self.settings.adversarial, "parts": self.settings.part_adversarial}
        for name, judge in self.judges.items():
            scores, maps = judge(self.view(name, made, boxes))
            kind = "adversarial" if name in SCALES else "parts"
            if weights[kind]:
                losses[kind] = losses.get(kind, 0) + weights[kind] * F.softplus(-scores.float()).mean()
            if name in CROPS and self.settings.gram:
                with torch.no_grad():
                    _, wanted = judge(self.view(name, truth, boxes))
                unlike = torch.stack([(gram(a) - gram(b)).abs().mean() for a, b in zip(maps, wanted, strict=True)])
                losses["gram"] = losses.get("gram", 0) + self.settings.gram * unlike.mean()
        return losses

    def losses(self, step: int, made: Tensor, truth: Tensor, boxes: Tensor) -> Losses:
        """Logistic losses of all discriminators; on every ``r1_every``-th step R1 for all of these."""
        total, slopes = [], []
        penalised = bool(self.settings.r1) and step % self.settings.r1_every == 0
        for name, judge in self.judges.items():
            false, _ = judge(self.view(name, made, boxes))
            seen = self.view(name, truth, boxes)
            true, _ = judge(seen)
            total.append(F.softplus(false.float()).mean() + F.softplus(-true.float()).mean())
            if penalised:
                slopes.append(slope(judge, seen))
        losses = {"judging": torch.stack(total).sum()}
        if penalised:
            losses["r1"] = self.settings.r1_every * self.settings.r1 / 2 * torch.stack(slopes).sum()
        return losses


def slope(judge: nn.Module, pictures: Tensor) -> Tensor:
    """R1: the mean squared gradient of scores by true pictures, in float32."""
    pictures = pictures.detach().float().requires_grad_()
    with torch.autocast(pictures.device.type, enabled=False):
        scores, _ = judge(pictures)
        (gradient,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()
