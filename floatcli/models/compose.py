"""Frames from an edited picture, a turn of the head and what lies behind it."""

from __future__ import annotations

from functools import cache, partial
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from floatcli.cores import each_on_a_core
from floatcli.models.layers import remap
from floatcli.models.patches import pixel_grid

FINE = 1000  # pixels a side that a portrait is enlarged to at least, so that looking it up blurs little
LOBES = 8  # of the windowed sinc that enlarges it
FAINT = 1 / 1024  # opacity that is as good as none: a quarter of a grey level
FAR = 8.0  # half sides of the picture that a flow is followed at most


def along_flow(flow: Tensor, size: int) -> Tensor:
    """Where the pixels of a picture of ``size`` a side look along a coarser flow (N, 2, S, S): (N, size, size, 2)."""
    return pixel_grid(size, flow) + resized(flow, size).permute(0, 2, 3, 1)


def resized(maps: Tensor, size: int) -> Tensor:
    """Maps (N, C, S, S) at ``size`` pixels a side."""
    return F.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False)


def look_up(picture: Tensor, at: Tensor, beyond: str = "border") -> Tensor:
    """Picture (N, C, H, H) at places (N, h, w, 2); ``beyond`` is what lies outside, as in ``grid_sample``."""
    return F.grid_sample(picture, at, padding_mode=beyond, align_corners=False)


def enlarged(picture: Tensor) -> Tensor:
    """A picture (B, C, H, H) with values between its pixels, (B, C, kH - k + 1, kH - k + 1), k = 2, 4, ...

    Looked up among these, it keeps the finest detail, which linear interpolation between pixels would blur.
    """
    while picture.shape[-1] < FINE:
        picture = _doubled(_doubled(picture).mT).mT
    return picture.contiguous(memory_format=torch.channels_last)  # looked up three times as fast


def _doubled(picture: Tensor) -> Tensor:
    """Rows (B, C, H, W) with values between their pixels, (B, C, H, 2W - 1)."""
    at = torch.arange(-LOBES, LOBES, device=picture.device, dtype=picture.dtype) + 0.5
    taps = at.sinc() * (at / LOBES).sinc()
    rows = F.pad(picture.flatten(0, 2)[:, None], (LOBES - 1, LOBES - 1), mode="reflect")
    between = F.conv1d(rows, (taps / taps.sum())[None, None]).view(*picture.shape[:3], -1)
    both = torch.stack([picture[..., :-1], between], -1).flatten(3)
    return torch.cat([both, picture[..., -1:]], -1)


def render(picture: Tensor, edits: Tensor, flow: Tensor, light: Tensor, backdrop: Tensor) -> Tensor:
    """Frames (N, 3, H, H) of a portrait, edited and then turned, looked up but once to stay sharp.

    Args:
        picture: The source, ``enlarged`` from (1, 3, H, H).
        edits: By place in the source: where to look instead, mask, colour, the head's opacity, (N, 7, S, S).
        flow: From places in the frames to places in the source, (N, 2, S', S').
        light: What is added to the head's colours, by place in the source, (N, 3, S', S').
        backdrop: What shows where the head does not, (1, 3, H, H).
    """
    size = backdrop.shape[-1]
    if flow.device.type == "cpu" and not torch.is_grad_enabled() and size % edits.shape[-1] == 0:
        return _rendered(picture, edits, flow, light, backdrop)
    work = edits.shape[-1]
    lit = resized(look_up(light, along_flow(flow, light.shape[-1])), work)
    drawn = torch.cat([look_up(edits, along_flow(flow, work)), lit], 1)  # no finer than they are
    offset, mask, colour, head, lit = resized(drawn, size).split([2, 1, 3, 1, 3], 1)
    at = along_flow(flow, size) + offset.permute(0, 2, 3, 1)
    fine = picture.shape[-1]  # it ends at the middle of the outermost pixels
    at = at * ((fine - 1) / (size - 1) * size / fine)
    seen = look_up(picture.expand(len(at), -1, -1, -1), at, beyond="reflection")
    return torch.lerp(backdrop, torch.lerp(seen, colour, mask) + lit, head)


