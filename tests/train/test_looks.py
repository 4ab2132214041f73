"""Looks of drawn people: light, camera, body, whiskers, glasses, styles; each changes what it says and is counted."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("skia", exc_type=ImportError)

from floatcli.cli.app import run as cli
from floatcli.errors import ExitCode
from floatcli.train.drawn import LANDMARKS, draw, portrait_parameters, random_identity
from floatcli.train.drawn.backdrop import PLACES as PAINTED
from floatcli.train.drawn.body import SHIFT
from floatcli.train.drawn.camera import Camera
from floatcli.train.drawn.census import TRAITS, census, skin_tone
from floatcli.train.drawn.identity import BEARDS, GLASSES, PLACES, SKINS, STYLES
from floatcli.train.drawn.light import KINDS, Lamp, Light, Lighting, random_lighting
from floatcli.train.drawn_data import DrawnConfig, identities
from floatcli.train.parameters import INDEX, rest
from floatcli.train.styles import STYLES as HANDS

SIZE = 64
PLAIN = Camera(softness=0, bloom=0, vignette=0, contrast=0, saturation=1, noise=0, quality=100)


def person(**changes):
    identity = random_identity(np.random.default_rng(3))
    return dataclasses.replace(identity, **({"camera": PLAIN} | changes))


def picture(identity, **moves):
    p = rest()
    for name, amount in moves.items():
        p[INDEX[name]] = amount
    return draw(identity, p, SIZE).picture.astype(float)


def lit_from(x, wrap=0.1):
    lamp = Lamp((x, 0.0, float(np.sqrt(1 - x * x))), (1.0, 1.0, 1.0), wrap)
    return Lighting("window", (lamp,), (0.2, 0.2, 0.2), (0.2, 0.2, 0.2), 1.0)


def test_the_lit_side_of_a_face_is_where_the_lamp_is():
    left, right = (picture(person(lighting=lit_from(x))) for x in (-0.8, 0.8))
    face = slice(SIZE // 4, 3 * SIZE // 4)
    lean = [
        (p[face, SIZE // 2 : 3 * SIZE // 4] - p[face, SIZE // 4 : SIZE // 2][:, ::-1]).mean() for p in (left, right)
    ]
    assert lean[0] < -5
    assert lean[1] > 5


def test_light_keeps_within_its_range_and_a_lamp_behind_lights_the_rim_alone():
    rng, normals = np.random.default_rng(0), np.random.default_rng(1).normal(size=(200, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    for _ in range(20):
        light = Light(random_lighting(rng), 0.5)
        for values in (light.shade(normals, 1.0), light.shine(normals)):
            assert values.shape == (200, 3)
            assert values.min() >= 0
            assert values.max() <= 1
    plain = lit_from(0.0)
    rim = dataclasses.replace(plain, lamps=(*plain.lamps, Lamp((0.9, 0.0, -0.436), (1.0, 1.0, 1.0), 0.1)))
    ahead, edge = np.array([[0.0, 0.0, 1.0]]), np.array([[0.98, 0.0, 0.2]])
    assert np.allclose(Light(rim, 0.0).shine(ahead), 0)
    assert Light(rim, 0.0).shine(edge).min() > 0.2
    assert np.allclose(Light(plain, 0.0).shine(edge), 0)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("softness", 4.0), ("bloom", 0.2), ("vignette", 0.4), ("contrast", 0.5), ("noise", 4.0), ("quality", 40)],
)
def test_every_trait_of_a_camera_changes_the_picture(setting, value):
    camera = dataclasses.replace(PLAIN, **{setting: value})
    assert np.abs(picture(person(camera=camera)) - picture(person())).mean() > 0.2


def test_a_grey_camera_is_grey_and_noise_is_new_in_every_picture_but_the_same_again():
    grey = picture(person(camera=dataclasses.replace(PLAIN, saturation=0)))
    assert np.ptp(grey, axis=2).max() <= 1
    noisy = person(camera=dataclasses.replace(PLAIN, noise=4.0))
    still, moved = picture(noisy), picture(noisy, gaze_x=0.5)
    assert np.array_equal(still, picture(noisy))
    assert np.abs(still[:6, :6] - moved[:6, :6]).mean() > 1


@pytest.mark.parametrize("kind", BEARDS[2:])
def test_whiskers_move_with_the_lips_they_hang_over(kind):
    bearded, shaven = person(beard=kind), person(beard="none")
    change = np.abs(picture(bearded, upper_lip=1) - picture(shaven, upper_lip=1)).sum(2)
    mouth = draw(bearded, rest(), SIZE).landmarks[LANDMARKS.index("upper_lip")] * SIZE
    x, y = mouth.astype(int)
    assert change[y - 4 : y + 3, x - 4 : x + 4].mean() > 10


@pytest.mark.parametrize("kind", GLASSES[1:])
def test_every_kind_of_glasses_shows_and_its_glare_wanders(kind):
    worn, clear = (person(glasses=kind, glare=glare) for glare in (1.0, 0.0))
    assert np.abs(picture(clear) - picture(person(glasses="none"))).max() > 20
    for yaw in (-0.6, 0.6):
        assert np.abs(picture(worn, yaw=yaw) - picture(clear, yaw=yaw)).max() > 10


def test_shoulders_come_some_of_the_way_with_the_head():
    identity, p = person(), rest()
    p[INDEX["shift_x"]] = 1
    at = [draw(identity, row, SIZE).landmarks for row in (rest(), p)]
    went = {name: (at[1] - at[0])[LANDMARKS.index(name), 0] for name in ("throat", "shoulder_left", "chin")}
    assert went["throat"] == pytest.approx(SHIFT * 0.1, abs=1e-3)
    assert went["shoulder_left"] == pytest.approx(went["throat"], abs=1e-3)
    assert went["chin"] > 1.5 * went["throat"]


def test_every_place_can_be_painted_and_looks_its_own_way():
    assert set(PAINTED) == set(PLACES)
    seen = [picture(person(place=place))[:12, :12] for place in PLACES]
    assert all(np.abs(a - b).mean() > 1 for k, a in enumerate(seen) for b in seen[:k])


def test_blur_takes_detail_from_the_place():
    sharp, soft = (picture(person(place="wall", blur=blur))[:20].std() for blur in (0.0, 0.05))
    assert soft <= sharp


def test_portraits_rest_or_smile_with_teeth_and_look_at_the_camera():
    rows = np.stack([portrait_parameters(np.random.default_rng(k)) for k in range(300)])
    toothy = (rows[:, INDEX["smile"]] > 0.4) & (rows[:, INDEX["upper_lip"]] > 0.3)
    assert 0.3 < toothy.mean() < 0.6
    assert ((rows[:, INDEX["smile"]] == 0) & (rows[:, INDEX["jaw"]] == 0)).mean() > 0.2
    assert not rows[:, [INDEX["gaze_x"], INDEX["gaze_y"]]].any()


@pytest.mark.parametrize("hand", HANDS)
def test_every_style_redraws_a_picture_and_always_the_same_way(hand):
    y, x = np.mgrid[:SIZE, :SIZE]
    seen = np.stack([128 + 100 * np.sin(x / 5), 128 + 60 * np.cos(y / 7), 90 + y], -1).astype(np.uint8)
    before = seen.copy()
    change = HANDS[hand](np.random.default_rng(2), SIZE)
    one = change(seen)
    assert one.shape == seen.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, change(seen))
    assert np.array_equal(seen, before)
    assert np.abs(one.astype(int) - seen).mean() > 1


def test_the_census_counts_everyone_once_and_is_balanced():
    people = list(identities(DrawnConfig(identities=600, shard=100)))
    counts = census(people)
    assert set(counts) == set(TRAITS)
    assert all(sum(found.values()) == 600 for found in counts.values())
    tones = list(counts["skin tone"].values())
    assert len(tones) == len(SKINS)
    assert min(tones) > 600 / len(SKINS) / 2
    assert tones[skin_tone(people[0])] > 0
    for trait, values in (
        ("hair", STYLES),
        ("light", KINDS),
        ("place", PLACES),
        ("beard", BEARDS),
        ("glasses", GLASSES),
    ):
        assert set(counts[trait]) == set(values)
        assert min(counts[trait].values()) > 0
    assert min(counts["age"].values()) > 120


def test_counts_are_printed_and_nothing_is_drawn(tmp_path, capsys):
    (tmp_path / "a.toml").write_text(f"[autoencoder.drawn]\nidentities = 20\nshard = 10\nfolder = '{tmp_path}/none'")
    assert cli(["train", "draw", str(tmp_path / "a.toml"), "--counts"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == list(TRAITS)
    assert sum(int(part.rsplit(" ", 1)[1]) for part in lines[0].split("  ", 1)[1].split(",")) == 20
    assert not (tmp_path / "none").exists()
    assert cli(["train", "draw", str(tmp_path / "a.toml"), "--counts", "--clips", "2"]) == ExitCode.USAGE
