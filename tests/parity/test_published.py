"""Every layout in which the published weights are found, and what is said of a file that is not one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from floatcli.checkpoint.load import load_model
from floatcli.checkpoint.published import from_published, model_names, read_published
from floatcli.config import EMOTIONS, ModelConfig
from floatcli.errors import WeightsError
from floatcli.models.float_model import FloatModel
from floatcli.models.fmt import position_table
from tests.parity.golden import DATA, golden_shapes
from tests.published import AUDIO, AUDIO_FOLDER, EMOTION, EMOTION_FOLDER, older_spelling, write_folders
from tests.unlike import UNLIKE, random_model

#: Unlike sizes, with the published conventions for what shapes do not tell: heads, reach, labels, L'.
CONFIG = dataclasses.replace(
    UNLIKE,
    name="float",
    emotions=EMOTIONS,
    audio=dataclasses.replace(UNLIKE.audio, heads=1),
    field=dataclasses.replace(UNLIKE.field, heads=8, reach=2),
    window=12,
    preceding=10,
)


def to_published(tensors: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Tensors under the published names and in their shapes: the inverse of ``from_published``."""
    names = model_names(config)
    return {name.theirs: tensors[name.ours].view(name.their_shape(shape)) for name, shape in names.items()}


@pytest.fixture(scope="module")
def model() -> FloatModel:
    return random_model(CONFIG)


@pytest.fixture
def published(model: FloatModel) -> dict[str, Tensor]:
    """The whole model under the published names, with what is stored and not used."""
    return to_published(model.state_dict(), CONFIG) | {
        "fmt.pos_embed": position_table(22, 16)[None],
        "fmt.alignment_mask": torch.zeros(22, 22, dtype=torch.bool),
        "motion_autoencoder.enc.net_app.convs.1.conv2.0.kernel": torch.zeros(4, 4),
        "motion_autoencoder.dec.convs.0.noise.weight": torch.zeros(1),
        "motion_autoencoder.dec.to_rgb1.bias": torch.zeros(1, 3, 1, 1),
        f"{AUDIO}masked_spec_embed": torch.zeros(16),
    }


def assert_same(loaded: FloatModel, model: FloatModel) -> None:
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_flat_file_with_its_two_folders(published: dict[str, Tensor], model: FloatModel, tmp_path: Path) -> None:
    loaded = load_model(write_folders(tmp_path, published, {"num_attention_heads": 4}))
    assert_same(loaded, model)
    # What no shape tells comes from the folder's config.json.
    assert loaded.config == dataclasses.replace(CONFIG, audio=dataclasses.replace(CONFIG.audio, heads=4))


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_one_file_with_everything(
    older: bool, dtype: torch.dtype, published: dict[str, Tensor], model: FloatModel, tmp_path: Path
) -> None:
    path = tmp_path / "FLOAT.safetensors"
    spelt = {older_spelling(name) if older else name: tensor.to(dtype) for name, tensor in published.items()}
    save_file({name: tensor.contiguous() for name, tensor in spelt.items()}, path)
    loaded = load_model(path)
    assert loaded.config == CONFIG
    if dtype is torch.float32:
        assert_same(loaded, model)
    assert loaded.basis.weight.dtype == torch.float32


@torch.no_grad()
def test_both_spellings_of_the_weight_norm_are_the_same_network(
    published: dict[str, Tensor], model: FloatModel, tmp_path: Path
) -> None:
    speech = torch.randn(1, 4000)
    loaded = load_model(write_folders(tmp_path, published, {}))
    assert torch.allclose(loaded.feel(speech), model.feel(speech), atol=1e-6)


@pytest.mark.parametrize("whole_names", [True, False])
def test_a_folder_of_components(
    whole_names: bool, published: dict[str, Tensor], model: FloatModel, tmp_path: Path
) -> None:
    for part in ("motion_autoencoder", "audio_encoder", "emotion_encoder", "fmt"):
        held = {name: tensor for name, tensor in published.items() if name.startswith(f"{part}.")}
        if not whole_names:
            held = {name.removeprefix(f"{part}."): tensor for name, tensor in held.items()}
        save_file(held, tmp_path / f"{part}.safetensors")
    assert_same(load_model(tmp_path), model)
    torch.save(published, tmp_path / "again.pth")
    with pytest.raises(WeightsError, match="as another file beside it does"):
        load_model(tmp_path)


def test_a_folder_of_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no weights"):
        load_model(tmp_path)


def test_a_missing_folder_is_named(published: dict[str, Tensor], tmp_path: Path) -> None:
    path = write_folders(tmp_path, published, {})
    (tmp_path / EMOTION_FOLDER / "pytorch_model.bin").unlink()
    with pytest.raises(WeightsError, match=EMOTION_FOLDER) as caught:
        load_model(path)
    assert "beside" in caught.value.hint


def test_broken_settings_are_named(published: dict[str, Tensor], tmp_path: Path) -> None:
    path = write_folders(tmp_path, published, {"num_attention_heads": 5})
    with pytest.raises(WeightsError, match="heads 5"):
        load_model(path)
    (tmp_path / AUDIO_FOLDER / "config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"config\.json"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fmt.blocks.1.attn.proj.bias": None}, r"lacks fmt\.blocks\.1\.attn\.proj\.bias"),
        ({"fmt.x_embedder.proj.weight": None}, r"lacks fmt\.x_embedder\.proj\.weight"),
        ({f"{AUDIO}encoder.layers.0.feed_forward.intermediate_dense.bias": None}, f"lacks {AUDIO}encoder"),
        ({"fmt.pos_embed": None}, r"lacks fmt\.pos_embed"),
        ({"fmt.wings": torch.zeros(2)}, r"has surplus fmt\.wings"),
        ({"fmt.c_embedder.bias": torch.zeros(3)}, r"misshapen fmt\.c_embedder\.bias \[3\] instead of \[16\]"),
        ({"fmt.pos_embed": torch.zeros(1, 22, 16)}, r"another fmt\.pos_embed"),
        ({f"{EMOTION}classifier.out_proj.bias": torch.zeros(4)}, "4 emotions"),
        ({f"{EMOTION}classifier.out_proj.bias": torch.zeros(())}, "shapes of no model"),
        ({"motion_autoencoder.dec.direction.weight": None}, "neither"),
    ],
)
def test_what_does_not_fit_is_named_as_published(
    change: dict[str, Tensor | None], message: str, published: dict[str, Tensor]
) -> None:
    changed = {name: tensor for name, tensor in (published | change).items() if tensor is not None}
    with pytest.raises(WeightsError, match=message):
        read_published(changed, Path("float.pth"))


def test_published_shapes_state_the_published_configuration() -> None:
    tensors = {name: torch.empty(shape, device="meta") for name, shape in golden_shapes("full").items()}
    tensors["fmt.pos_embed"] = position_table(60, 1024)[None]
    ours, config = read_published(tensors, Path("float.pth"))
    assert config == ModelConfig()
    with torch.device("meta"):
        assert ours.keys() == FloatModel(ModelConfig()).state_dict().keys()


def test_every_stored_buffer_is_known() -> None:
    buffers = json.loads((DATA / "keys-full.json").read_text())["buffers"]
    tensors = {name: torch.empty(shape, device="meta") for name, shape in golden_shapes("full").items()}
    tensors |= {name: torch.empty(shape, device="meta") for name, shape in buffers.items()}
    del tensors["fmt.pos_embed"]
    from_published(tensors, ModelConfig(), Path("float.pth"))
