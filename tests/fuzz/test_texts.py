"""Texts that would take minutes or gigabytes are refused, and what is told of them is short."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from floatcli.batch.lists import read_jobs
from floatcli.checkpoint.store import find_weights
from floatcli.checks import LARGEST_TEXT
from floatcli.cli.orders import read_curve
from floatcli.config import EMOTIONS
from floatcli.errors import InputError, WeightsError
from floatcli.motion import Motion
from floatcli.poses import read_pose
from floatcli.rows import read_rows
from floatcli.tracks import read_track
from floatcli.train.settings import load_settings
from tests.fuzz.worker import TOLD

READERS: dict[str, Callable[[Path], object]] = {
    "a.track.csv": lambda path: read_track(path, EMOTIONS), "a.pose.csv": read_pose, "a.toml": load_settings,
    "a.curve.csv": lambda path: read_curve(str(path)), "a.csv": lambda path: read_jobs(path, path.parent),
    "a.jsonl": lambda path: read_jobs(path, path.parent), "a.motion.safetensors": Motion.load,
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_gigabytes_is_refused_at_once(tmp_path, name) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(40 * LARGEST_TEXT)
    with pytest.raises(InputError, match="is too large a"):
        READERS[name](path)


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


def test_shares_that_overflow_are_told_without_a_warning(tmp_path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,happy,sad\n0,1e308,1e308\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="the shares add up to inf"):
            read_track(path, EMOTIONS)
