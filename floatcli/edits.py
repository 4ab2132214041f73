"""Edits of single orthonormal coefficients of a motion (section 3.4 of the paper). Imports no torch.

Coefficient k of a frame's latent x is x . v_k, v_k being column k of the orthonormal basis. An edit moves x along v_k
alone, so the other coefficients and what lies outside the basis stay as they are.

``scale`` multiplies the coefficient itself, as the paper's editing does: zero is the rest of the model's own space,
so a pose that is held is exaggerated too. ``about="mean"`` multiplies what the coefficient does about its mean
instead: more or less movement around the same pose.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from floatcli.errors import InputError, UsageError
from floatcli.motion import Motion

ABOUT = ("zero", "mean")
LARGEST_COEFFICIENT = 1e4  # beyond which float32 would lose the other coefficients; usual ones are about 1
FITS = ("exact", "stretch", "loop")


@dataclass(frozen=True)
class Curve:
    """Keyframes: times in seconds, rising, and values; linear between them, held before and after."""

    times: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, times: np.ndarray) -> np.ndarray:
        """Values at times (T,) in seconds."""
        return np.interp(times, self.times, self.values)

    def __str__(self) -> str:
        return ",".join(f"{time:g}:{value:g}" for time, value in zip(self.times, self.values, strict=True))


def constant(value: float) -> Curve:
    """The same value at all times."""
    return Curve((0.0,), (value,))


@dataclass(frozen=True)
class BasisEdit:
    """What happens to one coefficient c: scale (c - centre) + centre + offset.

    Attributes:
        basis: Which, counted from 0.
        scale: Factor, over time.
        offset: Added, over time.
        about: The centre: "zero" or the coefficient's own "mean".
        freeze: Held at its mean first.
    """

    basis: int
    scale: Curve = constant(1.0)
    offset: Curve = constant(0.0)
    about: str = "zero"
    freeze: bool = False

    def apply(self, coeffs: np.ndarray, fps: int) -> np.ndarray:
        """The coefficient over time (T,) after the edit."""
        times = np.arange(len(coeffs)) / fps
        mean = coeffs.mean()
        if self.freeze:
            coeffs = np.full_like(coeffs, mean)
        centre = mean if self.about == "mean" else 0.0
        return self.scale.at(times) * (coeffs - centre) + centre + self.offset.at(times)

    def __str__(self) -> str:
        words = [f"basis {self.basis}"]
        words += ["freeze"] * self.freeze
        words += [f"scale {self.scale}"] * (self.scale != constant(1.0))
        words += [f"about {self.about}"] * (self.about != "zero")
        words += [f"offset {self.offset}"] * (self.offset != constant(0.0))
        return " ".join(words)


def coefficients(motion: Motion, basis: np.ndarray) -> np.ndarray:
    """Coefficients (T, M) float64 of a motion in an orthonormal basis (D, M)."""
    return motion.latents.astype(np.float64) @ basis


def with_coefficients(motion: Motion, basis: np.ndarray, coeffs: np.ndarray, how: Sequence[str]) -> Motion:
    """The motion with other coefficients (T, M); what lies outside the basis stays. ``how`` joins its history.

    Raises:
        UsageError: coefficients that float32 could not hold beside the others.
    """
    if not np.abs(coeffs).max() < LARGEST_COEFFICIENT:
        raise UsageError("the edit leads beyond all numbers", "take a smaller scale or offset")
    change = coeffs - coefficients(motion, basis)
    exact = motion.latents + change @ basis.T
    latents = exact.astype(np.float32)
    making = dataclasses.replace(motion.making, edits=motion.making.edits + tuple(how))
    return dataclasses.replace(motion, latents=latents, making=making)


def edited(motion: Motion, basis: np.ndarray, edits: Sequence[BasisEdit]) -> Motion:
    """The motion after edits, one after the other.

    Args:
        motion: What to edit.
        basis: (D, M) orthonormal, float64, as ``MotionBasis.matrix``.
        edits: In order; two of one coefficient work on each other's result.

    Raises:
        UsageError: an edit names a coefficient that the basis has not.
    """
    coeffs = coefficients(motion, basis)
    for edit in edits:
        check_basis(edit.basis, basis.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            coeffs[:, edit.basis] = edit.apply(coeffs[:, edit.basis], motion.making.fps)
    return with_coefficients(motion, basis, coeffs, [str(edit) for edit in edits if edit != BasisEdit(edit.basis)])


def borrowed(
    motion: Motion,
    other: Motion,
    basis: np.ndarray,
    which: Sequence[int],
    name: str = "another clip",
    fit: str = FITS[0],
) -> Motion:
    """The motion with some coefficients taken from another clip.

    Args:
        motion: What to change.
        other: Where they come from; made with the same weights.
        basis: (D, M) orthonormal.
        which: Their numbers.
        name: What the history shall call the other clip.
        fit: "exact": both are equally long; "stretch": the other is resampled; "loop": it is repeated or cut.

    Raises:
        InputError: the lengths differ and ``fit`` is "exact".
    """
    mine, theirs = coefficients(motion, basis), coefficients(other, basis)
    frames = len(mine)
    if fit == "exact" and len(theirs) != frames:
        found = f"the reference has {len(theirs)} frames, the motion {frames}"
        raise InputError(found, "fit it with --fit stretch or --fit loop")
    rows = np.arange(frames)
    for k in which:
        check_basis(k, basis.shape[1])
        if fit == "stretch":
            mine[:, k] = np.interp(np.linspace(0, len(theirs) - 1, frames), np.arange(len(theirs)), theirs[:, k])
        else:
            mine[:, k] = theirs[rows % len(theirs), k]
    return with_coefficients(motion, basis, mine, [f"basis {k} of {name}" for k in which])


def check_basis(number: int, size: int) -> None:
    """Raise UsageError where a basis of ``size`` vectors has no vector ``number``."""
    if not 0 <= number < size:
        raise UsageError(f"there is no basis vector {number}", f"they are numbered 0 to {size - 1}")
