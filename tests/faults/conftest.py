"""What tests of faults share: places to run in, short clips, and the figures of what was survived."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from PIL import Image

pytest.register_assert_rewrite("tests.faults.running")

from tests.conftest import write_wav  # noqa: E402
from tests.faults.running import SECONDS, Place, survived  # noqa: E402


@pytest.fixture
def place(tmp_path, tiny_weights) -> Place:
    """Where commands run, with the smallest networks and the fewest steps."""
    return Place(tmp_path, ["--weights", str(tiny_weights), "--device", "cpu", "--batch-size", "4"])


@pytest.fixture(scope="session")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faults") / "face.png"
    Image.effect_noise((96, 96), 80).convert("RGB").save(path)
    return path


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("faults") / "speech.wav", SECONDS)


@pytest.fixture(scope="session")
def seed() -> int:
    """Of the moments that are drawn: another one every time, unless FLOATCLI_FAULTS_SEED repeats one."""
    return int(os.environ.get("FLOATCLI_FAULTS_SEED") or random.SystemRandom().randrange(10**6))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much was survived, in figures."""
    if survived:
        faults = ", ".join(f"{name} {count}" for name, count in sorted(survived.items()) if name != "kills")
        said = f"{survived['kills']} kills survived, {sum(survived.values()) - survived['kills']} faults injected"
        terminalreporter.write_line(f"{said} ({faults})" if faults else said)
