"""A strip of evenly spaced frames, one row a video: `python examples/strip.py OUT.png VIDEO...`."""

import subprocess
import sys

import numpy as np
from PIL import Image

from floatcli.media.ffmpeg import ffmpeg_executable

COLUMNS, SIDE = 8, 160  # frames a row, and their side in pixels


def frames_of(video: str) -> np.ndarray:
    """All frames, scaled: (T, SIDE, SIDE, 3) uint8."""
    command = [ffmpeg_executable(), "-v", "error", "-i", video, "-vf", f"scale={SIDE}:{SIDE}", "-pix_fmt", "rgb24"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-"], check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, SIDE, SIDE, 3)


def row_of(video: str) -> np.ndarray:
    """COLUMNS frames side by side, from a tenth to nine tenths of the clip."""
    frames = frames_of(video)
    picks = np.linspace(0.1, 0.9, COLUMNS) * (len(frames) - 1)
    return np.concatenate([frames[int(k)] for k in picks], 1)


if __name__ == "__main__":
    out, *videos = sys.argv[1:]
    Image.fromarray(np.concatenate([row_of(video) for video in videos])).save(out)
