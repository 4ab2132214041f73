"""The pipeline from Python: what goes in, what comes out, and that nothing holds the whole video."""

from __future__ import annotations

import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.dtypes import errors, psnr
from floatcli import FloatPipeline
from floatcli.config import CropConfig, RunConfig, SampleConfig
from floatcli.errors import DeviceError, InputError, UsageError

WHOLE = CropConfig(mode="none")
QUICK = SampleConfig(nfe=1)


@pytest.fixture(scope="module")
def pipe(tiny_weights: Path) -> FloatPipeline:
    return FloatPipeline.from_weights(tiny_weights, device="cpu")


def first_frame(pipe: FloatPipeline, face, speech, **options) -> np.ndarray:
    return next(iter(pipe.animate(face, speech, WHOLE, QUICK, **options)))


class Calls:
    """Counts the calls of a network."""

    def __init__(self, network: torch.nn.Module):
        self.count = 0
        self.handle = network.register_forward_hook(self._called)

    def _called(self, *_: object) -> None:
        self.count += 1


def test_importing_the_package_imports_no_torch():
    code = "import sys, floatcli; print('torch' in sys.modules, floatcli.__version__)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("False ")


def test_a_clip_tells_what_it_is(pipe, face_file, speech_file):
    clip = pipe.animate(face_file, speech_file, WHOLE, QUICK)
    frames = list(clip)
    assert (len(frames), clip.frames, len(clip)) == (63, 63, 63)
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((64, 64, 3), "uint8")}
    assert (clip.fps, clip.size, clip.seed) == (25, (64, 64), QUICK.seed)
    assert sum(clip.emotion.values()) == pytest.approx(1, abs=1e-5)
    assert list(clip.stages.seconds) == ["weights", "portrait", "speech", "emotion", "motion", "decode"]
    assert set(clip.digests) == {"face", "speech"}


def test_the_first_frame_comes_before_the_second_window_is_made(pipe, face_file, speech_file):
    field = Calls(pipe.model.field.head)
    frames = iter(pipe.animate(face_file, speech_file, WHOLE, QUICK))
    next(frames)
    assert field.count == 1
    assert sum(1 for _ in frames) == 62
    assert field.count == 2
    field.handle.remove()


def test_frames_are_let_go_as_the_next_ones_come(pipe, face_file, speech_file):
    clip = pipe.animate(face_file, speech_file, WHOLE, QUICK)
    held: list[weakref.ref] = []
    for batch in clip.batches():
        assert len(batch) <= pipe.batch_size
        assert sum(ref() is not None for ref in held) <= 1
        held.append(weakref.ref(batch))
    assert len(held) == 9


def test_iterating_again_gives_the_same_frames(pipe, face_file, speech_file):
    clip = pipe.animate(face_file, speech_file, WHOLE, QUICK)
    np.testing.assert_array_equal(np.stack(list(clip)), np.stack(list(clip)))


@pytest.mark.parametrize("size", [1, 7])
def test_the_batch_size_does_not_change_the_motion(pipe, face_file, speech_file, size):
    other = FloatPipeline(pipe.model, RunConfig(device="cpu", batch_size=size))
    ours = np.stack(list(pipe.animate(face_file, speech_file, WHOLE, QUICK))).astype(int)
    theirs = np.stack(list(other.animate(face_file, speech_file, WHOLE, QUICK))).astype(int)
    assert np.abs(ours - theirs).max() <= 1  # rounding to 8 bits


def test_the_seed_changes_the_frames(pipe, face_file, speech_file):
    clips = [pipe.animate(face_file, speech_file, WHOLE, SampleConfig(nfe=1, seed=seed)) for seed in (1, 2)]
    assert (next(iter(clips[0])) != next(iter(clips[1]))).any()


def test_arrays_and_tensors_do_as_well_as_files(pipe, face_file, speech_file):
    from floatcli.media.audio import load_speech
    from floatcli.media.image import load_picture

    picture, samples = load_picture(face_file, (255, 255, 255)), load_speech(speech_file, 16000)
    expected = first_frame(pipe, face_file, speech_file)
    np.testing.assert_array_equal(first_frame(pipe, picture, samples), expected)
    np.testing.assert_array_equal(first_frame(pipe, torch.from_numpy(picture.copy()), samples.numpy()), expected)


