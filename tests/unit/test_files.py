"""Files that are written beside where they go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from floatcli import files
from floatcli.files import replacing, temporary_beside
from floatcli.media.video import VideoWriter


@pytest.fixture
def left_behind(tmp_path) -> Path:
    """What a process left that was killed while it wrote."""
    code = "import os, sys; from floatcli.files import replacing\nwith replacing(sys.argv[1]): os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.mp4"], check=False)
    assert done.returncode == -9
    (left,) = tmp_path.iterdir()
    return left


@pytest.mark.parametrize("writer", ["text", "video"])
def test_what_a_killed_process_left_is_gone_when_another_writes_there(left_behind, tmp_path, writer):
    assert left_behind.name.startswith(".floatcli-")
    assert left_behind.suffix == ".mp4"
    if writer == "video":
        VideoWriter(tmp_path / "b.mp4", 64, 64, 25)
    else:
        with replacing(tmp_path / "b.txt") as temporary:
            temporary.write_text("b")
        assert (tmp_path / "b.txt").read_text() == "b"
    assert not left_behind.exists()


def test_what_is_being_written_stays(tmp_path):
    ours = temporary_beside(tmp_path / "a.mp4")
    parents = ours.with_name(ours.name.replace(f"-{os.getpid()}-", f"-{os.getppid()}-"))
    for path in (ours, parents, tmp_path / ".floatcli-mine.mp4"):
        path.touch()
    before = set(tmp_path.iterdir())
    temporary_beside(tmp_path / "b.mp4")
    assert set(tmp_path.iterdir()) == before


def test_what_another_machine_writes_into_a_shared_folder_stays(left_behind, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_here", lambda: "0" * 8)
    temporary_beside(tmp_path / "b.mp4")
    assert left_behind.exists()
