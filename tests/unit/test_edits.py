"""Edits move a motion along the vectors they name, and along nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from floatcli.config import SampleConfig
from floatcli.edits import BasisEdit, Curve, borrowed, coefficients, constant, edited
from floatcli.errors import InputError, UsageError
from floatcli.motion import Making, Motion

D, M, FRAMES = 32, 20, 50
BASIS = np.linalg.qr(np.random.default_rng(0).standard_normal((D, M)))[0]
MAKING = Making(None, "m", 25, ("sad",), (), M, 50, None, None, (0.0, 0.0, 8.0, 0.0), SampleConfig())


def motion(seed: int = 1, frames: int = FRAMES) -> Motion:
    latents = np.random.default_rng(seed).standard_normal((frames, D)).astype(np.float32)
    return Motion(latents, np.ones((1, 1), np.float32), np.zeros((8, 8, 3), np.uint8), None, MAKING)


def outside(latents: np.ndarray) -> np.ndarray:
    """What of latents lies outside the basis."""
    return latents - latents @ BASIS @ BASIS.T


@pytest.mark.parametrize(
    "edit",
    [
        BasisEdit(3, scale=constant(1.5)),
        BasisEdit(3, scale=constant(-2), offset=constant(1)),
        BasisEdit(3, scale=constant(0), about="mean"),
        BasisEdit(3, freeze=True),
        BasisEdit(3, offset=Curve((0, 1), (0, 5))),
    ],
    ids=str,
)
def test_the_other_coefficients_and_the_rest_stay(edit):
    before = motion()
    after = edited(before, BASIS, [edit])
    ours, theirs = coefficients(before, BASIS), coefficients(after, BASIS)
    others = np.delete(np.arange(M), 3)
    np.testing.assert_allclose(theirs[:, others], ours[:, others], atol=2e-6)
    np.testing.assert_allclose(outside(after.latents), outside(before.latents), atol=2e-6)
    assert np.abs(theirs[:, 3] - ours[:, 3]).max() > 0.1
    assert after.latents.dtype == np.float32
    assert after.making.edits == (str(edit),)


def test_scale_multiplies_the_coefficient_itself():
    before = motion()
    after = coefficients(edited(before, BASIS, [BasisEdit(7, scale=constant(1.5))]), BASIS)
    np.testing.assert_allclose(after[:, 7], 1.5 * coefficients(before, BASIS)[:, 7], atol=2e-6)


def test_about_the_mean_the_mean_stays():
    before = motion()
    after = coefficients(edited(before, BASIS, [BasisEdit(7, scale=constant(3), about="mean")]), BASIS)[:, 7]
    own = coefficients(before, BASIS)[:, 7]
    assert after.mean() == pytest.approx(own.mean(), abs=1e-5)
    assert after.std() == pytest.approx(3 * own.std(), rel=1e-5)


def test_frozen_it_keeps_its_mean_and_takes_an_offset():
    own = coefficients(motion(), BASIS)[:, 2]
    after = coefficients(edited(motion(), BASIS, [BasisEdit(2, freeze=True, offset=constant(1))]), BASIS)[:, 2]
    np.testing.assert_allclose(after, own.mean() + 1, atol=2e-6)


def test_a_curve_is_linear_between_keyframes_and_held_beyond():
    edit = BasisEdit(0, scale=constant(0), offset=Curve((0.4, 0.8), (1, 2)))
    after = coefficients(edited(motion(), BASIS, [edit]), BASIS)[:, 0]
    np.testing.assert_allclose(after[[0, 10, 15, 20, 49]], [1, 1, 1.5, 2, 2], atol=2e-6)


def test_edits_follow_one_another():
    edits = [BasisEdit(1, scale=constant(2)), BasisEdit(1, offset=constant(1)), BasisEdit(4, freeze=True)]
    after = edited(motion(), BASIS, edits)
    np.testing.assert_allclose(coefficients(after, BASIS)[:, 1], 2 * coefficients(motion(), BASIS)[:, 1] + 1, atol=4e-6)
    assert len(after.making.edits) == 3


@pytest.mark.parametrize("number", [-1, 20])
def test_vectors_that_the_basis_has_not(number):
    with pytest.raises(UsageError, match=f"no basis vector {number}.*0 to 19"):
        edited(motion(), BASIS, [BasisEdit(number)])
    with pytest.raises(UsageError, match=f"no basis vector {number}"):
        borrowed(motion(), motion(2), BASIS, [number])


def test_borrowed_coefficients_are_the_other_clips():
    after = coefficients(borrowed(motion(), motion(2), BASIS, [3, 5]), BASIS)
    expected = coefficients(motion(), BASIS)
    expected[:, [3, 5]] = coefficients(motion(2), BASIS)[:, [3, 5]]
    np.testing.assert_allclose(after, expected, atol=2e-6)


def test_a_reference_of_another_length_is_fitted_as_asked():
    other = motion(2, frames=30)
    theirs = coefficients(other, BASIS)[:, 3]
    with pytest.raises(InputError, match=r"has 30 frames, the motion 50.*--fit"):
        borrowed(motion(), other, BASIS, [3])
    looped = coefficients(borrowed(motion(), other, BASIS, [3], fit="loop"), BASIS)[:, 3]
    np.testing.assert_allclose(looped, np.concatenate([theirs, theirs[:20]]), atol=2e-6)
    stretched = coefficients(borrowed(motion(), other, BASIS, [3], fit="stretch"), BASIS)[:, 3]
    np.testing.assert_allclose(stretched[[0, -1]], theirs[[0, -1]], atol=2e-6)
    cut = coefficients(borrowed(motion(), motion(2, 80), BASIS, [3], fit="loop"), BASIS)[:, 3]
    np.testing.assert_allclose(cut, coefficients(motion(2, 80), BASIS)[:50, 3], atol=2e-6)
