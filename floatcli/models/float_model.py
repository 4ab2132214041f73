"""FLOAT as a whole: the networks of one set of weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.audio_encoder import AudioEncoder
from floatcli.models.conditions import normalise_waveform, pad_samples, pad_waveform
from floatcli.models.decoder import WarpedDecoder
from floatcli.models.emotion_encoder import EmotionEncoder
from floatcli.models.fmt import VectorField
from floatcli.models.motion_basis import MotionBasis
from floatcli.models.motion_encoder import MotionEncoder


class Portrait(NamedTuple):
    """A picture as the decoder needs it."""

    identity: Tensor  # (B, D)
    features: list[Tensor]  # (B, C, r, r), r = 8, 16, ..., S
    ref_motion: Tensor  # (B, D), the motion that the picture itself shows


class FloatModel(nn.Module):
    """All networks, built from one ``ModelConfig``. Nothing is loaded here: see ``floatcli.checkpoint``."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.motion_encoder = MotionEncoder(config)
        self.basis = MotionBasis(config)
        self.decoder = _decoder(config)
        self.audio_encoder = AudioEncoder(config)
        self.emotion_encoder = EmotionEncoder(config)
        self.field = VectorField(config)

    def encode(self, image: Tensor) -> Portrait:
        """Pictures (B, 3, S, S) in [-1, 1] as portraits."""
        identity, features = self.motion_encoder(image)
        ref_motion = self.basis.motion(self.motion_encoder.coefficients(identity))
        return Portrait(identity, features, ref_motion)

    def decode(self, portrait: Portrait, motion: Tensor) -> Tensor:
        """Frames (N, 3, S, S), about [-1, 1], of one portrait (batch 1) or N in motion (N, D)."""
        return self.decoder(portrait.identity, motion, portrait.features)

    def hear(self, speech: Tensor) -> Tensor:
        """Audio condition (B, T, audio_dim) of speech (B, samples) at ``config.sample_rate``, as recorded."""
        waveform, frames = pad_waveform(normalise_waveform(speech), self.config)
        return self.audio_encoder(waveform, frames)

    def feel(self, speech: Tensor) -> Tensor:
        """Probabilities (B, E) of the emotions in speech (B, samples), as for ``hear``."""
        return self.emotion_encoder(pad_samples(normalise_waveform(speech), self.config.emotion.min_samples))

    def emotion(self, name: str) -> Tensor:
        """The named emotion alone, (1, E), in place of what is heard. ValueError for an unknown name."""
        one_hot = torch.zeros(1, len(self.config.emotions))
        one_hot[0, self.config.emotions.index(name)] = 1
        return one_hot.to(self.basis.weight)


def _decoder(config: ModelConfig) -> nn.Module:
    if config.decoder == "anchored":
        from floatcli.models.anchored_decoder import AnchoredDecoder  # only the sets that have one pay for it

        return AnchoredDecoder(config)
    return WarpedDecoder(config)
