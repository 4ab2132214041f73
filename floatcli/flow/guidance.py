"""Classifier-free guidance: several passes of the field, combined (SPEC section 4)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from floatcli.config import SampleConfig
from floatcli.models.conditions import WindowCondition
from floatcli.models.fmt import VectorField


class Pass(NamedTuple):
    """One pass of the field: what it is given, and its weight in the sum."""

    weight: float
    ref: bool
    audio: bool
    emotion: bool


def guidance_passes(settings: SampleConfig) -> list[Pass]:
    """The passes that count.

    ``u_0 + g_r (u - u_0) + g_a (v_a - u) + g_e (v_ae - v_a)``, collected by pass, where u_0 is given nothing, u the
    reference motion, v_a audio as well and v_ae everything. A pass of weight zero is left out, so with every scale 1
    there is a single pass, and with g_r = 1 no u_0.
    """
    g_r, g_a, g_e = settings.ref_scale, settings.audio_scale, settings.emotion_scale
    passes = [
        Pass(1 - g_r, ref=False, audio=False, emotion=False),
        Pass(g_r - g_a, ref=True, audio=False, emotion=False),
        Pass(g_a - g_e, ref=True, audio=True, emotion=False),
        Pass(g_e, ref=True, audio=True, emotion=True),
    ]
    return [each for each in passes if each.weight]


class GuidedField:
    """The guided field of one window: v_t as a function of t and x_t."""

    def __init__(self, field: VectorField, condition: WindowCondition, settings: SampleConfig):
        self.field = field
        passes = guidance_passes(settings)
        self.weights = [each.weight for each in passes]
        masked = [_masked(condition, each) for each in passes]
        self.condition = WindowCondition(*(torch.cat(parts) for parts in zip(*masked, strict=True)))

    def __call__(self, t: Tensor, x_t: Tensor) -> Tensor:
        """The field for the preceding frames and the window.

        Args:
            t: a single time, ().
            x_t: (B, L, D) float32.

        Returns:
            (B, L' + L, D) float32.
        """
        count = len(self.weights)
        repeated = x_t.to(self.condition.audio.dtype).repeat(count, 1, 1)
        v = self.field(t.expand(len(repeated)), repeated, self.condition).float()
        weights = torch.tensor(self.weights, dtype=v.dtype, device=v.device)
        return (weights.view(-1, 1, 1, 1) * v.unflatten(0, (count, -1))).sum(0)


def _masked(condition: WindowCondition, given: Pass) -> WindowCondition:
    """Zeros for what a pass is not given. What came before the window stays in every pass."""
    return condition._replace(
        ref_motion=condition.ref_motion * given.ref,
        audio=condition.audio * given.audio,
        emotion=condition.emotion * given.emotion,
    )
