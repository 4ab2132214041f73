"""Pairs of frames, drawn or from prepared clips: one face, boxes of its parts, chance from the generator alone."""

import dataclasses
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("skia", exc_type=ImportError)

from floatcli.cli.app import run as cli
from floatcli.config import ANCHORS
from floatcli.errors import DeviceError, ExitCode, InputError, OutputError
from floatcli.media.frames import decoded_frames
from floatcli.train.drawn_data import (
    DrawnAnew,
    DrawnConfig,
    DrawnSet,
    DrawnSets,
    draw_set,
    draw_shard,
    draw_shards,
    drawn_sets,
)
from floatcli.train.draws import Draws, drawn
from floatcli.train.pairs import ANCHOR_COLUMNS, DrawnPairs, PreparedPairs
from floatcli.train.prepare import is_whole
from floatcli.train.prepare_clips import mp4
from floatcli.train.prepared_data import PreparedFrames, read_clip
from floatcli.train.shards import read_shard, write_shard
from tests.conftest import small_disk

ANEW = DrawnConfig(identities=0, size=64)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_drawn_anew_follows_from_the_generator_alone_and_never_repeats():
    sets = drawn_sets(ANEW)
    assert isinstance(sets, DrawnAnew)
    one, again, other = (sets.sample(rng(seed), 2, (0, 3)) for seed in (1, 1, 2))
    assert all(torch.equal(a.nan_to_num(9), b.nan_to_num(9)) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one.pictures, other.pictures)
    assert not torch.equal(one.pictures[0], one.pictures[1])
    assert one.landmarks.min() < 0  # in grid coordinates


def test_only_the_frames_asked_for_are_drawn_and_they_are_the_same():
    whole, some = draw_set(rng(), 48), draw_set(rng(), 48, (6, 2))
    assert all(np.array_equal(a[[6, 2]], b, equal_nan=True) for a, b in zip(whole, some, strict=True))


def test_restyling_is_as_frequent_as_in_shards(monkeypatch):
    restyled = []
    drawn = DrawnSet(*(np.zeros((1, 2, 2, 3), np.uint8),) * 5)
    monkeypatch.setattr("floatcli.train.drawn_data.draw_set", lambda *_: drawn)
    monkeypatch.setattr("floatcli.train.drawn_data.restyled", lambda given, _: restyled.append(1) or given)
    DrawnAnew(dataclasses.replace(ANEW, restyled=0)).sample(rng(), 300, (0,))
    assert not restyled
    DrawnAnew(dataclasses.replace(ANEW, restyled=2)).sample(rng(), 300, (0,))
    assert len(restyled) == pytest.approx(200, abs=30)


def test_without_limit_nothing_is_drawn_beforehand(tmp_path, capsys):
    folder = tmp_path / "none"
    draw_shards(dataclasses.replace(ANEW, folder=str(folder)), print)
    assert not folder.exists()
    (tmp_path / "a.toml").write_text(f"[autoencoder.drawn]\nidentities = 0\nfolder = '{folder}'")
    assert cli(["train", "draw", str(tmp_path / "a.toml")]) == ExitCode.OK
    assert "drawn while training" in capsys.readouterr().err


def test_a_damaged_shard_is_drawn_again(tmp_path):
    config = DrawnConfig(str(tmp_path), identities=2, shard=2, restyled=1, size=32)
    draw_shards(config, lambda line: None)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "0000.landmarks.npy").write_bytes(b"")
    (tmp_path / "0000-1.pictures.npy").write_bytes(before["0000-1.pictures.npy"][:-9])
    with pytest.raises(InputError, match="can't be read") as caught:
        DrawnSets(config)
    assert caught.value.hint.startswith(f"remove {tmp_path}/0000")
    draw_shards(config, lambda line: None)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_full_disk_and_a_file_in_place_of_the_folder_are_told(tmp_path):
    (tmp_path / "a").mkdir()
    config = DrawnConfig(str(tmp_path / "a"), identities=1, shard=1, restyled=0, size=32)
    with small_disk(2000), pytest.raises(OutputError, match=r"0000\.pictures\.npy can't be written: File too large"):
        draw_shard(config, 0)
    assert not list((tmp_path / "a").iterdir())
    (tmp_path / "b").touch()
    with pytest.raises(OutputError, match="b can't be used: File exists"):
        draw_shards(dataclasses.replace(config, folder=str(tmp_path / "b")), print)


