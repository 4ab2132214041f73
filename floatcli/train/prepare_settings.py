"""What clips for training are made to. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from floatcli.errors import UsageError

FPS, RATE = 25, 16_000  # pictures and samples a second
PARTS = ("left_eye", "right_eye", "mouth")  # left and right as seen

SILENCE = -60.0  # dB below full scale: clips no louder than this say nothing


@dataclass(frozen=True)
class PrepareConfig:
    """How videos are cut up, and what is dropped."""

    size: int = 512  # pixels a side
    shortest: float = 2.4  # seconds: a window of the field, and the frames before it
    longest: float = 10.0  # seconds: longer takes become several clips
    yaw: float = 20.0  # degrees that a head may turn to a side

    @property
    def fewest(self) -> int:
        """Frames of the shortest clip."""
        return round(self.shortest * FPS)

    @property
    def most(self) -> int:
        """Frames of the longest clip."""
        return round(self.longest * FPS)


def check_prepare(config: PrepareConfig) -> None:
    """Raise UsageError where no clips can be made like this."""
    if not 32 <= config.size <= 4096 or config.size % 2:
        raise UsageError(f"size must be even and lie in 32..4096, not {config.size}", "512 is the published model's")
    if not 0.08 <= config.shortest <= config.longest / 2:
        said = f"shortest must lie between 0.08 s and half of longest, not at {config.shortest:g} of {config.longest:g}"
        raise UsageError(said, "takes longer than longest are cut into equal parts")
    if not config.longest <= 60:
        raise UsageError(f"longest must be at most 60 s, not {config.longest:g}", "training holds clips whole")
    if not 0 < config.yaw <= 90:
        raise UsageError(f"max-yaw must lie in 0..90 degrees, not {config.yaw:g}", "20 is what the method takes")
