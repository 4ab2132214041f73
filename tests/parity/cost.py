"""What 16-bit weight files cost: ``python -m tests.parity.cost small|full`` holds them against the stored results."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from floatcli.checkpoint.load import build_model
from floatcli.config import ModelConfig, SampleConfig
from floatcli.flow.sampler import sample_motion
from floatcli.models.float_model import FloatModel
from tests.parity.golden import DATA, SMALL, Golden, golden_tensors, load_golden


def stored(golden: Golden, dtype: torch.dtype) -> FloatModel:
    """The golden's model after its weights went through a file of another number format."""
    tensors = golden_tensors(golden.size, golden.model.config)
    return build_model(golden.model.config, {name: tensor.to(dtype) for name, tensor in tensors.items()}, DATA)


@torch.no_grad()
def motion_and_frames(golden: Golden, model: FloatModel) -> tuple[Tensor, Tensor]:
    """Motion from the golden's conditions, and frames from the golden's own motion."""
    portrait = model.encode(golden["image"])
    condition, feeling = (model.hear(golden["waveform_raw"][None]), model.feel(golden["waveform_raw"][None]))
    windows = sample_motion(
        model.field, portrait.ref_motion, condition, feeling, SampleConfig(nfe=9), model.config, golden["noise"]
    )
    shown = golden["motion_speech_emotion_9steps"][0, golden["frame_index"][:2]]
    return torch.cat(list(windows), 1), model.decode(portrait, shown).clamp(-1, 1)


def main(size: str) -> None:
    """Print a row for each number format."""
    golden = load_golden(size, SMALL if size == "small" else ModelConfig())
    motion, frames = motion_and_frames(golden, golden.model)
    print("| weights | motion off, of its standard deviation, rms | frames off, grey levels of 255, rms / most |")
    print("|---|---|---|")
    for dtype in (torch.float16, torch.bfloat16):
        moved, drawn = motion_and_frames(golden, stored(golden, dtype))
        off = (moved - motion).square().mean().sqrt() / motion.std()
        grey = (drawn - frames).abs() * 127.5
        name = str(dtype).removeprefix("torch.")
        print(f"| {name} | {off:.1e} | {grey.square().mean().sqrt():.2f} / {grey.max():.1f} |")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "small")
