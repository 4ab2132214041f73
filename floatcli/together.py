"""The two networks that a clip calls over and over, field and decoder; clips side by side share their calls."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from floatcli.compiling import PAYS_FROM, compile_networks
from floatcli.config import SampleConfig
from floatcli.desk import Desk, Item, Result, Service
from floatcli.device import mixed
from floatcli.flow.sampler import sample_window
from floatcli.flow.solvers import in_step
from floatcli.models.conditions import WindowCondition, joined
from floatcli.models.float_model import FloatModel, Portrait


class Window(NamedTuple):
    """A window of motion to be sampled."""

    condition: WindowCondition
    x_0: Tensor  # noise (B, L, D)
    settings: SampleConfig


class Scene(NamedTuple):
    """Frames to be drawn."""

    portrait: Portrait  # batch 1
    motion: Tensor  # (n, D)


class Networks:
    """Samples windows and draws frames for the threads of one device.

    Args:
        model: The networks, on ``device``.
        device: Where they are.
        dtype: Of their products.
        batch_size: Frames drawn by a call, of however many clips.
        together: Clips that may share a call. With one, a call computes what a thread asks for and nothing else, so
            results are the same to the bit whatever other threads do.
        compiles: Whether they are compiled once enough frames are expected.
    """

    def __init__(
        self,
        model: FloatModel,
        device: torch.device,
        dtype: torch.dtype,
        batch_size: int,
        together: int,
        compiles: bool = False,
    ):
        self.model, self.device, self.dtype = model, device, dtype
        self._compiles, self._expected = compiles, 0
        self._sampling = Service(self._sampled, lambda item: in_step(item.settings), lambda item: 1, together)
        self._drawing = Service(self._drawn, lambda item: True, lambda item: len(item.motion), batch_size)
        self.desks = {} if together == 1 else self._desks(beside=device.type == "cuda")

    def _desks(self, beside: bool) -> dict[Service, Desk]:
        """Where each service is asked for: at desks of their own where frames are drawn beside motion.

        Else at one, frames first: clips that need a window gather while those that have one go through it.
        """
        services = self._drawing, self._sampling
        return {each: Desk(each) for each in services} if beside else dict.fromkeys(services, Desk(*services))

    def expect(self, frames: int) -> None:
        """Told of the frames of a clip to be: after enough of them, networks are compiled if they shall be."""
        self._expected += frames
        if self._compiles and self._expected >= PAYS_FROM:
            self.compile()

    def compile(self) -> None:
        """Compile the networks at their next calls."""
        self._compiles = False
        compile_networks(self.model)

    def sample(self, condition: WindowCondition, x_0: Tensor, settings: SampleConfig) -> Tensor:
        """Motion (B, L, D) of a window. Raises DeviceError."""
        return self._ask(self._sampling, Window(condition, x_0, settings))

    def draw(self, portrait: Portrait, motion: Tensor) -> np.ndarray:
        """Frames (n, H, W, 3) uint8 of a portrait in motions (n, D). Raises DeviceError."""
        return self._ask(self._drawing, Scene(portrait, motion))

    def _ask(self, service: Service[Item, Result], item: Item) -> Result:
        desk = self.desks.get(service)
        return service.call([item])[0] if desk is None else desk.ask(service, item)

    def _sampled(self, windows: list[Window]) -> list[Tensor]:
        """Motion of windows whose solver goes in step."""
        with mixed(self.device, self.dtype, "field"):
            condition = joined([window.condition for window in windows])
            x_0 = torch.cat([window.x_0 for window in windows])
            x_1 = sample_window(self.model.field, condition, x_0, windows[0].settings)
        return list(x_1.split([len(window.x_0) for window in windows]))

    def _drawn(self, scenes: list[Scene]) -> list[np.ndarray]:
        with mixed(self.device, self.dtype, "decoder"):
            frames = self.model.decode_together(*map(list, zip(*scenes, strict=True)))
            return [_to_pixels(each) for each in frames]


def _to_pixels(frames: Tensor) -> np.ndarray:
    """Frames (n, 3, H, W) about [-1, 1], which are overwritten, to uint8 (n, H, W, 3)."""
    pixels = frames.float().mul_(127.5).add_(128).clamp_(0, 255).byte()  # byte() truncates: 128 is 127.5 + .5
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
