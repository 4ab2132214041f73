"""Classifier-free guidance: several passes of the field, combined (SPEC section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from floatcli.config import SampleConfig
from floatcli.models.conditions import WindowCondition
from floatcli.models.fmt import VectorField

_ROWS = 1024  # modulated at once, about: enough for products of matrices to be fast, and 250 MB at the published size


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
    """The guided field of one window: v_t as a function of t and x_t.

    Args:
        field: the trained field.
        condition: the window's conditions.
        settings: guidance scales.
        times: those it will be evaluated at, in this order, if they are known: then modulations are computed for
            several times at once. It answers for as many evaluations.
    """

    def __init__(
        self,
        field: VectorField,
        condition: WindowCondition,
        settings: SampleConfig,
        times: Tensor | None = None,
    ):
        self.field = field
        passes = guidance_passes(settings)
        self.weights = torch.tensor([each.weight for each in passes], device=condition.audio.device)
        self.preceding_motion = condition.preceding_motion.repeat(len(passes), 1, 1)
        conditions = torch.cat([_masked(condition, each).frames() for each in passes])
        # Without audio all frames of the window are alike, and passes share what precedes it: modulated once for all.
        rows, self.row_of = torch.unique(conditions.flatten(0, 1).cpu(), dim=0, return_inverse=True)
        self.rows, self.row_of = rows.to(conditions), self.row_of.view(conditions.shape[:2]).to(conditions.device)
        self._ahead = None if times is None else self._modulations(times)

    def __call__(self, t: Tensor, x_t: Tensor) -> Tensor:
        """The field of the window.

        Args:
            t: a single time, ().
            x_t: (B, L, D) float32.

        Returns:
            (B, L, D) float32.
        """
        count = len(self.weights)
        modulations = next(self._modulations(t[None]) if self._ahead is None else self._ahead)
        repeated = x_t.to(self.preceding_motion.dtype).repeat(count, 1, 1)
        v = self.field.through(self.preceding_motion, repeated, modulations, window_only=True).float()
        return (self.weights.view(-1, 1, 1, 1) * v.unflatten(0, (count, -1))).sum(0)

    def _modulations(self, times: Tensor) -> Iterator[list[Tensor]]:
        """Those of every layer at each of the times (n,)."""
        for some in times.tensor_split(-(-len(times) * len(self.rows) // _ROWS)):
            for layers in zip(*self.field.modulations(some, self.rows), strict=True):
                yield [layer[self.row_of] for layer in layers]


def _masked(condition: WindowCondition, given: Pass) -> WindowCondition:
    """Zeros for what a pass is not given. What came before the window stays in every pass."""
    return condition._replace(
        ref_motion=condition.ref_motion * given.ref,
        audio=condition.audio * given.audio,
        emotion=condition.emotion * given.emotion,
    )
