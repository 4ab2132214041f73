"""What a set's turned heads lack: the same frames with true displacements, and with true light besides.

    python benchmarks/limits.py [--weights W] [--faces 16]

Drawn people whom neither training nor `floatcli evaluate` draws, each turned twice, at 256 pixels. PSNR of motion as
drawn and as a change (see weights/README.md); of frames whose warp is told where every cell of the source truly goes,
and where nothing is edited; and of those with all light added from the truth that changes slowly over the head.
Besides, how far coefficients are off that the set reads from all frames of these people, where 1 is what they vary by.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from unittest.mock import patch

import cv2
import numpy as np
import torch
from torch import Tensor

from floatcli.checkpoint.load import load_model
from floatcli.evaluate.drawn_faces import AS_CHANGE, AS_DRAWN, reconstructed
from floatcli.evaluate.pictures import psnr, to_tensor
from floatcli.models import anchored_decoder
from floatcli.models.float_model import FloatModel
from floatcli.models.head_warp import HeadMaps, HeadWarp
from floatcli.train.drawn_data import POSES, DrawnSet, draw_set
from floatcli.train.likeness import beyond
from floatcli.train.parameters import SCALE

SEEDS = (555, 777)
READ = "coefficients off by"
SLOW = 12.0  # pixels, standard deviation of the Gaussian that tells light from detail
CARRIED = 6  # cells that displacements are carried on beyond the person


def main() -> None:
    """Print a row for every kind of frame."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="embedded")
    parser.add_argument("--faces", type=int, default=16)
    asked = parser.parse_args()
    model = load_model(asked.weights)
    people = [(seed, k) for k in range(-(-asked.faces // len(SEEDS))) for seed in SEEDS][: asked.faces]
    with torch.inference_mode():
        rows = [dict(measured(model, draw_set(np.random.default_rng(person), 256))) for person in people]
    off = [row.pop(READ) for row in rows]
    for name in rows[0]:
        print(f"{name:20} {np.mean([row[name] for row in rows]):6.2f} dB")
    print(f"{READ:20} {np.sqrt(np.mean(off)):6.2f}")


def measured(model: FloatModel, drawn: DrawnSet) -> Iterator[tuple[str, float]]:
    """PSNR of one person's turned frames, by how they are made; the mean square of what is misread."""
    truth = to_tensor(drawn.pictures)[POSES]
    for motion in (AS_DRAWN, AS_CHANGE):
        yield motion, _mean(reconstructed(model, drawn, motion)[POSES], truth)
    moved = with_true_displacements(model, drawn)[POSES]
    yield "true displacements", _mean(moved, truth)
    yield "true light besides", _mean(lit(moved, truth, drawn.mattes[POSES]), truth)
    misread = model.coefficients(to_tensor(drawn.pictures)).numpy() - drawn.parameters / SCALE
    yield READ, float(np.square(misread).mean())


def with_true_displacements(model: FloatModel, drawn: DrawnSet) -> Tensor:
    """Frames (F, 3, H, H) whose source goes where it does in the drawings, unedited."""
    ways, _ = beyond(2 * torch.from_numpy(drawn.displacements).float().movedim(-1, 1), CARRIED)
    own = HeadWarp._moved

    def true(warp: HeadWarp, maps: HeadMaps, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return ways, own(warp, maps, source, target)[1]

    with patch.object(HeadWarp, "_moved", true), patch.object(anchored_decoder, "_put", lambda *_: None):
        return reconstructed(model, drawn, AS_CHANGE)


def lit(made: Tensor, truth: Tensor, mattes: np.ndarray) -> Tensor:
    """Frames (N, 3, H, H) with what they lack of the truth within mattes (N, H/2, H/2), as far as it changes slowly."""
    frames = []
    for frame, true, matte in zip(made, truth, mattes, strict=True):
        head = (cv2.resize(matte, frame.shape[1:]) > 242).astype(np.float32)[..., None]
        lacks = head * (true - frame).permute(1, 2, 0).numpy()
        slow = cv2.GaussianBlur(lacks, (0, 0), SLOW) / (cv2.GaussianBlur(head, (0, 0), SLOW)[..., None] + 1e-3)
        frames.append(frame + torch.from_numpy(head * slow).permute(2, 0, 1))
    return torch.stack(frames)


def _mean(made: Tensor, truth: Tensor) -> float:
    return float(np.mean([psnr(*pair) for pair in zip(made, truth, strict=True)]))


if __name__ == "__main__":
    main()
