"""Pictures compared in what a network sees in them: over the whole frame, and about eyes and mouth (SPEC section 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from floatcli.errors import InputError
from floatcli.face.networks import network_file
from floatcli.models.motion_encoder import MotionEncoder
from floatcli.train.loop import processes
from floatcli.train.settings import DRAWINGS, VGG

_VGG_ENDS = (2, 7, 12, 21, 30)  # layers of VGG-19 after relu1_1, relu2_1, ... relu5_1
_VGG_MEAN, _VGG_SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours, from 0 to 1


class Perceptual:
    """A network that pictures are compared by. No module: nothing of it is learnt, averaged or kept in checkpoints."""

    def __init__(self, network: nn.Module):
        self._network = network.eval().requires_grad_(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Perceptual:
        return self

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """Maps (N, C, h, w) of pictures (N, 3, S, S) in [-1, 1], fine to coarse."""
        return self._network.to(pictures.device)(pictures)


class VggMaps(nn.Module):
    """The first maps of every resolution of torchvision's VGG-19."""

    mean: Tensor
    spread: Tensor

    def __init__(self, layers: nn.Sequential):
        super().__init__()
        for layer in layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        self.stages = nn.ModuleList(layers[a:b] for a, b in pairwise((0, *_VGG_ENDS)))
        self.register_buffer("mean", torch.tensor(_VGG_MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(_VGG_SPREAD)[:, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """See ``Perceptual``."""
        x = ((pictures + 1) / 2 - self.mean) / self.spread
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class EncoderMaps(nn.Module):
    """The maps of a motion encoder, of size one everywhere: how large they are is nobody's wish."""

    def __init__(self, encoder: MotionEncoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """See ``Perceptual``."""
        _, maps = self.encoder(pictures)
        return [map_ * (map_.square().mean(1, keepdim=True) + 1e-6).rsqrt() for map_ in reversed(maps)]


def vgg19(notice: Callable[[str], None]) -> Perceptual:
    """VGG-19 as torchvision has it, its weights from torch's cache or fetched into it. Raises as ``check_vgg19``."""
    build, weights = check_vgg19(notice)
    return Perceptual(VggMaps(build(weights=weights).features))


def check_vgg19(notice: Callable[[str], None]) -> tuple[Callable[..., Any], Any]:
    """What builds VGG-19, and which weights of it are there.

    Raises:
        InputError: torchvision is not there or does not fit torch, or the weights can't be had.
    """
    try:
        from torchvision.models import VGG19_Weights
        from torchvision.models import vgg19 as build
    except (ImportError, RuntimeError, OSError) as error:
        said = "not installed" if isinstance(error, ImportError) else "of another torch"
        raise InputError(f"torchvision is {said}", "pip install 'floatcli[vgg]', or network = \"drawn\"") from error
    weights = VGG19_Weights.IMAGENET1K_V1
    if network_file(weights.url, notice) is None:
        raise InputError(f"{weights.url} can't be fetched", 'allow network access, or take network = "drawn"')
    return build, weights


def check_network(network: str, log: Callable[[str], None]) -> None:
    """Raise InputError where VGG-19 alone is asked for, and can't be had."""
    if network == VGG:
        with processes().main_process_first():
            check_vgg19(log)


def choose_perceptual(
    network: str, what: str, learn: Callable[[], MotionEncoder], log: Callable[[str], None]
) -> Perceptual:
    """The network that pictures are compared by.

    Args:
        network: One of ``NETWORKS``: VGG, DRAWINGS, or AUTO for the first where it can be had, else the second.
        what: Is compared.
        learn: Teaches an encoder on drawings.
        log: Told which it is.

    Raises:
        InputError: VGG-19 alone is asked for, and can't be had.
    """
    tell = log if processes().is_main_process else _untold
    reason = f"{network!r} is asked for"
    if network != DRAWINGS:
        try:
            with processes().main_process_first():
                found = vgg19(log)
            tell(f"{what} are compared by VGG-19")
            return found
        except InputError as error:
            if network == VGG:
                raise
            reason = str(error)
    tell(f"{what} are compared by an encoder that learns from drawings, not by VGG-19: {reason}")
    return Perceptual(EncoderMaps(learn()))


def _untold(line: str) -> None:
    """The first of several processes has said it."""


def perceptual_loss(made: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """L1 between maps, of all resolutions alike."""
    return torch.stack([(a - b).abs().mean() for a, b in zip(made, truth, strict=True)]).mean()


def component_loss(made: Sequence[Tensor], truth: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """L1 between maps within boxes (N, P, 4) in grid coordinates, averaged over whole maps as a small part of them."""
    total = [
        ((a - b).abs() * box_mask(boxes, *a.shape[-2:])).mean() for a, b in zip(made, truth, strict=True)
    ]  # fmt: skip
    return torch.stack(total).mean()


def box_mask(boxes: Tensor, height: int, width: int) -> Tensor:
    """How much of each pixel lies in one of its boxes, (N, 1, height, width), of boxes (N, P, 4) x1, y1, x2, y2."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    across, down = _covered(x1, x2, width), _covered(y1, y2, height)
    return (down[..., :, None] * across[..., None, :]).amax(1, keepdim=True)


def _covered(low: Tensor, high: Tensor, size: int) -> Tensor:
    """Shares (..., size) of an axis's pixels that lie from ``low`` to ``high`` (...) in grid coordinates."""
    edges = torch.linspace(-1, 1, size + 1, device=low.device, dtype=low.dtype)
    inside = torch.minimum(high[..., None], edges[1:]) - torch.maximum(low[..., None], edges[:-1])
    return F.relu(inside) * (size / 2)
