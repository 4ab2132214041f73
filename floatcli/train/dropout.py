"""Conditions that stage 2 leaves out at random, so that guidance can ask for the field without them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from floatcli.models.conditions import WindowCondition


@dataclass(frozen=True)
class Dropout:
    """Chances that a condition of a window is left out; the defaults are the paper's (SPEC section 7)."""

    reference: float = 0.1
    emotion: float = 0.1
    audio: float = 0.1
    preceding: float = 0.5  # motion and audio of the frames before the window, both
    pose: float = 0.1
    emotion_with_audio: bool = False  # without audio no emotion either: guidance never asks for emotion alone

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise ValueError(f"{field.name} is {getattr(self, field.name)}, not in 0..1")


def dropped(condition: WindowCondition, first: Tensor, chances: Dropout) -> WindowCondition:
    """Conditions of B windows with zeros where one is left out.

    Args:
        condition: All of it.
        first: (B,) bool, windows that nothing precedes.
        chances: Of leaving out.
    """

    def lost(chance: float) -> Tensor:
        return torch.rand(len(first), device=first.device) < chance

    no_audio, alone = lost(chances.audio), first | lost(chances.preceding)
    no_emotion = lost(chances.emotion) | (no_audio & chances.emotion_with_audio)
    return WindowCondition(
        ref_motion=_kept(condition.ref_motion, lost(chances.reference)),
        preceding_motion=_kept(condition.preceding_motion, alone),
        preceding_audio=_kept(condition.preceding_audio, alone),
        audio=_kept(condition.audio, no_audio),
        emotion=_kept(condition.emotion, no_emotion),
        pose=None if condition.pose is None else _kept(condition.pose, lost(chances.pose)),
    )


def _kept(values: Tensor, lost: Tensor) -> Tensor:
    """Values (B, ...) with zeros where ``lost`` (B,) is True."""
    return values * ~lost.view(-1, *[1] * (values.ndim - 1))
