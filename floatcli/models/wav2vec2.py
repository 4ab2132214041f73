"""wav2vec2 with what FLOAT needs of it: features at any rate, every layer's output (SPEC section 3)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2Model

from floatcli.config import Wav2Vec2Size


class Wav2Vec2Backbone(Wav2Vec2Model):
    """The network of ``transformers``, walked layer by layer.

    Its own forward keeps hidden states only through hooks, and offers no place between convolutions and
    transformer. There is neither dropout nor masking.
    """

    def __init__(self, size: Wav2Vec2Size):
        super().__init__(_transformers_config(size))

    def convolve(self, waveform: Tensor) -> Tensor:
        """Convolutional features (B, conv_dim, n) of a normalised waveform (B, samples)."""
        return self.feature_extractor(waveform)

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
