"""The paper's columns by scripted networks whose right answer is known."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from floatcli.errors import UsageError, WeightsError
from floatcli.evaluate.following import follow
from floatcli.evaluate.networks import FeatureNetwork, to_pictures
from floatcli.evaluate.paper import Clip, Distances, Judges, align_faces
from floatcli.evaluate.settings import NETWORKS, parse_networks
from floatcli.evaluate.syncnet import REACH, judge_clip, lip_sync_errors, lower_face, mfcc
from tests.evaluate.conftest import BOXES, SIZE, painted, sound_of, syllables

CPU = torch.device("cpu")


class MeanColour(nn.Module):
    """Pictures, or videos, to their mean RGB."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(2)


class HalfTurns(nn.Module):
    """Pictures to their mean colour, as expression, and to its first channel, as pose."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = x.flatten(2).mean(2)
        return mean, mean[:, :1]


class Energy(nn.Module):
    """Windows of frames to their brightness, tenfold in ``lit``, and of sound to its energy, frame by frame (B, 5)."""

    def forward(self, frames: Tensor, cepstra: Tensor) -> tuple[Tensor, Tensor]:
        shown = frames[:, :, :, :100].mean(dim=(1, 3, 4)) / 10  # above what is grey
        return shown - 18, cepstra[:, 0, 0].unflatten(1, (5, 4)).mean(2) - 18


class Nothing(nn.Module):
    """Divides by zero."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(2) / 0


class Pair(nn.Module):
    """Takes two pictures."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a + b).flatten(1)


def saved(network: nn.Module, path: Path) -> Path:
    torch.jit.script(network).save(str(path))
    return path


def judges(tmp_path: Path, **networks: nn.Module) -> Judges:
    return Judges({name: saved(each, tmp_path / f"{name}.pt") for name, each in networks.items()}, CPU)


def flat(colours: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Frames (F, size, size, 3) uint8 of one colour each, of colours (F, 3)."""
    return np.broadcast_to(colours[:, None, None], (len(colours), size, size, 3)).astype(np.uint8)


def distances(judges: Judges, true: np.ndarray, made: np.ndarray) -> dict[str, float | None]:
    """Of true and made frames."""
    both = Distances(judges)
    both.add(true, true=True)
    both.add(made, true=False)
    return both.figures()


def test_fid_and_fvd_are_distances_of_what_the_networks_see(tmp_path: Path):
    given = judges(tmp_path, inception=MeanColour(), i3d=MeanColour())
    colours = np.random.default_rng(0).integers(60, 140, (50, 3))
    figures = distances(given, flat(colours), flat(colours + 10))
    assert figures["FID"] == pytest.approx(300, rel=1e-4)  # 10 more in each of three channels, and no other spread
    assert figures["FVD"] == pytest.approx(300, rel=1e-4)
    assert (figures["E-FID"], figures["P-FID"]) == (None, None)


def test_expression_and_pose_are_told_apart(tmp_path: Path):
    given = judges(tmp_path, face3d=HalfTurns())
    colours = np.random.default_rng(0).integers(60, 140, (30, 3))
    figures = distances(given, flat(colours), flat(colours + np.array([0, 20, 0])))
    assert figures["E-FID"] == pytest.approx(400, rel=1e-4)
    assert figures["P-FID"] == pytest.approx(0, abs=1e-3)
    assert (figures["FID"], figures["FVD"]) == (None, None)


def test_csim_is_the_cosine_with_the_portrait(tmp_path: Path):
    given = judges(tmp_path, arcface=MeanColour())
    source = flat(np.array([[200, 0, 0]]))[0]
    frames = flat(np.array([[100, 0, 0], [0, 100, 0], [100, 100, 0]]))
    assert given.csim(frames, source, BOXES) == pytest.approx((1 + 0 + np.sqrt(0.5)) / 3, abs=1e-3)


