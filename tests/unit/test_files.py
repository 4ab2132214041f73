"""Files that are written beside where they go."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from floatcli import files
from floatcli.errors import InputError, OutputError
from floatcli.files import Draft, place, replacing
from floatcli.locks import FolderLock, alone_in
from floatcli.media.video import VideoWriter


@pytest.fixture
def left_behind(tmp_path) -> Path:
    """What a process left that was killed while it wrote."""
    code = "import os, sys; from floatcli.files import replacing\nwith replacing(sys.argv[1]): os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.mp4"], check=False)
    assert done.returncode == -9
    (left,) = tmp_path.iterdir()
    return left


def write(path: Path, text: str = "b") -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


@pytest.mark.parametrize("writer", ["text", "video"])
def test_what_a_killed_process_left_is_gone_when_another_writes_there(left_behind, tmp_path, writer):
    assert left_behind.name.startswith(".floatcli-")
    assert os.listdir(left_behind) == ["draft.mp4"]
    if writer == "video":
        with VideoWriter(tmp_path / "b.mp4", 64, 64, 25) as video:
            video.write(np.zeros((1, 64, 64, 3), np.uint8))
    else:
        write(tmp_path / "b.txt")
        assert (tmp_path / "b.txt").read_text() == "b"
    assert not left_behind.exists()


def test_what_is_being_written_stays(tmp_path):
    code = "import sys; from floatcli.files import replacing\nwith replacing(sys.argv[1]): print(flush=True); input()"
    command = [sys.executable, "-c", code, tmp_path / "c.txt"]
    with Draft(tmp_path / "a.mp4"), subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        before = set(tmp_path.iterdir())
        assert len(before) == 2
        write(tmp_path / "b.txt")
        assert set(tmp_path.iterdir()) == before | {tmp_path / "b.txt"}
        other.communicate(b"\n")
    assert {path.name for path in tmp_path.iterdir()} == {"b.txt", "c.txt"}


@pytest.mark.parametrize(("days", "stays"), [(0, True), (2, False)])
def test_what_another_machine_writes_into_a_shared_folder_stays(left_behind, tmp_path, monkeypatch, days, stays):
    """Its locks may not be seen here, so that it has a day to write on."""
    monkeypatch.setattr(files, "_here", lambda: "0" * 8)
    for path in (left_behind / "draft.mp4", left_behind):
        os.utime(path, (time.time() - days * 86400,) * 2)
    write(tmp_path / "b.txt")
    assert left_behind.exists() is stays


def test_a_draft_that_is_taken_for_left_behind_is_made_again(tmp_path, monkeypatch):
    """Another process comes between the folder's being made and its being locked."""
    take, taken = FolderLock.take, []

    def too_late(lock: FolderLock, patience: float = 0.0) -> bool:
        taken.append(lock)
        if len(taken) == 1:
            shutil.rmtree(lock._folder)
        return take(lock, patience)

    monkeypatch.setattr(FolderLock, "take", too_late)
    write(tmp_path / "a.txt")
    assert len(taken) == 3  # too late, in time, and while it takes its place
    assert os.listdir(tmp_path) == ["a.txt"]


def test_where_nothing_can_be_locked_files_are_written_all_the_same(left_behind, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    write(tmp_path / "b.txt")
    assert set(tmp_path.iterdir()) == {left_behind, tmp_path / "b.txt"}  # nobody can tell whether that one lives


def test_what_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "a.txt"
    with Draft(path) as draft:
        draft.file.write_text("ours")
        path.write_text("theirs")
        with pytest.raises(InputError, match="is there already"):
            place([draft], overwrite=False)
        assert path.read_text() == "theirs"
        place([draft])
    assert path.read_text() == "ours"


@pytest.mark.parametrize("there", [True, False])
def test_files_that_belong_together_appear_together_or_not_at_all(tmp_path, there):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    with Draft(first) as draft, Draft(second) as another:
        draft.file.write_text("a")
        another.file.write_text("b")
        if there:
            first.write_text("earlier")
            second.mkdir()
            with pytest.raises(OutputError, match=r"b\.txt can't be written: Is a directory"):
                place([draft, another])
            assert first.read_text() == "earlier"
        else:
            place([draft, another])
            assert (first.read_text(), second.read_text()) == ("a", "b")


def test_where_the_second_fails_the_first_is_taken_back(tmp_path, monkeypatch):
    first, second, replace = tmp_path / "a.txt", tmp_path / "b.txt", os.replace

    def fails(source: Path, target: Path) -> None:
        if target == second:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(source, target)

    monkeypatch.setattr("os.replace", fails)
    with Draft(first) as draft, Draft(second) as another:
        draft.file.write_text("a")
        another.file.write_text("b")
        with pytest.raises(OutputError, match=r"b\.txt can't be written: Input/output error"):
            place([draft, another])
    assert not list(tmp_path.iterdir())


def test_what_others_put_there_stays_where_a_draft_is_gone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("theirs")
    with Draft(path) as draft, Draft(tmp_path / "b.txt") as lost:
        draft.file.write_text("ours")
        with pytest.raises(OutputError, match="No such file"):
            place([lost, draft])
    assert path.read_text() == "theirs"


def test_one_at_a_time_is_alone_in_a_folder(tmp_path):
    inside, most = [], []

    def enter() -> None:
        with alone_in(tmp_path):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_who_stays_too_long_is_waited_for_no_longer(tmp_path, monkeypatch):
    monkeypatch.setattr("floatcli.locks._PATIENCE", 0.05)
    with alone_in(tmp_path), alone_in(tmp_path):
        pass