def _rendered(picture: Tensor, edits: Tensor, flow: Tensor, light: Tensor, backdrop: Tensor) -> Tensor:
    """``render`` by OpenCV, in a fraction of the time."""
    frames = np.empty((len(flow), *backdrop.shape[2:], 3), np.float32)
    draw = partial(_draw, picture=_interleaved(picture), backdrop=_interleaved(backdrop))
    each = zip(frames, *(maps.numpy() for maps in (edits, flow, light)), strict=True)
    each_on_a_core(lambda given: draw(*given), list(each))
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


def _draw(
    frame: np.ndarray,
    edits: np.ndarray,
    flow: np.ndarray,
    light: np.ndarray,
    picture: np.ndarray,
    backdrop: np.ndarray,
) -> None:
    """Draws one frame (H, H, 3), no more of it than head and edits reach.

    The rest is as for ``render``; pictures are interleaved, edits, flow and light are planes.
    """
    frame[:] = backdrop
    work, size = edits.shape[-1], len(frame)
    turned = partial(remap, at=_along(flow, work), beyond=cv2.BORDER_REPLICATE)
    x, y, mask, head = (turned(edits[k]) for k in (0, 1, 2, 6))
    seen = head > FAINT
    if not seen.any():
        return
    edited = seen & ((x != 0) | (y != 0) | (mask != 0))
    reach, patches = (_Box.around(each, size // work) for each in (seen, edited if edited.any() else seen))

    finer = (len(picture) - 1) / (size - 1)  # the picture ends at the middle of the outermost pixels
    at = _along(flow, size, finer)
    shifted = patches.of(at)
    shifted += patches.enlarged(cv2.merge([x, y])) * np.float32(finer * size / 2)
    remap(picture, reach.of(at), cv2.BORDER_REFLECT, reach.of(frame))
    colour = turned(cv2.merge(list(edits[3:6])))
    _lerp(patches.of(frame), patches.enlarged(colour), patches.enlarged(mask))
    if light.any():
        lit = remap(cv2.merge(list(light)), _along(flow, light.shape[-1]), cv2.BORDER_REPLICATE)
        reach.of(frame)[:] += reach.enlarged(cv2.resize(lit, (work, work)))
    _lerp(reach.of(frame), reach.of(backdrop), 1 - reach.enlarged(head))


class _Box(NamedTuple):
    """A part of edits, and the same part of a frame ``by`` times as large."""

    rows: slice
    columns: slice
    by: int

    @classmethod
    def around(cls, mask: np.ndarray, by: int) -> _Box:
        """What holds all of a mask (S, S) that is not empty, and a pixel more on every side, to interpolate from."""
        found = [np.flatnonzero(mask.any(axis)) for axis in (1, 0)]
        rows, columns = (slice(max(at[0] - 1, 0), at[-1] + 2) for at in found)
        return cls(rows, columns, by)

    def of(self, frame: np.ndarray) -> np.ndarray:
        """This part of a frame."""
        return frame[tuple(slice(part.start * self.by, part.stop * self.by) for part in self[:2])]

    def enlarged(self, edits: np.ndarray) -> np.ndarray:
        """This part of edits, as large as it is in a frame."""
        return cv2.resize(edits[self.rows, self.columns], None, fx=self.by, fy=self.by)


def _lerp(picture: np.ndarray, other: np.ndarray, weight: np.ndarray) -> None:
    """A picture (h, w, 3) on its way to another, in place, by a weight (h, w)."""
    cv2.blendLinear(picture, other, 1 - weight, weight, picture)


def _along(flow: np.ndarray, size: int, finer: float = 1.0) -> np.ndarray:
    """As ``along_flow`` for one flow (2, S, S), but in pixels of a picture so many times finer, (size, size, 2)."""
    flow = np.nan_to_num(flow).clip(-FAR, FAR)  # OpenCV takes its time to find its way back from further out
    return cv2.resize(cv2.merge(list(flow * np.float32(size / 2 * finer))), (size, size)) + _pixels(size, finer)


@cache
def _pixels(size: int, finer: float) -> np.ndarray:
    """Where a frame's pixels lie in a picture so many times finer, (size, size, 2)."""
    at = np.arange(size, dtype=np.float32) * np.float32(finer)
    return np.dstack(np.meshgrid(at, at))


def _interleaved(picture: Tensor) -> np.ndarray:
    """A picture (1, 3, H, H) as OpenCV takes it, (H, H, 3)."""
    return np.ascontiguousarray(picture[0].permute(1, 2, 0).numpy())
