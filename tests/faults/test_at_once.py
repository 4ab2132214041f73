"""Two processes that write the same output at the same time: what is there in the end is whole, and of one of them."""

from __future__ import annotations

import json
import random

import pytest

from floatcli.checkpoint.store import file_digest
from floatcli.motion import Motion
from tests.faults.running import MOTION, PAIR, Place, animate, survived, whole_pair

INPUT = 3


def ended(place: Place, *runs) -> list[int]:
    codes = [run.wait() for run in runs]
    place.quiet()
    for run, code in zip(runs, codes, strict=True):
        if code:
            place.told(run, INPUT)
    return codes


def test_animate_twice(place, face, speech, seed):
    """With seeds of their own, so that one's motion is not the other's."""
    draws = random.Random(seed)
    for _ in range(4):
        first = place.start(*animate(face, speech), "--seed", 1)
        first.sleep(draws.random() * 0.2)
        second = place.start(*animate(face, speech), "--seed", 2)
        assert ended(place, first, second) == [0, 0]
        assert place.there() == PAIR
        whole_pair(place.work / "o.mp4")
        assert Motion.load(place.work / f"o{MOTION}").making.sample.seed in (1, 2)
        survived["at once"] += 1


def test_of_two_that_may_not_replace_one_is_told(place, face, speech):
    for _ in range(3):
        runs = [place.start(*animate(face, speech), "--no-overwrite", "--seed", k) for k in range(2)]
        assert sorted(ended(place, *runs)) == [0, INPUT]
        assert "o.mp4 is there already" in "".join(run.said for run in runs)
        whole_pair(place.work / "o.mp4")
        assert place.there() == PAIR
        place.empty()
        survived["at once"] += 1


@pytest.mark.parametrize("same_settings", [True, False])
def test_batch_twice(place, face, speech, same_settings):
    jobs, out = place.folder / "jobs.csv", place.work / "out"
    jobs.write_text("face,speech,out\n" + "".join(f"{face},{speech},{k}.mp4\n" for k in range(3)))
    command = ("batch", jobs, "-o", "out", "--set", "crop=none", "--set", "nfe=1")
    seeds = [1, 1 if same_settings else 2]
    runs = [place.start(*command, "--set", f"seed={seed}") for seed in seeds]
    for run in runs:
        assert run.wait() in (0, INPUT), run.said
        assert "Traceback" not in run.said
    made = {"out", "out/results.jsonl", *(f"out/{k}{end}" for k in range(3) for end in (".mp4", MOTION))}
    for _ in range(2):  # and again, by one that has what the last of them made
        assert place.there() == made
        for k in range(3):
            whole_pair(out / f"{k}.mp4")
        assert place.run(*command, "--set", "seed=1").wait() == 0
    rows = {row["out"]: row for row in map(json.loads, (out / "results.jsonl").read_text().splitlines())}
    assert {name: row["digests"]["output"] for name, row in rows.items()} == {
        f"{k}.mp4": file_digest(out / f"{k}.mp4") for k in range(3)
    }
    survived["at once"] += 1
