"""Stopping half-way leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import write_wav

DEADLINE = 600  # seconds; a busy machine is no failure


def begun(folder: Path, process: subprocess.Popen[str]) -> bool:
    """Wait until frames are being written."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end and process.poll() is None:
        if any(folder.iterdir()):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("number", "whole_group", "code"),
    [
        pytest.param(signal.SIGINT, False, 130, id="kill -INT"),
        pytest.param(signal.SIGINT, True, 130, id="Ctrl-C, which ffmpeg gets too"),
        pytest.param(signal.SIGTERM, False, 143, id="kill"),
    ],
)
def test_a_signal_leaves_no_file(tiny_weights, face_file, tmp_path, number, whole_group, code):
    speech = write_wav(tmp_path / "long.wav", 40)
    folder = tmp_path / "out"
    folder.mkdir()
    command = [
        sys.executable, "-m", "floatcli", "animate", face_file, speech, "-o", folder / "out.mp4",
        "--weights", tiny_weights, "--crop", "none", "--device", "cpu", "--batch-size", "1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert begun(folder, process), process.communicate()[1]
    if whole_group:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode == code
    assert said.splitlines()[-1] == "floatcli: interrupted"
    assert "Traceback" not in said
    assert list(folder.iterdir()) == []
