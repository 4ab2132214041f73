"""Names of files mean nothing: dashes, quotes, line ends, patterns, commands and addresses in them are letters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from floatcli.cli.app import run
from floatcli.media.ffmpeg import media_info
from tests.media.test_strangers import server

CANARY = "canary"
#: Stems of names. Where a shell or ffmpeg took them for what they look like, a file called CANARY would appear, a file
#: of another name, or none.
NAMES = {
    "dash": "-rf", "two dashes": "--weights=x", "an option of ffmpeg": "-y", "spaces": " a  b ",
    "quotes": "it's \"a\" `b`",
    "line end": "a\nb", "carriage return": "a\rb", "unicode": "Zoë 日本 🙂 e\u0301", "pattern": "%d %03d %s %%",
    "glob": "*?[a]{b,c}",
    "command": f"$(touch {CANARY}) `touch {CANARY}`;touch {CANARY}|touch {CANARY}&", "backslash": "a\\nb\\",
    "drive": "C:a", "protocol": "file:a", "address": "http:a", "concat": "concat:a|b", "filter": "a,b;[0:v]=c'd",
    "equals": "a=b", "colons": "a:b::c", "device": "pipe:1", "tilde": "~", "home": "~root", "dots": "...a",
    "control": "a\x1b[31m\x07",
    "not UTF-8": "a\udcff",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fixed(tiny_weights: Path) -> list[str]:
    return ["--weights", str(tiny_weights), "--device", "cpu", "-q"]


@pytest.mark.parametrize("kind", NAMES)
def test_animate_and_edit_take_any_name(kind, folder, tiny_weights, face_file, speech_file, capsys):
    name = NAMES[kind]
    face, speech, out, edited = f"{name}.png", f"{name}.wav", f"{name}.mp4", f"{name} 2.mkv"
    shutil.copy(face_file, face)
    shutil.copy(speech_file, speech)
    here = sorted(os.listdir())
    words = ["animate", "-o", out, "--crop", "none", "--nfe", "1", *fixed(tiny_weights), "--", face, speech]
    code = run(words)
    if kind == "not UTF-8":  # ffmpeg does not take it, which is told before anything is done
        assert code == 3
        assert len(capsys.readouterr().err.splitlines()) == 2
        assert sorted(os.listdir()) == here
        return
    assert code == 0, capsys.readouterr().err
    assert sorted(os.listdir()) == sorted([*here, out, f"{name}.motion.safetensors"])
    assert media_info(Path(out)).duration == pytest.approx(2.52, abs=0.05)
    assert run(["edit", "--basis", "1", "--scale", "2", "-o", edited, "--device", "cpu", "-q", "--", out]) == 0
    assert media_info(Path(edited)).audio
    assert not list(folder.rglob(CANARY))


@pytest.mark.parametrize("kind", ["jobs.csv", "jobs.jsonl"])
def test_a_batch_takes_any_name(kind, folder, tiny_weights, face_file, speech_file, tmp_path):
    import csv

    names = [name for kind, name in NAMES.items() if kind not in ("not UTF-8", "spaces")]
    rows = [{"face": f"{name}.png", "speech": f"{name}.wav", "out": f"{name}.mp4"} for name in names[::2]]
    for row in rows:
        shutil.copy(face_file, row["face"])
        os.link(speech_file, row["speech"])
    with Path(kind).open("w", newline="") as stream:
        if kind.endswith(".csv"):
            table = csv.DictWriter(stream, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
        else:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
    options = ["--no-save-motion", "--set", "crop=none", "--set", "nfe=1"]
    assert run(["batch", kind, "-o", "-out", *options, *fixed(tiny_weights)]) == 0
    assert sorted(os.listdir("-out")) == sorted(["results.jsonl", *(row["out"] for row in rows)])
    assert not list(folder.rglob(CANARY))


@pytest.mark.parametrize("option", ["face", "speech", "output"])
def test_no_name_is_asked_for_on_the_network(option, folder, tiny_weights, face_file, speech_file, capsys):
    with server() as (address, came):
        words = {"face": str(face_file), "speech": str(speech_file), "output": "out.mp4"} | {option: address}
        if option == "output":
            words["output"] = address.replace(".ts", ".mp4")
        code = run(["animate", words["face"], words["speech"], "-o", words["output"], *fixed(tiny_weights)])
    assert not came
    assert code == 3
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert not os.listdir()


def test_what_is_said_of_a_name_is_one_line_that_no_terminal_obeys(folder, speech_file):
    command = [sys.executable, "-m", "floatcli", "animate", "a\nb\x1b[31m.png", str(speech_file), "-q"]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 3
    assert len(said.stderr.splitlines()) == 2
    assert "\x1b" not in said.stderr
