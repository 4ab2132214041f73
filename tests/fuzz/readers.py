"""Everything that reads a file which may come from a stranger, by a name; and what must be true of what was read."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from floatcli.batch.lists import read_jobs
from floatcli.checkpoint.load import load_model
from floatcli.checkpoint.store import stated_config, weights_files
from floatcli.cli.orders import read_curve
from floatcli.config import EMOTIONS, POSE
from floatcli.media.audio import speech_blocks
from floatcli.media.ffmpeg import media_info
from floatcli.media.frames import video_frames
from floatcli.media.image import load_picture
from floatcli.motion import Motion, read_making
from floatcli.poses import read_pose
from floatcli.rows import read_rows
from floatcli.tracks import read_track

RATE, FPS = 16000, 25


def picture(path: Path) -> None:
    pixels = load_picture(path, (255, 255, 255))
    assert pixels.dtype == np.uint8
    assert pixels.shape[2:] == (3,)


def speech(path: Path) -> None:
    for block in speech_blocks(path, RATE):
        assert block.dtype == torch.float32
        assert block.isfinite().all()


def video(path: Path) -> None:
    info = media_info(path)
    assert info is None or info.duration is None or math.isfinite(info.duration)
    for number, frame in enumerate(video_frames(path, FPS)):
        assert frame.dtype == np.uint8
        if number == 50:
            break


def motion(path: Path) -> None:
    made = Motion.load(path)
    assert np.isfinite(made.latents).all()
    assert made.portrait.shape[0] == made.portrait.shape[1]
    assert made.seconds > 0


def making(path: Path) -> None:
    read_making(path)


def track(path: Path) -> None:
    frames = read_track(path, EMOTIONS).frames(50, FPS)
    assert np.allclose(frames.sum(1), 1, atol=1e-3)


def pose(path: Path) -> None:
    frames = read_pose(path).frames(50, FPS)
    assert frames.shape == (50, len(POSE))
    assert np.isfinite(frames).all()


def jobs(path: Path) -> None:
    for job in read_jobs(path, path.parent):
        assert job.fault or job.out.name


def rows(path: Path) -> None:
    assert all(isinstance(row, dict) for row in read_rows(path))


def weights(path: Path) -> None:
    stated_config(path)
    weights_files(path)
    load_model(path)


def settings(path: Path) -> None:
    from floatcli.train.settings import load_settings

    load_settings(path)


def manifest(path: Path) -> None:
    """What was prepared, of a path whose folder it is in."""
    from floatcli.evaluate.held_out import held_out_clips
    from floatcli.train.prepare import is_whole
    from floatcli.train.prepared_data import PreparedFrames, prepared_videos

    assert not any(is_whole(row, path.parent) for row in prepared_videos(path.parent))
    assert all(length > 0 for length in PreparedFrames(path.parent).lengths)
    list(held_out_clips(path.parent, 4))


def shard(path: Path) -> None:
    from floatcli.train.prepared_data import read_clip
    from floatcli.train.shards import read_shard

    for key, sample in read_shard(path):
        clip = read_clip(key, sample)
        assert np.isfinite(clip.boxes).all()
        assert clip.boxes.shape == (len(clip.frames), 3, 4)


def curve(path: Path) -> None:
    read_curve(str(path)).at(np.arange(10) / 5)


def typed_curve(path: Path) -> None:
    read_curve(path.read_bytes().decode(errors="surrogateescape").replace("\0", ""))


def hang(path: Path) -> None:
    """The first of what no reader does, to see that it would be seen."""
    time.sleep(600)


def fault(path: Path) -> None:
    raise KeyError(path)


def death(path: Path) -> None:
    os._exit(1)


def greed(path: Path) -> None:
    np.ones(30_000_000)


READERS: dict[str, Callable[[Path], None]] = {
    read.__name__: read
    for read in (
        picture, speech, video, motion, making, track, pose, jobs, rows, weights, settings, manifest, shard, curve,
        typed_curve, hang, fault, death, greed,
    )
}  # fmt: skip
