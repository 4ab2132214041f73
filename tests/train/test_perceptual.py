"""Perceptual losses: what they compare, where they look, and who stands in for VGG-19."""

import copy
import sys

import pytest
import torch

from floatcli.errors import InputError
from floatcli.models.motion_encoder import MotionEncoder
from floatcli.train.perceptual import (
    EncoderMaps,
    Perceptual,
    box_mask,
    choose_perceptual,
    component_loss,
    perceptual_loss,
    vgg19,
)
from tests.conftest import TINY

LEFT_HALF = torch.tensor([[[-1.0, -1.0, 0.0, 1.0]]])


def test_masks_are_the_shares_of_pixels_within_boxes():
    boxes = torch.tensor([[[-0.75, -1.0, 0.0, 0.0], [0.5, 0.5, 1.5, 1.0]]])
    expected = [[0.5, 1, 0, 0], [0.5, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1.0]]
    assert torch.equal(box_mask(boxes, 4, 4), torch.tensor(expected)[None, None])
    assert not box_mask(torch.tensor([[[0.5, 0.5, 0.2, 0.2]]]), 4, 4).any()  # turned inside out: empty


def test_components_are_compared_within_their_boxes_alone():
    truth = torch.rand(1, 3, 8, 8)
    made = truth.clone().requires_grad_()
    component_loss([made + 0.5], [truth], LEFT_HALF).backward()
    assert (made.grad[..., :4] > 0).all()
    assert not made.grad[..., 4:].any()
    beside = truth.clone()
    beside[..., 4:] += 1
    assert component_loss([beside], [truth], LEFT_HALF) == 0
    assert perceptual_loss([beside], [truth]) == pytest.approx(0.5)
    assert component_loss([truth + 1], [truth], LEFT_HALF) == pytest.approx(0.5)


def test_every_resolution_counts_alike():
    fine, coarse = torch.zeros(1, 2, 16, 16), torch.zeros(1, 9, 2, 2)
    assert perceptual_loss([fine + 1, coarse], [fine, coarse]) == pytest.approx(0.5)
    assert perceptual_loss([fine, coarse + 1], [fine, coarse]) == pytest.approx(0.5)


def test_the_network_is_neither_learnt_nor_copied_but_passes_gradients():
    perceptual = Perceptual(EncoderMaps(MotionEncoder(TINY)))
    part = torch.nn.Linear(1, 1)
    part.perceptual = perceptual
    assert len(list(part.parameters())) == 2
    assert copy.deepcopy(part).perceptual is perceptual
    pictures = torch.rand(2, 3, 64, 64, requires_grad=True)
    maps = perceptual(pictures)
    assert [m.shape[-1] for m in maps] == [64, 32, 16, 8]
    sum(m.sum() for m in maps).backward()
    assert pictures.grad.abs().sum() > 0


def test_maps_of_an_encoder_are_of_size_one_whatever_its_weights():
    encoder = MotionEncoder(TINY)
    for scale in (1, 100):
        encoder.stem.weight.data *= scale
        for map_ in EncoderMaps(encoder)(torch.rand(1, 3, 64, 64) * 2 - 1):
            assert map_.square().mean().item() == pytest.approx(1, abs=0.05)


def test_torchvision_that_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(InputError, match=r"torchvision is not installed \(pip install 'floatcli\[vgg\]'"):
        vgg19(print)


def fake_torchvision(monkeypatch):
    """A module in torchvision's place: as many layers as VGG-19, and as few channels as can be."""
    from types import ModuleType, SimpleNamespace

    def build(weights):
        convs, layers, c_in = (2, 2, 4, 4, 4), [], 3
        for count in convs:
            for _ in range(count):
                layers += [torch.nn.Conv2d(c_in, 4, 3, padding=1), torch.nn.ReLU(inplace=True)]
                c_in = 4
            layers.append(torch.nn.MaxPool2d(2))
        return SimpleNamespace(features=torch.nn.Sequential(*layers))

    module = ModuleType("torchvision.models")
    module.vgg19 = build
    module.VGG19_Weights = SimpleNamespace(
        IMAGENET1K_V1=SimpleNamespace(url="https://there.is/none/vgg19-dcbb9e9d.pth")
    )
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", module)


def test_weights_of_vgg19_that_cannot_be_had_are_told(monkeypatch):
    fake_torchvision(monkeypatch)
    with pytest.raises(InputError, match=r"vgg19-dcbb9e9d\.pth can't be fetched"):
        vgg19(print)


def test_vgg19_is_read_after_the_first_convolution_of_every_resolution(monkeypatch, tmp_path):
    fake_torchvision(monkeypatch)
    monkeypatch.setattr("floatcli.train.perceptual.network_file", lambda url, notice: tmp_path)
    maps = vgg19(print)(torch.rand(1, 3, 64, 64) * 2 - 1)
    assert [m.shape[-1] for m in maps] == [64, 32, 16, 8, 4]
    assert all((m >= 0).all() for m in maps)  # as activations are


def test_vgg19_where_it_is_there_and_drawings_where_they_are_asked_for(monkeypatch):
    found, learnt, lines = Perceptual(torch.nn.Identity()), MotionEncoder(TINY), list[str]()
    monkeypatch.setattr("floatcli.train.perceptual.vgg19", lambda notice: found)
    assert choose_perceptual("auto", "pictures", lambda: pytest.fail("nobody needs it"), lines.append) is found
    assert choose_perceptual("vgg19", "eyes", lambda: pytest.fail("nobody needs it"), lines.append) is found
    assert choose_perceptual("drawn", "mouths", lambda: learnt, lines.append) is not found
    assert lines[:2] == ["pictures are compared by VGG-19", "eyes are compared by VGG-19"]
    assert lines[2].startswith("mouths are compared by an encoder that learns from drawings, not by VGG-19: 'drawn' is")


def test_without_vgg19_drawings_teach_who_compares_unless_it_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    lines: list[str] = []
    assert isinstance(choose_perceptual("auto", "pictures", lambda: MotionEncoder(TINY), lines.append), Perceptual)
    assert "learns from drawings, not by VGG-19: torchvision is not installed" in lines[0]
    with pytest.raises(InputError, match="torchvision is not installed"):
        choose_perceptual("vgg19", "pictures", lambda: pytest.fail("it is not wanted"), lines.append)
