"""Folders that can't be written to, or that go away meanwhile."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.running import PAIR, animate, survived, wait_for, whole_pair
from tests.faults.worlds import bound_by_permissions

INPUT = 3


@pytest.mark.parametrize(
    ("mode", "said"), [(0o555, "can't be written to"), (0o000, "can't be reached"), (0o666, "can't be reached")]
)
def test_a_closed_folder_is_told(place, face, speech, mode, said):
    shut = place.work / "shut"
    shut.mkdir()
    shut.chmod(mode)
    run = place.run(*animate(face, speech, "shut/o.mp4"), world=bound_by_permissions)
    place.told(run, INPUT, said)
    assert place.there() == {"shut"}
    shut.rmdir()
    place.check_recovery(*animate(face, speech), fault="places")


def test_a_folder_that_may_be_written_to_and_not_listed_will_do(place, face, speech):
    place.work.chmod(0o333)
    run = place.run(*animate(face, speech), world=bound_by_permissions)
    place.work.chmod(0o755)
    assert run.wait() == 0, run.said
    assert place.there() == PAIR
    whole_pair(place.work / "o.mp4")
    survived["places"] += 1


@pytest.mark.parametrize("closed", ["face", "speech"])
def test_an_input_that_may_not_be_read_is_told(place, face, speech, closed):
    files = {"face": face, "speech": speech}
    shut = shutil.copy(files[closed], place.folder)
    Path(shut).chmod(0)
    run = place.run(*animate(**files | {closed: shut}), world=bound_by_permissions)
    place.told(run, INPUT, "may not be read")
    place.check_recovery(*animate(face, speech), fault="places")


def test_a_disk_that_is_read_only_is_told(place, face, speech):
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(place.work)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a disk here")
    try:
        place.told(place.run(*animate(face, speech)), INPUT, "can't be written to")
        jobs = place.folder / "jobs.csv"
        jobs.write_text(f"face,speech\n{face},{speech}\n")
        place.told(place.run("batch", jobs, "-o", "out"), INPUT, "out can't be a folder: Read-only file system")
    finally:
        subprocess.run(["umount", "-l", str(place.work)], check=True)
    place.check_recovery(*animate(face, speech), fault="places")


def removed(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def a_file(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("not a folder any more")


def the_output_is_a_folder(folder: Path) -> None:
    (folder / "o.mp4").mkdir()


def the_motion_is_a_folder(folder: Path) -> None:
    (folder / "o.motion.safetensors").mkdir()


@pytest.mark.parametrize("change", [removed, a_file, the_output_is_a_folder, the_motion_is_a_folder])
def test_what_happens_to_the_folder_meanwhile_is_told(place, face, speech, change: Callable[[Path], None]):
    """As soon as the draft is there."""
    folder = place.work / "out"
    folder.mkdir()
    command = animate(face, speech, "out/o.mp4")
    run = place.start(*command)
    wait_for(lambda: run.over or any(folder.iterdir()))
    change(folder)
    place.told(run, INPUT, "o.motion.safetensors can't" if change is the_motion_is_a_folder else "o.mp4")
    assert not list(place.work.rglob(".floatcli-*"))
    place.empty()
    place.check_recovery(*animate(face, speech), fault="places")


@pytest.mark.parametrize("what", ["folder", "closed"])
def test_results_of_a_batch_that_can_not_be_kept_are_told(place, face, speech, what):
    jobs, out = place.folder / "jobs.csv", place.work / "out"
    jobs.write_text(f"face,speech,out\n{face},{speech},o.mp4\n")
    out.mkdir()
    if what == "folder":
        (out / "results.jsonl").mkdir()
        says = "results.jsonl is no regular file"
    else:
        (out / "results.jsonl").touch(0o444)
        says = "results.jsonl can't be written"
    command = ("batch", jobs, "-o", "out", "--set", "crop=none", "--set", "nfe=1")
    place.told(place.run(*command, world=bound_by_permissions), INPUT, says)
    assert place.there() == {"out", "out/results.jsonl"}
    shutil.rmtree(out)
    assert place.run(*command).wait() == 0
    whole_pair(out / "o.mp4")
    survived["places"] += 1


def test_a_folder_of_a_clip_in_a_batch_that_is_a_file_costs_that_clip(place, face, speech):
    jobs = place.folder / "jobs.csv"
    jobs.write_text(f"face,speech,out\n{face},{speech},taken/o.mp4\n{face},{speech},o.mp4\n")
    (place.work / "taken").touch()
    command = ("batch", jobs, "-o", ".", "--set", "crop=none", "--set", "nfe=1")
    assert place.run(*command).wait() == INPUT
    assert place.there() == PAIR | {"taken", "results.jsonl"}
    (place.work / "taken").unlink()
    assert place.run(*command).wait() == 0
    for name in ("o.mp4", "taken/o.mp4"):
        whole_pair(place.work / name)
    survived["places"] += 1


def test_a_name_that_others_took_in_the_temporary_folder_stops_nothing(place, face, speech, tiny_weights):
    """From the start of the process on: torch would have a folder of its own there."""
    user, caches = getpass.getuser(), place.folder / "caches"
    (place.tmp / f"torchinductor_{user}").touch()
    caches.mkdir()
    environment = os.environ | {"TMPDIR": str(place.tmp), "XDG_CACHE_HOME": str(caches), "PYTHONPATH": os.getcwd()}
    for name in ("TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR"):
        environment.pop(name, None)
    words = [*map(str, animate(face, speech)), "--weights", str(tiny_weights), "--device", "cpu"]
    command = [sys.executable, "-m", "floatcli", *words]
    done = subprocess.run(command, cwd=place.work, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "error" in done.stderr) == (0, False), done.stderr
    whole_pair(place.work / "o.mp4")
    assert os.listdir(place.tmp) == [f"torchinductor_{user}"]
    survived["places"] += 1
