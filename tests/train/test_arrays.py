"""Arrays in files: room is there before they are filled, they are whole or not there, and damage is told or mended."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from floatcli.errors import InputError, OutputError
from floatcli.train import arrays
from floatcli.train.arrays import filling, mapped

KINDS = {"first": (np.int16, (1000, 1000)), "second": (np.float32, (3,))}


def refuse(error: int):
    def fallocate(*_):
        raise OSError(error, os.strerror(error))

    return fallocate


@pytest.mark.parametrize("how", ["here", "no such call", "unknown to the file system"])
def test_there_is_room_for_an_array_before_it_is_filled(tmp_path, monkeypatch, how):
    if how == "no such call":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    elif how != "here":
        monkeypatch.setattr(os, "posix_fallocate", refuse(errno.EOPNOTSUPP), raising=False)
    with filling(tmp_path, KINDS) as made:
        taken = max(path.stat().st_blocks for path in tmp_path.rglob("*"))
        assert taken * 512 >= made["first"].nbytes
        for array in made.values():
            array[:] = 7
    assert {path.name for path in tmp_path.iterdir()} == {"first.npy", "second.npy"}
    assert (mapped(tmp_path / "first.npy", "") == 7).all()
    assert mapped(tmp_path / "second.npy", "").shape == (3,)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays.os, "posix_fallocate", refuse(errno.ENOSPC), raising=False)
    with pytest.raises(OutputError, match=r"first\.npy can't be written: No space left"), filling(tmp_path, KINDS):
        pytest.fail("there is no room")
    assert not list(tmp_path.iterdir())


def test_what_is_given_up_leaves_the_old_arrays(tmp_path):
    np.save(tmp_path / "first.npy", np.ones(3))
    with pytest.raises(KeyboardInterrupt), filling(tmp_path, KINDS):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["first.npy"]
    assert mapped(tmp_path / "first.npy", "").tolist() == [1, 1, 1]


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage", "folder"])
def test_a_damaged_array_is_told(tmp_path, damage):
    path = damaged(tmp_path, damage)
    with pytest.raises(InputError, match=r"a\.npy can't be read") as caught:
        mapped(path, "make it again")
    assert caught.value.hint == "make it again"
    assert not isinstance(caught.value, OutputError)


def damaged(folder: Path, how: str) -> Path:
    path = folder / "a.npy"
    np.save(path, np.arange(100))
    whole = path.read_bytes()
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how != "missing":
        path.write_bytes({"empty": b"", "truncated": whole[:-9], "garbage": b"no array"}[how])
    return path
