"""Emotion encoder: speech to the probabilities of the emotions (SPEC section 3)."""

from __future__ import annotations

from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.wav2vec2 import Wav2Vec2Backbone


class EmotionEncoder(nn.Module):
    """wav2vec2 at its own rate, averaged over time, with a two-layer head."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.backbone = Wav2Vec2Backbone(config.emotion)
        self.dense = nn.Linear(config.emotion.hidden, config.emotion.hidden)
        self.output = nn.Linear(config.emotion.hidden, len(config.emotions))

    def logits(self, waveform: Tensor) -> Tensor:
        """Scores (B, E) before the softmax; argument as for ``forward``."""
        hidden = self.backbone.last_hidden(self.backbone.convolve(waveform).transpose(1, 2))
        return self.output(self.dense(hidden.mean(1)).tanh())

    def forward(self, waveform: Tensor) -> Tensor:
        """Probabilities (B, E) of ``config.emotions`` in a normalised, unpadded waveform (B, samples)."""
        return self.logits(waveform).softmax(-1)
