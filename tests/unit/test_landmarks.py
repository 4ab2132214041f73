"""Seven anchors out of 68 landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from floatcli.face.detect import FaceBox
from floatcli.face.landmarks import (
    ANCHORS,
    LandmarkNetwork,
    anchors_of_landmarks,
    default_anchor_finder,
    tilt_of_anchors,
)


def landmarks() -> np.ndarray:
    """A frontal face's points in 300-W order, on simple curves in a picture of 100 pixels."""

    def arc(n: int, x: float, y: float, rx: float, ry: float, start: float, stop: float) -> np.ndarray:
        turn = np.linspace(np.pi * start, np.pi * stop, n)
        return np.column_stack([x + rx * np.cos(turn), y - ry * np.sin(turn)])

    def loop(n: int, x: float, y: float, rx: float, ry: float) -> np.ndarray:
        return arc(n + 1, x, y, rx, ry, 1, -1)[:-1]  # from the left, over the top

    jaw = arc(17, 50, 50, 40, 45, 1, 2)
    brows = [arc(5, x, 35, 10, 4, 1, 0) for x in (30, 70)]
    nose = np.column_stack([np.full(9, 50.0), np.linspace(42, 60, 9)])
    return np.concatenate([jaw, *brows, nose, loop(6, 30, 42, 6, 3), loop(6, 70, 42, 6, 3), loop(12, 50, 75, 14, 6),
                           loop(8, 50, 75, 11, 2)])  # fmt: skip


def test_every_anchor_is_the_point_its_name_says() -> None:
    anchors = dict(zip(ANCHORS, anchors_of_landmarks(landmarks()), strict=True))
    expected = {
        "left_eye": (30, 42), "right_eye": (70, 42), "mouth_left": (36, 75), "mouth_right": (64, 75),
        "upper_lip": (50, 69), "lower_lip": (50, 81), "chin": (50, 95),
    }  # fmt: skip
    for name, point in expected.items():
        np.testing.assert_allclose(anchors[name], point, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("degrees", [0.0, 25.0, -40.0])
def test_the_tilt_is_clockwise_as_seen(degrees: float) -> None:
    turn = np.radians(degrees)  # y points down, so that this matrix turns clockwise
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    assert tilt_of_anchors(anchors_of_landmarks(landmarks() @ matrix.T)) == pytest.approx(degrees, abs=1e-4)


def test_the_network_is_asked_about_the_face_that_was_found(monkeypatch) -> None:
    import face_alignment

    class Network:
        def __init__(self, *_: object, **__: object) -> None:
            self.asked: list[list[float]] = []

        def get_landmarks_from_image(self, picture: np.ndarray, detected_faces: list[np.ndarray]) -> list[np.ndarray]:
            self.asked += [face.tolist() for face in detected_faces]
            return [landmarks()] if picture.any() else []

    monkeypatch.setattr(face_alignment, "FaceAlignment", Network)
    finder = LandmarkNetwork("cpu")
    found = finder.anchors(np.ones((100, 100, 3), np.uint8), FaceBox(10, 20, 90, 95))
    np.testing.assert_array_equal(found, anchors_of_landmarks(landmarks()))
    assert finder._network.asked == [[10, 20, 90, 95]]
    assert finder.anchors(np.zeros((100, 100, 3), np.uint8), FaceBox(10, 20, 90, 95)) is None


def test_without_the_networks_there_is_none(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FLOATCLI_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert default_anchor_finder("cpu", pytest.fail) is None
