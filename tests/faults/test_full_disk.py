"""Disks that are full, at one point after another: one line, no file, and with room again the next run succeeds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import write_wav
from tests.faults.running import MOTION, PAIR, Place, animate, survived, whole_pair

INPUT, PAGE = 3, 4096
POINTS = 8  # of each output
SPREAD = 0.02  # encoders on several threads make a few bytes more or fewer of the same frames


@pytest.fixture(scope="module")
def sizes(tmp_path_factory, tiny_weights, face, speech) -> dict[str, int]:
    """Bytes of what a run writes where there is room; of a video, give or take a few: see `SPREAD`."""
    place = Place(tmp_path_factory.mktemp("room"), ["--weights", str(tiny_weights), "--device", "cpu"])
    for suffix in ("mp4", "mkv", "webm"):
        assert place.run(*animate(face, speech, f"o.{suffix}")).wait() == 0
    return {path.suffix: path.stat().st_size for path in place.work.iterdir()}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_no_file_may_grow_as_large_as_it_must(place, face, speech, sizes, suffix):
    needed = max(sizes[suffix], sizes[".safetensors"])
    some = int(SPREAD * needed)
    command = animate(face, speech, f"o{suffix}")
    for point in range(POINTS):
        place.told(place.run(*command, room=(needed - some) * point // (POINTS - 1)), INPUT)
        check_left(place)
        place.empty()
        survived["full disk"] += 1
    assert place.run(*command, room=needed + some).wait() == 0
    whole_pair(place.work / f"o{suffix}")


def pages(size: int) -> int:
    """Bytes that a file of so many takes of a disk."""
    return -(-size // PAGE) * PAGE


def check_left(place: Place) -> None:
    """Nothing: no video either, where there was room for it and not for its motion."""
    place.quiet()
    assert place.there() == set()


Disk = Callable[[Path, int], None]


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Puts a disk of so many bytes in place of a folder, or makes that one larger or smaller."""
    mounted: list[Path] = []

    def resize(folder: Path, room: int) -> None:
        options = f"size={max(room, PAGE)},mode=755" + (",remount" if folder in mounted else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root can mount a small disk here; the tests of a limit on files run everywhere")
        mounted.append(folder)

    yield resize
    for folder in set(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_small_disk_for_outputs(place, face, speech, sizes, disk):
    needed = sum(pages(sizes[suffix]) for suffix in (".mp4", ".safetensors"))
    some = pages(int(SPREAD * sizes[".mp4"]))
    for point in range(POINTS):
        disk(place.work, (needed - some) * point // (POINTS - 1))
        place.told(place.run(*animate(face, speech)), INPUT)
        check_left(place)
        place.empty()
        survived["full disk"] += 1
    disk(place.work, 4 * needed)
    place.check_recovery(*animate(face, speech), fault="full disk")


def test_a_small_disk_for_what_is_temporary(place, face, speech, disk):
    """There is no room to keep the motion until all of it is there."""
    long = write_wav(place.folder / "long.wav", 4)
    disk(place.tmp, PAGE)
    place.told(place.run(*animate(face, long)), INPUT, "the motion can't be kept in", "make room there")
    place.check_recovery(*animate(face, speech), fault="full disk")


def test_a_batch_goes_on_once_there_is_room(place, face, speech, sizes, disk):
    """Wherever it stops, in a video, a motion or a row of results, what was done stays done."""
    jobs = place.folder / "jobs.csv"
    jobs.write_text("face,speech,out,seed\n" + "".join(f"{face},{speech},{k}.mp4,{k}\n" for k in range(3)))
    command = ("batch", jobs, "-o", "out", "--set", "crop=none", "--set", "nfe=1")
    made = {"out", "out/results.jsonl", *(f"out/{k}{end}" for k in range(3) for end in (".mp4", MOTION))}
    assert place.run(*command).wait() == 0
    needed = sum(pages((place.work / name).stat().st_size) for name in made - {"out"})
    place.empty()
    some = 3 * pages(int(SPREAD * sizes[".mp4"]))
    one = needed // 3
    for room in (0, PAGE, one - PAGE, one, one + PAGE, 2 * one, needed - some):
        disk(place.work, room)
        run = place.run(*command)
        assert run.wait() == INPUT, run.said
        assert "Traceback" not in run.said
        assert place.there() < made
        disk(place.work, 2 * needed)
        assert place.run(*command).wait() == 0
        assert place.there() == made
        for k in range(3):
            whole_pair(place.work / f"out/{k}.mp4")
        place.empty()
        survived["full disk"] += 1


def test_weights_that_are_written(place, tiny_weights):
    command = ("weights", "convert", tiny_weights, "-o", "w.safetensors")
    place.options = []
    size = tiny_weights.stat().st_size
    for point in range(4):
        place.told(place.run(*command, room=1 + (size - 2) * point // 3), INPUT, "w.safetensors can't be written")
        assert place.there() == set()
        survived["full disk"] += 1
    assert place.run(*command, room=size).wait() == 0
    assert place.there() == {"w.safetensors"}


@pytest.mark.parametrize("output", ["-", "o.mp4"])
def test_where_stdout_is_full(place, face, speech, output):
    """A video, or what --json tells."""
    command = (*animate(face, speech, output), *(() if output == "-" else ["--json"]))
    place.told(place.run(*command, stdout=Path("/dev/full")), INPUT)
    assert place.there() <= PAIR
    place.empty()
    place.check_recovery(*animate(face, speech), fault="full disk")


def nobody_hears() -> None:
    """stderr is full."""
    os.dup2(os.open("/dev/full", os.O_WRONLY), 2)


@pytest.mark.parametrize(("speech_is_there", "code"), [(True, 0), (False, INPUT)])
def test_where_stderr_is_full_the_work_goes_on(place, face, speech, speech_is_there, code):
    jobs = place.folder / "jobs.csv"
    jobs.write_text(f"face,speech,out\n{face},{speech if speech_is_there else 'no.wav'},o.mp4\n")
    run = place.run("batch", jobs, "-o", ".", "--set", "crop=none", "--set", "nfe=1", world=nobody_hears)
    assert run.wait() == code
    assert place.there() == {"results.jsonl"} | (PAIR if speech_is_there else set())
    survived["full disk"] += 1
