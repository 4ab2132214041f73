"""Compiled networks: they show the same, they are compiled only where it pays, and say where they cannot be."""

from __future__ import annotations

import shutil
import subprocess
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from floatcli import FloatPipeline, together
from floatcli.config import CropConfig, SampleConfig
from floatcli.errors import DeviceError
from floatcli.models import decoder
from floatcli.models.layers import PackedLinear, fold

WHOLE, QUICK = CropConfig(mode="none"), SampleConfig(nfe=1)
COMPILE = nn.Module.compile


@pytest.fixture(autouse=True)
def forget(monkeypatch, tmp_path):
    """Nothing compiled is left to other tests, nor on this machine."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    yield
    torch.compiler.reset()


@pytest.fixture
def compiled(monkeypatch) -> list[str]:
    """What is compiled, instead of compiling it."""
    parts: list[str] = []
    monkeypatch.setattr(nn.Module, "compile", lambda part: parts.append(type(part).__name__))
    return parts


def opened(weights: Path, compile: bool) -> FloatPipeline:
    return FloatPipeline.from_weights(weights, device="cpu", compile=compile)


def test_networks_are_compiled_once_frames_enough_are_asked_for(
    tiny_weights, compiled, monkeypatch, face_file, speech_file
):
    monkeypatch.setattr(together, "PAYS_FROM", 100)
    pipe = opened(tiny_weights, True)
    pipe.animate(face_file, speech_file, WHOLE, QUICK)  # 63 frames
    assert compiled == []
    pipe.animate(face_file, speech_file, WHOLE, QUICK)
    parts = [*["Block"] * len(pipe.model.field.blocks), *["Level"] * len(pipe.model.decoder.levels)]
    assert compiled == parts
    pipe.animate(face_file, speech_file, WHOLE, QUICK)
    assert compiled == parts


def test_nothing_is_compiled_that_nobody_asked_for(tiny_weights, compiled, monkeypatch, face_file, speech_file):
    monkeypatch.setattr(together, "PAYS_FROM", 1)
    opened(tiny_weights, False).animate(face_file, speech_file, WHOLE, QUICK)
    assert compiled == []


@pytest.mark.parametrize("weights", ["tiny_weights", "embedded"])
def test_what_is_compiled_shows_the_same(weights, request, monkeypatch, face_file):
    """Traced and run without a compiler of C++, which not every machine has."""
    monkeypatch.setattr(nn.Module, "compile", partialmethod(COMPILE, backend="eager"))
    place = weights if weights == "embedded" else request.getfixturevalue(weights)
    speech = np.zeros(8000, np.float32)
    frames = []
    for compile in (False, True):
        pipe = opened(place, False)
        if compile:
            pipe.networks.compile()
        frames.append(np.stack(list(pipe.animate(face_file, speech, WHOLE, QUICK, emotion="happy"))))
    assert np.abs(frames[0].astype(int) - frames[1]).max() <= 1


def test_frames_each_on_a_core_are_compiled_once_at_a_time(monkeypatch, tiny_weights):
    """A level that is compiled by one thread is asked for by the other."""
    monkeypatch.setattr(decoder, "ALONE", 16)
    monkeypatch.setattr(nn.Module, "compile", partialmethod(COMPILE, backend="aot_eager"))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pipe = opened(tiny_weights, False)
        still = pipe.portrait(np.zeros((64, 64, 3), np.uint8), WHOLE)
        motion = 0.1 * torch.randn(8, pipe.config.motion_dim, generator=torch.Generator().manual_seed(0))
        expected = pipe.networks.draw(still.portrait, motion)
        pipe.networks.compile()
        assert np.abs(pipe.networks.draw(still.portrait, motion).astype(int) - expected).max() <= 1
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_packed_layers_are_compiled_as_plain_ones():
    layer, x = PackedLinear(1024, 1024), torch.randn(3, 1024)
    fold(layer)
    with torch.inference_mode():
        expected = layer(x)
        layer.compile()
        assert torch.allclose(layer(x), expected, atol=1e-5)


def test_levels_stay_compiled_for_every_size_of_batch(tiny_weights, monkeypatch):
    """They share their code, and torch gives up on code that was compiled too often."""
    sizes: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
        return lambda *given: sizes.append(len(given)) or graph(*given)

    monkeypatch.setattr(nn.Module, "compile", partialmethod(COMPILE, backend=backend, dynamic=False))
    pipe = opened(tiny_weights, False)
    pipe.networks.compile()
    still = pipe.portrait(np.zeros((64, 64, 3), np.uint8), WHOLE)
    calls = []
    for count in (1, 2, 3, 4, 5):
        sizes.clear()
        pipe.networks.draw(still.portrait, torch.zeros(count, pipe.config.motion_dim))
        calls.append(len(sizes))
    assert min(calls) == max(calls) > 0


def test_a_machine_that_cannot_compile_says_so(tiny_weights, monkeypatch, face_file, speech_file):
    def backend(*_: object) -> None:
        raise subprocess.CalledProcessError(1, "c++")

    monkeypatch.setattr(nn.Module, "compile", partialmethod(COMPILE, backend=backend))
    pipe = opened(tiny_weights, False)
    pipe.networks.compile()
    with pytest.raises(DeviceError, match="cannot be compiled") as caught:
        list(pipe.animate(face_file, speech_file, WHOLE, QUICK))
    assert "--no-compile" in caught.value.hint
