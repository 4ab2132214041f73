"""Parts of a model are read when they are first used: what a clip does not need is never looked at."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from floatcli import FloatPipeline
from floatcli.checkpoint.load import load_model
from floatcli.checkpoint.tensors import read_tensors
from floatcli.config import CropConfig, SampleConfig
from floatcli.errors import WeightsError
from floatcli.models.float_model import FloatModel
from tests.conftest import TINY

WHOLE, QUICK = CropConfig(mode="none"), SampleConfig(nfe=1)


def spoilt(weights: Path, place: Path, *parts: str) -> Path:
    """The weights with parts that nobody can look at without noticing."""
    tensors, metadata = read_tensors(weights)
    unfit = {name: torch.full_like(tensor, torch.nan) for name, tensor in tensors.items() if name.startswith(parts)}
    assert unfit
    save_file(tensors | unfit, place, metadata)
    return place


def test_an_emotion_that_is_given_needs_no_emotion_network(tiny_weights, tmp_path, face_file, speech_file):
    pipe = FloatPipeline.from_weights(spoilt(tiny_weights, tmp_path / "a.safetensors", "emotion_encoder."), "cpu")
    clip = pipe.animate(face_file, speech_file, WHOLE, QUICK, "happy")
    assert len(list(clip)) == 63
    assert clip.motion.making.weights.digest == pipe.digest
    for _ in range(2):
        with pytest.raises(WeightsError, match=r"a.safetensors holds emotion_encoder\.\S+ that is no finite numbers"):
            pipe.animate(face_file, speech_file, WHOLE, QUICK, "auto")


def test_a_motion_is_shown_again_without_what_made_it(tiny_weights, tmp_path, face_file, speech_file):
    motion = FloatPipeline.from_weights(tiny_weights, "cpu").animate(face_file, speech_file, WHOLE, QUICK).motion
    unfit = spoilt(tiny_weights, tmp_path / "a.safetensors", "emotion_encoder.", "audio_encoder.", "field.")
    pipe = FloatPipeline.from_weights(unfit, "cpu")
    pipe.__dict__["digest"] = motion.making.weights.digest
    assert len(list(pipe.replay(motion))) == 63


def test_the_digest_of_the_weights_is_not_waited_for(tiny_weights, face_file, speech_file, monkeypatch):
    monkeypatch.setattr("floatcli.pipeline.file_digest", lambda path: pytest.fail("that reads all of the weights"))
    clip = FloatPipeline.from_weights(tiny_weights, "cpu").animate(face_file, speech_file, WHOLE, QUICK)
    assert next(iter(clip)).shape == (64, 64, 3)


def test_names_shapes_and_formats_are_checked_before_anything_is_read(tiny_weights, tmp_path):
    tensors, metadata = read_tensors(tiny_weights)
    bias = "emotion_encoder.output.bias"
    for wrong, said in (
        ({}, f"lacks {bias}"),
        ({bias: torch.zeros(8)}, r"misshapen .* \[8\]"),
        ({bias: torch.zeros(7, dtype=torch.int32)}, f"holds {bias} that is no finite numbers"),
    ):
        kept = {name: tensor for name, tensor in tensors.items() if name != bias}
        save_file(kept | wrong, tmp_path / "a.safetensors", metadata)
        with pytest.raises(WeightsError, match=said):
            load_model(tmp_path / "a.safetensors", lazily=True)


def test_what_is_first_used_while_nothing_is_learnt_can_be_learnt_later(tiny_weights):
    model = load_model(tiny_weights, lazily=True)
    with torch.inference_mode():
        _ = model.basis
    model.basis.matrix.square().sum().backward()
    assert model.basis.weight.grad is not None


def test_a_part_is_prepared_once_and_nobody_gets_it_before():
    with torch.device("meta"):
        model = FloatModel(TINY)
    begun, ready, got = threading.Event(), [], []

    def slowly(name: str, part: torch.nn.Module) -> None:
        begun.wait(5)
        ready.append(name)

    model.at_first_use(slowly)
    threads = [threading.Thread(target=lambda: got.append((model.field, len(ready)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join()
    assert ready == ["field"]
    assert [count for _, count in got] == [1, 1, 1]
    model.prepare()
    assert sorted(ready) == sorted(name for name, _ in model.named_children())


def test_a_clip_of_a_whole_picture_imports_no_face_network(tiny_weights, face_file, speech_file, tmp_path):
    code = (
        "import sys, json\n"
        "from floatcli.cli.app import run\n"
        "assert run(json.loads(sys.argv[1])) == 0\n"
        "unneeded = {'face_alignment', 'skimage', 'ray', 'matplotlib', 'torchvision'}\n"
        "print('UNNEEDED', sorted(unneeded & set(sys.modules)))"
    )
    options = ["--crop=none", "--emotion=happy", "--nfe=1", f"--weights={tiny_weights}", "-o", tmp_path / "a.mp4"]
    arguments = json.dumps(list(map(str, ["animate", face_file, speech_file, *options])))
    said = subprocess.run([sys.executable, "-c", code, arguments], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "UNNEEDED []"
