"""How much is tried, in which order, and what is told of it in the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.fuzz.worker import TALLY, Outcome, Worker

#: The same inputs every time, few enough for some minutes. FLOATCLI_FUZZ=20 tries so many times as many, at random.
_TIMES = int(os.environ.get("FLOATCLI_FUZZ", "1"))
_COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("floatcli", max_examples=100 * _TIMES, derandomize=_TIMES == 1, **_COMMON)
settings.load_profile("floatcli")

if not sys.platform.startswith("linux"):
    collect_ignore_glob = ["test_*.py"]  # bounds are kept by what Linux tells of a process


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.stop()


@pytest.fixture(scope="session")
def tried(worker: Worker):
    """Has a file read, and holds it to its bounds: no traceback, no hang, no more memory than ``megabytes``."""

    def read(reader: str, name: str, content: bytes, megabytes: float = 500) -> Outcome:
        outcome = worker.read(reader, name, content)
        assert outcome.fine, outcome.kind
        assert outcome.megabytes < megabytes, f"{outcome.megabytes:.0f} MB"
        return outcome

    return read


def pytest_terminal_summary(terminalreporter) -> None:
    if TALLY.kinds:
        terminalreporter.write_line(f"fuzz: {TALLY}")
