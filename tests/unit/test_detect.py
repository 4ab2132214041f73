"""The cascade finds faces as people show them, and the detector's fallback is told in one line, at once."""

from __future__ import annotations

import hashlib
import urllib.error
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut, brick

from floatcli.config import CropConfig
from floatcli.face import networks
from floatcli.face.cascade import CascadeDetector
from floatcli.face.crop import plan_crop
from floatcli.face.detect import FaceBox, NetworkDetector, default_detector

SFD_BOX = np.array([175.3, 72.8, 272.9, 186.2])  # face-alignment's on the astronaut


@pytest.fixture(scope="module")
def cascade() -> CascadeDetector:
    return CascadeDetector()


def turned(picture: np.ndarray, degrees: float) -> np.ndarray:
    """A picture turned clockwise around its centre."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    return cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def face_at(picture: np.ndarray, cascade: CascadeDetector, box: np.ndarray, tolerance: float = 0.12) -> float:
    """Asserts that the only face lies at a box, within a share of its height; its tilt."""
    faces = cascade.detect(picture)
    assert len(faces) == 1
    np.testing.assert_allclose(faces[0][:4], box, atol=tolerance * (box[3] - box[1]))
    return faces[0].angle


def test_its_boxes_are_those_of_face_alignment(cascade: CascadeDetector) -> None:
    face_at(astronaut(), cascade, SFD_BOX, tolerance=0.03)
    crop = plan_crop(astronaut(), CropConfig(), cascade)
    np.testing.assert_allclose([crop.left, crop.top, crop.side], [132, 38, 182], atol=5)


def test_a_face_that_moved_is_followed_and_one_that_went_is_not(cascade: CascadeDetector) -> None:
    box = FaceBox(*SFD_BOX)
    found = cascade.follow(np.roll(astronaut(), (12, -25), axis=(0, 1)), box)
    np.testing.assert_allclose(found[:4], np.add(SFD_BOX, (-25, 12, -25, 12)), atol=0.06 * 113)
    assert cascade.follow(np.roll(astronaut(), 200, axis=1), box) is None


@pytest.mark.parametrize("size", [96, 1500])
def test_faces_of_every_size(cascade: CascadeDetector, size: int) -> None:
    picture = cv2.resize(astronaut(), (size, size), interpolation=cv2.INTER_AREA if size < 512 else cv2.INTER_CUBIC)
    face_at(picture, cascade, SFD_BOX * size / 512)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: (p * 0.15).astype(np.uint8),
        lambda p: np.clip(p * 1.8, 0, 255).astype(np.uint8),
    ],
    ids=["dark", "overexposed"],
)
def test_faces_in_every_light(cascade: CascadeDetector, change) -> None:
    face_at(change(astronaut()), cascade, SFD_BOX)


def test_a_face_that_fills_the_picture(cascade: CascadeDetector) -> None:
    face_at(np.ascontiguousarray(astronaut()[50:210, 150:300]), cascade, SFD_BOX - (150, 50, 150, 50))


@pytest.mark.parametrize("degrees", [-15, 30])
def test_tilted_faces(cascade: CascadeDetector, degrees: float) -> None:
    centre = (SFD_BOX[:2] + SFD_BOX[2:]) / 2
    matrix = cv2.getRotationMatrix2D((256, 256), -degrees, 1)
    shift = matrix[:, :2] @ centre + matrix[:, 2] - centre
    angle = face_at(turned(astronaut(), degrees), cascade, SFD_BOX + np.tile(shift, 2), tolerance=0.2)
    assert abs(angle - degrees - 4) < 9  # the astronaut's own head is tilted by about 4 degrees


def test_several_faces_the_largest_first(cascade: CascadeDetector) -> None:
    small = np.zeros((512, 320, 3), np.uint8)
    small[100:420] = cv2.resize(astronaut(), (320, 320), interpolation=cv2.INTER_AREA)
    faces = cascade.detect(np.concatenate([small, astronaut()], axis=1))
    assert len(faces) == 2
    assert faces[0].area > faces[1].area
    assert faces[1].x1 < 320 < faces[0].x1


def test_boxes_of_the_network_are_in_pixels_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    from face_alignment.detection import sfd

    class Network:
        def __init__(self, device: str, path_to_detector: str) -> None: ...

        def detect_from_image(self, picture: np.ndarray) -> list[list[float]]:
            assert picture.shape == (360, 180, 3)
            return [[10, 10, 20, 20, 0.9], [30, 60, 90, 150, 0.8]]

    monkeypatch.setattr(sfd, "FaceDetector", Network)
    large, small = NetworkDetector("cpu", "weights").detect(np.zeros((720, 360, 3), np.uint8))
    assert large[:5] == (60, 120, 180, 300, 0.8)
    assert small[:5] == (20, 20, 40, 40, 0.9)
    assert large.angle is None


@pytest.mark.parametrize("picture", [brick(), np.full((64, 64), 128, np.uint8), np.zeros((20, 30), np.uint8)])
def test_pictures_without_faces(cascade: CascadeDetector, picture: np.ndarray) -> None:
    picture = cv2.resize(picture, None, fx=0.5, fy=0.5) if picture.shape[0] > 64 else picture
    assert cascade.detect(np.repeat(picture[..., None], 3, axis=2)) == []


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's cache, with nothing in it, and a network allowed."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv(networks.OFFLINE_VARIABLE, raising=False)
    asked = networks._online
    asked.cache_clear()
    yield tmp_path
    asked.cache_clear()


def test_offline_nothing_is_asked(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(networks.OFFLINE_VARIABLE, "1")
    monkeypatch.setattr(networks, "urlopen", lambda *_, **__: pytest.fail("asked"))
    said: list[str] = []
    assert default_detector("cpu", said.append).name == "cascade"
    assert len(said) == 1
    assert "\n" not in said[0]


def test_a_silent_network_is_given_up_soon(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    asked, never = [], Event()

    def silent(*_: object, **__: object) -> None:
        asked.append(1)
        never.wait(20)
        raise OSError

    monkeypatch.setattr(networks, "urlopen", silent)
    monkeypatch.setattr(networks, "PROBE_SECONDS", 0.05)
    assert networks.network_file(networks.SFD_URL, pytest.fail) is None
    assert networks.network_file(networks.SFD_URL, pytest.fail) is None
    assert asked == [1]
    never.set()


def test_a_download_that_breaks_falls_back(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise urllib.error.URLError("reset")

    monkeypatch.setattr(networks, "_online", lambda url: True)
    monkeypatch.setattr(torch.hub, "download_url_to_file", broken)
    said: list[str] = []
    assert default_detector("cpu", said.append).name == "cascade"
    assert [line for line in said if "cascade" in line]


def test_a_damaged_network_is_told_and_not_used(empty_cache: Path) -> None:
    place = empty_cache / "checkpoints" / "net-0123456789.pth"
    place.parent.mkdir()
    place.write_text("<html>log in to use this network</html>")
    said: list[str] = []
    assert networks.network_file(f"https://example.org/{place.name}", said.append) is None
    assert said == [f"{place} is damaged and not used: remove it, and it is fetched again"]


@pytest.mark.parametrize("right", [True, False])
def test_a_fetched_network_must_have_its_digest(empty_cache: Path, monkeypatch: pytest.MonkeyPatch, right) -> None:
    content = b"weights"
    digest = hashlib.sha256(content).hexdigest()[:10] if right else "0123456789"
    source = empty_cache / "source"
    source.write_bytes(content)
    monkeypatch.setattr(networks, "_online", lambda url: True)
    fetch = torch.hub.download_url_to_file
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda url, *rest, **o: fetch(source.as_uri(), *rest, **o))
    path = networks.network_file(f"https://example.org/x/net-{digest}.pth.tar", lambda line: None)
    assert (path is not None) == right
    assert [p.name for p in (empty_cache / "checkpoints").iterdir()] == ([f"net-{digest}.pth.tar"] if right else [])
