"""The measures themselves: known pictures give known figures, and the judge reads true drawings."""

import numpy as np
import pytest
import torch

pytest.importorskip("skia", exc_type=ImportError)

from floatcli.config import EMOTIONS
from floatcli.evaluate import drawn_faces, drawn_report, lip_judge
from floatcli.evaluate.drawn_faces import box_around, face_boxes, gradient_energy, outside_face, share_inside
from floatcli.evaluate.emotion_judge import Confusion, EmotionJudge
from floatcli.evaluate.pictures import psnr
from floatcli.train.drawn import draw, random_identity
from floatcli.train.parameters import INDEX, rest


def test_psnr_of_a_known_error():
    a = torch.zeros(3, 8, 8)
    assert psnr(a, a + 0.2) == pytest.approx(20.0, abs=1e-3)  # the range is two wide


def test_gradient_energy_halves_with_contrast():
    a = torch.rand(3, 16, 16)
    assert gradient_energy(a / 2) == pytest.approx(gradient_energy(a) / 4, rel=1e-4)


def test_share_inside_counts_boxes_once():
    change = torch.ones(1, 3, 10, 10)
    box = (slice(0, 5), slice(0, 10))
    assert share_inside(change, [box]) == pytest.approx(0.5)
    assert share_inside(change, [box, box]) == pytest.approx(0.5)


def test_boxes_are_clipped_to_the_picture():
    assert box_around(np.array([2.0, 50.0]), 10, 60) == (slice(40, 60), slice(0, 12))


def test_face_boxes_lie_on_eyes_and_mouth():
    anchors = np.array([[40, 40], [60, 40], [42, 60], [58, 60], [50, 58], [50, 64], [50, 75]], float)
    boxes = face_boxes(anchors, 100)
    assert set(boxes) == {"mouth", "left_eye", "right_eye"}
    rows, columns = boxes["mouth"]
    assert rows.start < 60 < rows.stop
    assert columns.start < 50 < columns.stop


def test_what_is_outside_the_face_is_told_from_it():
    anchors = np.array([[40, 40], [60, 40], [42, 60], [58, 60], [50, 58], [50, 64], [50, 75]], float)
    outside = outside_face(anchors, 100)
    inside = [(int(y), int(x)) for x, y in anchors]
    assert not any(outside[place] for place in [*inside, (20, 50), (80, 50), (50, 32), (50, 68)])
    assert all(outside[place] for place in [(0, 0), (99, 99), (8, 50), (95, 50), (50, 20), (50, 80)])


def test_a_change_outside_the_face_is_measured_where_it_is_largest(monkeypatch):
    anchors = np.array([[40, 40], [60, 40], [42, 60], [58, 60], [50, 58], [50, 64], [50, 75]], float)

    def frame(_model, _portrait, values: dict[str, float]) -> torch.Tensor:
        picture = torch.zeros(1, 3, 100, 100)
        picture[..., 60, 50] = values["jaw"] + values["lid_left"]  # inside
        picture[0, 1, 5, 5] = -0.02 * values["jaw"]
        picture[0, 2, 5, 6:8] = 0.04 * values["lid_left"]
        return picture

    monkeypatch.setattr(drawn_faces, "sweep", frame)
    figures = drawn_faces.measure_sweeps(None, None, anchors, 100)
    assert figures["jaw outside the face"] == pytest.approx(2.55)
    assert figures["blink outside the face"] == pytest.approx(5.1)


def test_the_judge_reads_the_jaw_of_true_drawings(monkeypatch):
    monkeypatch.setattr(lip_judge, "EXAMPLES", 60)
    identity = random_identity(np.random.default_rng(5))
    judge = lip_judge.JawJudge(identity, np.random.default_rng(6), size=128)
    true, read = np.linspace(0, 0.8, 9), []
    for jaw in true:
        parameters = rest()
        parameters[INDEX["jaw"]] = jaw
        read.append(judge.read(draw(identity, parameters, 128).picture, parameters))
    assert np.corrcoef(read, true)[0, 1] > 0.9


def test_the_judge_tells_emotions_of_true_drawings():
    judge = EmotionJudge(np.random.default_rng(0), examples=280)
    rng = np.random.default_rng(1)
    right = [
        judge.scores(judge._example(emotion, rng)).argmax() == k for k, emotion in enumerate(EMOTIONS) for _ in range(6)
    ]
    assert np.mean(right) > 0.7


def test_confusions_are_counted_by_row():
    counts = np.eye(7, dtype=int) * 3
    counts[EMOTIONS.index("sad")] = np.eye(7, dtype=int)[EMOTIONS.index("neutral")] * 4
    figures = Confusion(counts).figures()
    assert figures["sad taken for neutral"] == 4
    assert figures["sad told from neutral"] == 0
    assert figures["happy told from neutral"] == 1
    assert "neutral told from neutral" not in figures


def test_the_table_shows_every_figure_it_names():
    figures = {group: {} for row in drawn_report.ROWS for group, _ in row.figures}
    for row in drawn_report.ROWS:
        for group, key in row.figures:
            figures[group][key] = 0.5
    figures["emotions"] = Confusion(np.eye(7, dtype=int)).figures()
    lines, confusion = (part.splitlines() for part in drawn_report.table(figures).split("\n\n"))
    assert len(lines) == 2 + len(drawn_report.ROWS)
    assert "| sad | 0 | 0 | 0 | 0 | 0 | 1 | 0 | 100% |" in confusion
    assert "| photograph: blink inside the eye boxes | 0.50 | .8 |" in lines
    assert all(len(line.split(" | ")) == 3 for line in lines[2:])
