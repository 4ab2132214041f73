"""Stopping half-way leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from floatcli import FloatPipeline
from floatcli.config import CropConfig, SampleConfig
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


def test_a_signal_during_the_first_imports_leaves_no_traceback():
    stop = (
        "import os, signal, sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'numpy': os.kill(os.getpid(), signal.SIGINT)\n"
        "from floatcli.__main__ import main\n"
        "assert 'numpy' not in sys.modules\n"
        "sys.meta_path.insert(0, Stop())\n"
        "sys.argv = ['floatcli', 'emotion', 'speech.wav']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", stop], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "floatcli: interrupted\n")


@pytest.fixture
def speech(tmp_path) -> Path:
    return write_wav(tmp_path / "long.wav", 40)


@pytest.fixture
def commands(tiny_weights, face_file, speech) -> dict[str, list[object]]:
    """What takes long, by the command's name."""
    return {
        "animate": [face_file, speech, "--crop", "none"],
        "edit": [kept_motion(tiny_weights, face_file, speech), "--basis", "3", "--scale", "2"],
        "emotion": [speech, "--face", face_file, "--to", "happy,sad", "--crop", "none", "--nfe", "1"],
    }


def kept_motion(weights: Path, face: Path, speech: Path) -> Path:
    """The motion of a long clip that nobody decoded."""
    pipe = FloatPipeline.from_weights(weights, device="cpu")
    return pipe.animate(face, speech, CropConfig("none"), SampleConfig(nfe=1)).motion.save(
        speech.with_name("long.motion.safetensors")
    )


@pytest.mark.parametrize(
    ("command", "number", "whole_group", "code"),
    [
        pytest.param("animate", signal.SIGINT, False, 130, id="kill -INT"),
        pytest.param("animate", signal.SIGINT, True, 130, id="Ctrl-C, which ffmpeg gets too"),
        pytest.param("animate", signal.SIGTERM, False, 143, id="kill"),
        pytest.param("edit", signal.SIGINT, True, 130, id="Ctrl-C in edit"),
        pytest.param("emotion", signal.SIGINT, True, 130, id="Ctrl-C in emotion"),
    ],
)
def test_a_signal_leaves_no_file(commands, tiny_weights, tmp_path, command, number, whole_group, code):
    folder = tmp_path / "out"
    folder.mkdir()
    settings = ["-o", folder / "out.mp4", "--weights", tiny_weights, "--device", "cpu", "--batch-size", "1"]
    argv = [sys.executable, "-m", "floatcli", command, *commands[command], *settings]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, start_new_session=True)
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


def test_a_signal_ends_a_video_that_flows(tiny_weights, face_file, speech):
    settings = ["-o", "-", "--crop", "none", "--weights", tiny_weights, "--device", "cpu", "--batch-size", "1"]
    argv = [sys.executable, "-m", "floatcli", "animate", face_file, speech, *settings, "--crf", "0"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.read(1000)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=DEADLINE)
    assert (process.returncode, said) == (130, b"floatcli: interrupted\n")
