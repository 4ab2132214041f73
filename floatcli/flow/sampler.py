"""Sampling: noise is carried to motion, one window of frames after the other (SPEC section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import count

import torch
from torch import Tensor
from torch.nn import functional as F
from torchdiffeq import odeint

from floatcli.config import POSE, ModelConfig, SampleConfig
from floatcli.flow.diffusion import ddim
from floatcli.flow.guidance import GuidedField
from floatcli.flow.solvers import check_objective, in_step, solver_steps
from floatcli.models.conditions import WindowCondition
from floatcli.models.fmt import VectorField


def noise_windows(seed: int, window: int, motion_dim: int) -> Iterator[Tensor]:
    """Endless noise, (1, L, D) at a time, from one stream on the CPU: the same on every device and batch size."""
    generator = torch.Generator("cpu").manual_seed(seed)
    while True:
        yield torch.randn(1, window, motion_dim, generator=generator)


def integrate(field: Callable[[Tensor, Tensor], Tensor], x_0: Tensor, settings: SampleConfig) -> Tensor:
    """Follow a field from t = 0 to t = 1.

    Args:
        field: v_t of t () and x_t, of x_t's shape.
        x_0: the state at t = 0.
        settings: solver, nfe and tolerance; with fixed steps the field is evaluated exactly nfe times.

    Returns:
        The state at t = 1.
    """
    steps = solver_steps(settings)
    ends = torch.tensor([0.0, 1.0], device=x_0.device)
    if steps is None:
        error = settings.tolerance
        # Time in the state's format: torchdiffeq's own choice, float64, is not to be had on every device.
        options = {"dtype": x_0.dtype}
        return odeint(field, x_0, ends, rtol=error, atol=error, method=settings.solver, options=options)[-1]
    # A grid rather than torchdiffeq's step size, whose rounding can add a step.
    grid = torch.linspace(0, 1, steps + 1, device=x_0.device)
    return odeint(field, x_0, ends, method=settings.solver, options={"grid_constructor": lambda *_: grid})[-1]


def evaluation_times(settings: SampleConfig) -> tuple[float, ...] | None:
    """The times at which a field is evaluated, in order; None where the solver chooses them by what it sees."""
    alike = in_step(settings)
    return None if alike is None else _times(alike)


@lru_cache
def _times(settings: SampleConfig) -> tuple[float, ...]:
    times: list[float] = []

    def field(t: Tensor, x: Tensor) -> Tensor:
        times.append(t.item())
        return x

    integrate(field, torch.zeros(1), settings)
    return tuple(times)


def sample_window(field: VectorField, condition: WindowCondition, x_0: Tensor, settings: SampleConfig) -> Tensor:
    """Motion (B, L, D) of one window: its noise x_0, carried along the field under its conditions.

    A field that predicts a diffusion's noise or motion is followed by DDIM, at the times that Euler's method has.

    Raises:
        UsageError: the solver is none for what the field predicts.
    """
    check_objective(settings, field.objective)
    times = evaluation_times(settings)
    known = None if times is None else torch.tensor(times, device=x_0.device)
    guided = GuidedField(field, condition, settings, known)
    if field.objective == "flow":
        return integrate(guided, x_0, settings)
    assert known is not None  # as Euler's are
    return ddim(guided, field.objective, x_0, known)


@torch.no_grad()
def sample_motion(
    field: VectorField,
    ref_motion: Tensor,
    audio_cond: Tensor | Iterable[Tensor],
    emotion: Tensor,
    settings: SampleConfig,
    config: ModelConfig,
    noise: Iterable[Tensor] | None = None,
    carry: Callable[[WindowCondition, Tensor, SampleConfig], Tensor] | None = None,
    pose: Tensor | None = None,
) -> Iterator[Tensor]:
    """Motion in windows, as they come.

    Every clip of a batch gets the noise of ``settings.seed``, so it moves as it would alone.

    Args:
        field: the trained field.
        ref_motion: (B, D).
        audio_cond: (B, T, A); or its windows (B, L, A), the last one shorter, which are asked for as they are needed.
        emotion: (B, E) for the whole clip, or (B, T, E) frame by frame.
        settings: guidance scales, solver, evaluations and seed. An adaptive solver chooses its steps for the
            batch as a whole, so only within its tolerance does a clip move as it would alone.
        config: the model's.
        noise: x_0 of every window, (B or 1, L, D), in place of the seed's.
        carry: does what ``sample_window`` does with the field, maybe for others as well.
        pose: (B, T, 6), the numbers of ``POSE`` that the head shall follow; for a field that was trained with them.

    Yields:
        (B, L, D) float32, the last one cut so that there are T frames in all.
    """
    batch, length, before = len(ref_motion), config.window, config.preceding
    heard = audio_cond.split(length, dim=1) if isinstance(audio_cond, Tensor) else audio_cond
    carry = partial(sample_window, field) if carry is None else carry
    noise = iter(noise_windows(settings.seed, length, config.motion_dim) if noise is None else noise)
    preceding_motion = ref_motion.new_zeros(batch, before, config.motion_dim)
    preceding_audio = ref_motion.new_zeros(batch, before, config.audio_dim)
    posed = _posed(field, pose, ref_motion, config)
    for start, given in zip(count(0, length), heard, strict=False):
        audio = _padded(given, length)
        condition = WindowCondition(
            ref_motion,
            preceding_motion,
            preceding_audio,
            audio,
            emotion if emotion.ndim == 2 else _window_rows(emotion, start, config),
            None if posed is None else _window_rows(posed, start, config),
        )
        x_1 = carry(condition, next(noise).to(audio.device).expand(batch, -1, -1), settings)
        yield x_1[:, : given.shape[1]]
        preceding_motion = x_1[:, length - before :].to(ref_motion.dtype)
        preceding_audio = audio[:, length - before :]


def _posed(field: VectorField, pose: Tensor | None, ref_motion: Tensor, config: ModelConfig) -> Tensor | None:
    """What joins the conditions of a pose (B, T, 6): zeros where none is given, None where the field follows none."""
    if not config.field.pose:
        if pose is not None:
            raise ValueError("a pose for a field that follows none")
        return None
    if pose is None:
        return ref_motion.new_zeros(len(ref_motion), 1, len(POSE))
    return field.pose_in(pose.to(ref_motion))  # type: ignore[misc]


def _window_rows(values: Tensor, start: int, config: ModelConfig) -> Tensor:
    """Rows (B, L' + L, C) of what is given frame by frame (B, T, C); beyond its ends the nearest row."""
    rows = torch.arange(start - config.preceding, start + config.window, device=values.device)
    return values[:, rows.clamp(0, values.shape[1] - 1)]


def _padded(x: Tensor, length: int) -> Tensor:
    """x (B, n, C) continued with its last row to (B, length, C)."""
    return F.pad(x.mT, (0, length - x.shape[1]), mode="replicate").mT
