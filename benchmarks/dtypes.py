"""How far frames decoded in 16 bits are from those in float32.

    python benchmarks/dtypes.py [--weights W] [--device D] [--frames N]

The photograph that comes with scikit-image, in random motions about its own. PSNR in dB over all frames and of the
worst, and of their changes from frame to frame, which is what flickers; and the largest difference in grey levels of
255.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from skimage.data import astronaut

from floatcli import FloatPipeline
from floatcli.config import CropConfig, RunConfig


def main() -> None:
    """Print a row for either format."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="embedded")
    parser.add_argument("--device", default=RunConfig.device)
    parser.add_argument("--frames", type=int, default=4)
    asked = parser.parse_args()
    exact = FloatPipeline.from_weights(asked.weights, asked.device)
    print(f"{'':10} {'PSNR':>8} {'worst':>8} {'of changes':>10} {'largest':>8}")
    for dtype in ("float16", "bfloat16"):
        error = errors(exact, dtype, asked.frames)
        row = psnr(error), min(map(psnr, error)), psnr(np.diff(error, axis=0)), np.abs(error).max()
        print(f"{dtype:10} {row[0]:8.1f} {row[1]:8.1f} {row[2]:10.1f} {row[3]:8.0f}", flush=True)


def errors(exact: FloatPipeline, dtype: str, frames: int) -> np.ndarray:
    """By how many grey levels frames (F, H, W, 3) in a number format differ from those of a pipeline in float32."""
    still = exact.portrait(astronaut()[:256, 100:356], CropConfig("none"))
    noise = torch.randn(frames, exact.config.motion_dim, generator=torch.Generator().manual_seed(0))
    motion = still.portrait.ref_motion + 0.1 * noise.to(exact.device)
    half = FloatPipeline(exact.model, RunConfig(str(exact.device), dtype))
    ours, theirs = (each.networks.draw(still.portrait, motion).astype(np.float64) for each in (half, exact))
    return ours - theirs


def psnr(error: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of errors in grey levels of 255."""
    return float(10 * np.log10(255**2 / max(np.square(error).mean(), 1e-9)))


if __name__ == "__main__":
    main()
