"""What a model's own encoder reads from pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from floatcli.device import mixed
from floatcli.evaluate.pictures import to_tensor
from floatcli.models.float_model import FloatModel
from floatcli.pipeline import FloatPipeline


def read_motion(model: FloatModel, pictures: Tensor) -> Tensor:
    """Motion (N, D) that the model's own encoder reads from pictures (N, 3, H, H)."""
    return model.basis.motion(model.coefficients(pictures))


def read_latents(pipe: FloatPipeline, frames: np.ndarray) -> np.ndarray:
    """Motion (F, D) of frames (F, H, H, 3) uint8, a batch at a time on the pipeline's device."""
    parts = []
    for start in range(0, len(frames), pipe.batch_size):
        batch = to_tensor(frames[start : start + pipe.batch_size])
        with mixed(pipe.device, torch.float32):
            parts.append(read_motion(pipe.model, batch.to(pipe.device)).cpu().numpy())
    return np.concatenate(parts)


def coefficients(pipe: FloatPipeline, latents: np.ndarray) -> np.ndarray:
    """Coefficients (F, M) of motion (F, D) in the model's basis."""
    with mixed(pipe.device, torch.float32):
        return pipe.model.basis.coefficients(torch.from_numpy(latents).to(pipe.device)).cpu().numpy()