def test_without_networks_the_columns_are_blank():
    frames = np.stack([painted(0)] * 20)
    figures = Judges({}, CPU).clip_figures(Clip(frames, np.zeros(20 * 640), frames[0], BOXES))
    assert figures == {"CSIM": None, "LSE-D": None, "LSE-C": None}
    assert set(distances(Judges({}, CPU), frames, frames).values()) == {None}


def test_a_window_of_video_takes_sixteen_frames(tmp_path: Path):
    """Two windows and two frames over have a distance; one window has none."""
    colours = np.random.default_rng(0).integers(60, 140, (34, 3))
    given = judges(tmp_path, i3d=MeanColour())
    assert distances(given, flat(colours), flat(colours))["FVD"] is not None
    assert distances(given, flat(colours[:31]), flat(colours))["FVD"] is None


def lit(energy: np.ndarray) -> np.ndarray:
    """Frames whose brightness is an energy (F,), as the network ``Energy`` takes it."""
    return flat(np.repeat(energy[:, None] * 10, 3, 1), 80)


@pytest.mark.parametrize("late", [-6, 0, 4])
def test_syncnet_finds_frames_that_come_late(late: int, tmp_path: Path):
    network = FeatureNetwork("syncnet", saved(Energy(), tmp_path / "s.pt"), CPU)
    audio = sound_of(0.1 + 0.9 * syllables(90))
    energy = np.pad(mfcc(audio)[:, 0].numpy(), (0, 2), mode="edge").reshape(90, 4).mean(1)
    errors = judge_clip(network, lit(np.roll(energy, late)), audio)
    assert errors.offset == late
    assert errors.confidence > 3 * errors.distance


def test_lse_is_what_its_definition_says():
    spoken = np.random.default_rng(0).standard_normal((60, 8)) * 10
    visual = np.roll(spoken, 2, 0) + 1 / np.sqrt(8)  # a distance of 1 where it fits
    visual[:2] = spoken[0] + 100
    errors = lip_sync_errors(visual, spoken)
    padded = np.pad(spoken, ((REACH, REACH), (0, 0)))
    means = [np.linalg.norm(visual - padded[k : k + 60], axis=1).mean() for k in range(31)]
    assert errors.offset == 2
    assert errors.distance == pytest.approx(min(means))
    assert errors.confidence == pytest.approx(np.median(means) - min(means))


def test_too_short_a_clip_has_no_lse(tmp_path: Path):
    network = FeatureNetwork("syncnet", saved(Energy(), tmp_path / "s.pt"), CPU)
    assert judge_clip(network, np.zeros((5, 64, 64, 3), np.uint8), np.zeros(5 * 640)) is None
    assert judge_clip(network, np.zeros((6, 64, 64, 3), np.uint8), np.zeros(6 * 640)) is not None


def test_cepstra_are_those_that_syncnet_learnt():
    """Against python_speech_features' formulas: rectangular windows, 26 triangles, lifter 22, energy first."""
    audio = np.random.default_rng(0).standard_normal(16000) * 0.1
    samples = np.append(audio[0], audio[1:] - 0.97 * audio[:-1]) * 32768
    windows = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160]
    power = np.abs(np.fft.rfft(windows, 512)) ** 2 / 512
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(512, 1 / 16000) / 700)
    edges = np.linspace(0, mel[-1], 28)
    rise = (mel - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - mel) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.log(power @ np.minimum(rise, fall).clip(min=0).T)
    n, k = np.arange(26), np.arange(13)[:, None]
    dct = np.sqrt(2 / 26) * np.cos(np.pi * k * (2 * n + 1) / 52)
    expected = filters @ dct.T * (1 + 11 * np.sin(np.pi * np.arange(13) / 22))
    expected[:, 0] = np.log(power.sum(1))
    rows = mfcc(audio).numpy()
    assert rows.shape == (98, 13)
    assert np.abs(rows - expected).mean(0).max() < 0.05
    assert all(np.corrcoef(rows[:, c], expected[:, c])[0, 1] > 0.99 for c in range(13))


