"""Emotion encoder: speech to the probabilities of the emotions (SPEC section 3)."""

from __future__ import annotations

from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.wav2vec2 import Moments, Wav2Vec2Backbone


class EmotionEncoder(nn.Module):
    """wav2vec2 at its own rate, averaged over time, with a two-layer head."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.backbone = Wav2Vec2Backbone(config.emotion)
        self.dense = nn.Linear(config.emotion.hidden, config.emotion.hidden)
        self.output = nn.Linear(config.emotion.hidden, len(config.emotions))

    def logits(self, waveform: Tensor) -> Tensor:
        """Scores (B, E) before the softmax; argument as for ``forward``."""
        return self.classify(self.hidden(waveform).mean(1))

    def hidden(self, waveform: Tensor, moments: Moments | None = None) -> Tensor:
        """What is pooled over time, (B, n, hidden), of a waveform or a piece (see ``Wav2Vec2Backbone.convolve``)."""
        return self.backbone.last_hidden(self.backbone.convolve(waveform, moments).transpose(1, 2))

    def classify(self, pooled: Tensor) -> Tensor:
        """Scores (B, E) before the softmax, of the mean over time (B, hidden)."""
        return self.output(self.dense(pooled).tanh())

    def forward(self, waveform: Tensor) -> Tensor:
        """Probabilities (B, E) of ``config.emotions`` in a normalised, unpadded waveform (B, samples)."""
        return self.logits(waveform).softmax(-1)
