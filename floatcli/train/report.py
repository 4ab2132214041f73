"""What a part in training says of itself. Imports no torch."""

from __future__ import annotations


class Report(str):
    """A line about a part in training, with its numbers.

    Attributes:
        part: Its name.
        step: Steps done.
        steps: In all.
        losses: Weighted, means since the report before.
        rate: Of learning.
        pace: Seconds a step.
    """

    def __new__(cls, part: str, step: int, steps: int, losses: dict[str, float], rate: float, pace: float) -> Report:
        said = "  ".join(f"{key} {mean:.4f}" for key, mean in losses.items())
        report = super().__new__(cls, f"{part} {step}/{steps}  {said}  {pace:.3f} s/step")
        report.part, report.step, report.steps, report.losses = part, step, steps, losses
        report.rate, report.pace = rate, pace
        return report

    part: str
    step: int
    steps: int
    losses: dict[str, float]
    rate: float
    pace: float
