"""Files spoilt at random: each is read, or refused in one line; nothing hangs, and nothing takes much memory."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floatcli.config import ModelConfig, SampleConfig
from floatcli.motion import FileSource, Making, Motion
from tests.conftest import TINY
from tests.fuzz import seeds
from tests.fuzz.mutations import (
    DEEP,
    DTYPES,
    ODD_TEXT,
    leaf,
    leaves,
    replaced,
    safetensors,
    spoilt,
    spoilt_json,
    spoilt_safetensors,
    spoilt_text,
    spoilt_values,
    with_text,
)  # fmt: skip
from tests.fuzz.seeds import Files

SLOW = settings(max_examples=settings.default.max_examples // 2)  # of what ffmpeg reads, in a process a file
MANY = settings(max_examples=settings.default.max_examples * 3)


@pytest.fixture(scope="module")
def pictures() -> Files:
    return seeds.pictures()


@pytest.fixture(scope="module")
def recordings() -> Files:
    return seeds.recordings()


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Files:
    return seeds.videos(tmp_path_factory.mktemp("videos"))


@MANY
@given(data=st.data())
def test_pictures(tried, pictures, data) -> None:
    name = data.draw(st.sampled_from(sorted(pictures)))
    tried("picture", f"a{Path(name).suffix}", data.draw(spoilt([pictures[name]])))


@SLOW
@given(data=st.data())
def test_recordings(tried, recordings, data) -> None:
    name = data.draw(st.sampled_from(sorted(recordings)))
    tried("speech", name, data.draw(spoilt([recordings[name]])))


@SLOW
@given(data=st.data())
def test_videos_as_speech_and_as_videos(tried, videos, data) -> None:
    name = data.draw(st.sampled_from(sorted(videos)))
    content = data.draw(spoilt([videos[name]]))
    tried("speech", name, content)
    tried("video", name, content)


@pytest.fixture(scope="module")
def motion(tmp_path_factory) -> Files:
    making = Making(
        weights=FileSource("/w", "a"), model="tiny", fps=25, emotions=("happy", "sad"), coefficient_names=(),
        basis_size=4, window=50, face=FileSource("/f", "b"), speech=None, crop=(0.0, 0.0, 64.0, 0.0),
        sample=SampleConfig(), edits=("basis 1 freeze",), emotion="happy",
    )  # fmt: skip
    arrays = np.zeros((5, 8), np.float32), np.array([[0.5, 0.5]], np.float32), np.zeros((32, 32, 3), np.uint8)
    path = Motion(*arrays, np.zeros((7, 2), np.float32), making).save(tmp_path_factory.mktemp("motion") / "a")
    return Files({"motion": path.read_bytes()})


MAKING = {
    "weights": {"path": "/w", "digest": "a"}, "model": "tiny", "fps": 25, "emotions": ["happy", "sad"],
    "coefficient_names": [], "basis_size": 4, "window": 50, "face": None, "speech": {"path": "/s", "digest": "b"},
    "crop": [0.0, 0.0, 64.0, 0.0], "sample": dataclasses.asdict(SampleConfig()), "edits": ["basis 1 freeze"],
    "video": None, "emotion": "happy", "posed": False,
}  # fmt: skip


@MANY
@given(data=st.data())
def test_motions(tried, motion, data) -> None:
    texts = {"floatcli.making": spoilt_json(MAKING), "floatcli.motion": st.sampled_from(ODD_TEXT)}
    content = data.draw(st.one_of(spoilt_safetensors(motion["motion"], texts), spoilt([motion["motion"]])))
    tried("motion", "a.motion.safetensors", content)
    tried("making", "a.motion.safetensors", content)


@pytest.mark.parametrize("kind", DTYPES, ids=str)
def test_motions_of_every_type_of_number(tried, motion, kind) -> None:
    size = int.from_bytes(motion["motion"][:8], "little")
    header, rest = json.loads(motion["motion"][8 : 8 + size]), motion["motion"][8 + size :]
    for name in ("latents", "anchors", "portrait"):
        start, end = header[name]["data_offsets"]
        for width in (1, 2, 4, 8):  # bytes of a number: one of them fits what is there
            told = {"dtype": kind, "shape": [(end - start) // width], "data_offsets": [start, end]}
            tried("motion", "a.motion.safetensors", safetensors(header | {name: told}, rest))


@pytest.mark.parametrize(("reader", "name"), [("motion", "a.motion.safetensors"), ("weights", "a.safetensors")])
@pytest.mark.parametrize("names", [60_000, 1_000_000])
def test_headers_of_very_many_names(tried, reader, name, names) -> None:
    """Nearly as large as is taken, and far larger."""
    header = {f"k{k}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for k in range(names)}
    header = {"__metadata__": {"floatcli.motion": "1", "floatcli.making": json.dumps(MAKING)}} | header
    outcome = tried(reader, name, safetensors(header, b""))
    assert ("its header has" in outcome.text) == (names > 60_000)


@given(content=spoilt_text([seeds.TRACK], ",\n"))
def test_emotion_tracks(tried, content) -> None:
    tried("track", "a.csv", content)


@given(content=spoilt_text([seeds.POSE], ",\n"))
def test_pose_tracks(tried, content) -> None:
    tried("pose", "a.csv", content)


@given(content=spoilt_text([seeds.CURVE], ",:\n"))
def test_curves(tried, content) -> None:
    tried("curve", "a.csv", content)


@given(content=spoilt_text(seeds.TYPED, ",:="))
def test_curves_that_are_typed(tried, content) -> None:
    tried("typed_curve", "a", content)


@MANY
@given(content=spoilt_text([seeds.JOBS_CSV], ",\n"))
def test_lists_as_tables(tried, content) -> None:
    tried("jobs", "a.csv", content)


@MANY
@given(data=st.data())
def test_lists_as_lines_of_json(tried, data) -> None:
    row = json.loads(seeds.JOBS_JSONL.splitlines()[0])
    lines = st.lists(spoilt_json(row).map(str.encode), min_size=1, max_size=3).map(b"\n".join)
    tried("jobs", "a.jsonl", data.draw(st.one_of(lines, spoilt_text([seeds.JOBS_JSONL], ",:\n"))))


@given(data=st.data())
def test_results_of_a_batch(tried, data) -> None:
    odd = st.sampled_from([DEEP, '{"a":' * 50_000, "9" * 5000]).map(str.encode)
    tried("rows", "results.jsonl", data.draw(st.one_of(odd, spoilt_text([seeds.ROWS], ",:\n"))))


@MANY
@given(data=st.data())
def test_weights(tried, tiny_weights, data) -> None:
    texts = {
        "floatcli.config": spoilt_json(json.loads(TINY.to_json())), "floatcli.version": st.sampled_from(ODD_TEXT),
    }  # fmt: skip
    content = tiny_weights.read_bytes()
    tried("weights", "a.safetensors", data.draw(st.one_of(spoilt_safetensors(content, texts), spoilt([content]))))


@pytest.mark.parametrize("odd", [0, 2000, 10**6], ids=str)
def test_weights_whose_sizes_lie_one_by_one(tried, tiny_weights, odd) -> None:
    config = json.loads(TINY.to_json())
    whole = [place for place in leaves(config) if type(leaf(config, place)) is int]
    assert len(whole) > 80
    content = tiny_weights.read_bytes()
    for place in whole:
        text = json.dumps(replaced(config, place, odd))
        tried("weights", "a.safetensors", with_text(content, "floatcli.config", text))


@given(data=st.data())
def test_weights_as_pytorch_writes_them(tried, pickled, data) -> None:
    tried("weights", "a.pth", data.draw(spoilt(list(pickled.values()))))


@pytest.fixture(scope="module")
def pickled(tmp_path_factory) -> Files:
    import torch

    made, folder = Files(), tmp_path_factory.mktemp("pickled")
    for zipped in (True, False):
        torch.save({"a": torch.zeros(3), "b": torch.ones(2)}, folder / "a.pth", _use_new_zipfile_serialization=zipped)
        made["new" if zipped else "old"] = (folder / "a.pth").read_bytes()
    return made


@MANY
@given(data=st.data())
def test_settings_of_a_training(tried, data) -> None:
    text = Path(__file__).parents[2].joinpath("examples/tiny.toml").read_text()
    content = spoilt_text([text], "=\n[,")
    config = {"model": json.loads(ModelConfig().to_json()), "flow": {}, "autoencoder": {}}
    tried("settings", "a.toml", data.draw(st.one_of(content, spoilt_values(config).map(_toml))))


def _toml(values: object) -> bytes:
    """TOML of plain values, as far as there is any."""
    if not isinstance(values, dict):
        return f"model = {json.dumps(values)}".encode()
    return "\n".join(f"{json.dumps(name)} = {_inline(value)}" for name, value in values.items()).encode()


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_inline(below)}" for name, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")
