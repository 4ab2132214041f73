"""Figures of what is known: pictures, curves, motions and features with a right answer."""

from __future__ import annotations

import numpy as np
import pytest

from floatcli.evaluate.clips import GROUPS, RECONSTRUCTION, SPEECH
from floatcli.evaluate.following import follow
from floatcli.evaluate.frechet import FrechetDistance
from floatcli.evaluate.lip_sync import REACH, loudness, synchrony
from floatcli.evaluate.motion_figures import agreement, head_range, jerk
from floatcli.evaluate.openings import SHUT, blink_count, eye_opening, mouth_opening
from floatcli.evaluate.paper import align_faces
from floatcli.evaluate.pictures import boxes_of_parts, compare, mean_figures
from floatcli.evaluate.report import tables
from floatcli.train.parameters import INDEX, SCALE, rest
from tests.conftest import TINY
from tests.evaluate.conftest import ANCHORED, BOXES, SIZE, painted, sound_of, syllables

PLACES = boxes_of_parts(BOXES, SIZE)


def test_the_truth_itself_is_as_near_as_can_be():
    picture = painted(0.5)
    figures = compare(picture, picture, PLACES)
    assert {name.split()[0] for name in figures} == {"whole", "mouth", "eyes"}
    for region in ("whole", "mouth", "eyes"):
        assert figures[f"{region} PSNR"] > 80
        assert figures[f"{region} SSIM"] == pytest.approx(1)
        assert figures[f"{region} L1"] == 0


def test_a_known_error_has_known_figures_where_it_is():
    truth = np.full((SIZE, SIZE, 3), 100, np.uint8)
    made = truth.copy()
    made[PLACES["mouth"]] += 51  # a fifth of the range
    figures = compare(made, truth, PLACES)
    assert figures["mouth L1"] == pytest.approx(0.2, abs=1e-6)
    assert figures["mouth PSNR"] == pytest.approx(20 * np.log10(5), abs=1e-3)
    share = made[PLACES["mouth"]].size / made.size
    assert figures["whole L1"] == pytest.approx(0.2 * share, abs=1e-6)
    assert figures["eyes L1"] == 0
    assert figures["eyes SSIM"] > 0.99 > figures["mouth SSIM"]


def test_boxes_out_of_the_picture_are_none_and_their_figures_blank():
    gone = BOXES.copy()
    gone[2] += 100
    places = boxes_of_parts(gone, SIZE)
    assert places["mouth"] is None
    figures = compare(painted(0), painted(1), places)
    assert "mouth PSNR" not in figures
    assert mouth_opening([painted(1)], gone[2:]) == [0]


def test_means_are_over_those_that_have_a_figure():
    assert mean_figures([{"a": 1.0, "b": None}, {"a": 3.0, "b": None, "c": 5.0}]) == {"a": 2.0, "b": None, "c": 5.0}


@pytest.mark.parametrize("late", [-7, 0, 3])
def test_a_mouth_that_comes_late_is_found_by_so_many_frames(late: int):
    curve = syllables(80)
    opening = np.roll(curve, late)
    mouth = mouth_opening([painted(each) for each in opening], BOXES[[2] * 80])
    sync = synchrony(mouth, loudness(sound_of(curve), 80))
    assert sync.offset == late
    assert sync.correlation > 0.85


def test_a_mouth_that_says_something_else_or_nothing_is_told():
    loud = loudness(sound_of(syllables(100, 1)), 100)
    assert synchrony(syllables(100, 2), loud).correlation < 0.6
    assert synchrony(np.ones(100), loud) is None
    assert synchrony(np.arange(5.0), np.arange(5.0)) is None


def test_an_offset_is_looked_for_within_its_reach_only():
    curve = syllables(120)
    assert abs(synchrony(np.roll(curve, REACH + 8), curve).offset) <= REACH


def test_blinks_are_counted_from_pixels():
    frames = [painted(0.3, shut=k in (5, 6, 20, 30, 31)) for k in range(40)]
    assert blink_count(eye_opening(frames, BOXES[[0] * 40])) == 3
    assert blink_count(eye_opening([painted(k / 40) for k in range(40)], BOXES[[0] * 40])) == 0


def test_flicker_is_no_blink():
    opening = 1 + 0.06 * np.random.default_rng(0).standard_normal(500)
    assert (opening < SHUT).any()
    assert blink_count(opening) == 0
    opening[100:103] = 0.5
    assert blink_count(opening) == 1


def test_a_drawn_face_that_sways_is_followed_and_its_mouth_and_eyes_are_read():
    pytest.importorskip("skia", exc_type=ImportError)
    from floatcli.train.drawn import draw, random_identity
    from floatcli.train.drawn_data import ANCHOR_COLUMNS

    identity, curve, frames, eyes = random_identity(np.random.default_rng(4)), syllables(24), [], []
    for k in range(24):
        parameters = rest()
        parameters[INDEX["jaw"]] = 0.8 * curve[k]
        parameters[[INDEX["lid_left"], INDEX["lid_right"]]] = k in (6, 7, 17)
        parameters[INDEX["yaw"]], parameters[INDEX["shift_x"]] = 0.3 * np.sin(k / 5), 0.04 * k
        drawing = draw(identity, parameters, 192)
        frames.append(drawing.picture)
        eyes.append(drawing.landmarks[ANCHOR_COLUMNS] * 192)
    side = 2.3 * np.linalg.norm(eyes[0][1] - eyes[0][0])  # of a face's box, as ``train prepare`` takes it
    half = np.array([[0.15, 0.09], [0.15, 0.09], [0.26, 0.16]]) * side
    middles = np.array([(points[0], points[1], points[2:6].mean(0)) for points in eyes])
    boxes = follow(np.stack(frames), np.hstack([middles[0] - half, middles[0] + half]))
    shift = (boxes[..., :2] + boxes[..., 2:])[:, :2] / 2 - middles[:, :2]
    assert np.abs(shift).max() < 4
    assert np.abs(middles[-1] - middles[0]).max() > 10
    assert np.corrcoef(mouth_opening(frames, boxes[:, 2]), curve)[0, 1] > 0.9
    assert blink_count(eye_opening(frames, boxes[:, 0]) + eye_opening(frames, boxes[:, 1])) == 2


