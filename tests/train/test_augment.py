"""The augmentation changes a set of pictures alike, and landmarks follow."""

import numpy as np
import pytest

from floatcli.train.augment import Warp, augment, centres


def test_shapes_and_determinism():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    for seed in range(8):
        (one, warp), (two, again) = (augment(pictures, np.random.default_rng(seed)) for _ in range(2))
        assert one.shape == pictures.shape
        assert one.dtype == pictures.dtype
        assert np.array_equal(one, two)
        assert np.array_equal(warp.inverse, again.inverse)


@pytest.mark.parametrize("seed", range(5))
def test_landmarks_are_the_inverse_of_the_remapping(seed):
    warp = Warp(np.random.default_rng(seed), 64, 64, 1.0)
    points = np.random.default_rng(1).random((40, 2))
    assert np.abs(warp.source(warp.points(points)) - points).max() < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_a_white_spot_lands_where_its_landmark_says(seed):
    y, x = np.mgrid[0:96, 0:96] + 0.5
    spot = np.array([0.55, 0.42])
    glow = np.exp(-((x / 96 - spot[0]) ** 2 + (y / 96 - spot[1]) ** 2) / (2 * 0.03**2))
    picture = np.repeat((255 * glow)[..., None], 3, -1).astype(np.uint8)
    warp = Warp(np.random.default_rng(seed), 96, 96, 1.0)
    warp.border = 0
    warp.colour = (0, 0, 0)
    seen = warp.filter()(picture)[..., 0].astype(float)
    centre = np.array([(seen * x).sum(), (seen * y).sum()]) / seen.sum() / 96
    assert np.abs(centre - warp.points(spot[None])[0]).max() < 0.006
    half = warp.matte(picture[::2, ::2, 0].copy()).astype(float)
    at = np.array([(half * x[:48, :48]).sum(), (half * y[:48, :48]).sum()]) / half.sum() / 48
    assert np.abs(centre - at).max() < 0.012


@pytest.mark.parametrize("seed", range(4))
def test_displacements_are_those_of_warped_places(seed):
    """Of a plane that slides and grows; what comes from beyond the picture, or from where nothing is, is not known."""
    rng = np.random.default_rng(seed)
    warp, middles = Warp(rng, 256, 256, 1.0), centres(64, 64)

    def going(places):
        return np.array([0.05, -0.02]) + 0.2 * (places - 0.5)

    moves = going(middles)[None].astype(np.float32)
    moves[:, :, :20] = np.nan
    warped = warp.displacements(moves)[0]
    source = warp.source(middles)
    known = (source[..., 0] > 21 / 64) & (np.abs(source - 0.5) < 0.49).all(-1)
    assert np.isnan(warped[source[..., 0] < 20 / 64]).all()
    expected = warp.points(source + going(source)) - middles
    assert np.abs(warped[known] - expected[known]).max() < 2e-4


@pytest.mark.parametrize("seed", range(4))
def test_heads_tilt_and_shift_with_the_picture(seed):
    """What turns and moves the picture's middle turns and moves a head there."""
    warp = Warp(np.random.default_rng(seed), 64, 64, 1.0)
    warp.amount = 0 * warp.amount  # no waves
    shift = np.array([[0.3, -0.2]])
    tilt, moved = warp.pose(np.array([0.1]), shift)
    here, there = warp.points(np.array([[0.5, 0.5], 0.5 + 1e-4 * shift[0]]))
    assert np.allclose(moved[0], (there - here) / 1e-4, atol=1e-3)
    assert np.isclose(np.deg2rad(20 * (tilt[0] - 0.1)), warp.turn)


def test_no_warp_at_strength_zero():
    points = np.random.default_rng(0).random((5, 2))
    _, warp = augment(np.zeros((1, 16, 16, 3), np.uint8), np.random.default_rng(3), strength=0.0)
    assert np.allclose(warp.points(points), points, atol=1e-6)
    assert np.allclose(warp.pose(np.ones(2), np.ones((2, 2)))[1], 1)
