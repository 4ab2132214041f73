"""What the vector field is conditioned on, and how speech is prepared for it (SPEC sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from floatcli.config import ModelConfig


class WindowCondition(NamedTuple):
    """The conditions of one window of L frames and the L' frames before it."""

    ref_motion: Tensor  # (B, D)
    preceding_motion: Tensor  # (B, L', D), zeros before the first window
    preceding_audio: Tensor  # (B, L', A), zeros before the first window
    audio: Tensor  # (B, L, A)
    emotion: Tensor  # (B, E) for all frames, or (B, L' + L, E)
    pose: Tensor | None = None  # (B, L' + L, 6), what ``VectorField.pose_in`` makes of it; zeros: not given

    def frames(self) -> Tensor:
        """Side by side for each frame: (B, L' + L, D + A + E), and 6 more where the field follows a pose."""
        audio = torch.cat((self.preceding_audio, self.audio), dim=1)
        length = audio.shape[1]
        parts = self.ref_motion[:, None].expand(-1, length, -1), audio, self.by_frame()
        return torch.cat(parts if self.pose is None else (*parts, self.pose), dim=-1)

    def by_frame(self) -> Tensor:
        """The emotion of each frame, (B, L' + L, E)."""
        length = self.preceding_audio.shape[1] + self.audio.shape[1]
        return self.emotion if self.emotion.ndim == 3 else self.emotion[:, None].expand(-1, length, -1)


def joined(conditions: Sequence[WindowCondition]) -> WindowCondition:
    """Conditions of several clips as those of one batch."""
    if len({condition.emotion.ndim for condition in conditions}) > 1:
        conditions = [condition._replace(emotion=condition.by_frame()) for condition in conditions]
    columns = zip(*conditions, strict=True)
    return WindowCondition._make(None if parts[0] is None else torch.cat(parts) for parts in columns)


def normalise_waveform(waveform: Tensor) -> Tensor:
    """Zero mean and unit variance over the whole clip (..., samples), as wav2vec2 expects."""
    centred = waveform - waveform.mean(-1, keepdim=True)
    return centred / (waveform.var(-1, correction=0, keepdim=True) + 1e-7).sqrt()


def frame_count(samples: int, config: ModelConfig) -> int:
    """T, the video frames that the samples last: the last one may be partly silent, no sound is lost."""
    return -(-samples * config.fps // config.sample_rate)


def pad_samples(waveform: Tensor, samples: int) -> Tensor:
    """The waveform (B, n) continued with its last value to (B, samples) where it is shorter."""
    missing = max(0, samples - waveform.shape[-1])
    return F.pad(waveform[:, None], (0, missing), mode="replicate")[:, 0] if missing else waveform


def pad_waveform(waveform: Tensor, config: ModelConfig) -> tuple[Tensor, int]:
    """The waveform (B, n) continued to whole video frames, and their number T."""
    frames = frame_count(waveform.shape[-1], config)
    samples = max(-(-frames * config.sample_rate // config.fps), config.audio.min_samples)
    return pad_samples(waveform, samples), frames