def test_boxes_stay_where_nothing_can_be_followed():
    even = np.full((3, SIZE, SIZE, 3), 100, np.uint8)
    np.testing.assert_array_equal(follow(even, BOXES), BOXES[None].repeat(3, 0))


def test_jerk_is_the_third_derivative():
    time = np.arange(20)[:, None] / 25
    assert jerk(np.hstack([time**3, 0 * time]), 25) == pytest.approx(6)
    assert jerk(time**2, 25) == pytest.approx(0, abs=1e-6)
    assert jerk(time[:3], 25) is None


def test_the_head_is_measured_in_degrees_where_coefficients_have_names():
    coeffs = np.zeros((10, 20))
    coeffs[:, INDEX["pitch"]] = np.linspace(-0.5, 0.5, 10) / SCALE[INDEX["pitch"]]  # half of 20 degrees either way
    assert head_range(coeffs, ANCHORED) == pytest.approx({"yaw range": 0, "pitch range": 20, "roll range": 0})
    assert head_range(coeffs, TINY) == {"yaw range": None, "pitch range": None, "roll range": None}


def test_motion_that_is_read_back_agrees_with_what_was_given():
    given = np.random.default_rng(0).standard_normal((30, 4))
    given[:, 3] = 1  # doesn't move
    assert agreement(given + 0.25, given) == pytest.approx({"motion L1": 0.25, "motion r": 1})
    assert agreement(-given, given)["motion r"] == pytest.approx(-1)
    assert agreement(np.ones((30, 4)), given)["motion r"] is None


def distance(true: list[np.ndarray], made: list[np.ndarray]) -> float | None:
    frechet = FrechetDistance()
    for parts, kind in ((true, True), (made, False)):
        for part in parts:
            frechet.add(part, kind)
    return frechet.value()


def test_the_frechet_distance_is_that_of_gaussians_in_closed_form():
    rng = np.random.default_rng(0)
    scales, other, shift = np.array([1.0, 2.0, 0.5]), np.array([0.3, 2.5, 1.0]), np.array([1.0, 0.0, -2.0])
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]  # the same for both: covariances commute
    true, made = (
        [(rng.standard_normal((50_000, 3)) * size + mean) @ turn for _ in range(4)]
        for size, mean in ((scales, 0), (other, shift))
    )
    expected = np.square(shift).sum() + np.square(scales - other).sum()
    assert distance(true, made) == pytest.approx(expected, rel=0.01)
    assert distance(true, true) == pytest.approx(0, abs=1e-6)


def test_few_vectors_have_no_distance_and_batches_add_up():
    rows = np.random.default_rng(2).standard_normal((9, 3))
    assert distance([], []) is None
    assert distance([rows[:1]], [rows]) is None
    assert distance([rows[:4], rows[4:]], [rows]) == pytest.approx(0, abs=1e-6)


def test_faces_come_to_lie_where_arcface_learnt_them():
    picture = np.zeros((400, 400, 3), np.uint8)
    centres = np.array([[160, 180], [240, 200], [185, 290]])
    for (x, y), channel in zip(centres, range(3), strict=True):
        picture[y - 6 : y + 6, x - 6 : x + 6, channel] = 255
    boxes = np.hstack([centres - 20, centres + 20]).astype(np.float32)
    (face,) = align_faces(picture[None], boxes[None])
    assert face.shape == (112, 112, 3)
    spots = [np.argwhere(face[..., channel] > 100).mean(0)[::-1] for channel in range(3)]
    eyes, mouth = (spots[0] + spots[1]) / 2, spots[2]
    np.testing.assert_allclose(eyes, [55.9, 51.6], atol=1)
    np.testing.assert_allclose(mouth, [56.1, 92.3], atol=1)


def test_tables_leave_blank_what_nothing_tells():
    figures = {group: {} for group in GROUPS}
    figures[SPEECH] = {"FID": None, "CSIM": 0.8, "LSE-D": None, "mouth r": 0.5, "mouth offset, ms": -40.0}
    figures[RECONSTRUCTION] = {"whole PSNR": 31.234, "CSIM": None}
    paper, ours = (part.splitlines() for part in tables(figures).split("\n\n"))
    assert paper[0] == "|  | FID | FVD | CSIM | E-FID | P-FID | LSE-D | LSE-C |"
    assert paper[2] == "| speech-driven |  |  | 0.800 |  |  |  |  |"
    assert "| whole PSNR | 31.23 dB |  |  |  |  |" in ours
    assert "| mouth r |  |  |  | 0.500 |  |" in ours
    assert "| mouth offset, ms |  |  |  | -40 |  |" in ours
