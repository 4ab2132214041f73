"""wav2vec2 with what FLOAT needs of it: features at any rate, every layer's output (SPEC section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2Model

from floatcli.config import Wav2Vec2Size


class Moments(NamedTuple):
    """Of the channels of a first convolution, over time."""

    mean: Tensor  # (conv_dim,)
    variance: Tensor  # (conv_dim,)


class Wav2Vec2Backbone(Wav2Vec2Model):
    """The network of ``transformers``, walked layer by layer.

    Its own forward keeps hidden states only through hooks, and offers no place between convolutions and
    transformer. There is neither dropout nor masking.
    """

    def __init__(self, size: Wav2Vec2Size):
        super().__init__(_transformers_config(size))

    def convolve(self, waveform: Tensor, moments: Moments | None = None) -> Tensor:
        """Convolutional features (B, conv_dim, n) of a normalised waveform (B, samples).

        Args:
            waveform: What is heard, or a piece of it.
            moments: Of a piece: those of the whole, where the network ``normalises_over_time``.
        """
        if moments is None:
            return self.feature_extractor(waveform)
        layers: Any = self.feature_extractor.conv_layers
        first, *others = layers
        norm = first.layer_norm
        scale = norm.weight * torch.rsqrt(moments.variance + norm.eps)
        x = (self.first_convolution(waveform) - moments.mean[:, None]) * scale[:, None]
        x = first.activation(x + norm.bias[:, None])
        for layer in others:
            x = layer(x)
        return x

    @property
    def normalises_over_time(self) -> bool:
        """Whether every channel of the first convolution gets zero mean and unit variance over all that is heard."""
        return self.config.feat_extract_norm == "group"

    def first_convolution(self, waveform: Tensor) -> Tensor:
        """What is normalised so: (B, conv_dim, n) of a waveform (B, samples)."""
        layers: Any = self.feature_extractor.conv_layers
        return layers[0].conv(waveform[:, None])

    def layer_outputs(self, features: Tensor) -> Iterator[Tensor]:
        """The output (B, n, hidden) of each transformer layer in turn, from features (B, n, conv_dim).

        A caller that uses them one at a time holds one at a time.
        """
        hidden, _ = self.feature_projection(features)
        hidden = hidden + self.encoder.pos_conv_embed(hidden)
        if not self.config.do_stable_layer_norm:
            hidden = self.encoder.layer_norm(hidden)
        for layer in self.encoder.layers:
            hidden = layer(hidden)
            yield hidden

    def last_hidden(self, features: Tensor) -> Tensor:
        """The network's final output (B, n, hidden), from features (B, n, conv_dim)."""
        *_, hidden = self.layer_outputs(features)
        return self.encoder.layer_norm(hidden) if self.config.do_stable_layer_norm else hidden


def _transformers_config(size: Wav2Vec2Size) -> Wav2Vec2Config:
    return Wav2Vec2Config(
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.intermediate,
        conv_dim=size.conv_dim,
        conv_kernel=size.conv_kernel,
        conv_stride=size.conv_stride,
        conv_bias=size.conv_bias,
        feat_extract_norm=size.feature_norm,
        do_stable_layer_norm=size.stable_layer_norm,
        num_conv_pos_embeddings=size.position_kernel,
        num_conv_pos_embedding_groups=size.position_groups,
        hidden_dropout=0.0,
        activation_dropout=0.0,
        attention_dropout=0.0,
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        mask_time_prob=0.0,
        mask_feature_prob=0.0,
    )