def test_syncnet_sees_the_lower_face_and_grey_below_the_picture():
    picture = np.zeros((160, 160, 3), np.uint8)
    picture[50:60, 75:85] = 255
    seen = lower_face(picture[None])
    assert seen.shape == (1, 3, 224, 224)
    assert (seen[0, :, -4:] == 110).all()
    y, x = np.argwhere(seen[0, 0, :200].numpy() > 200).mean(0)
    np.testing.assert_allclose([x, y], [(80 - 10) * 224 / 140, (55 - 30) * 224 / 140], atol=1.5)


def test_networks_see_as_many_pictures_as_there_are_at_the_size_they_take():
    pictures = to_pictures(flat(np.array([[10, 20, 30]] * 9)), 299)
    assert pictures.shape == (9, 3, 299, 299)
    np.testing.assert_allclose(pictures[:, :, 100, 100], [[10, 20, 30]] * 9)


BAD = [
    ("inception", Nothing(), "it makes numbers that are not finite"),
    ("inception", Pair(), "is no network for inception"),
    ("face3d", MeanColour(), r"of 2 inputs it makes \[\(2, 3\)\]"),
    ("inception", HalfTurns(), r"of 2 inputs it makes \[\(2, 3\), \(2, 1\)\]"),
    ("inception", nn.Identity(), r"of 2 inputs it makes \[\(2, 3, 299, 299\)\]"),
]


@pytest.mark.parametrize(("name", "network", "said"), BAD)
def test_a_network_of_another_interface_is_told(name: str, network: nn.Module, said: str, tmp_path: Path):
    path = saved(network, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=said) as told:
        FeatureNetwork(name, path, CPU)
    assert "\n" not in told.value.message
    assert re.match(r"it is to take float32 \(B, 3, \d+, \d+\) to \d of \(B, any\)", told.value.hint)


def test_a_file_that_is_no_torchscript_is_told(tmp_path: Path):
    (tmp_path / "notes.pt").write_text("no network")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "state.pt")
    for name in ("notes.pt", "state.pt"):
        with pytest.raises(WeightsError, match=f"{name} is no TorchScript network"):
            FeatureNetwork("i3d", tmp_path / name, CPU)


def test_networks_are_given_by_name(tmp_path: Path):
    (tmp_path / "a=b.pt").touch()
    assert parse_networks([f"i3d={tmp_path}/a=b.pt"]) == {"i3d": tmp_path / "a=b.pt"}
    for text in ("ears=a.pt", "i3d", "i3d="):
        with pytest.raises(UsageError, match="is not understood"):
            parse_networks([text])
    with pytest.raises(UsageError, match="two files"):
        parse_networks([f"i3d={tmp_path}/a=b.pt"] * 2)
    for gone in ("no.pt", ""):
        with pytest.raises(WeightsError, match="is not there"):
            parse_networks([f"i3d={tmp_path}/{gone}"])


def test_every_column_of_the_paper_has_a_network():
    from floatcli.evaluate.settings import PAPER

    assert sorted(PAPER) == sorted(column for network in NETWORKS.values() for column in network.columns)


def test_csim_looks_where_the_face_has_gone(tmp_path: Path):
    """A face that moves before an even ground looks the same to the network, wherever it is."""
    given = judges(tmp_path, arcface=MeanColour())
    face = painted(0.3)
    moved = np.stack([np.roll(face, shift, 1) for shift in range(0, 10, 2)])
    pixels = align_pixels(moved)
    assert np.abs(pixels[1:].astype(int) - pixels[0])[:, 40:100, 30:82].mean() < 4
    assert np.abs(moved[1:].astype(int) - moved[0])[:, 20:56, 16:48].mean() > 8
    assert given.csim(moved, face, BOXES) == pytest.approx(1, abs=1e-3)


def align_pixels(frames: np.ndarray) -> np.ndarray:
    """Frames as ArcFace sees them."""
    return align_faces(frames, follow(frames, BOXES))
