"""Audio encoder: speech to one condition per video frame (SPEC section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from floatcli.config import ModelConfig
from floatcli.models.wav2vec2 import Moments, Wav2Vec2Backbone


class AudioEncoder(nn.Module):
    """wav2vec2 at the frame rate of the video, all its layers, projected."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.backbone = Wav2Vec2Backbone(config.audio)
        self.projection = nn.Linear(config.audio.hidden * config.audio.layers, config.audio_dim)
        self.norm = nn.LayerNorm(config.audio_dim)

    def _resampled(self, waveform: Tensor, frames: int, moments: Moments | None = None) -> Tensor:
        """Convolutional features at the frame rate (B, frames, conv_dim)."""
        features = self.backbone.convolve(waveform, moments)
        return F.interpolate(features, size=frames, mode="linear", align_corners=True).transpose(1, 2)

    def features(self, waveform: Tensor, frames: int) -> Tensor:
        """All layers side by side (B, T, layers * hidden), arguments as for ``forward``."""
        return torch.cat(list(self.backbone.layer_outputs(self._resampled(waveform, frames))), dim=-1)

    def forward(self, waveform: Tensor, frames: int, moments: Moments | None = None) -> Tensor:
        """Audio condition.

        Args:
            waveform: (B, samples), normalised and padded to whole frames (see ``conditions``).
            frames: T, the number of video frames it lasts.
            moments: Of a piece of speech, as for ``Wav2Vec2Backbone.convolve``.

        Returns:
            (B, T, audio_dim).
        """
        layers = self.backbone.layer_outputs(self._resampled(waveform, frames, moments))
        columns = self.projection.weight.chunk(len(self.backbone.encoder.layers), dim=1)
        # The projection of the concatenated layers, one layer at a time.
        projected = self.projection.bias + sum(
            F.linear(layer, weight) for layer, weight in zip(layers, columns, strict=True)
        )
        return F.silu(self.norm(projected))
