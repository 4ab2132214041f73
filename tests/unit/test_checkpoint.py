"""Weights of our own: written, read, and refused where they are not what they should be."""

from __future__ import annotations

import copy
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from floatcli.checkpoint.load import FORMAT_VERSION, load_model, save_model
from floatcli.checkpoint.tensors import read_tensors
from floatcli.config import ModelConfig
from floatcli.errors import InputError, WeightsError
from floatcli.models.float_model import FloatModel


@pytest.fixture
def weights(unlike_model: FloatModel, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(unlike_model, path)
    return path


def rewrite(path: Path, *, drop: str = "", add: str = "", reshape: str = "", **metadata: str) -> Path:
    """The file with some tensors or metadata changed."""
    tensors, before = read_tensors(path)
    tensors = {name: tensor.clone() for name, tensor in tensors.items() if not (drop and name.startswith(drop))}
    if add:
        tensors[add] = torch.zeros(1)
    if reshape:
        tensors[reshape] = tensors[reshape].flatten()[1:]
    save_file(tensors, path, before | {f"floatcli.{key}": value for key, value in metadata.items()})
    return path


@torch.no_grad()
def test_round_trip(weights: Path, unlike_model: FloatModel, unlike_config: ModelConfig) -> None:
    model = load_model(weights)
    assert model.config == unlike_config
    assert not model.training
    for name, tensor in unlike_model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    speech, image = torch.randn(1, 3000), torch.rand(1, 3, 32, 32)
    assert torch.allclose(model.hear(speech), unlike_model.hear(speech), atol=1e-5)
    portrait = model.encode(image)
    frame, expected = (each.decode(portrait, portrait.ref_motion) for each in (model, unlike_model))
    assert torch.allclose(frame, expected, atol=1e-5)


def test_a_saved_file_is_as_readable_as_any_other(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    assert weights.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_training_a_loaded_model_leaves_its_file_alone(weights: Path) -> None:
    before, model = weights.read_bytes(), load_model(weights)
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    portrait = model.encode(torch.rand(1, 3, 32, 32))
    frame = model.decode(portrait, portrait.ref_motion)
    (frame.square().sum() + model.hear(torch.randn(1, 3000)).sum() + model.feel(torch.randn(1, 3000))[0, 0]).backward()
    optimizer.step()
    assert not torch.equal(load_model(weights).basis.weight, model.basis.weight)
    assert weights.read_bytes() == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@torch.no_grad()
def test_sixteen_bit_files_load_to_the_dtype_asked_for(
    dtype: torch.dtype, unlike_model: FloatModel, tmp_path: Path
) -> None:
    path = tmp_path / "half.safetensors"
    save_model(unlike_model, path, dtype=dtype)
    assert load_file(path)["basis.weight"].dtype == dtype
    model = load_model(path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.equal(model.basis.weight, unlike_model.basis.weight.to(dtype).float())
    assert {parameter.dtype for parameter in load_model(path, dtype=dtype).parameters()} == {dtype}


@torch.no_grad()
def test_a_sixteen_bit_model_runs_close_to_the_full_one(weights: Path, unlike_model: FloatModel) -> None:
    half = load_model(weights, dtype=torch.bfloat16)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    portrait, full = half.encode(image.bfloat16()), unlike_model.encode(image)
    frame, expected = half.decode(portrait, portrait.ref_motion), unlike_model.decode(full, full.ref_motion)
    assert frame.dtype == torch.bfloat16
    assert (frame - expected).abs().mean() < 0.1 * expected.std()


def test_saving_leaves_the_old_file_until_the_new_one_is_whole(
    weights: Path, unlike_model: FloatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights.read_bytes()

    def fail(tensors: object, path: Path, metadata: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("floatcli.checkpoint.load.save_file", fail)
    with pytest.raises(InputError, match="disk full"):
        save_model(unlike_model, weights)
    assert weights.read_bytes() == before
    assert os.listdir(weights.parent) == [weights.name]


def test_a_format_that_has_no_room_for_a_weight_is_refused(unlike_model: FloatModel, tmp_path: Path) -> None:
    model = copy.deepcopy(unlike_model)
    with torch.no_grad():
        model.basis.weight[0, 0] = 1e6
    path = tmp_path / "half.safetensors"
    with pytest.raises(WeightsError, match=r"basis\.weight holds numbers that are not finite as float16") as caught:
        save_model(model, path, torch.float16)
    assert "bfloat16 or float32" in caught.value.hint
    assert not os.listdir(tmp_path)
    save_model(model, path, torch.bfloat16)
    assert load_model(path).basis.weight[0, 0] == torch.tensor(1e6).bfloat16()


def refusal(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(WeightsError) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert path.name in caught.value.message
    return caught.value.message


def test_missing_surplus_and_misshapen_tensors_are_named(weights: Path) -> None:
    message = refusal(rewrite(weights, drop="basis.weight", add="field.extra", reshape="decoder.start"))
    assert "lacks basis.weight;" in message
    assert "has surplus field.extra;" in message
    assert "has misshapen decoder.start [191] instead of [1, 12, 4, 4]" in message


def test_many_names_end_in_a_count(weights: Path, unlike_model: FloatModel) -> None:
    count = sum(name.startswith("field.") for name in unlike_model.state_dict())
    assert f"and {count - 4} more" in refusal(rewrite(weights, drop="field."))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_numbers_that_are_none_are_refused(value: float, weights: Path) -> None:
    tensors = load_file(weights)
    tensors["basis.weight"][0, 0] = value
    metadata = read_tensors(weights)[1]
    save_file(tensors, weights.with_name("broken.safetensors"), metadata)
    assert "basis.weight that is no finite numbers" in refusal(weights.with_name("broken.safetensors"))


def test_a_newer_format_is_refused(weights: Path) -> None:
    assert "newer" in refusal(rewrite(weights, version=str(FORMAT_VERSION + 1)))
    assert "version" in refusal(rewrite(weights, version="soon"))
    assert "version" in refusal(rewrite(weights, version="²"))


def test_a_configuration_of_another_time_is_refused(weights: Path, unlike_config: ModelConfig) -> None:
    values = json.loads(unlike_config.to_json())
    assert "wings" in refusal(rewrite(weights, config=json.dumps(values | {"wings": 2})))
    assert "motion_dim" in refusal(rewrite(weights, config=json.dumps(values | {"motion_dim": "wide"})))
    assert "describes no model" in refusal(rewrite(weights, config="{"))


def test_a_file_of_other_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    assert "neither" in refusal(path)


@pytest.mark.parametrize("keep", [0, 5, 1000, -100])
def test_a_truncated_file_is_refused(keep: int, weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:keep])
    refusal(weights)


@pytest.mark.parametrize("name", ["model.safetensors", "float.pth"])
def test_garbage_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"<!DOCTYPE html>" * 99)
    refusal(path)
    path.write_bytes(b"")
    refusal(path)


class Malice:
    """Unpickled by an ordinary pickle, it would leave a file behind."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_never_run(zipped: bool, tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "float.pth"
    torch.save({"weight": Malice(trace)}, path, _use_new_zipfile_serialization=zipped)
    assert "more than tensors" in refusal(path)
    path.write_bytes(pickle.dumps(Malice(trace)))
    refusal(path)
    assert not trace.exists()


def test_a_nested_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "float.pth"
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, path)
    assert "flat" in refusal(path)


def test_no_file_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path / "nowhere.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    refusal(tmp_path / "folder.safetensors")
