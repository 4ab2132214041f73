"""ffmpeg that dies, hangs, or never was: told in one line, no file, and once it is mended the next run succeeds."""

from __future__ import annotations

import os
import random
import re
import signal
from pathlib import Path

import pytest

from floatcli.media.ffmpeg import ffmpeg_executable
from tests.faults.running import MOTION, PAIR, Place, animate, processes, survived, wait_for, whole_pair
from tests.faults.worlds import patient_no_more

FFMPEG = 6
WRITES, READS = "*rawvideo*", "*f32be*"  # what ffmpeg's arguments say when it encodes, and when it reads sound

#: Shell scripts in place of ffmpeg, where its arguments are like the first; and what is said of each.
BROKEN = {
    "exits at once": (WRITES, "exit 1", "ffmpeg gave no reason"),
    "exits at once as if all were well": (WRITES, "exit 0", "ffmpeg gave no reason"),
    "is not found by its own script": (WRITES, "exec nowhere", "nowhere"),
    "is killed": (WRITES, "head -c 99999 > /dev/null; kill -9 $$", "it was ended by SIGKILL"),
    "crashes": (WRITES, "kill -11 $$", "it was ended by SIGSEGV"),
    "closes its stdin and lives on": (WRITES, "exec <&-; sleep 300", "it was ended by SIGKILL"),
    "fails half-way": (WRITES, "head -c 99999 > /dev/null; echo Error encoding >&2; exit 1", "Error encoding"),
    "is killed while it reads": (READS, "kill -9 $$", "it was ended by SIGKILL"),
    "never begins": ("*", "kill -9 $$", "it was ended by SIGKILL"),
    "lacks its libraries": ("*", "echo libavcodec.so.61: cannot open >&2; exit 127", "libavcodec.so.61: cannot open"),
}


def instead(place: Path, body: str) -> dict[str, str]:
    """The environment in which a script is ffmpeg."""
    tools = place / "tools"
    tools.mkdir(exist_ok=True)
    path = tools / "ffmpeg"
    path.write_text(body)
    path.chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


@pytest.mark.parametrize("fault", BROKEN)
def test_it(place, face, speech, fault):
    where, does, said = BROKEN[fault]
    script = f'#!/bin/sh\ncase "$*" in {where}) {does};; esac\nexec {ffmpeg_executable()} "$@"\n'
    run = place.run(*animate(face, speech), environment=instead(place.folder, script))
    place.told(run, FFMPEG, said)
    place.check_recovery(*animate(face, speech), fault="ffmpeg")


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [("", 0o755, "Exec format error"), ("#!/nowhere/sh\n", 0o755, "No such file or directory"), ("", 0o644, "")],
)
def test_it_can_not_be_run(place, face, speech, content, mode, said):
    """What can't be executed at all is passed over for the next that can."""
    environment = instead(place.folder, content)
    (place.folder / "tools/ffmpeg").chmod(mode)
    run = place.run(*animate(face, speech), environment=environment)
    if said:
        place.told(run, FFMPEG, f"ffmpeg can't be run: {said}")
    else:
        assert (run.wait(), place.there()) == (0, PAIR)
        place.empty()
    place.check_recovery(*animate(face, speech), fault="ffmpeg")


def test_it_is_nowhere(place, face, speech):
    missing = {"PATH": str(place.folder), "IMAGEIO_FFMPEG_EXE": str(place.folder / "nowhere")}
    place.told(place.run(*animate(face, speech), environment=missing), FFMPEG, "nowhere can't be run: No such file")
    place.check_recovery(*animate(face, speech), fault="ffmpeg")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_somebody_ends_it_while_it_writes(place, face, speech, seed, number):
    draws = random.Random(seed)
    run = place.start(*animate(face, speech))
    wait_for(lambda: run.over or encoders(place))
    run.sleep(draws.random() * 0.1)
    for pid in encoders(place):
        os.kill(pid, number)
    if run.wait() == 0:  # it had ended by itself just before
        whole_pair(place.work / "o.mp4")
        place.empty()
    else:
        place.told(run, FFMPEG, "ffmpeg failed to write")
    place.check_recovery(*animate(face, speech), fault="ffmpeg")


def encoders(place: Place) -> list[int]:
    found = []
    for pid in processes(place.folder):
        try:
            if b"rawvideo" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            pass
    return found


HANGS = f'#!/bin/sh\ncase "$*" in {WRITES}) sleep 300;; esac\nexec {ffmpeg_executable()} "$@"\n'


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_that_hangs_does_not_keep_a_signal_from_ending_all(place, face, speech, number, code):
    run = place.start(*animate(face, speech), environment=instead(place.folder, HANGS))
    wait_for(lambda: encoders(place))
    run.sleep(1)
    run.signal(number)
    assert run.wait(20) == code
    assert run.said.splitlines()[-1] == "floatcli: interrupted"
    place.check_recovery(*animate(face, speech), fault="ffmpeg")


@pytest.mark.parametrize("batch_size", [4, 30])
def test_one_that_hangs_is_given_up_in_the_end(place, face, speech, batch_size):
    """Whether it has taken no batch of several, or the only one."""
    command = (*animate(face, speech), "--batch-size", batch_size)
    run = place.run(*command, environment=instead(place.folder, HANGS), world=patient_no_more)
    place.told(run, FFMPEG, "ffmpeg takes no frames of")
    place.check_recovery(*animate(face, speech), fault="ffmpeg")


def test_in_a_batch_it_costs_one_clip(place, face, speech):
    """The others are made, and the next run makes that one."""
    once = place.folder / "once"
    script = (
        f'#!/bin/sh\ncase "$*" in {WRITES}) if mkdir {once} 2>/dev/null; then kill -9 $$; fi;; esac\n'
        f'exec {ffmpeg_executable()} "$@"\n'
    )
    jobs = place.folder / "jobs.csv"
    jobs.write_text(f"face,speech,out,seed\n{face},{speech},1.mp4,1\n{face},{speech},2.mp4,2\n")
    command = ("batch", jobs, "-o", "out", "--set", "crop=none", "--set", "nfe=1")
    run = place.run(*command, environment=instead(place.folder, script))
    assert run.wait() == FFMPEG
    assert len(re.findall("failed: .*ended by SIGKILL", run.said)) == 1
    made = {"out", "out/results.jsonl", *(f"out/{k}{end}" for k in (1, 2) for end in (".mp4", MOTION))}
    missing = made - place.there()
    assert missing in ({"out/1.mp4", f"out/1{MOTION}"}, {"out/2.mp4", f"out/2{MOTION}"})
    assert place.run(*command).wait() == 0
    assert place.there() == made
    for name in ("1.mp4", "2.mp4"):
        whole_pair(place.work / "out" / name)
    survived["ffmpeg"] += 1