@pytest.mark.parametrize(
    "face",
    [np.zeros((8, 8), np.uint8), np.zeros((32, 32, 3), np.float32), np.zeros((0, 32, 3), np.uint8)],
)
def test_arrays_that_are_no_picture_are_refused(pipe, speech_file, face):
    with pytest.raises(InputError, match=r"must be uint8 \(H, W, 3\)"):
        pipe.animate(face, speech_file, WHOLE)


@pytest.mark.parametrize("speech", [np.zeros((2, 16000)), np.zeros(0), np.full(16000, np.nan)])
def test_arrays_that_are_no_speech_are_refused(pipe, face_file, speech):
    with pytest.raises(InputError, match="must be finite samples"):
        pipe.animate(face_file, speech, WHOLE)


def test_the_emotion_network_runs_only_where_the_emotion_is_to_be_heard(pipe, face_file, speech_file):
    network = Calls(pipe.model.emotion_encoder)
    given = pipe.animate(face_file, speech_file, WHOLE, QUICK, emotion="Happy")
    assert network.count == 0
    assert {label for label, share in given.emotion.items() if share} == {"happy"}
    pipe.animate(face_file, speech_file, WHOLE, QUICK, emotion="auto")
    assert network.count == 1
    network.handle.remove()


def test_an_unknown_emotion_is_answered_with_those_there_are(pipe, face_file, speech_file):
    with pytest.raises(UsageError, match=r"bored.*auto, angry, disgust, fear, happy, neutral, sad, surprise"):
        pipe.animate(face_file, speech_file, emotion="bored")


def test_another_emotion_gives_another_motion(pipe, face_file, speech_file):
    happy, sad = (first_frame(pipe, face_file, speech_file, emotion=name) for name in ("happy", "sad"))
    assert (happy != sad).any()


def test_what_is_read_once_serves_several_clips(pipe, face_file, speech_file):
    still, heard = pipe.portrait(face_file, WHOLE), pipe.hear(speech_file)
    shared, own = pipe.animate(still, heard, WHOLE, QUICK), pipe.animate(face_file, speech_file, WHOLE, QUICK)
    assert shared.making == own.making
    assert shared.digests == own.digests
    assert (next(iter(shared)) == next(iter(own))).all()


def test_a_device_that_is_not_there_is_named(tiny_weights):
    with pytest.raises(DeviceError, match="there is no device cuda:99 here"):
        FloatPipeline.from_weights(tiny_weights, device="cuda:99")


def test_a_motion_without_end_is_told(pipe, face_file, speech_file, monkeypatch):
    head = pipe.model.field.head
    field = head.forward
    monkeypatch.setattr(head, "forward", lambda *given: torch.nan * field(*given))
    with pytest.raises(UsageError, match="beyond all numbers"):
        first_frame(pipe, face_file, speech_file)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bits_give_nearly_the_same_frames(pipe, face_file, speech_file, dtype):
    half = FloatPipeline(pipe.model, RunConfig(device="cpu", dtype=dtype))
    ours, theirs = (first_frame(each, face_file, speech_file).astype(float) for each in (pipe, half))
    assert np.abs(ours - theirs).mean() < 6


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_frames_of_the_embedded_set_in_sixteen_bits_are_within_45_db(dtype):
    error = errors(FloatPipeline.from_weights("embedded", "cpu"), dtype, frames=2)
    assert error.any()
    assert psnr(error) > 45


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_too_little_memory_is_told_with_what_to_lower(pipe, face_file, speech_file, monkeypatch, error):
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(pipe.model, "decode", full)
    with pytest.raises(DeviceError, match=r"too little memory.*--batch-size.*--dtype"):
        first_frame(pipe, face_file, speech_file)


def test_too_little_memory_for_the_weights_is_told_too(pipe, monkeypatch):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(pipe.model.field, "to", full)
    with pytest.raises(DeviceError, match="too little memory"):
        _ = FloatPipeline(pipe.model, RunConfig(device="cpu")).model.field


