"""Frames at a time by a device's memory."""

import pytest
import torch

from floatcli.config import AnchoredSize, ModelConfig
from floatcli.device import CPU_FRAMES, frames_at_once

GPU = torch.device("cuda", 0)
PUBLISHED = ModelConfig()
ANCHORED = ModelConfig(decoder="anchored", anchored=AnchoredSize(output_sizes=(256, 512)))


@pytest.fixture
def free(monkeypatch):
    """Sets the free memory of a GPU that isn't there."""
    return lambda gigabytes: monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda device: (int(gigabytes * 2**30), 2**40)
    )


def test_a_cpu_decodes_as_many_frames_whatever_is_free():
    assert frames_at_once(PUBLISHED, torch.device("cpu")) == CPU_FRAMES


def test_a_gpu_decodes_what_a_quarter_of_its_free_memory_holds(free):
    free(8)
    assert frames_at_once(PUBLISHED, GPU) == 16  # 32 channels of 512 x 512 in float32 are 32 MiB, four of them 128
    free(4)
    assert frames_at_once(PUBLISHED, GPU) == 8
    assert frames_at_once(ANCHORED, GPU) == 50


@pytest.mark.parametrize(("gigabytes", "frames"), [(0, 1), (0.1, 1), (80, PUBLISHED.window)])
def test_there_is_a_frame_at_the_least_and_a_window_at_the_most(free, gigabytes, frames):
    free(gigabytes)
    assert frames_at_once(PUBLISHED, GPU) == frames
