"""Texts that would take minutes or gigabytes are refused, and what is told of them is short."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import pytest

from floatcli.batch import lists
from floatcli.batch.lists import read_jobs
from floatcli.checkpoint.published import _folder_settings
from floatcli.checkpoint.store import find_weights
from floatcli.checks import LARGEST_TEXT
from floatcli.cli.orders import read_curve
from floatcli.config import EMOTIONS
from floatcli.errors import FloatCliError, InputError, WeightsError
from floatcli.motion import Motion
from floatcli.poses import read_pose
from floatcli.rows import read_rows
from floatcli.tracks import read_track
from floatcli.train.cached_data import INDEX, read_index
from floatcli.train.initial import RECORD, _remembered
from floatcli.train.record import RESOLVED, _before, recorded
from floatcli.train.settings import load_settings
from tests.fuzz.worker import TOLD

READERS: dict[str, Callable[[Path], object]] = {
    "a.track.csv": lambda path: read_track(path, EMOTIONS), "a.pose.csv": read_pose, "a.toml": load_settings,
    "a.curve.csv": lambda path: read_curve(str(path)), "a.csv": lambda path: read_jobs(path, path.parent),
    "a.jsonl": lambda path: read_jobs(path, path.parent), "a.motion.safetensors": Motion.load,
}  # fmt: skip

IN_FOLDERS: dict[str, Callable[[Path], object]] = {
    RESOLVED: lambda path: recorded(path.parent), INDEX: lambda path: read_index(path.parent), RECORD: _remembered,
    "config.json": lambda path: _folder_settings(path.parent),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_gigabytes_is_refused_at_once(tmp_path, name) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(40 * LARGEST_TEXT)
    with pytest.raises(InputError, match="is too large a"):
        READERS[name](path)


@pytest.mark.parametrize("name", IN_FOLDERS)
def test_a_record_of_gigabytes_and_a_pipe_for_one_are_refused_at_once(tmp_path, name) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(LARGEST_TEXT + 1)
    with pytest.raises(FloatCliError, match="is too large a"):
        IN_FOLDERS[name](path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FloatCliError, match="is no regular file"):
        IN_FOLDERS[name](path)


def test_settings_of_gigabytes_before_these_are_told(tmp_path) -> None:
    with (tmp_path / RESOLVED).open("wb") as file:
        file.truncate(LARGEST_TEXT + 1)
    lines: list[str] = []
    assert _before(tmp_path / RESOLVED, lines.append) is None
    assert "is too large a list of settings" in lines[0]


@pytest.mark.parametrize("reader", ["track", "pose", "curve", "jobs"])
@pytest.mark.parametrize("content", [b"0,1\n" * 500_000, b"time" + b",a" * 500_000 + b"\n0,1\n"], ids=["rows", "line"])
def test_rows_and_columns_without_end(tried, reader, content) -> None:
    outcome = tried(reader, "a.csv", content, 150)
    assert outcome.kind == TOLD
    assert "has 500001 lines" in outcome.text or "it is too long" in outcome.text


def test_a_refusal_quotes_little(tried) -> None:
    outcome = tried("track", "a.csv", b'time,happy\n0,"' + b"ab," * 30_000 + b'"\n')
    assert "are not all numbers" in outcome.text
    assert len(outcome.text) < 1200


def test_a_row_of_results_without_end_is_no_row(tried) -> None:
    tried("rows", "a.jsonl", b"[" * 50_000_000, 150)


def test_a_key_of_parts_without_end(tried) -> None:
    content = b".".join([b"a"] * 40_000) + b" = 1\n"
    assert "it is too long" in tried("settings", "a.toml", content).text
    assert tried("settings", "a.toml", b"".join(b"k%d" % k + b".a" * 990 + b" = 1\n" for k in range(45))).kind == TOLD


def test_named_pipes_are_refused_at_once(tmp_path) -> None:
    path = tmp_path / "a"
    os.mkfifo(path)
    with pytest.raises(InputError, match="is no regular file"):
        list(read_rows(path))
    with pytest.raises(WeightsError, match="is no regular file"):
        find_weights(path)
    with pytest.raises(InputError, match="is no regular file"):
        Motion.load(path)


def test_what_settings_are_is_not_found_out_line_by_line(tmp_path, monkeypatch) -> None:
    asked: list[type] = []
    monkeypatch.setattr(lists, "get_type_hints", lambda config: asked.append(config) or get_type_hints(config))
    (tmp_path / "a.csv").write_text("face,speech,out,nfe\n" + "".join(f"a.png,a.wav,{k}.mp4,5\n" for k in range(9)))
    assert len(read_jobs(tmp_path / "a.csv", tmp_path)) == 9
    assert len(asked) <= 3


def test_shares_that_overflow_are_told_without_a_warning(tmp_path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,happy,sad\n0,1e308,1e308\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="the shares add up to inf"):
            read_track(path, EMOTIONS)
