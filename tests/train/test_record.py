"""What a run's folder tells of how it was made."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest

from floatcli.errors import InputError, OutputError
from floatcli.rows import read_rows
from floatcli.train.loop_config import LoopConfig
from floatcli.train.record import RESOLVED, STARTS, commit_of, record, recorded
from floatcli.train.settings import AutoencoderSettings, PatchSettings, Settings

SETTINGS = Settings(autoencoder=AutoencoderSettings(mouth=PatchSettings(lr=1e-3, seed=7)))


def test_settings_come_back_as_they_were_with_every_default(tmp_path):
    record(SETTINGS, tmp_path / "run", ["train", "all", "a.toml"], print)
    assert recorded(tmp_path / "run") == SETTINGS
    written = json.loads((tmp_path / "run" / RESOLVED).read_text())
    assert written["autoencoder"]["mouth"]["seed"] == 7
    assert written["flow"]["field"]["batch"] == LoopConfig.batch


def test_every_start_has_a_row_and_changes_are_told(tmp_path):
    lines: list[str] = []
    record(SETTINGS, tmp_path, ["train", "flow"], lines.append)
    record(SETTINGS, tmp_path, ["train", "flow"], lines.append)
    assert not lines
    slower = dataclasses.replace(SETTINGS.autoencoder.mouth, lr=1e-4)
    changed = dataclasses.replace(SETTINGS, autoencoder=dataclasses.replace(SETTINGS.autoencoder, mouth=slower))
    record(changed, tmp_path, ["train", "autoencoder"], lines.append)
    assert lines == [f"settings of {tmp_path} have changed: autoencoder.mouth.lr"]
    rows = list(read_rows(tmp_path / STARTS))
    assert [row["command"] for row in rows] == [["train", "flow"], ["train", "flow"], ["train", "autoencoder"]]
    assert [row["changed"] for row in rows] == [[], [], ["autoencoder.mouth.lr"]]
    assert {"time", "floatcli", "commit", "torch", "python", "device", "processes"} <= rows[0].keys()


def test_a_commit_is_told_and_whether_files_differ_from_it(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert commit_of(file) is None
    for command in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "x"]):
        own = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *own, *command], check=True)
    commit = commit_of(file)
    assert commit is not None
    assert len(commit) == 40
    file.write_text("y")
    assert commit_of(file) == f"{commit}-dirty"
    installed = tmp_path / ".venv" / "file"
    installed.parent.mkdir()
    installed.write_text("x")
    assert commit_of(installed) is None  # the repository is somebody else's


@pytest.mark.parametrize(("text", "said"), [(None, "is no run"), ("{", "can't be used"), ('{"x": 1}', "unknown keys")])
def test_a_folder_that_is_no_run_is_told(tmp_path: Path, text: str | None, said: str):
    if text is not None:
        (tmp_path / RESOLVED).write_text(text)
    with pytest.raises(InputError, match=said):
        recorded(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]"])
def test_damaged_settings_are_written_anew_when_the_run_is_started_again(tmp_path: Path, content: bytes):
    (tmp_path / RESOLVED).write_bytes(content)
    lines: list[str] = []
    with pytest.raises(InputError, match=r"settings\.json can't be used") as caught:
        recorded(tmp_path)
    assert "start the run again" in caught.value.hint
    record(SETTINGS, tmp_path, ["train", "flow"], lines.append)
    (line,) = lines
    assert line.startswith(f"{tmp_path / RESOLVED} is damaged, so that what has changed cannot be told: ")
    assert recorded(tmp_path) == SETTINGS


def test_a_folder_in_place_of_settings_is_told(tmp_path: Path):
    (tmp_path / RESOLVED).mkdir()
    with pytest.raises(InputError, match=r"settings\.json can't be used"):
        recorded(tmp_path)
    with pytest.raises(OutputError, match=r"settings\.json can't be written: Is a directory"):
        record(SETTINGS, tmp_path, ["train", "flow"], print)
