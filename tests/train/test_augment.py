"""The augmentation changes a set of pictures alike, and landmarks follow."""

import numpy as np
import pytest

from floatcli.train.augment import Warp, augment


def test_shapes_and_determinism():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    given = pictures, pictures[:, ::2, ::2, 0], rng.random((3, 7, 2), np.float32)
    for seed in range(8):
        one, two = (augment(*given, np.random.default_rng(seed)) for _ in range(2))
        for before, after, again in zip(given, one, two, strict=True):
            assert after.shape == before.shape
            assert after.dtype == before.dtype
            assert np.array_equal(after, again)


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


def test_no_warp_at_strength_zero():
    points = np.random.default_rng(0).random((1, 5, 2)).astype(np.float32)
    pictures = np.zeros((1, 16, 16, 3), np.uint8)
    *_, moved = augment(pictures, pictures[..., 0], points, np.random.default_rng(3), strength=0.0)
    assert np.allclose(moved, points, atol=1e-6)
