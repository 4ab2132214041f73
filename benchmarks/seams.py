"""How far speech that is heard in pieces differs from speech that is heard at once, by the context of a piece.

    python benchmarks/seams.py [--weights W] [--speech FILE]

Audio conditions are compared in units of their standard deviation: over all frames, and over the second nearest to a
seam; emotions by the largest difference of a share.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from floatcli import hearing
from floatcli.checkpoint.load import load_model
from floatcli.hearing import Ear, Speech

EXAMPLE = Path(__file__).parent.parent / "examples/speech.wav"
SECONDS = 60


def main() -> None:
    """Print a row for every context."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="embedded")
    parser.add_argument("--speech", type=Path, default=EXAMPLE)
    asked = parser.parse_args()
    ear = Ear(load_model(asked.weights), torch.device("cpu"), torch.float32)
    rate = ear.config.sample_rate
    once = hearing.read(asked.speech, rate).source
    assert isinstance(once, torch.Tensor)
    samples = once.repeat(-(-SECONDS * rate // len(once)))[: SECONDS * rate]
    speech = hearing.read(samples, rate)
    whole, felt = ear.condition(speech), ear.feel(speech)
    print(f"{'context, s':>10} {'all frames':>12} {'near seams':>12} {'emotion':>10}")
    for context in (0, 1, 2, 5, 10):
        row = differences(ear, speech, context, whole, felt)
        print(f"{context:10} " + " ".join(f"{value:12.2e}" for value in row))


def differences(
    ear: Ear, speech: Speech, context: int, whole: torch.Tensor, felt: torch.Tensor
) -> tuple[float, float, float]:
    """Root mean square of all frames and of those near seams, and the largest difference of an emotion's share."""
    hearing.CONTEXT, hearing.AT_ONCE = context, 0
    error = (torch.cat(list(ear.windows(speech)), 1) - whole)[0] / whole.std()
    fps = ear.config.fps
    seconds = torch.arange(len(error)) / fps
    off = (seconds - (seconds / hearing.PIECE).round() * hearing.PIECE).abs()
    near = (off < 0.5) & (seconds > 1) & (seconds < SECONDS - 1)  # beginning and end are no seams
    shares = (ear.feel(speech) - felt).abs().max().item()
    return error.square().mean().sqrt().item(), error[near].square().mean().sqrt().item(), shares


if __name__ == "__main__":
    main()