def test_anchors_are_those_of_the_face_that_was_cut_out(monkeypatch):
    from floatcli.face.detect import FaceBox
    from floatcli.models.float_model import FloatModel
    from tests.unit.test_anchored import CONFIG

    class Faces:
        name = "two"

        def detect(self, picture: np.ndarray) -> list[FaceBox]:
            return [FaceBox(40, 0, 64, 30), FaceBox(20, 20, 44, 44)]

    class Corners:
        def anchors(self, picture: np.ndarray, box: FaceBox) -> np.ndarray:
            return np.tile([box.x1, box.y1], (7, 1))

    pipe = FloatPipeline(FloatModel(CONFIG), RunConfig(device="cpu"))
    pipe.portraits.__dict__.update(detector=Faces(), anchor_finder=Corners())
    anchors = pipe.portraits._anchors(np.zeros((64, 64, 3), np.uint8))
    np.testing.assert_allclose(anchors, np.full((7, 2), 20 / 32 - 1))


def test_a_whole_picture_is_not_searched_for_a_face(monkeypatch, face_file):
    from floatcli.models.float_model import FloatModel
    from tests.unit.test_anchored import CONFIG

    for name in ("default_detector", "default_anchor_finder"):
        monkeypatch.setattr(f"floatcli.portraits.{name}", lambda *_: pytest.fail("no network of others is needed"))
    still = FloatPipeline(FloatModel(CONFIG), RunConfig(device="cpu")).portrait(face_file, WHOLE)
    assert still.anchors is None


def test_other_failures_are_not_taken_for_a_lack_of_memory(pipe, face_file, speech_file, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(pipe.model, "decode", broken)
    with pytest.raises(RuntimeError, match="size mismatch"):
        first_frame(pipe, face_file, speech_file)


def test_saving_writes_the_clip_and_its_digest(pipe, face_file, speech_file, tmp_path):
    from floatcli.checkpoint.store import file_digest

    done: list[tuple[int, int]] = []
    clip = pipe.animate(face_file, speech_file, WHOLE, QUICK)
    path = clip.save(tmp_path / "out.mp4", progress=lambda *counts: done.append(counts))
    assert path.stat().st_size > 1000
    assert clip.digests["output"] == file_digest(path)
    assert done[-1] == (63, 63)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_streaming_lets_a_clip_flow_while_it_is_made(pipe, face_file, speech_file, tmp_path):
    came = tmp_path / "came"
    clip = pipe.animate(face_file, speech_file, WHOLE, QUICK)

    def wait(done: int, total: int) -> None:
        if done == 24:
            end = time.monotonic() + 600
            while not came.stat().st_size and time.monotonic() < end:
                time.sleep(0.05)
            sizes.append(came.stat().st_size)

    sizes: list[int] = []
    with open(came, "wb") as file:
        clip.stream(file, "matroska", progress=wait)
        sizes.append(came.stat().st_size)
    assert 1000 < sizes[0] < sizes[1]
    assert set(clip.digests) == {"face", "speech"}
    assert clip.motion.making.video is None


def test_a_clip_of_samples_is_saved_with_them(pipe, face_file, tmp_path):
    from floatcli.media.audio import load_speech

    samples = np.sin(np.arange(16000) * 0.2).astype(np.float32) * 0.5
    clip = pipe.animate(face_file, samples, WHOLE, QUICK)
    heard = load_speech(clip.save(tmp_path / "out.mkv"), 16000)
    assert len(heard) == pytest.approx(16000, abs=700)
    assert heard.std() == pytest.approx(samples.std(), rel=0.1)


def test_embedded_weights_are_announced(monkeypatch, tiny_weights):
    monkeypatch.setattr("floatcli.checkpoint.store._embedded", lambda: tiny_weights)
    heard: list[str] = []
    pipe = FloatPipeline.from_weights(device="cpu", notice=heard.append)
    line = "using the embedded weights; the published ones: floatcli weights fetch float"
    assert heard == pipe.notices.lines == [line]


def test_motion_made_ahead_of_its_frames_is_the_same(pipe, face_file, speech_file, monkeypatch):
    """As on GPUs, whose streams overlap them."""
    alone = np.stack(list(pipe.animate(face_file, speech_file, WHOLE, QUICK)))
    monkeypatch.setattr(pipe, "overlaps", True)
    assert np.array_equal(np.stack(list(pipe.animate(face_file, speech_file, WHOLE, QUICK))), alone)
