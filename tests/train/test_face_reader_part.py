"""How faces vary that the motion encoder of the embedded set learns from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("skia", exc_type=ImportError)

from floatcli.errors import InputError
from floatcli.models.float_model import FloatModel
from floatcli.train import face_reader_part
from floatcli.train.drawn import LANDMARKS, place_landmarks, random_identity
from floatcli.train.drawn.pose import Framing
from floatcli.train.drawn_data import ANCHOR_COLUMNS, Batch
from floatcli.train.face_reader_part import FaceReaderPart, mirrored, relit
from floatcli.train.frozen import frozen_model
from floatcli.train.loop import Run
from floatcli.train.loop_config import LoopConfig
from floatcli.train.parameters import INDEX, MIRROR_SIGN, MIRRORED
from tests.unit.test_anchored import CONFIG, FACE


class Chance:
    """Whose first set is chosen, and the second not."""

    def random(self, count: int) -> np.ndarray:
        return np.arange(count) % 2.0


@pytest.fixture
def batch() -> Batch:
    """Two sets of two pictures of noise, with a face in each."""
    rng = np.random.default_rng(0)
    pictures = torch.from_numpy(rng.integers(0, 256, (2, 2, 64, 64, 3), np.uint8))
    landmarks = torch.zeros(2, 2, len(LANDMARKS), 2)
    landmarks[:, :, ANCHOR_COLUMNS] = FACE + torch.tensor([0.05, 0.0])
    landmarks[:, :, ANCHOR_COLUMNS[1], 1] += 0.1  # tilted
    parameters = torch.from_numpy(rng.standard_normal((2, 2, 20)).astype(np.float32))
    return Batch(pictures, torch.zeros(2, 2, 32, 32), landmarks, torch.zeros(2, 2, 8, 8, 2), parameters)


def test_a_face_in_a_mirror_is_that_of_a_mirrored_picture(batch, monkeypatch):
    monkeypatch.setattr(face_reader_part, "jitter", lambda anchors, rng: anchors)
    part, rng = FaceReaderPart(CONFIG), np.random.default_rng(0)
    landmarks = batch.landmarks * torch.tensor([-1.0, 1.0])
    left, right = ([ANCHOR_COLUMNS[k] for k in pair] for pair in ((0, 2), (1, 3)))
    landmarks[:, :, left], landmarks[:, :, right] = landmarks[:, :, right], landmarks[:, :, left].clone()
    turned = batch._replace(pictures=batch.pictures.flip(3), landmarks=landmarks)
    made, plain, wanted = mirrored(part.faces(batch, rng), Chance()), part.faces(batch, rng), part.faces(turned, rng)
    for part_of, whole, other in zip(made[:2], plain[:2], wanted[:2], strict=True):
        assert torch.allclose(part_of[:2], other[:2], atol=1e-4)
        assert torch.equal(part_of[2:], whole[2:])
    assert torch.equal(made.coeffs[1], plain.coeffs[1])
    assert torch.equal(made.coeffs[0], plain.coeffs[0][:, MIRRORED] * torch.from_numpy(MIRROR_SIGN))


def test_parameters_of_a_mirror_image_are_the_renderers():
    """A face of its own mirror image in shape shows that in its landmarks; hair and skin do not count."""
    rng = np.random.default_rng(3)
    identity = replace(random_identity(rng), framing=Framing(0.8, 0.5, 0.5))
    told = rng.uniform(0.5, 1, 20).astype(np.float32)
    here, there = (place_landmarks(identity, row) for row in (told, told[MIRRORED] * MIRROR_SIGN))
    mirrored_names = [name for name in LANDMARKS if not name.startswith(("hair_", "neck_", "corner_", "edge_"))]
    for name in mirrored_names:
        other = name.replace("left", "#").replace("right", "left").replace("#", "right")
        x, y = here[LANDMARKS.index(name)]
        assert np.allclose((1 - x, y), there[LANDMARKS.index(other)], atol=1e-4), name


def test_a_mirror_image_of_a_mirror_image_is_the_face():
    coeffs = np.arange(20, dtype=np.float32)
    assert np.array_equal((coeffs[MIRRORED] * MIRROR_SIGN)[MIRRORED] * MIRROR_SIGN, coeffs)
    assert MIRRORED[INDEX["lid_left"]] == INDEX["lid_right"]
    assert MIRRORED[INDEX["jaw"]] == INDEX["jaw"]


def test_light_is_that_of_a_set_and_changes_nothing_else(batch):
    seen = FaceReaderPart(CONFIG).faces(batch, np.random.default_rng(0))
    dull = seen._replace(faces=seen.faces * 0.1)
    lit = relit(dull, np.random.default_rng(1))
    gain = (lit.faces[:, :, 0, 0] - lit.faces[:, :, 9, 9]) / (dull.faces[:, :, 0, 0] - dull.faces[:, :, 9, 9])
    assert torch.allclose(gain[0], gain[1], atol=1e-2)
    assert torch.allclose(gain[2], gain[3], atol=1e-2)
    assert not torch.allclose(gain[0], gain[2], atol=1e-2)
    assert torch.equal(lit.coeffs, seen.coeffs)
    assert torch.equal(lit.frames, seen.frames)
    assert relit(seen, np.random.default_rng(1)).faces.abs().max() <= 1


def test_what_a_run_has_read_goes_with_landmarks_of_the_weights_that_it_began_with(tmp_path):
    run = Run("encoder", FaceReaderPart(CONFIG), LoopConfig(), tmp_path)
    assert not run.average.training  # of what it is shown, it leaves nothing out
    run.save()
    with pytest.raises(InputError, match="has no checkpoint of landmarks"):
        frozen_model(CONFIG, tmp_path, None)
    init = FloatModel(CONFIG)
    encoder = frozen_model(CONFIG, tmp_path, init).motion_encoder
    assert torch.equal(encoder.reader.seen.weight, run.average.reader.seen.weight)
    assert torch.equal(encoder.landmarks.whole.heat.weight, init.motion_encoder.landmarks.whole.heat.weight)
