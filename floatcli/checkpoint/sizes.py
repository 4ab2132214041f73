"""What the shapes of published tensors, under our names, say of the model; the published conventions for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from floatcli.config import EMOTIONS, PUBLISHED_CHANNELS, FieldSize, ModelConfig, Wav2Vec2Size

Shapes = Mapping[str, tuple[int, ...]]

HEAD_WIDTH = 64  # of every wav2vec2 in use


def infer_config(shapes: Shapes, audio: Mapping[str, Any], emotion: Mapping[str, Any]) -> ModelConfig:
    """The configuration that tensors state.

    Args:
        shapes: of the tensors, under our names; "field.positions" stands for the table of positions.
        audio: the ``config.json`` of the audio model, empty where there is none.
        emotion: that of the emotion model.

    Raises:
        KeyError: a tensor that is needed is not there; the argument is its name.
        ValueError: the shapes contradict each other.
    """
    image_size, channels = _channels(shapes)
    if shapes["emotion_encoder.output.bias"] != (len(EMOTIONS),):
        raise ValueError(f"{shapes['emotion_encoder.output.bias'][0]} emotions instead of {len(EMOTIONS)}")
    length = shapes["field.positions"][-2]
    return ModelConfig(
        image_size=image_size,
        channels=channels,
        motion_dim=shapes["basis.weight"][0],
        basis_size=shapes["basis.weight"][1],
        audio=_wav2vec2(_below(shapes, "audio_encoder.backbone."), audio),
        audio_dim=shapes["audio_encoder.norm.bias"][0],
        emotion=_wav2vec2(_below(shapes, "emotion_encoder.backbone."), emotion),
        field=_field(_below(shapes, "field.")),
        window=length - ModelConfig.preceding,
    )


class _Below(dict[str, tuple[int, ...]]):
    """Shapes below a prefix; asking for a missing one names it in full."""

    prefix = ""

    def __missing__(self, name: str) -> tuple[int, ...]:
        raise KeyError(self.prefix + name)


def _below(shapes: Shapes, prefix: str) -> _Below:
    found = _Below({k.removeprefix(prefix): v for k, v in shapes.items() if k.startswith(prefix)})
    found.prefix = prefix
    return found


def _channels(shapes: Shapes) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Image size and channel table, from the encoder."""
    outputs = [shapes["motion_encoder.stem.weight"][0]]
    while (name := f"motion_encoder.blocks.{len(outputs) - 1}.conv2.weight") in shapes:
        outputs.append(shapes[name][0])
    table = tuple((4 << i, channels) for i, channels in enumerate(reversed(outputs)))
    published = set(table) <= set(PUBLISHED_CHANNELS)
    return table[-1][0], PUBLISHED_CHANNELS if published else table


def _field(shapes: _Below) -> FieldSize:
    width, _ = shapes["motion_in.weight"]
    depth = sum(name.endswith("qkv.weight") for name in shapes)
    return FieldSize(
        width=width,
        depth=depth,
        mlp_ratio=shapes["blocks.0.hidden.bias"][0] // width,
        time_features=shapes["time_in.hidden.weight"][1],
    )


def _wav2vec2(shapes: _Below, settings: Mapping[str, Any]) -> Wav2Vec2Size:
    """Sizes of one network. Heads, strides and the place of the norms are in no shape."""
    convs = "feature_extractor.conv_layers"
    count = 1
    while f"{convs}.{count}.conv.weight" in shapes:
        count += 1
    weights = [shapes[f"{convs}.{i}.conv.weight"] for i in range(count)]
    hidden, grouped, kernel = shapes["encoder.pos_conv_embed.conv.parametrizations.weight.original1"]
    layer_norm = f"{convs}.1.layer_norm.weight" in shapes
    return Wav2Vec2Size(
        hidden=hidden,
        layers=sum(name.endswith("attention.q_proj.weight") for name in shapes),
        heads=settings.get("num_attention_heads", max(1, hidden // HEAD_WIDTH)),
        intermediate=shapes["encoder.layers.0.feed_forward.intermediate_dense.bias"][0],
        conv_dim=tuple(weight[0] for weight in weights),
        conv_kernel=tuple(weight[2] for weight in weights),
        conv_stride=tuple(settings.get("conv_stride", Wav2Vec2Size.conv_stride)),
        conv_bias=f"{convs}.0.conv.bias" in shapes,
        feature_norm="layer" if layer_norm else "group",
        stable_layer_norm=settings.get("do_stable_layer_norm", layer_norm),
        position_kernel=kernel,
        position_groups=hidden // grouped,
    )