@pytest.mark.parametrize("change", [{"identities": -1}, {"shard": 0}, {"restyled": -1}, {"size": 8}])
def test_drawings_that_cannot_be_meant(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} is .* not at least"):
        dataclasses.replace(ANEW, **change)


def test_workers_draw_the_same_in_the_same_order(tmp_path):
    config = DrawnConfig(str(tmp_path), identities=2, shard=2, restyled=0, size=32)
    draw_shards(config, lambda line: None)
    for sets in (DrawnSets(config), DrawnAnew(ANEW)):
        places = [(step, 0) for step in range(3, 7)]
        here, there = (list(drawn(Draws(DrawnPairs(sets, 2, 32), 5), iter(places), n)) for n in (0, 2))
        assert [seed for seed, _ in here] == [seed for seed, _ in there]
        assert all(torch.equal(a.driving, b.driving) for (_, (a,)), (_, (b,)) in zip(here, there, strict=True))
        assert len({float(pairs.driving.sum()) for _, (pairs,) in here}) == 4


def fails(rng):
    raise InputError("it is broken", "mend it")


def vanishes(rng):
    import os

    os._exit(9)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_drawing_says_comes_with_its_hint(workers):
    with pytest.raises(InputError, match=r"it is broken \(mend it\)"):
        next(drawn(Draws(fails, 0), iter([(0, 0)]), workers))


def test_a_worker_that_is_lost_is_told():
    with pytest.raises(DeviceError, match="a process that draws was lost"):
        next(drawn(Draws(vanishes, 0), iter([(0, 0)]), 1))


def test_shards_are_not_carried_to_workers_but_opened_there(tmp_path):
    config = DrawnConfig(str(tmp_path), identities=2, shard=2, restyled=0, size=64)
    draw_shards(config, lambda line: None)
    sets = DrawnSets(config)
    data = pickle.dumps(sets)
    assert len(data) < 2000
    assert torch.equal(pickle.loads(data).sample(rng(), 1, (0,)).pictures, sets.sample(rng(), 1, (0,)).pictures)


def test_drawn_pairs_are_two_states_of_one_face_with_boxes_in_the_second():
    (pairs,) = DrawnPairs(DrawnAnew(dataclasses.replace(ANEW, size=96, restyled=0)), 6, 64)(rng(3))
    assert pairs.source.shape == pairs.driving.shape == (6, 3, 64, 64)
    assert -1 <= pairs.source.min() < pairs.source.max() <= 1
    near = (pairs.source - pairs.driving).abs().mean((1, 2, 3))
    far = (pairs.source - pairs.driving.roll(1, 0)).abs().mean((1, 2, 3))
    assert (near < far).all()
    assert (near > 0).all()
    assert pairs.boxes.shape == (6, 3, 4)
    assert (pairs.boxes[..., 2:] > pairs.boxes[..., :2]).all()


def test_boxes_hold_the_anchors_of_the_driving_frame():
    sampled = []

    class Sets(DrawnAnew):
        def sample(self, *given):
            sampled.append(super().sample(*given))
            return sampled[-1]

    (pairs,) = DrawnPairs(Sets(ANEW), 5, 64)(rng(4))
    anchors = sampled[0].landmarks[:, 1, ANCHOR_COLUMNS]
    for part, names in enumerate((ANCHORS[:1], ANCHORS[1:2], ANCHORS[2:6])):
        points = anchors[:, [ANCHORS.index(name) for name in names]]
        assert (points > pairs.boxes[:, part, None, :2]).all()
        assert (points < pairs.boxes[:, part, None, 2:]).all()
    eyes = (anchors[:, 1] - anchors[:, 0]).norm(dim=-1)
    widths = pairs.boxes[:, 0, 2] - pairs.boxes[:, 0, 0]
    assert torch.allclose(widths / eyes, torch.full_like(eyes, 0.75), atol=1e-4)  # 0.3 of a face that is 2.5 eyes wide


SIZE, LENGTH = 64, 12


def level(number: int) -> int:
    """How bright frame ``number`` of a clip is."""
    return 20 + 18 * number


def box(number: int) -> list[float]:
    return [number, 8.0, number + 16.0, 24.0]


