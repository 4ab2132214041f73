"""Ctrl-C at any moment, imports and the very end included: soon over, nothing left, and the next run makes all."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.faults.running import PAIR, Place, Run, animate, survived, whole_pair

SOON = 60.0  # seconds, on however busy a machine
TIMES = 6


def interrupted(run: Run, number: int) -> bool:
    """Send a signal, and check that it ends a command in good order; False where it was over before."""
    run.signal(number)
    since = time.monotonic()
    code = run.wait(SOON)
    if code == 0:
        return False
    assert code == 128 + number, run.said
    assert run.said.splitlines()[-1] == "floatcli: interrupted"
    assert "Traceback" not in run.said
    assert time.monotonic() - since < SOON
    return True


def length_of(place: Place, *command: object) -> float:
    run = place.run(*command)
    assert run.wait() == 0
    return run.seconds


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_animate(place, face, speech, seed, number):
    command, draws = animate(face, speech), random.Random(seed)
    length = length_of(place, *command)
    print(f"seed {seed}")
    for k in range(TIMES):
        place.empty()
        run = place.start(*command)
        run.sleep((k + draws.random()) / TIMES * length)
        if interrupted(run, number):
            place.quiet()
            assert place.there() in (set(), PAIR)
            survived["interrupts"] += 1
    place.empty()
    place.check_recovery(*command, fault="interrupts")


@pytest.mark.parametrize("together", [1, 3])
def test_batch(place, face, speech, seed, together):
    jobs, draws = place.folder / "jobs.csv", random.Random(seed)
    jobs.write_text("face,speech,out,seed\n" + "".join(f"{face},{speech},{k}.mp4,{k}\n" for k in range(4)))
    command = ("batch", jobs, "-o", "out", "--set", "crop=none", "--set", "nfe=1", "--together", together)
    length = length_of(place, *command)
    made = place.there()
    print(f"seed {seed}")
    for k in range(TIMES):
        place.empty()
        run = place.start(*command)
        run.sleep((k + draws.random()) / TIMES * length)
        if interrupted(run, signal.SIGINT):
            place.quiet()
            assert place.there() <= made
            survived["interrupts"] += 1
        assert place.run(*command).wait() == 0
        assert place.there() == made
        for number in range(4):
            whole_pair(place.work / f"out/{number}.mp4")


@pytest.mark.parametrize("name", ["typer", "rich.console", "numpy", "torch", "transformers", "floatcli.pipeline"])
def test_at_an_import(tmp_path, face, speech, tiny_weights, name):
    """By the console script's own way, from its first import on."""
    stop = (
        "import os, signal, sys\n"
        "class Stop:\n"
        "    def find_spec(self, wanted, *_):\n"
        f"        if wanted == {name!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "from floatcli.__main__ import main\n"
        "sys.meta_path.insert(0, Stop())\n"
        "sys.argv[0] = 'floatcli'\n"
        "main()\n"
    )
    words = map(str, [*animate(face, speech), "--weights", tiny_weights, "--device", "cpu"])
    command = [sys.executable, "-c", stop, *words]
    done = subprocess.run(command, cwd=tmp_path, env=imported_from_here(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "floatcli: interrupted\n")
    assert not list(tmp_path.iterdir())
    survived["interrupts"] += 1


AT_THE_END = [  # where the signal comes, and how the command ends
    ("sys.setprofile(lambda frame, what, _: frame.f_code is run and what == 'return' and stop())", 143),
    ("gc.freeze = stop", 0),
    ("atexit.register(stop)", 0),
]


@pytest.mark.parametrize(("where", "code"), AT_THE_END, ids=["as it returns", "on the way out", "at exit"])
def test_at_the_very_end(tmp_path, face, speech, tiny_weights, where, code):
    """As it returns, a signal still counts; after that how it ended stays. All that it made is there either way."""
    stop = (
        "import atexit, gc, signal, sys\n"
        "from floatcli.__main__ import main\n"
        "import floatcli.cli.app\n"
        "run = floatcli.cli.app.run.__code__\n"
        "stop = lambda: signal.raise_signal(signal.SIGTERM)\n"
        f"{where}\n"
        "sys.argv[0] = 'floatcli'\n"
        "main()\n"
    )
    words = map(str, [*animate(face, speech), "--weights", tiny_weights, "--device", "cpu"])
    command = [sys.executable, "-c", stop, *words]
    done = subprocess.run(command, cwd=tmp_path, env=imported_from_here(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "floatcli: interrupted\n" if code else "")
    assert {path.name for path in tmp_path.iterdir()} == PAIR
    whole_pair(tmp_path / "o.mp4")
    survived["interrupts"] += 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_while_an_object_is_removed(number):
    """Python drops what is raised there: the signal comes again."""
    stop = (
        "import os, signal, time\n"
        "from floatcli.cli.signals import catch_signals\n"
        "class Removed:\n"
        "    def __del__(self):\n"
        f"        os.kill(os.getpid(), {number:d})\n"
        "        time.sleep(1)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "catch_signals()\n"
        "Removed()\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", stop]
    done = subprocess.run(command, env=imported_from_here(), capture_output=True, timeout=SOON, check=False)
    assert (done.returncode, done.stderr) == (128 + number, b"")
    survived["interrupts"] += 1


def test_while_a_library_makes_another_exception_of_it():
    """As torch does in C, where it builds a tensor."""
    stop = (
        "import os, signal, sys, time\n"
        "from floatcli.__main__ import main\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name != 'numpy': return\n"
        "        try:\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "            time.sleep(1)\n"
        "        except BaseException:\n"
        "            raise ValueError('no shape') from None\n"
        "sys.meta_path.insert(0, Stop())\n"
        "sys.argv = ['floatcli', 'emotion', 'speech.wav']\n"
        "main()\n"
    )
    command = [sys.executable, "-c", stop]
    done = subprocess.run(command, env=imported_from_here(), capture_output=True, timeout=SOON, check=False)
    assert (done.returncode, done.stderr) == (143, b"floatcli: interrupted\n")
    survived["interrupts"] += 1


def test_the_end_does_not_take_long(place, face, speech, tiny_weights):
    """Once all is said: Python itself would go through every object of every library."""
    words = [*map(str, animate(face, speech)), "--weights", str(tiny_weights), "--device", "cpu"]
    ended = (
        "import gc, sys\n"
        "from floatcli.__main__ import main\n"
        f"sys.argv = ['floatcli', *{words!r}]\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(gc.get_freeze_count(), sum(gc.get_count()))\n"
    )
    command = [sys.executable, "-c", ended]
    done = subprocess.run(command, cwd=place.work, env=imported_from_here(), capture_output=True, check=False)
    frozen, others = map(int, done.stdout.split())
    assert frozen > 100_000
    assert others < frozen / 10
    assert place.there() == PAIR


def imported_from_here() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_where_nobody_hears_the_last_word_the_code_is_right(place, face, speech):
    """stderr is a pipe whose reader has gone."""
    run = place.start(*animate(face, speech))
    run.deafen()
    run.sleep(0.3)
    run.signal(signal.SIGINT)
    assert run.wait(SOON) == 130
    place.quiet()
    assert place.there() == set()
    survived["interrupts"] += 1
