"""Who tells made pictures from true ones: StyleGAN2's discriminator, of each view of them (SPEC section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from floatcli.models.layers import ActivatedConv, EqualLinear
from floatcli.models.motion_encoder import ResidualDown
from floatcli.train.loop import Losses
from floatcli.train.settings import JudgedSettings
from floatcli.train.views import View


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


def gram(maps: Tensor) -> Tensor:
    """How channels go together, (N, C, C), of maps (N, C, h, w): sums over pixels, per pixel and channel."""
    flat = maps.float().flatten(2)
    return flat @ flat.mT / flat[0].numel()


class Adversary(nn.Module):
    """Discriminators, what they say of pictures, and what they learn from.

    Args:
        views: What each of them is shown, by its name.
        settings: Of R1.
    """

    def __init__(self, views: Mapping[str, View], settings: JudgedSettings):
        super().__init__()
        self.views, self.settings = dict(views), settings
        self.judges = nn.ModuleDict({name: Discriminator(view.channels) for name, view in views.items()})

    def fool(self, made: Tensor, truth: Tensor, *where: Tensor) -> Losses:
        """What made pictures lose by being told from true ones (non-saturating), and by maps unlike theirs.

        Args:
            made: (N, 3, S, S).
            truth: What they were to be.
            where: What views need to know besides.
        """
        losses: Losses = {}
        for name, judge in self.judges.items():
            view = self.views[name]
            scores, maps = judge(view.show(made, *where))
            if view.adversarial:
                losses[view.loss] = losses.get(view.loss, 0) + view.adversarial * F.softplus(-scores.float()).mean()
            if view.gram:
                with torch.no_grad():
                    _, wanted = judge(view.show(truth, *where))
                unlike = torch.stack([(gram(a) - gram(b)).abs().mean() for a, b in zip(maps, wanted, strict=True)])
                losses["gram"] = losses.get("gram", 0) + view.gram * unlike.mean()
        return losses

    def losses(self, step: int, made: Tensor, truth: Tensor, *where: Tensor) -> Losses:
        """Logistic losses of all discriminators; on every ``r1_every``-th step R1 for all of these."""
        total, slopes = [], []
        penalised = bool(self.settings.r1) and step % self.settings.r1_every == 0
        for name, judge in self.judges.items():
            false, _ = judge(self.views[name].show(made, *where))
            seen = self.views[name].show(truth, *where)
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
