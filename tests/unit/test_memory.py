"""Nothing is held that grows with a clip: neither speech nor motion, while it is made, saved and shown again."""

from __future__ import annotations

import re
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from floatcli import Clip, FloatPipeline, Motion
from floatcli.clip import Stages
from floatcli.config import CropConfig, SampleConfig
from floatcli.errors import InputError
from floatcli.motion import Making
from floatcli.spool import Spool, blocks

STATUS = Path("/proc/self/status")
WINDOWS, FRAMES, WIDTH = 800, 50, 512  # 27 min at the published width: 78 MB

needs_linux = pytest.mark.skipif(not STATUS.exists(), reason="memory is counted by Linux")


def megabytes(name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def grown(work: Callable[[], object]) -> float:
    """By how many MB the resident memory went up meanwhile, at its highest."""
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is what it is now
    before = megabytes("VmRSS")
    work()
    return megabytes("VmHWM") - before


def making() -> Making:
    settings = {"crop": (0.0, 0.0, 64.0, 0.0), "sample": SampleConfig(), "weights": None, "face": None, "speech": None}
    return Making(
        model="none", fps=25, emotions=("calm",), coefficient_names=(), basis_size=20, window=FRAMES, **settings
    )


def long_clip() -> Clip:
    """A clip that is nothing but motion."""

    def windows() -> Iterator[Tensor]:
        for k in range(WINDOWS):
            yield torch.full((FRAMES, WIDTH), float(k))

    return Clip(
        windows=windows,
        decode=lambda window: iter([np.zeros((len(window), 1, 1, 3), np.uint8)]),
        portrait=(np.zeros((64, 64, 3), np.uint8), None),
        plan=making(),
        weights=lambda: None,
        track=np.ones((1, 1), np.float32),
        frames=WINDOWS * FRAMES,
        fps=25,
        size=(1, 1),
        sample_rate=16000,
        speech=Path("none.wav"),
        stages=Stages(),
        digests={},
        notices=[],
    )


@needs_linux
def test_a_long_motion_is_made_and_saved_without_being_held(tmp_path):
    clip, path = long_clip(), tmp_path / "a.motion.safetensors"

    def work() -> None:
        assert sum(map(len, clip.batches())) == WINDOWS * FRAMES
        clip.motion.save(path)

    assert grown(work) < 20
    latents = Motion.load(path).latents
    assert latents.shape == (WINDOWS * FRAMES, WIDTH)
    np.testing.assert_array_equal(latents[::FRAMES, -1], np.arange(WINDOWS))


@needs_linux
def test_long_speech_is_animated_without_being_held(tiny_weights, face_file, tmp_path, monkeypatch):
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as sound:  # 12 min: 46 MB of samples
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        minute = (np.random.default_rng(0).standard_normal(60 * 16000) * 3000).astype("<i2").tobytes()
        for _ in range(12):
            sound.writeframes(minute)
    pipe = FloatPipeline.from_weights(tiny_weights, device="cpu")

    def loudness(waveform: Tensor, frames: int, moments: object = None) -> Tensor:
        return waveform.view(1, frames, -1).square().mean(-1, keepdim=True).expand(-1, -1, pipe.config.audio_dim)

    monkeypatch.setattr(pipe.model.audio_encoder, "forward", loudness)
    monkeypatch.setattr(pipe.model, "decode", lambda portrait, motion: torch.zeros(len(motion), 3, 8, 8))

    def work() -> None:
        clip = pipe.animate(face_file, path, CropConfig("none"), SampleConfig(nfe=1), "happy")
        assert sum(map(len, clip.batches())) == 12 * 60 * 25

    pipe.animate(face_file, path, CropConfig("none"), SampleConfig(nfe=1), "happy")  # what is loaded once is loaded
    assert grown(work) < 25


def test_rows_come_back_as_they_were_kept():
    spool, rng = Spool(), np.random.default_rng(0)
    parts = [rng.normal(size=(n, 3)).astype(np.float32) for n in (4, 1, 7)]
    for part in parts:
        spool.append(part)
    rows = spool.rows()
    del spool
    np.testing.assert_array_equal(rows, np.concatenate(parts))
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 0


@pytest.mark.parametrize("shape", [(3,), (1, 5), (300_001, 7), (5, 0), (0, 5)])
def test_blocks_are_all_of_an_array(shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert b"".join(blocks(array)) == array.tobytes()
    assert b"".join(blocks(array[::2])) == array[::2].tobytes()


def test_no_room_for_the_motion_is_told(monkeypatch):
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    spool = Spool()
    monkeypatch.setattr(spool, "_file", Full())
    with pytest.raises(InputError, match=r"can't be kept in \S+: No space left.*TMPDIR"):
        spool.append(np.zeros((1, 3), np.float32))
