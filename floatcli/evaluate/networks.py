"""Networks of others, as TorchScript files: read, held to their interface, and asked for features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from floatcli.device import exactly, memory_told
from floatcli.errors import WeightsError
from floatcli.evaluate.settings import NETWORKS

BATCH = 8  # pictures or windows that a network sees at a time


class FeatureNetwork:
    """One of NETWORKS on a device.

    Args:
        name: Which.
        path: The file, as ``torch.jit.save`` writes it.
        device: Where it runs.

    Raises:
        WeightsError: the file is no TorchScript, or doesn't take and give what it should.
    """

    def __init__(self, name: str, path: Path, device: torch.device):
        self.name, self.path, self.device = name, path, device
        self.interface = NETWORKS[name]
        try:
            self._network = torch.jit.load(str(path), map_location=device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise WeightsError(f"{path} is no TorchScript network", "write it with torch.jit.save") from error
        try:
            self._seen([torch.zeros(2, *shape, device=device) for shape in self.interface.inputs])
        except (RuntimeError, ValueError) as error:
            raise self._unlike(str(error)) from error

    def features(self, *inputs: Tensor) -> list[np.ndarray]:
        """Vectors (N, any) float64 of N pictures or windows, for each output of the network."""
        parts = []
        for batch in zip(*(each.split(BATCH) for each in inputs), strict=True):
            parts.append(self._seen([each.to(self.device).contiguous() for each in batch]))
        return [torch.cat(output).double().cpu().numpy() for output in zip(*parts, strict=True)]

    def _seen(self, batch: list[Tensor]) -> list[Tensor]:
        with torch.inference_mode(), memory_told(self.device), exactly():
            given = self._network(*batch)
        outputs = [given] if isinstance(given, Tensor) else list(given)
        shapes = [tuple(output.shape) for output in outputs]
        if len(outputs) != self.interface.outputs or any(len(s) != 2 or s[0] != len(batch[0]) for s in shapes):
            raise self._unlike(f"of {len(batch[0])} inputs it makes {shapes}")
        if not all(output.isfinite().all() for output in outputs):
            raise self._unlike("it makes numbers that are not finite")
        return outputs

    def _unlike(self, said: str) -> WeightsError:
        shapes = " and ".join(str(("B", *shape)).replace("'", "") for shape in self.interface.inputs)
        wanted = f"float32 {shapes} to {self.interface.outputs} of (B, any)"
        reason = " ".join(said.split())[-160:]
        return WeightsError(f"{self.path} is no network for {self.name}: {reason}", f"it is to take {wanted}")


def to_pictures(frames: np.ndarray, size: int) -> Tensor:
    """Frames (N, H, H, 3) uint8 as networks see them: (N, 3, size, size) float32 in 0..255."""
    return resized(torch.from_numpy(frames).movedim(-1, 1), size)


def resized(pictures: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, H, H) uint8 as (N, 3, size, size) float32, some at a time."""
    parts = [
        F.interpolate(batch.float(), size=(size, size), mode="bilinear", antialias=True)
        for batch in pictures.split(BATCH)
    ]
    return torch.cat(parts)
