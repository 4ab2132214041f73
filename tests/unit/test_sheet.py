"""What a basis vector is said to move is what its pictures show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from floatcli.sheet import KINDS, Row, face_regions, shares_of_change

SIZE = 256
ANCHORS = np.array([[-0.25, -0.1], [0.25, -0.1], [-0.18, 0.4], [0.18, 0.4], [0, 0.36], [0, 0.46], [0, 0.75]])
REGIONS = face_regions(ANCHORS, SIZE)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """Blots of many sizes, which flow can follow, in place of a face."""
    rng = np.random.default_rng(0)
    blots = [rng.uniform(0, 255, (n, n, 3)) for n in (9, 23, 51)]
    layers = [cv2.resize(blot, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for blot in blots]
    return np.clip(np.mean(layers, 0), 0, 255).astype(np.uint8)


def moved(picture: np.ndarray, degrees: float = 0, scale: float = 1, shift: float = 0) -> np.ndarray:
    """The picture turned and grown about the head's middle, then shifted."""
    y, x = np.nonzero(REGIONS["head"])
    matrix = cv2.getRotationMatrix2D((float(x.mean()), float(y.mean())), degrees, scale)
    matrix[0, 2] += shift
    return cv2.warpAffine(picture, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize(
    ("kind", "change"),
    [("shift", {"shift": 6}), ("rotation", {"degrees": 5}), ("scale", {"scale": 1.06})],
    ids=["shift", "rotation", "scale"],
)
def test_a_head_that_moves_as_a_whole(face, kind, change):
    shares = shares_of_change(face, moved(face, **change), REGIONS)
    assert max(shares, key=shares.__getitem__) == kind
    assert shares[kind] > 0.6


@pytest.mark.parametrize("kind", ["mouth", "eyes", "brows"])
def test_a_change_in_one_place(face, kind):
    other = face.copy()
    other[REGIONS[kind]] = 255 - other[REGIONS[kind]]
    shares = shares_of_change(face, other, REGIONS)
    assert shares[kind] > 0.9
    assert sum(shares.values()) == pytest.approx(1, abs=1e-6)


def test_a_change_outside_the_face(face):
    other = face.copy()
    other[:20] = 0
    assert shares_of_change(face, other, REGIONS)["elsewhere"] > 0.9


def test_nothing_that_changes_is_told_as_that(face):
    shares = shares_of_change(face, face, REGIONS)
    assert shares == dict.fromkeys(KINDS, 0.0)
    assert Row(0, "", 0.0, 0.0, shares, []).label == "nothing that shows"


def test_labels_name_the_largest_first():
    shares = dict.fromkeys(KINDS, 0.0) | {"mouth": 0.2, "shift": 0.7, "eyes": 0.1}
    assert Row(0, "", 0.0, 0.0, shares, []).label == "shift 70%, mouth 20%"


def test_regions_lie_where_the_anchors_say():
    for name, point in (("mouth", (0, 0.4)), ("eyes", (-0.25, -0.1)), ("brows", (0.25, -0.33)), ("head", (0, 0.1))):
        x, y = ((np.array(point) + 1) / 2 * SIZE).astype(int)
        assert REGIONS[name][y, x], name
    assert not (REGIONS["eyes"] & REGIONS["brows"]).any()
