"""The measures themselves: known pictures give known figures, and the judge reads true drawings."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("skia", exc_type=ImportError)

from floatcli.config import EMOTIONS
from floatcli.evaluate import drawn_faces, drawn_report, pixel_judge
from floatcli.evaluate.drawn_faces import box_around, face_boxes, gradient_energy, outside_face, share_inside
from floatcli.evaluate.emotion_judge import Confusion, EmotionJudge
from floatcli.evaluate.pictures import psnr, to_tensor
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


@pytest.mark.parametrize(("made", "gain", "similar"), [("truth", 20, True), ("source", 0, False)])
def test_a_perfect_decoder_is_told_from_one_that_copies(made: str, gain: float, similar: bool, monkeypatch):
    def reconstructed(_model, drawn, _motion):
        images = to_tensor(drawn.pictures)
        return images if made == "truth" else images[:1].expand_as(images)

    monkeypatch.setattr(drawn_faces, "reconstructed", reconstructed)
    by_motion = drawn_faces.measure_drawn(None, 1, 64)
    assert set(by_motion) == {"motion as drawn", "motion as a change", "motion as read"}
    for figures in by_motion.values():
        for kind in ("head", "face", "everything", "speaking"):
            for part in ("", "mouth ", "eyes "):
                copied = figures[f"{kind}.{part}psnr"] - figures[f"{kind}.{part}over copying"]
                assert copied < 50
                assert figures[f"{kind}.{part}over copying"] >= gain
                assert (figures[f"{kind}.{part}psnr"] > 85) is similar
            assert (figures[f"{kind}.ssim"] > 0.9999) is similar
            assert (figures[f"{kind}.sharpness"] == pytest.approx(1, abs=1e-6)) is similar


def test_frames_of_a_sentence_are_of_the_same_face_and_move_as_in_clips():
    one, other = (drawn_faces.spoken_set(k, 64) for k in (0, 1))
    assert one.pictures.shape == (9, 64, 64, 3)
    assert not np.array_equal(one.parameters, other.parameters)
    drawn = draw(drawn_faces.held_out_person(0), one.parameters[0], 64)
    assert np.array_equal(one.pictures[0], drawn.picture)
    poses = one.parameters[:, [INDEX[name] for name in ("yaw", "pitch", "roll")]]
    assert 0 < poses.std(0).max() < 0.3
    assert one.parameters[1:, INDEX["jaw"]].std() > 0.05


def test_the_judge_reads_true_drawings(monkeypatch):
    monkeypatch.setattr(pixel_judge, "EXAMPLES", 90)
    identity = random_identity(np.random.default_rng(5))
    judge = pixel_judge.FaceJudge(identity, np.random.default_rng(6), size=128)
    for name in ("jaw", "gaze_x", "lid"):
        true, read = np.linspace(0, 0.8, 9), []
        for value in true:
            parameters = rest()
            parameters[[INDEX[each] for each in ({"lid": ("lid_left", "lid_right")}.get(name, (name,)))]] = value
            read.append(getattr(judge.read(draw(identity, parameters, 128).picture, parameters), name))
        assert np.corrcoef(read, true)[0, 1] > 0.9


def test_jaws_of_decoded_frames_stand_beside_those_of_drawings_in_the_same_motion(monkeypatch):
    monkeypatch.setattr(pixel_judge, "EXAMPLES", 60)
    identity, rng = random_identity(np.random.default_rng(5)), np.random.default_rng(6)
    own = np.full((1, 20), 0.1)
    sitter = pixel_judge.Sitter("dark", identity, pixel_judge.FaceJudge(identity, rng), None, own)
    people = [sitter, sitter._replace(tone="light"), sitter._replace(tone="medium")]
    jaws = np.array([[0, 0.3, 0.7, 0.2, 0.5, 0]])
    motion = np.repeat(own[None], 6, 1)
    motion[..., INDEX["jaw"]] += jaws
    speaker = SimpleNamespace(speak=lambda sound, portrait: motion)
    monkeypatch.setattr(pixel_judge, "speaker", lambda config, model: speaker)
    shut = draw(identity, rest()).picture
    monkeypatch.setattr(pixel_judge, "decode_frames", lambda model, portrait, told: iter([shut] * len(told)))
    figures = pixel_judge.measure_lips(SimpleNamespace(config=None), [people], np.zeros((1, 80)), jaws)
    assert figures["jaw_r_median"] == 0
    assert figures["jaw_true_r_worst"] > 0.95


def test_gaze_is_judged_where_eyes_are_open():
    states = np.stack([rest()] * 4)
    states[:, INDEX["gaze_x"]] = states[:, INDEX["gaze_y"]] = -1, 0, 1, 1
    states[3, [INDEX["lid_left"], INDEX["lid_right"]]] = 1
    read = np.array([[0, -0.5, 0.5, 0.1], [0, 0, 0, 0], [0, 0.5, -0.5, 0], [0, -9, 9, 0.9]])
    across, down, lid = pixel_judge.look_correlations(read, states)
    assert across == pytest.approx(1)
    assert down == pytest.approx(-1)
    assert 0.9 < lid < 1


def test_tones_of_skin_are_a_third_each_and_are_told_apart():
    rng = np.random.default_rng(0)
    skins = [np.mean([pixel_judge.person_of(tone, rng).skin for _ in range(5)]) for tone in pixel_judge.TONES]
    assert skins[0] > skins[1] + 0.1 > skins[2] + 0.2
    figures = pixel_judge.by_tone("r", {"light": [0.9, 0.8], "medium": [0.5, 0.9], "dark": [0.6, 0.65]})
    assert figures["r_worst"] == 0.5
    assert figures["r_median"] == pytest.approx(0.725)
    assert figures["r_dark"] == pytest.approx(0.625)
    assert figures["r_tones_apart"] == pytest.approx(0.225)


def test_the_judge_tells_emotions_of_true_drawings():
    judge = EmotionJudge(np.random.default_rng(0), people=40)
    rng = np.random.default_rng(1)
    right = [judge.scores(change).argmax() == k for _ in range(6) for k, change in enumerate(judge.example(rng))]
    assert np.mean(right) > 0.7


def test_confusions_are_counted_by_row():
    counts = np.eye(7, dtype=int) * 3
    counts[EMOTIONS.index("sad")] = np.eye(7, dtype=int)[EMOTIONS.index("neutral")] * 4
    figures = Confusion(counts).figures()
    assert figures["sad taken for neutral"] == 4
    assert figures["sad told from neutral"] == 0
    assert figures["happy told from neutral"] == 1
    assert "neutral told from neutral" not in figures


def test_the_tables_show_every_figure_they_name():
    figures: dict[str, dict[str, float | None]] = {group: {} for row in drawn_report.ROWS for group, _ in row.figures}
    for row in drawn_report.ROWS:
        for group, key in row.figures:
            figures[group][key] = 0.5
    kinds = ("head", "face", "everything", "speaking")
    for size in (256, 512):
        for number, motion in enumerate(("motion as drawn", "motion as a change", "motion as read")):
            keys = [key for _, key, _, _ in drawn_report.PICTURES]
            found = {f"{kind}.{key}": float(size + number) for kind in kinds for key in keys}
            figures[f"drawn faces at {size}, {motion}"] = found
    figures["emotions"] = Confusion(np.eye(7, dtype=int)).figures()
    figures["turns"]["yaw.hair psnr"] = None
    pictures, lines, confusion = (part.splitlines() for part in drawn_report.table(figures).split("\n\n"))
    assert len(pictures) == 2 + 2 * len(drawn_report.PICTURES)
    assert f"| 512 pixels: PSNR |{' 512.0 dB / 513.0 dB / 514.0 dB |' * 4} 29 dB |" in pictures
    assert len(lines) == 2 + len(drawn_report.ROWS)
    assert "| sad | 0 | 0 | 0 | 0 | 0 | 1 | 0 | 100% |" in confusion
    assert "| ... blink inside the eye boxes | 0.50 / 0.50 / 0.50 / 0.50 / 0.50 | .85 |" in lines
    assert "| yaw of 15 degrees, at hair / ears / shoulders: PSNR |  / 0.5 dB / 0.5 dB |  |" in lines
    assert all(len(line.split(" | ")) == 3 for line in lines[2:])
