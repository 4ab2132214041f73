"""Clocks that jump, and files from other times: what is done is done, and what has changed is made again."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import pytest

from tests.faults.running import MOTION, Place, animate, survived, whole_pair
from tests.faults.worlds import clock_jumps

YEAR = 365.25 * 86400


def year(number: int) -> float:
    return datetime(number, 1, 1, tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize("seconds", [-YEAR, -0.5, 0.5, YEAR])
def test_a_clock_that_jumps_all_the_time(place, face, speech, seconds):
    world = partial(clock_jumps, seconds, 5)
    assert place.run(*animate(face, speech), world=world).wait() == 0
    place.empty()
    place.check_recovery(*animate(face, speech), fault="clocks")


@pytest.fixture
def batch(place, face, speech) -> tuple[object, ...]:
    for name, file in (("face.png", face), ("speech.wav", speech)):
        (place.folder / name).write_bytes(file.read_bytes())
    jobs = place.folder / "jobs.csv"
    jobs.write_text("face,speech,out,seed\nface.png,speech.wav,1.mp4,1\nface.png,speech.wav,2.mp4,2\n")
    return "batch", jobs, "-o", "out", "--set", "crop=none", "--set", "nfe=1"


def rows(place: Place) -> int:
    return len((place.work / "out/results.jsonl").read_text().splitlines())


def make(place: Place, batch: tuple[object, ...], ends: int, seconds: float = 0.0) -> None:
    """Run it; so many clips shall have ended so far, and all be whole."""
    assert place.run(*batch, world=partial(clock_jumps, seconds, 7) if seconds else None).wait() == 0
    assert rows(place) == ends
    assert {path.name for path in (place.work / "out").iterdir()} == {
        "results.jsonl", "1.mp4", f"1{MOTION}", "2.mp4", f"2{MOTION}"
    }  # fmt: skip
    for name in ("1.mp4", "2.mp4"):
        whole_pair(place.work / "out" / name)


@pytest.mark.parametrize("when", [year(1960), 0.0, year(1979), year(2100), year(2400)])
def test_files_of_other_times(place, batch, when):
    """Nothing is made again for its time, on whichever side of the other files' it is, and nothing kept for it."""
    make(place, batch, 2)
    everything = [path for path in place.folder.rglob("*") if path.is_file()]
    for path in everything:
        os.utime(path, (when, when))
    make(place, batch, 2)
    speech = place.folder / "speech.wav"
    changed = bytearray(speech.read_bytes())
    changed[5000:9000] = bytes(4000)
    speech.write_bytes(changed)
    os.utime(speech, (when, when))  # of the same size and time as before
    make(place, batch, 4)
    make(place, batch, 4)
    survived["clocks"] += 1


@pytest.mark.parametrize("seconds", [-YEAR, YEAR])
def test_a_batch_goes_on_though_the_clock_has_jumped(place, batch, seconds):
    make(place, batch, 2, seconds)
    (place.work / "out/2.mp4").unlink()
    make(place, batch, 3, -seconds)
    survived["clocks"] += 1


@pytest.mark.parametrize("when", [year(1970), year(2400)])
def test_what_was_left_by_a_killed_process_goes_whatever_its_time(place, face, speech, when):
    run = place.start(*animate(face, speech))
    while not run.over and not list(place.work.glob(".floatcli-*")):
        pass
    run.kill(tree=True)
    left: list[Path] = list(place.work.rglob("*"))
    for path in reversed(left):
        os.utime(path, (when, when))
    assert place.run(*animate(face, speech)).wait() == 0
    assert place.there() == {"o.mp4", f"o{MOTION}"}
    survived["clocks"] += 1
