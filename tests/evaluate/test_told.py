"""What faces are told - turns, shut lips, a minute of speech, crops that are off - by decoders that are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("skia", exc_type=ImportError)

from floatcli.evaluate import drift, faces_sheet, photographs, smiles, turns
from floatcli.evaluate.drawn_faces import held_out_person
from floatcli.evaluate.pictures import to_tensor
from floatcli.evaluate.pixel_judge import Sitter
from floatcli.face.crop import Crop
from floatcli.models.float_model import Portrait
from floatcli.train.drawn import Drawing, draw, place_landmarks, random_identity
from floatcli.train.drawn_data import ANCHOR_COLUMNS
from floatcli.train.parameters import INDEX, NAMES, SCALE, rest
from floatcli.train.styles import STYLES

SIZE = 128
PERSON = held_out_person(1)


class Copier:
    """A model that gives the source back."""

    basis = SimpleNamespace(coefficients=lambda motion: motion, motion=lambda coeffs: coeffs)
    config = SimpleNamespace(coefficient_names=NAMES, coefficient_scales=SCALE.tolist())

    def encode(self, images: torch.Tensor) -> Portrait:
        return Portrait(torch.zeros(1), images, torch.zeros(1, len(SCALE)))

    def decode(self, portrait: Portrait, motion: torch.Tensor) -> torch.Tensor:
        return portrait.features.expand(len(motion), -1, -1, -1)


class Painter(Copier):
    """A model that gives the truth."""

    def decode(self, portrait: Portrait, motion: torch.Tensor) -> torch.Tensor:
        states = (motion.numpy() * SCALE).round(4).astype(np.float32)
        return to_tensor(np.stack([draw(PERSON, state, SIZE).picture for state in states]))


def test_landmarks_are_those_of_the_drawing():
    state = turns.turned(15, "yaw")
    assert np.array_equal(place_landmarks(PERSON, state, SIZE), draw(PERSON, state, SIZE).landmarks)


def test_a_turn_is_as_many_degrees():
    assert turns.turned(-15, "yaw")[INDEX["yaw"]] == pytest.approx(-0.6)
    assert turns.turned(15, "roll")[INDEX["roll"]] == pytest.approx(0.75)
    assert np.count_nonzero(turns.turned(15, "pitch")) == 1


def test_turns_of_a_perfect_decoder_are_told_from_a_copiers():
    perfect, copied = (turns.measure_turns(model(), PERSON, SIZE) for model in (Painter, Copier))
    assert set(perfect) == set(copied)
    for part in ("hair", "ears", "shoulders"):
        assert perfect[f"yaw.{part} psnr"] > 85
        assert perfect[f"yaw.{part} over copying"] > 20
        assert perfect[f"yaw.{part} torn"] == 0
        assert copied[f"roll.{part} over copying"] == 0
    assert copied["roll.hair torn"] > 0


def test_of_hair_that_is_not_there_nothing_is_told():
    landmarks = draw(PERSON, rest(), SIZE).landmarks
    landmarks[turns.PARTS["hair"]] = 9.0
    picture = torch.zeros(3, SIZE, SIZE)
    figures = turns.turn_figures(picture, picture, picture, landmarks)
    assert figures["hair psnr"] is figures["hair torn"] is figures["hair over copying"] is None
    assert figures["ears torn"] == 0


def test_a_tear_is_an_edge_that_the_truth_lacks_and_not_one_that_is_a_little_off():
    truth = np.full((100, 100, 3), 120, np.uint8)
    truth[:, 50:] = 200
    off, torn = np.roll(truth, 1, axis=1), truth.copy()
    off[:, 0] = 120
    torn[40:60, 20:22] = 220
    assert not turns.torn_edges(off, truth).any()
    assert not turns.torn_edges(truth, torn).any()
    found = turns.torn_edges(torn, truth)
    assert found[40:60, 17:25].mean() > 0.3
    found[38:62, 15:27] = False
    assert not found.any()


def test_teeth_are_left_by_a_copier_alone():
    perfect, copied = (smiles.measure_closing(model(), PERSON, SIZE) for model in (Painter, Copier))
    assert perfect["teeth left"] == 0
    assert perfect["mouth over copying"] > 20
    assert copied["teeth left"] == 1
    assert copied["mouth over copying"] == 0


def test_teeth_are_what_is_brighter_than_shut_lips_where_the_smile_is_open():
    truth, smiling = np.full((40, 40, 3), 100, np.uint8), np.full((40, 40, 3), 200, np.uint8)
    made = truth.copy()
    made[:10] = 250  # elsewhere
    made[20:30, 10:30] = 150
    made[10:20, 10:30] = 20  # darker
    opening = np.array([[10, 10], [29, 10], [29, 29], [10, 29]]) / 40
    assert smiles.teeth_left(made, truth, smiling, opening) == pytest.approx(0.25)


def still_drawing() -> Drawing:
    """A person who fills the right half, and whose throat is at two fifths."""
    landmarks, matte = np.zeros((len(turns.LANDMARKS), 2), np.float32), np.zeros((100, 100), np.uint8)
    landmarks[turns.LANDMARKS.index("throat")] = 0.7, 0.4
    matte[:, 50:] = 255
    return Drawing(np.full((100, 100, 3), 90, np.uint8), matte, landmarks)


def test_drift_is_told_where_nothing_should_move():
    drawing = still_drawing()
    frames = np.repeat(drawing.picture[None], 3, 0)
    moved = frames.copy()
    moved[:, :, 46:54] = 255  # at the edge
    moved[:, :40, 60:] = 255  # the head
    moved[:, :, :40] += 10
    moved[:, 80, 80] += 30
    figures = drift.drift_figures({"first": frames, "last": moved}, drawing)
    assert figures["background, first: mean"] == figures["clothes, first: largest"] == 0
    assert 8 < figures["background, last: mean"] < figures["background, last: largest"] == 10
    assert 0 < figures["clothes, last: mean"] < 0.1
    assert figures["clothes, last: largest"] == 30


def test_drift_compares_the_ends_of_a_minute(monkeypatch):
    heard, dressed = [], random_identity(np.random.default_rng(1))  # few show clothes

    def speak(speech, own):
        heard.append(speech.shape)
        moved = sitter.own.repeat(1500, 0)
        moved[100:, INDEX["shift_y"]] += 0.1
        return moved[None]

    def decode_frames(_model, _portrait, motion):
        assert len(motion) == 25
        picture = draw(dressed, rest()).picture
        yield from (picture if np.array_equal(row, sitter.own[0]) else picture // 2 for row in motion)

    monkeypatch.setattr(drift, "speaker", lambda config, model: SimpleNamespace(speak=speak))
    monkeypatch.setattr(drift, "decode_frames", decode_frames)
    model = SimpleNamespace(config=SimpleNamespace(sample_rate=100, fps=25))
    sitter = Sitter("light", dressed, None, None, np.full((1, 20), 0.02))
    figures = drift.measure_drift(model, [sitter], np.zeros((2, 80)))
    assert heard == [(1, 6000)]
    assert figures["background, first: largest"] == 0
    assert figures["background, last: mean"] > 5
    assert figures["drawn clothes, first: mean"] == 0  # a drawing in the motion of rest is the portrait
    assert figures["drawn clothes, last: mean"] > 1 > figures["drawn background, last: mean"]


def test_crops_are_off_by_a_tenth_at_most():
    crop, rng = Crop(100, 50, 200), np.random.default_rng(0)
    off = [photographs.jittered(crop, rng) for _ in range(200)]
    middles = np.array([(each.left + each.side / 2, each.top + each.side / 2, each.side) for each in off])
    apart = np.abs(middles - (200, 150, 200))
    assert (apart.max(0) <= 21).all()
    assert (apart.max(0) > 18).all()


def test_a_restyled_person_fills_the_crop_as_a_drawing_does(monkeypatch):
    monkeypatch.setitem(STYLES, "oil", lambda rng, size: lambda picture: picture)
    found = photographs.restyled_person("oil", SIZE)
    identity = photographs.random_identity(np.random.default_rng((photographs.HELD_OUT, 11, 0)))
    plain = draw(identity, rest(), SIZE)
    assert len(found.picture) == SIZE / 0.8
    marks = found.crop.from_picture(found.anchors, SIZE)
    assert np.abs(marks - plain.landmarks[ANCHOR_COLUMNS] * SIZE).max() < 0.5
    assert not np.array_equal(photographs.restyled_person("ink", SIZE).picture, found.picture)


def test_of_crops_the_worst_is_least_inside_and_furthest_off():
    rows = [{"jaw inside mouth box": value, "anchors off, eye distances": value} for value in (0.2, 0.7, 0.6)]
    assert photographs.median_and_worst(rows) == {
        "jaw inside mouth box, median": 0.6,
        "jaw inside mouth box, worst": 0.2,
        "anchors off, eye distances, median": 0.6,
        "anchors off, eye distances, worst": 0.7,
    }


def test_the_sheet_shows_what_is_told():
    source = draw(PERSON, rest(), SIZE).picture
    pictures = dict(zip(faces_sheet.COLUMNS, faces_sheet.told_pictures(Painter(), source), strict=True))
    assert np.array_equal(pictures["rest"], source)
    for name, state in {
        "jaw 1": smiles.face({"jaw": 1}),
        "smile, shut": smiles.face({"smile": 0.9, "lid_left": 0.1, "lid_right": 0.1}),
        "gaze left": smiles.face({"gaze_x": -0.8}),
        "yaw -15": turns.turned(-15, "yaw"),
        "roll +15": turns.turned(15, "roll"),
    }.items():
        assert np.array_equal(pictures[name], draw(PERSON, state, SIZE).picture), name


def test_the_sheet_is_a_picture_of_all_faces(monkeypatch, tmp_path):
    faces = [("photograph", np.full((64, 64, 3), 40, np.uint8)), ("ink", np.full((64, 64, 3), 90, np.uint8))]
    monkeypatch.setattr(faces_sheet, "sources", lambda: iter(faces))
    faces_sheet.save_sheet(Copier(), tmp_path / "faces.png")
    sheet = np.array(Image.open(tmp_path / "faces.png"))
    cell = faces_sheet.CELL
    assert sheet.shape[1] > cell * len(faces_sheet.COLUMNS)
    assert 2 * cell < len(sheet) < 3 * cell
    assert [sheet[-cell * line - cell // 2, -cell // 2].tolist() for line in (1, 0)] == [[40] * 3, [90] * 3]


def test_sources_are_a_photograph_drawings_and_styles():
    names, pictures = zip(*faces_sheet.sources(), strict=True)
    assert names[:4] == ("photograph", "light skin", "medium skin", "dark skin")
    assert names[-len(STYLES) :] == tuple(STYLES)
    assert {picture.shape for picture in pictures} == {(256, 256, 3)}
