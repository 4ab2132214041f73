"""Clips side by side: they share calls, and look as they do alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from floatcli import FloatPipeline
from floatcli.clip import Clip
from floatcli.config import CropConfig, RunConfig, SampleConfig
from floatcli.device import turn
from floatcli.errors import DeviceError, UsageError
from floatcli.flow.solvers import in_step
from floatcli.models.conditions import WindowCondition
from floatcli.models.float_model import FloatModel
from floatcli.together import Networks, Window
from tests.unit import test_anchored
from tests.unlike import UNLIKE

CPU, PATIENCE = torch.device("cpu"), 60


def near(ours: Tensor, theirs: Tensor) -> bool:
    """As near as the goldens are held to."""
    return ours.shape == theirs.shape and bool((ours - theirs).abs().max() <= 5e-5 * theirs.std())


def window(seed: int, by_frame: bool = False, settings: SampleConfig = SampleConfig()) -> Window:
    """A window of noise under conditions of noise."""
    random = torch.Generator().manual_seed(seed)
    shapes = [(1, 20), (1, 3, 20), (1, 3, 10), (1, 8, 10), (1, 11, 3) if by_frame else (1, 3)]
    condition = WindowCondition(*(torch.randn(shape, generator=random) for shape in shapes))
    return Window(condition, torch.randn(1, 8, 20, generator=random), replace(settings, seed=seed))


@pytest.mark.parametrize("solver", ["euler", "rk4"])
def test_windows_in_one_call_move_as_alone(unlike_model, solver):
    networks = Networks(unlike_model, CPU, torch.float32, batch_size=8, together=4)
    windows = [window(k, by_frame=k == 1, settings=SampleConfig(solver=solver)) for k in range(4)]
    for each, motion in zip(windows, networks._sampled(windows), strict=True):
        assert near(motion, networks.sample(*each))


def test_windows_of_other_settings_or_of_adaptive_solvers_share_no_call():
    settings = SampleConfig()
    assert in_step(settings) == in_step(replace(settings, seed=3, nfe=9))
    assert in_step(settings) != in_step(replace(settings, audio_scale=1))
    assert in_step(settings) != in_step(replace(settings, solver="midpoint"))
    assert in_step(replace(settings, solver="dopri5")) is None


@torch.no_grad()
def test_frames_in_one_batch_look_as_alone(unlike_model: FloatModel) -> None:
    portraits = [unlike_model.encode(torch.rand(1, 3, 32, 32) * 2 - 1) for _ in range(3)]
    motions = [torch.randn(count, UNLIKE.motion_dim) for count in (1, 4, 2)]
    frames = unlike_model.decode_together(portraits, motions)
    for portrait, motion, drawn in zip(portraits, motions, frames, strict=True):
        assert near(drawn, unlike_model.decode(portrait, motion))


@torch.no_grad()
def test_anchored_frames_of_several_sizes_look_as_alone() -> None:
    model = test_anchored.model.__wrapped__()
    faces = [test_anchored.FACE, test_anchored.FACE * 0.8 + 0.1, test_anchored.FACE * 1.1]
    sizes, counts = (128, 64, 64), (2, 1, 3)
    portraits = [
        model.encode(torch.rand(1, 3, size, size) * 2 - 1, face) for size, face in zip(sizes, faces, strict=True)
    ]
    motions = [portrait.ref_motion + torch.randn(n, 32) for portrait, n in zip(portraits, counts, strict=True)]
    frames = model.decode_together(portraits, motions)
    assert [len(each) for each in frames] == list(counts)
    for portrait, motion, drawn in zip(portraits, motions, frames, strict=True):
        assert torch.allclose(drawn, model.decode(portrait, motion), atol=1e-4)


@pytest.fixture(scope="module")
def alone(tiny_weights: Path) -> FloatPipeline:
    return FloatPipeline.from_weights(tiny_weights, device="cpu")


@pytest.fixture
def beside(alone) -> FloatPipeline:
    """The same networks, for three clips at a time."""
    return FloatPipeline(alone.model, RunConfig(device="cpu", together=3))


@pytest.fixture
def batches(alone) -> Iterator[dict[str, list[int]]]:
    """Sizes of the batches that field and decoder are called with."""
    seen: dict[str, list[int]] = {"field": [], "decoder": []}

    def watched(network: torch.nn.Module, sizes: list[int]) -> RemovableHandle:
        return network.register_forward_pre_hook(lambda _, given: sizes.append(len(given[1])))

    networks = {"field": alone.model.field.head, "decoder": alone.model.decoder}
    hooks = [watched(networks[name], sizes) for name, sizes in seen.items()]
    yield seen
    for hook in hooks:
        hook.remove()


def clips(pipe: FloatPipeline, face: Path, speech: Path, samples: list[SampleConfig]) -> list[Clip]:
    """Of one portrait and one recording."""
    return [pipe.animate(face, speech, CropConfig("none"), sample) for sample in samples]


def shown(pipe: FloatPipeline, side_by_side: list[Clip]) -> list[np.ndarray | Exception]:
    """Frames of clips, or what went wrong, of threads that all wait for the device at first."""

    def frames(clip: Clip) -> np.ndarray | Exception:
        try:
            return np.stack(list(clip))
        except Exception as error:
            return error

    until = time.monotonic() + PATIENCE
    with ThreadPoolExecutor(len(side_by_side)) as threads:
        with turn(pipe.device):
            made = [threads.submit(frames, clip) for clip in side_by_side]
            while sum(map(len, set(pipe.networks.desks.values()))) < len(side_by_side):
                assert time.monotonic() < until
                time.sleep(0.001)
        return [each.result(PATIENCE) for each in made]


PLAIN = SampleConfig(audio_scale=1, nfe=1)  # one pass of the field a window


def test_clips_share_calls_and_look_as_alone(alone, beside, batches, face_file, speech_file):
    samples = [replace(PLAIN, seed=seed) for seed in range(4)]
    expected = [np.stack(list(clip)).astype(int) for clip in clips(alone, face_file, speech_file, samples)]
    motions = [clip.motion.latents for clip in clips(alone, face_file, speech_file, samples)]
    for sizes in batches.values():
        sizes.clear()
    together = clips(beside, face_file, speech_file, samples)
    for frames, like in zip(shown(beside, together), expected, strict=True):
        assert np.abs(frames - like).max() <= 1  # rounding to 8 bits
    for clip, latents in zip(together, motions, strict=True):
        assert near(torch.from_numpy(clip.motion.latents), torch.from_numpy(latents))
    assert batches["field"][:2] == [1, 3]  # the first found nobody to share with
    assert max(batches["field"]) == 3
    assert sum(batches["field"]) == 4 * 2
    assert max(batches["decoder"]) <= beside.batch_size
    assert sum(batches["decoder"]) == 4 * 63


def test_small_rests_of_several_clips_are_decoded_together(alone, batches, face_file, speech_file):
    pipe = FloatPipeline(alone.model, RunConfig(device="cpu", batch_size=40, together=3))
    still, heard = pipe.portrait(face_file, CropConfig("none")), pipe.hear(np.zeros(16000 * 10 // 25, np.float32))
    side_by_side = [pipe.animate(still, heard, sample=replace(PLAIN, seed=seed)) for seed in range(4)]
    assert [len(frames) for frames in shown(pipe, side_by_side)] == [10] * 4
    assert batches["field"] == [1, 3]
    assert sum(batches["decoder"]) == 40
    assert len(batches["decoder"]) < 4


def test_a_clip_alone_shares_nothing_and_is_the_same_to_the_bit(alone, beside, batches, face_file, speech_file):
    (ours,), (theirs,) = (clips(pipe, face_file, speech_file, [PLAIN]) for pipe in (alone, beside))
    np.testing.assert_array_equal(np.stack(list(ours)), np.stack(list(theirs)))
    assert not alone.networks.desks
    assert set(batches["field"]) == {1}


def test_an_error_is_that_of_the_clip_it_belongs_to(alone, beside, face_file, speech_file, monkeypatch):
    beyond = replace(PLAIN, seed=1)
    others = [replace(PLAIN, seed=seed) for seed in (0, 2)]
    sampled = Networks._sampled

    def broken(self: Networks, windows: list[Window]) -> list[Tensor]:
        each = zip(windows, sampled(self, windows), strict=True)
        return [motion * (torch.inf if window.settings == beyond else 1) for window, motion in each]

    monkeypatch.setattr(Networks, "_sampled", broken)
    pipe = FloatPipeline(alone.model, RunConfig(device="cpu", together=3))
    made = shown(pipe, clips(pipe, face_file, speech_file, [others[0], beyond, others[1]]))
    assert isinstance(made[1], UsageError)
    assert [len(made[0]), len(made[2])] == [63, 63]


def test_what_has_no_room_together_is_made_alone(alone, face_file, speech_file, monkeypatch):
    crowds = []
    sampled = Networks._sampled

    def cramped(self: Networks, windows: list[Window]) -> list[Tensor]:
        if len(windows) > 1:
            crowds.append(len(windows))
            raise DeviceError("cpu has too little memory")
        return sampled(self, windows)

    monkeypatch.setattr(Networks, "_sampled", cramped)
    pipe = FloatPipeline(alone.model, RunConfig(device="cpu", together=3))
    made = shown(pipe, clips(pipe, face_file, speech_file, [replace(PLAIN, seed=seed) for seed in range(3)]))
    assert [len(frames) for frames in made] == [63] * 3
    assert crowds[0] == 2


def test_a_clip_that_is_given_up_keeps_no_other_waiting(beside, face_file, speech_file):
    given_up, other = clips(beside, face_file, speech_file, [replace(PLAIN, seed=seed) for seed in range(2)])
    half = iter(given_up)
    next(half)
    made: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: made.extend(other))
    thread.start()
    thread.join(PATIENCE)
    assert len(made) == 63
