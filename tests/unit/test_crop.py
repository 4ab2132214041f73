"""The crop of SPEC section 5, its other modes, and the way back from it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from floatcli.config import CropConfig
from floatcli.errors import InputError, UsageError
from floatcli.face.crop import Crop, plan_crop
from floatcli.face.detect import FaceBox
from floatcli.face.landmarks import ANCHORS

DATA = Path(__file__).parents[1] / "parity" / "data"
BLANK = np.zeros((400, 600, 3), np.uint8)


class Found:
    """A detector that finds what it is told."""

    name = "told"

    def __init__(self, *boxes: tuple[float, ...]):
        self.boxes = [FaceBox(*box) for box in boxes]

    def detect(self, picture: np.ndarray) -> list[FaceBox]:
        return self.boxes


def golden(name: str) -> np.ndarray:
    return np.asarray(Image.open(DATA / f"crop-{name}.png").convert("RGB"))


@pytest.mark.parametrize(("name", "box"), [("astronaut-512", (175.3, 72.8, 272.9, 186.2)), ("edge", (2, 3, 150, 160))])
def test_crops_of_tall_pictures_are_the_goldens(name: str, box: tuple[float, ...]) -> None:
    crop = plan_crop(astronaut(), CropConfig(), Found(box))
    np.testing.assert_array_equal(crop.cut(astronaut(), 512), golden(name))


def test_the_crop_of_a_low_picture_is_the_golden() -> None:
    picture = cv2.resize(astronaut(), (300, 300), interpolation=cv2.INTER_AREA)
    crop = plan_crop(picture, CropConfig(), Found((103.4, 42.1, 160.7, 109.9)))
    difference = np.abs(crop.cut(picture, 512).astype(int) - golden("astronaut-small"))
    assert difference.max() <= 1  # OpenCV's cubic rounds a few values differently on different processors,
    assert (difference > 0).mean() < 0.05  # and more where it is built without IPP


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((100, 100, 200, 220), 1.6, (54, 64, 192)),  # half = int(60 * 1.6) = 96
        ((100.9, 100.9, 200.9, 220.9), 1.6, (54, 64, 192)),  # truncated
        ((100, 100, 201, 221), 1.0, (90, 100, 120)),  # odd sizes halve downwards
        ((100, 100, 220, 140), 1.0, (100, 60, 120)),  # the longer side decides
        ((-20.5, -10.5, 41, 31), 1.0, (-20, -20, 60)),  # negative values are truncated towards zero
        ((500, 300, 700, 500), 2.0, (400, 200, 400)),  # beyond the edge
    ],
)
def test_the_square_around_a_box(box: tuple[float, ...], margin: float, expected: tuple[int, ...]) -> None:
    crop = plan_crop(BLANK, CropConfig(margin=margin), Found(box))
    assert (crop.left, crop.top, crop.side) == expected
    assert crop.angle == 0


def test_beyond_the_edge_it_is_black() -> None:
    white = np.full((400, 400, 3), 255, np.uint8)
    cut = Crop(-100, 300, 200).cut(white, 50)
    assert not cut[:, :25].any()
    assert not cut[25:].any()
    assert (cut[:25, 25:] == 255).all()
    assert not Crop(-500, 900, 200).cut(white, 50).any()


def test_which_face() -> None:
    said: list[str] = []
    faces = Found((0, 0, 200, 200, 1), (300, 0, 400, 100, 1))
    assert plan_crop(BLANK, CropConfig(margin=1), faces, said.append) == Crop(0, 0, 200)
    assert plan_crop(BLANK, CropConfig(margin=1, face=1), faces, said.append) == Crop(300, 0, 100)
    assert len(said) == 2
    assert "2 faces" in said[0]
    with pytest.raises(InputError, match=r"2 faces are in p\.png: there is no face 2 \(--face 0 to --face 1\)"):
        plan_crop(BLANK, CropConfig(face=2), faces, name="p.png")
    with pytest.raises(InputError, match=r"1 face is in p\.png: there is no face 5 \(leave --face out: it is face 0\)"):
        plan_crop(BLANK, CropConfig(face=5), Found((0, 0, 200, 200)), name="p.png")
    said.clear()
    plan_crop(BLANK, CropConfig(), Found((0, 0, 200, 200)), said.append)
    assert not said


def test_no_face_tells_how_to_go_on() -> None:
    with pytest.raises(InputError, match=r"no face found in p\.png \(.*--crop none.*--crop x,y,w,h"):
        plan_crop(BLANK, CropConfig(), Found(), name="p.png")


def test_boxes_without_area() -> None:
    with pytest.raises(InputError, match="too small"):
        plan_crop(BLANK, CropConfig(), Found((50, 50, 51, 51)))
    with pytest.raises(UsageError, match="margin"):
        plan_crop(BLANK, CropConfig(margin=1e6), Found((50, 50, 150, 150)))


class Unwanted:
    """A detector that must not be used."""

    name = "unwanted"

    def detect(self, picture: np.ndarray) -> list[FaceBox]:
        raise AssertionError


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("none", (100, 0, 400)),
        ("10,20,100,100", (10, 20, 100)),
        ("200,100,100,60", (200, 80, 100)),  # grown to a square
        ("0,0,100,40", (0, 0, 100)),  # and moved into the picture
        ("-50,0,100,100", (0, 0, 100)),
        ("550,350,100,100", (500, 300, 100)),
        ("0,0,600,400", (0, -100, 600)),  # too large to fit
    ],
)
def test_crops_without_a_detector(mode: str, expected: tuple[int, ...]) -> None:
    assert plan_crop(BLANK, CropConfig(mode=mode), Unwanted()) == Crop(*expected)


def test_a_detector_is_made_only_where_it_is_used() -> None:
    made = []
    plan_crop(BLANK, CropConfig(mode="none"), lambda: made.append(1) or Found((0, 0, 9, 9)))
    assert not made
    plan_crop(BLANK, CropConfig(), lambda: made.append(1) or Found((0, 0, 9, 9)))
    assert made


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("all", UsageError),
        ("1,2,3", UsageError),
        ("1,2,3,4,5", UsageError),
        ("1,2,3,x", UsageError),
        ("1,2,0,4", UsageError),
        ("1,2,3,-4", UsageError),
        ("600,0,10,10", InputError),
        ("0,-10,10,10", InputError),
        ("0,0,1,999999999", InputError),
    ],
)
def test_crops_that_cannot_be(mode: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        plan_crop(BLANK, CropConfig(mode=mode), Unwanted())


def test_align_needs_a_face() -> None:
    with pytest.raises(UsageError, match="--align"):
        plan_crop(BLANK, CropConfig(mode="none", align=True), Unwanted())


class Eyes:
    """Finds eyes on a line."""

    def anchors(self, picture: np.ndarray, box: FaceBox) -> np.ndarray | None:
        points = np.zeros((len(ANCHORS), 2))
        points[:2] = (100, 100), (100 + 50 * np.sqrt(3), 150)
        return points


def test_align_takes_the_eyes_else_the_detector() -> None:
    faces = Found((100, 100, 200, 200, 1.0, 12.0))
    config = CropConfig(align=True)
    assert plan_crop(BLANK, CropConfig(), faces, anchor_finder=Eyes()).angle == 0
    assert plan_crop(BLANK, config, faces).angle == 12
    assert plan_crop(BLANK, config, faces, anchor_finder=Eyes()).angle == pytest.approx(30)


@pytest.mark.parametrize("angle", [0.0, 20.0, -75.0, 180.0])
@pytest.mark.parametrize("size", [64, 150])
def test_points_are_where_the_pixels_are(angle: float, size: int) -> None:
    crop = Crop(60, 80, 300, angle)
    points = np.array([[20.0, 20.0], [130.0, 40.0], [75.0, 120.0]]) * size / 150
    picture = np.zeros((400, 500, 3), np.uint8)
    for i, point in enumerate(crop.to_picture(points, size)):
        cv2.circle(picture, tuple(np.round((point - 0.5) * 16).astype(int).tolist()), 8 * 16, (0, 0, 0), -1, shift=4)
        channel = np.ascontiguousarray(picture[..., i])
        cv2.circle(channel, tuple(np.round((point - 0.5) * 16).astype(int).tolist()), 8 * 16, 255, -1, shift=4)
        picture[..., i] = channel
    cut = crop.cut(picture, size).astype(float)
    y, x = np.mgrid[:size, :size] + 0.5
    found = [
        [(x * cut[..., i]).sum() / cut[..., i].sum(), (y * cut[..., i]).sum() / cut[..., i].sum()] for i in range(3)
    ]
    np.testing.assert_allclose(found, points, atol=0.3)
    np.testing.assert_allclose(crop.from_picture(crop.to_picture(points, size), size), points, atol=1e-9)


def test_align_levels_the_head() -> None:
    crop = Crop(100, 100, 200, 30.0)
    left, right = crop.from_picture(np.array([[150.0, 150.0], [150 + 50 * np.sqrt(3), 200.0]]), 256)
    assert left[1] == pytest.approx(right[1])
    assert left[0] < right[0]


def test_a_crop_is_plain_numbers() -> None:
    crop = plan_crop(astronaut(), CropConfig(align=True), Found((175.3, 72.8, 272.9, 186.2, 1.0, 3.5)))
    assert Crop(**json.loads(json.dumps(dataclasses.asdict(crop)))) == crop
