"""Folders of prepared clips that come from others: each is read, or refused in one line, and leads nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floatcli.errors import InputError
from floatcli.train.cache import _settings
from floatcli.train.prepare import MANIFEST, is_sound, stamp
from floatcli.train.prepared_data import prepared_videos
from floatcli.train.shards import write_shard
from tests.fuzz import seeds
from tests.fuzz.mutations import DEEP, ODD_VALUES, leaves, replaced, spoilt, spoilt_json
from tests.fuzz.readers import READERS
from tests.fuzz.worker import READ, TOLD

CLIP = {"key": "a-0000", "frames": 7, "start": 0.0, "end": 0.28, "crop": [0, 0, 32]}
ROW = {"source": "/a.mp4", "status": "done", "shard": "a.tar", "bytes": 9, "dropped": {"short": 1}, "clips": [CLIP]}
BOX = [[1.0, 2.0, 3.0, 4.0]] * 3


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    """A clip's."""
    video = seeds.videos(tmp_path_factory.mktemp("videos"))["a.mp4"]
    sound = seeds.ffmpeg("-f", "lavfi", "-i", "sine=duration=0.3:sample_rate=16000", "-f", "wav", "-")
    return {"mp4": video, "wav": sound}


def shard(folder: Path, files: dict[str, bytes], told: str) -> bytes:
    write_shard(folder / "a.tar", [("a-0000", files | {"json": told.encode()})])
    return (folder / "a.tar").read_bytes()


def row_of(folder: Path, row: object) -> Path:
    (folder / MANIFEST).write_text(json.dumps(row) + "\n")
    return folder / MANIFEST


@pytest.mark.parametrize("place", [place for place in leaves(ROW) if place], ids=str)
def test_rows_that_are_odd_in_one_place(tmp_path, place) -> None:
    for odd in ODD_VALUES:
        if (place, odd) == (("clips",), []):
            continue  # a video without clips
        with pytest.raises(InputError):  # there is no shard, if nothing else
            READERS["manifest"](row_of(tmp_path, replaced(ROW, place, odd)))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", ".hidden", "a/b", "a\0", "a\n", "é" * 200])
def test_shards_and_clips_stay_within_their_folder(tmp_path, name) -> None:
    for row in (ROW | {"shard": name}, ROW | {"clips": [CLIP | {"key": name}]}):
        assert not is_sound(row)
        with pytest.raises(InputError, match=r"the row of '/a.mp4' is damaged|no clips are in"):
            prepared_videos(row_of(tmp_path, row).parent)


@pytest.mark.parametrize("boxes", [[10**400], [[10**400] * 4], [1e308] * 7, [[[1e308] * 4] * 3] * 7, DEEP, [BOX] * 5])
def test_boxes_that_are_none(tmp_path, files, boxes) -> None:
    told = boxes if boxes == DEEP else json.dumps({"key": "a", "boxes": boxes})
    shard(tmp_path, files, told)
    with pytest.raises(InputError, match="a-0000 is damaged"):
        READERS["shard"](tmp_path / "a.tar")


def test_settings_that_are_no_text(tmp_path) -> None:
    (tmp_path / "settings.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputError, match="holds clips of other settings"):
        stamp(tmp_path, {"size": 32})
    with pytest.raises(InputError, match=r"settings\.json is damaged"):
        _settings(tmp_path / "settings.json")


@given(data=st.data())
def test_manifests(tried, data) -> None:
    assert tried("manifest", MANIFEST, data.draw(spoilt_json(ROW)).encode()).kind == TOLD


@given(data=st.data())
def test_shards(tried, files, tmp_path_factory, data) -> None:
    folder, frames = tmp_path_factory.getbasetemp(), len(range(7))
    sound = {"key": "a-0000", "source": "/a.mp4", "boxes": [BOX] * frames}
    content = shard(folder, files, data.draw(spoilt_json(sound)))
    tried("shard", "a.tar", data.draw(st.one_of(st.just(content), spoilt([shard(folder, files, json.dumps(sound))]))))


def test_what_is_sound_is_read(tried, files, tmp_path) -> None:
    sound = json.dumps({"key": "a-0000", "source": "/a.mp4", "boxes": [BOX] * 7})
    outcome = tried("shard", "a.tar", shard(tmp_path, files, sound))
    assert outcome.kind == READ, outcome
