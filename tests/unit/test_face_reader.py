"""What the embedded set's motion encoder sees, and where."""

import pytest
import torch

from floatcli.models.face_reader import PLACE_GAIN, AnchoredEncoder
from floatcli.models.float_model import FloatModel
from floatcli.models.patches import pixel_grid, to_picture
from tests.unit.test_anchored import CONFIG, FACE


def waves(places: torch.Tensor) -> torch.Tensor:
    """A smooth picture (1, 3, H, H) at places (H, H, 2)."""
    x, y = places.unbind(-1)
    return torch.stack([(2 * x).sin(), (2 * y).cos(), (x + y).sin()])[None]


@pytest.fixture(scope="module")
def encoder() -> AnchoredEncoder:
    torch.manual_seed(0)
    return AnchoredEncoder(CONFIG).eval().requires_grad_(False)


def test_a_face_looks_the_same_wherever_it_is_and_the_reader_is_told_where(encoder):
    moved = torch.tensor([[[0.9, -0.3, 0.1], [0.3, 0.9, -0.05]]])  # turned, smaller, aside
    there = to_picture(moved, FACE)
    grid = pixel_grid(64, FACE)
    inverse = torch.linalg.inv(torch.cat([moved[0], torch.tensor([[0.0, 0.0, 1.0]])]))[:2]
    seen, told = [], []
    encoder.reader.encoder.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    encoder.reader.placed.register_forward_hook(lambda module, given, out: told.append(given[0][0]))
    encoder(waves(grid), FACE)
    encoder(waves(to_picture(inverse[None], grid[None])[0]), there)
    assert torch.allclose(seen[0], seen[1], atol=0.05)
    eye_to_eye = there[0, 1] - there[0, 0]
    told = [each / PLACE_GAIN for each in told]
    assert torch.allclose(told[1][:2] / told[0][:1], eye_to_eye / 0.4, atol=1e-5)
    assert torch.allclose(told[1][2:], to_picture(moved, told[0][None, None, 2:])[0, 0], atol=1e-5)


def test_it_looks_no_closer_than_the_work_size(encoder):
    looked = []
    encoder.landmarks.register_forward_pre_hook(lambda module, given: looked.append(given[0].shape))
    encoder(torch.zeros(1, 3, 128, 128))
    encoder(torch.zeros(2, 3, 32, 32))
    assert looked == [(1, 3, 64, 64), (2, 3, 32, 32)]


def test_a_portrait_is_read_at_anchors_that_are_told_else_at_those_found():
    torch.manual_seed(0)
    model = FloatModel(CONFIG).eval().requires_grad_(False)
    picture = waves(pixel_grid(64, FACE))
    found = model.motion_encoder.landmarks(picture)
    own = model.basis.coefficients(model.encode(picture).ref_motion)
    assert torch.allclose(own, model.coefficients(picture), atol=1e-5)
    assert torch.allclose(own, model.basis.coefficients(model.encode(picture, found).ref_motion), atol=1e-5)
    assert not torch.allclose(own, model.basis.coefficients(model.encode(picture, FACE).ref_motion), atol=1e-3)
