"""``floatcli bench`` measures what it says, and says what it can't."""

from __future__ import annotations

import json
import re

import pytest

from floatcli.cli.app import run
from floatcli.errors import ExitCode
from floatcli.models import decoder

STAGES = [
    "portrait", "audio", "emotion", "field evaluation", "window",
    "decode, 1 at a time", "decode, 4 at a time", "decode, 8 at a time", "video encoding", "end to end",
]  # fmt: skip


def test_every_stage_is_timed_and_compared(tiny_weights, capsys):
    asked = ["--weights", str(tiny_weights), "--device", "cpu", "--seconds", "0.4", "--repeats", "2"]
    assert run(["bench", *asked, "--compare", "--json", "-q"]) == ExitCode.OK
    said = json.loads(capsys.readouterr().out)
    assert [row["stage"] for row in said["rows"]] == STAGES
    for row in said["rows"]:
        assert 0 < row["fastest"] <= row["seconds"] <= row["slowest"]
        assert row["frames_per_second"] == pytest.approx(row["frames"] / row["seconds"])
        assert (row["gflops"] is None) == (row["stage"] == "video encoding")
        if row["plain"] is not None:
            assert row["ratio"] == pytest.approx(row["plain"] / row["seconds"])
    assert [row["stage"] for row in said["rows"] if row["plain"] is None] == ["video encoding"]
    assert said["rows"][-1]["frames"] == 10
    assert 0 < said["first_frame"] <= said["rows"][-1]["slowest"]
    assert min(said["machine"].values()) > 0
    assert said["peak_rss"] is said["peak_gpu"] is None  # they would be the plain rendering's
    assert said["about"]["dtype"] == "float32"
    assert said["about"]["weights"] == str(tiny_weights)


def test_operations_are_counted_wherever_they_are_computed(tiny_weights, capsys, monkeypatch):
    monkeypatch.setattr(decoder, "ALONE", 8)  # each frame on a core of its own
    asked = ["--weights", str(tiny_weights), "--device", "cpu", "--seconds", "0.2", "--repeats", "1", "--json", "-q"]
    assert run(["bench", *asked]) == ExitCode.OK
    rows = {row["stage"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    alone, eight = (rows[f"decode, {n} at a time"] for n in (1, 8))
    assert eight["gflops"] * eight["seconds"] == pytest.approx(
        8 * alone["gflops"] * alone["seconds"], rel=0.02
    )  # some serve all


def test_the_table_has_a_line_for_every_stage(tiny_weights, capsys):
    asked = ["--weights", str(tiny_weights), "--device", "cpu", "--seconds", "0.2", "--repeats", "1"]
    assert run(["bench", *asked]) == ExitCode.OK
    said = capsys.readouterr()
    for stage in STAGES:
        assert any(line.startswith(stage) for line in said.out.splitlines()), said.out
        assert f"floatcli: {stage}\n" in said.err
    assert re.search(r"times real time, first frames after [\d.]+ s, peak \d{3,} MB\n", said.out)
    assert "plain" not in said.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "0"], "seconds must lie in 0.1..60"),
        (["--dtype", "int8"], "there is no dtype"),
        (["--weights", "embedded", "--compare", "--seconds", "0.2"], "the plain rendering is of the published model"),
    ],
    ids=["no seconds", "odd dtype", "another decoder"],
)
def test_what_cannot_be_measured_is_told(arguments, said, capsys):
    assert run(["bench", *arguments]) == ExitCode.USAGE
    assert said in capsys.readouterr().err
