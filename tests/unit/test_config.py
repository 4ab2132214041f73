import dataclasses
import json

import pytest

from floatcli.config import FieldSize, ModelConfig, Wav2Vec2Size


def test_json_round_trip(unlike_config: ModelConfig) -> None:
    named = dataclasses.replace(
        unlike_config, coefficient_names=tuple("abcdefghijklmnopqrst"[: unlike_config.basis_size])
    )
    field = dataclasses.replace(unlike_config.field, conditioning="cross-attention", reach=3)
    ablated = dataclasses.replace(unlike_config, objective="epsilon", field=field)
    for config in (ModelConfig(), unlike_config, named, ablated):
        assert ModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wings": 1, "tail": 2}, "unknown keys: tail, wings"),
        ({"field": {"width": 8, "girth": 3}}, r"config\.field has unknown keys: girth"),
        ({"field": 3}, r"config\.field is not an object"),
        ({"motion_dim": "wide"}, r"config\.motion_dim is 'wide', not int"),
        ({"motion_dim": 2.5}, "not int"),
        ({"motion_dim": True}, "not int"),
        ({"emotions": "happy"}, "not a list"),
        ({"emotions": [1]}, "not str"),
        ({"channels": [[4, 8, 2]]}, "3 values, not 2"),
        ({"channels": [[4, 8], [8, 0], [16, 8], [32, 8]], "image_size": 32}, "channels is 0"),
        ({"audio": {"layers": 0}}, r"config\.audio: layers is 0, not in 1"),
        ({"field": {"depth": -1}}, r"config\.field: depth is -1"),
        ({"image_size": 48}, "power of two"),
        ({"decoder": "anchored", "image_size": 32, "channels": [[4, 8], [8, 14], [16, 8]]}, "multiples of 4"),
        ({"anchored": {"patch_channels": [16, 2]}}, r"patch_channels are \[16, 2\], not multiples of 4"),
        ({"image_size": 2048}, "resolution 2048"),
        ({"basis_size": 513}, "1..512"),
        ({"decoder": "magic"}, "magic"),
        ({"preceding": 51}, "the window"),
        ({"objective": "score"}, "objective is 'score', not one of flow, epsilon, x0"),
        ({"field": {"conditioning": "prayer"}}, "conditioning is 'prayer', not one of modulation, cross-attention"),
        ({"field": {"reach": -1}}, "reach is -1"),
        ({"window": 0, "preceding": 0}, r"window is 0, not in 1\.\.2000"),
        ({"fps": 0}, "fps is 0"),
        ({"sample_rate": -1}, "sample_rate is -1"),
        ({"motion_dim": 10**12}, "motion_dim is 1000000000000"),
        ({"emotions": []}, "emotions are none"),
        ({"coefficient_scales": [1.0]}, "coefficient_scales are 1, the basis has 20"),
        ({"anchored": {"output_sizes": []}}, "output_sizes"),
        ({"anchored": {"output_sizes": [0]}}, "output_sizes"),
        ({"field": {"heads": 7}}, "heads 7 does not divide width 1024"),
        ({"audio": {"feature_norm": "batch"}}, "batch"),
        ({"audio": {"conv_dim": [3]}}, "differ in length"),
    ],
)
def test_what_describes_no_model_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_json(json.dumps(change))


def test_no_object_is_refused() -> None:
    for text in ("[]", "3", "{"):
        with pytest.raises(ValueError, match=r"object|Expecting"):
            ModelConfig.from_json(text)


def test_impossible_sizes_are_refused_when_made() -> None:
    with pytest.raises(ValueError, match="heads"):
        FieldSize(width=10, heads=4)
    with pytest.raises(ValueError, match="position_groups"):
        Wav2Vec2Size(hidden=32, heads=4, position_groups=5)
