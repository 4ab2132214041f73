"""A sample of spoilt files through the commands themselves: an exit code, an error and a hint, and nothing written."""

from __future__ import annotations

import dataclasses
import json
import os
import random
from pathlib import Path

import pytest

from floatcli.cli.app import run
from floatcli.errors import ExitCode
from tests.fuzz import seeds
from tests.fuzz.mutations import DEEP, with_text
from tests.fuzz.worker import READ, TALLY, TOLD, Outcome, Worker

NOISE = random.Random(0).randbytes(500)
CUT = seeds.pictures()["rgb.png"][:60]
SPOILT = {  # name of the file, content, command
    "picture": ("a.png", CUT, "animate a.png {speech}"),
    "noise": ("a.png", NOISE, "animate a.png {speech}"),
    "recording": ("a.wav", b"RIFF\xff\xff\xff\xffWAVEfmt " + b"\xff" * 60, "animate {face} a.wav"),
    "playlist": ("a.wav", b"#EXTM3U\n/etc/passwd\n", "animate {face} a.wav"),
    "track": ("a.csv", b"time,happy\n0,nan\n", "animate {face} {speech} --emotion a.csv"),
    "deep motion": ("a.motion.safetensors", b"motion", "edit a.motion.safetensors --basis 1 --scale 2"),
    "motion": ("a.motion.safetensors", NOISE, "edit a.motion.safetensors --basis 1 --scale 2"),
    "list": ("a.csv", b"face,speech\n\0,\xff\n", "batch a.csv -o out"),
    "deep list": ("a.jsonl", DEEP.encode(), "batch a.jsonl -o out"),
    "weights": ("w.safetensors", b"deep weights", "animate {face} {speech} --weights w.safetensors"),
    "settings": ("a.toml", b"model = " + DEEP.encode(), "train all a.toml --run run -o out.safetensors"),
    "long number": ("a.toml", b"model = " + b"9" * 5000, "train all a.toml --run run -o out.safetensors"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_file_is_told_and_nothing_is_written(
    kind, tiny_weights, face_file, speech_file, tmp_path, monkeypatch, capsys
) -> None:
    name, content, command = SPOILT[kind]
    if content in (b"motion", b"deep weights"):
        key = "floatcli.making" if content == b"motion" else "floatcli.config"
        content = with_text(tiny_weights.read_bytes(), "floatcli.motion", "1")
        content = with_text(content, key, DEEP)
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    words = command.format(face=face_file, speech=speech_file).split()
    if words[0] in ("animate", "batch") and "--weights" not in words:
        words += ["--weights", str(tiny_weights)]
    if words[0] == "animate":
        words += ["--crop", "none", "--nfe", "1", "-o", "out.mp4"]
    code = run(words)
    lines = capsys.readouterr().err.splitlines()
    fine = code in (ExitCode.USAGE, ExitCode.INPUT, ExitCode.WEIGHTS) and len(lines) == 2
    TALLY.count(Outcome(TOLD if fine else f"exit code {code}"))
    assert code in (ExitCode.USAGE, ExitCode.INPUT, ExitCode.WEIGHTS), lines
    assert [line.split(": ")[1] for line in lines] == ["error", "hint"]
    assert sorted(os.listdir()) == [name]


def test_what_is_sound_is_read(tried, tmp_path) -> None:
    """The seeds are, so that what is refused is so for what was spoilt."""
    for name, content in seeds.pictures().items():
        assert tried("picture", name, content).kind == READ, name
    for name, content in (seeds.recordings() | seeds.videos(tmp_path)).items():
        assert tried("speech", name, content).kind == READ, name
    for reader, name, text in (
        ("track", "a.csv", seeds.TRACK), ("pose", "a.csv", seeds.POSE), ("curve", "a.csv", seeds.CURVE),
        ("jobs", "a.csv", seeds.JOBS_CSV), ("jobs", "a.jsonl", seeds.JOBS_JSONL), ("rows", "a.jsonl", seeds.ROWS),
    ):  # fmt: skip
        assert tried(reader, name, text.encode()).kind == READ, name
    assert json.loads(seeds.ROWS.splitlines()[0])["status"] == "done"


def test_bounds_are_kept_by_force() -> None:
    """Or else nothing that passes here would say anything."""
    worker, before = Worker(), dataclasses.replace(TALLY, kinds=TALLY.kinds.copy())
    try:
        assert worker.read("hang", "a", b"", seconds=0.5).kind.startswith("hang")
        assert "KeyError" in worker.read("fault", "a", b"").kind
        assert worker.read("death", "a", b"").kind == "the process died"
        assert worker.read("greed", "a", b"").megabytes > 200
        assert TALLY.kinds["traceback"] == before.kinds["traceback"] + 3
    finally:
        worker.stop()
        vars(TALLY).update(vars(before))
