"""Drawn portraits: deterministic, moved by their parameters and by nothing else."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("skia", exc_type=ImportError)

from floatcli.face.landmarks import ANCHORS
from floatcli.train.drawn import CELLS, LANDMARKS, STILL, displacements, draw, random_identity, random_parameters
from floatcli.train.parameters import HIGH, INDEX, LOW, rest

SIZE = 96


def identity(seed=3):
    return random_identity(np.random.default_rng(seed))


def motion(**moves):
    p = rest()
    for name, amount in moves.items():
        p[INDEX[name]] = amount
    return p


def at(drawing, name):
    return drawing.landmarks[LANDMARKS.index(name)]


def test_same_inputs_give_the_same_bytes():
    one = draw(identity(), motion(jaw=0.4), SIZE)
    draw(identity(4), rest(), SIZE)
    two = draw(identity(), motion(jaw=0.4), SIZE)
    assert one.picture.shape == (SIZE, SIZE, 3)
    assert one.picture.dtype == np.uint8
    assert one.landmarks.shape == (len(LANDMARKS), 2)
    assert one.landmarks.dtype == np.float32
    assert np.array_equal(one.picture, two.picture)
    assert np.array_equal(one.landmarks, two.landmarks)


def test_landmarks_have_the_anchors_and_distinct_names():
    assert set(ANCHORS) <= set(LANDMARKS)
    assert len(set(LANDMARKS)) == len(LANDMARKS)


@pytest.mark.parametrize("seed", range(4))
def test_displacements_agree_with_landmarks_that_are_seen(seed):
    """Nothing is known of the backdrop; clothes move less than a face."""
    person = identity(seed)
    source, target = motion(yaw=0.2), motion(yaw=-0.6, pitch=0.5, roll=0.4, shift_x=0.5, zoom=0.3)
    here, there = (draw(person, p, SIZE).landmarks for p in (source, target))
    still, moved = displacements(person, source, np.stack([source, target]), SIZE)
    assert moved.shape == (CELLS, CELLS, 2)
    assert np.nanmax(np.abs(still)) == 0
    assert np.isnan(moved[CELLS // 4, 0]).all()
    names = ["cheek_left", "cheek_right", "nose_tip", "brow_middle_left", "eye_outer_right", "upper_lip", "chin_front"]
    for k in map(LANDMARKS.index, names):
        x, y = (here[k] * CELLS).astype(int)
        assert np.abs(moved[y, x] - (there - here)[k]).max() < 0.012, LANDMARKS[k]
    assert np.abs(moved[-1, CELLS // 2]).max() < np.abs(there - here)[LANDMARKS.index("nose_tip")].max()


def test_still_landmarks_and_the_room_do_not_move():
    still = [LANDMARKS.index(name) for name in STILL]
    person = identity()  # whose camera neither makes noise nor compresses
    person = dataclasses.replace(person, camera=dataclasses.replace(person.camera, noise=0, bloom=0, quality=100))
    one, two = draw(person, rest(), SIZE), draw(person, motion(yaw=1, pitch=-1, jaw=1, zoom=1), SIZE)
    assert np.array_equal(one.landmarks[still], two.landmarks[still])
    assert np.array_equal(one.picture[:8, :4], two.picture[:8, :4])


@pytest.mark.parametrize(
    ("moves", "name", "direction"),
    [
        ({"jaw": 1}, "chin", (0, 1)),
        ({"jaw": 1}, "lower_lip", (0, 1)),
        ({"smile": 1}, "mouth_right", (1, -1)),
        ({"round": 1}, "mouth_right", (-1, 0)),
        ({"lid_left": 1}, "lid_top_left", (0, 1)),
        ({"gaze_x": 1}, "iris_left", (1, 0)),
        ({"gaze_y": 1}, "iris_right", (0, 1)),
        ({"brow_right": 1}, "brow_middle_right", (0, -1)),
        ({"furrow": 1}, "brow_inner_left", (1, 1)),
        ({"yaw": 1}, "nose_tip", (1, 0)),
        ({"pitch": 1}, "nose_tip", (0, 1)),
        ({"roll": 1}, "forehead", (1, 0)),
        ({"shift_x": 1}, "nose_tip", (1, 0)),
        ({"shift_y": 1}, "nose_tip", (0, 1)),
    ],
)
def test_parameters_move_landmarks_as_they_say(moves, name, direction):
    moved = at(draw(identity(), motion(**moves), SIZE), name) - at(draw(identity(), rest(), SIZE), name)
    for axis in (0, 1):
        if direction[axis]:
            assert moved[axis] * direction[axis] > 0.004


def test_eye_centres_do_not_move_with_lids_and_shut_means_shut():
    one = draw(identity(), rest(), SIZE)
    two = draw(identity(), motion(lid_left=1, lid_right=1, gaze_x=1), SIZE)
    for name in ("left_eye", "right_eye"):
        assert np.array_equal(at(one, name), at(two, name))
    assert np.abs(at(two, "lid_top_left") - at(two, "lid_bottom_left")).max() < 1e-5
    assert np.abs(at(one, "inner_upper_lip") - at(one, "inner_lower_lip")).max() < 1e-5


def test_a_jaw_and_a_blink_change_only_their_part_of_the_picture():
    still = draw(identity(), rest(), 128)
    for moves, names in (({"jaw": 1}, ("upper_lip", "chin")), ({"lid_left": 1}, ("left_eye", "left_eye"))):
        moved = draw(identity(), motion(**moves), 128)
        change = np.abs(moved.picture.astype(int) - still.picture).sum(2)
        rows = np.where(change.max(1) > 30)[0] / 128
        assert rows.min() > at(still, names[0])[1] - 0.2
        assert rows.max() < at(moved, names[1])[1] + 0.1
        assert change.max() > 60


def test_the_matte_tells_person_from_room():
    person = identity()
    camera = dataclasses.replace(person.camera, noise=0, bloom=0, softness=0, quality=100)
    person = dataclasses.replace(person, camera=camera)
    elsewhere = dataclasses.replace(person, walls=tuple(tuple(1 - c for c in wall) for wall in person.walls))
    here, there = (draw(p, rest(), SIZE) for p in (person, elsewhere))
    change = np.abs(here.picture.astype(int) - there.picture).max(2)
    assert np.array_equal(here.matte, there.matte)
    assert change[here.matte == 255].max() <= 1
    assert change[here.matte == 0].mean() > 10
    assert 0.2 < (here.matte / 255).mean() < 0.8


def test_hair_and_neck_are_followed_where_they_are():
    hair = [LANDMARKS.index("hair_2"), LANDMARKS.index("neck_0")]
    worn = identity().hair
    long, bald = (
        dataclasses.replace(identity(), hair=dataclasses.replace(worn, style=style)) for style in ("long", "bald")
    )
    assert (np.abs(draw(long, rest(), SIZE).landmarks[hair] - 0.5) < 0.6).all()
    assert (draw(bald, rest(), SIZE).landmarks[hair[0]] > 2).all()
    turned = [draw(long, motion(yaw=yaw), SIZE) for yaw in (0, 1)]
    low = [at(d, "neck_4")[0] for d in turned]
    high = [at(d, "neck_1")[0] for d in turned]
    assert high[1] - high[0] > low[1] - low[0]


def test_random_parameters_stay_in_range():
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = random_parameters(rng)
        assert p.shape == (20,)
        assert p.dtype == np.float32
        assert (p >= LOW).all()
        assert (p <= HIGH).all()


def test_every_style_draws():
    rng = np.random.default_rng(7)
    seen = set()
    for _ in range(24):
        person = random_identity(rng)
        seen.add(person.hair.style)
        drawing = draw(person, random_parameters(rng), 48)
        assert drawing.picture.std() > 5
        assert np.isfinite(drawing.landmarks).all()
    assert len(seen) > 5