def clips(folder: Path) -> Path:
    """A folder as ``floatcli train prepare`` makes it: two clips whose every frame tells its number."""
    pictures = [np.full((SIZE, SIZE, 3), level(n), np.uint8) for n in range(LENGTH)]
    told = json.dumps({"boxes": [[box(n)] * 3 for n in range(LENGTH)]}).encode()
    sample = {"mp4": mp4(pictures, SIZE), "wav": b"", "json": told}
    folder.mkdir()
    write_shard(folder / "talk.tar", [("talk-0000", sample), ("talk-0001", sample)])
    rows = [{"key": f"talk-000{k}", "frames": LENGTH} for k in range(2)]
    (folder / "manifest.jsonl").write_text(json.dumps({"source": "talk", "shard": "talk.tar", "clips": rows}) + "\n")
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    return clips(tmp_path_factory.mktemp("prepared") / "data")


def test_single_frames_are_those_of_the_whole_clip(prepared):
    frames = PreparedFrames(prepared)
    assert (len(frames), frames.lengths) == (2, [LENGTH, LENGTH])
    pictures, boxes = frames.read(1, (7, 2))
    assert pictures.shape == (2, SIZE, SIZE, 3)
    assert pictures.mean((1, 2, 3)) == pytest.approx([level(7), level(2)], abs=3)
    assert np.array_equal(boxes[:, 0], [box(7), box(2)])


@pytest.mark.parametrize("told", [b"{}", b"garbage", b"[]", b'{"boxes": [1]}', b'{"boxes": "a"}'])
def test_a_damaged_clip_is_told(prepared, tmp_path, told):
    shutil.copytree(prepared, tmp_path / "data")
    (_, sample), *_ = read_shard(shard := tmp_path / "data" / "talk.tar")
    write_shard(shard, [("talk-0000", {**sample, "json": told})])
    with pytest.raises(InputError, match=r"talk-0000 is damaged.*prepare its video again"):
        PreparedFrames(shard.parent).read(0, (0, 1))
    with pytest.raises(InputError, match=r"talk-0000 is damaged.*prepare its video again"):
        read_clip("talk-0000", sample | {"json": told})


@pytest.mark.parametrize("lacks", ["source", "clips", "key"])
def test_a_damaged_row_of_a_manifest_is_told_and_made_again(tmp_path, lacks):
    row = {"source": "a.mp4", "shard": "a.tar", "bytes": 0, "status": "done", "clips": [{"key": "a", "frames": 9}]}
    (tmp_path / "a.tar").touch()
    assert is_whole(row, tmp_path)
    row.pop(lacks, None)
    if lacks == "key":
        row["clips"] = [{"frames": 9}]
    assert not is_whole(row, tmp_path)
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row))
    with pytest.raises(InputError, match=r"the row of .* is damaged"):
        PreparedFrames(tmp_path)


def test_a_clip_is_decoded_no_further_than_asked_for(prepared):
    from floatcli.train.shards import read_sample

    video = read_sample(prepared / "talk.tar", "talk-0001", "mp4")["mp4"]
    assert np.array_equal(decoded_frames(video, (11, 0, 11)), decoded_frames(video)[[11, 0, 11]])
    with pytest.raises(InputError, match="a clip can't be decoded"):
        decoded_frames(video, (0, LENGTH))


def test_prepared_pairs_are_two_frames_with_the_boxes_of_the_second(prepared):
    draw = PreparedPairs(PreparedFrames(prepared), 4, 32)
    (pairs,), (again,) = draw(rng(1)), draw(rng(1))
    assert pairs.source.shape == (4, 3, 32, 32)
    assert pairs.boxes.dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(pairs, again, strict=True))
    shown = ((pairs.driving.mean((1, 2, 3)) + 1) * 127.5 - 20) / 18
    assert torch.allclose(shown, (pairs.boxes[:, 0, 0] + 1) * SIZE / 2, atol=0.2)
    assert ((pairs.source - pairs.driving).abs().mean((1, 2, 3)) > 0.05).all()


@pytest.mark.parametrize("end", [12000, 20000, None])
def test_a_damaged_shard_is_one_clear_word(tmp_path, end):
    folder = clips(tmp_path / "data")
    data = (folder / "talk.tar").read_bytes()
    (folder / "talk.tar").write_bytes(b"no tar" * 300 if end is None else data[: len(data) - end])
    with pytest.raises(InputError, match=r"talk\.tar (can't be read|has no talk-0001).* \(remove it, and"):
        PreparedFrames(folder).read(1, (0, 1))


def test_a_folder_without_clips_is_told(tmp_path):
    with pytest.raises(InputError, match="no clips are in"):
        PreparedFrames(tmp_path)
