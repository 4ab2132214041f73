"""The command line as a whole: help, version, and the one place where errors end."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import get_args

import pytest

from floatcli import __version__
from floatcli.cli import train, weights
from floatcli.cli.app import run
from floatcli.cli.overview import COMMANDS
from floatcli.errors import DeviceError, ExitCode, FfmpegError, FloatCliError, InputError, UsageError, WeightsError
from floatcli.jobs import Job

PYTHON = [sys.executable, "-m", "floatcli"]


def floatcli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PYTHON, *arguments], capture_output=True, text=True, check=False)


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make every animate fail like this."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Job, "check", fail)


def test_version():
    said = floatcli("--version")
    assert (said.returncode, said.stdout) == (0, f"floatcli {__version__}\n")


def test_help_shows_the_defaults_of_the_configuration():
    said = floatcli("animate", "--help").stdout
    for expected in ("--audio-scale", "2.0", "--margin", "1.6", "--crf", "18", "--seed", "15", "FACE-SPEECH.mp4"):
        assert expected in said


def test_no_arguments_at_all_show_the_help():
    said = floatcli()
    assert said.returncode == ExitCode.USAGE
    assert "Usage: floatcli" in said.stdout + said.stderr
    assert "error" not in said.stderr


USAGE = [
    ("--help",), ("animate", "--help"), ("--version",), (), ("wave",), ("animate",), ("animate", "a"),
    ("animate", "a", "b", "--loud"), ("animate", "a", "b", "--nfe", "0"), ("animate", "a", "b", "--crop", "1,2"),
    ("animate", "a", "b", "--emotion", "bored"), ("animate", "a", "b", "--device", "abacus"),
    ("animate", "a", "b", "--crf", "99"), ("animate", "a", "b", "--solver", "guess"), ("animate", "a", "b"),
    ("edit",), ("edit", "--help"), ("edit", "--scale", "2"), ("edit", "no.mp4", "--basis", "1", "--freeze"),
    ("emotion", "--help"), ("emotion", "a", "--window", "0"), ("emotion", "a", "--to", "sad"), ("emotion", "a"),
    ("weights",), ("weights", "list"), ("weights", "path", "big"), ("weights", "path", "float"),
    ("weights", "verify", "big"), ("animate", "a", "b", "--margin", "1000"),
    ("train",), ("train", "--help"), ("train", "draw"), ("train", "autoencoder", "x.toml", "--part", "ears"),
    ("train", "prepare"), ("train", "prepare", "--help"), ("train", "prepare", "a", "-o", "b", "--size", "3"),
    ("evaluate", "--help"), ("evaluate", "--every", "3"), ("evaluate", "--data", "a", "--identities", "3"),
    ("evaluate", "--data", "a", "--network", "ears=b"), ("evaluate", "--data", "a", "--video", "a.txt"),
]  # fmt: skip


def test_help_and_usage_errors_import_nothing_heavy():
    code = (
        "import sys, json\n"
        "from floatcli.cli.app import run\n"
        "for arguments in json.loads(sys.argv[1]): run(arguments)\n"
        "heavy = {'torch', 'transformers', 'torchaudio', 'cv2', 'skimage', 'face_alignment'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    import json

    arguments = json.dumps([list(each) for each in USAGE])
    said = subprocess.run([sys.executable, "-c", code, arguments], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "HEAVY []"


def test_the_overview_imports_next_to_nothing():
    code = (
        "import sys\n"
        "from floatcli.cli.app import run\n"
        "run(['--help'])\n"
        "slow = {'numpy', 'PIL', 'ffmpeg', 'safetensors', 'typer.rich_utils', 'rich.markdown', 'pygments'}\n"
        "print('SLOW', sorted(slow & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "SLOW []"


def test_the_overview_says_of_every_command_what_its_own_help_begins_with(capsys):
    for name, line in COMMANDS.items():
        run([name, "--help"])
        assert line in " ".join(capsys.readouterr().out.split())


def test_a_command_that_was_misspelt_is_guessed(capsys):
    assert run(["animat"]) == ExitCode.USAGE
    assert "Did you mean 'animate'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "code"),
    [(UsageError, 2), (InputError, 3), (WeightsError, 4), (DeviceError, 5), (FfmpegError, 6), (FloatCliError, 1)],
)
def test_every_kind_of_error_has_its_exit_code(monkeypatch, capsys, kind, code):
    failing(monkeypatch, kind("the tea is cold", "boil water"))
    assert run(["animate", "a", "b"]) == code
    assert capsys.readouterr().err == "floatcli: error: the tea is cold\nfloatcli: hint: boil water\n"


def test_a_library_that_cannot_be_loaded_is_told_with_the_way_out(monkeypatch, capsys):
    def broken(*_, **__):
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr("floatcli.cli.app.app", broken)
    assert run(["animate"]) == 1
    first, hint = capsys.readouterr().err.splitlines()
    assert first == "floatcli: error: a library cannot be loaded: libGL.so.1: cannot open shared object file"
    assert "opencv-python-headless" in hint


def test_a_bug_is_one_line_that_says_so(monkeypatch, capsys):
    failing(monkeypatch, ZeroDivisionError("division\nby zero"))
    assert run(["animate", "a", "b"]) == ExitCode.BUG
    first, second = capsys.readouterr().err.splitlines()
    assert first == "floatcli: error: this is a bug in floatcli: ZeroDivisionError: division by zero"
    assert "--traceback" in second


@pytest.mark.parametrize("arguments", [["--traceback", "animate", "a", "b"], ["animate", "a", "b", "--traceback"]])
def test_traceback_shows_the_rest(monkeypatch, capsys, arguments):
    failing(monkeypatch, ZeroDivisionError("division by zero"))
    assert run(arguments) == ExitCode.BUG
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.splitlines()[-1].startswith("floatcli: error: this is a bug")


def test_after_two_dashes_traceback_is_a_file_name(capsys):
    assert run(["animate", "--", "--traceback", "b"]) == ExitCode.INPUT
    assert "--traceback is not there" in capsys.readouterr().err


def test_nobody_reading_stdout_is_no_error():
    process = subprocess.Popen([*PYTHON, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate()
    assert (process.returncode, said) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["weights", "list", "--json"], ["--version"]])
def test_a_stdout_that_is_full_is_told(unbuffered, words):
    with open("/dev/full", "w") as full:
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        command = [*PYTHON, *words]
        said = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment, text=True, check=False)
    assert said.stderr.splitlines() == [
        "floatcli: error: stdout can't be written: No space left on device",
        "floatcli: hint: make room, or send it elsewhere",
    ]
    assert said.returncode == ExitCode.INPUT


def test_a_stdout_that_is_closed_is_no_error():
    said = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *PYTHON, "--version"], capture_output=True, check=False)
    assert (said.returncode, said.stderr) == (0, b"")


CALLBACKS = [getattr(import_module(f"floatcli.cli.{name}"), name, None) for name in COMMANDS]
CALLBACKS += [command.callback for each in (train.app, weights.app) for command in each.registered_commands]


@pytest.mark.parametrize("command", [*filter(None, CALLBACKS)], ids=lambda command: command.__name__)
def test_no_path_is_left_to_typer_to_check(command):
    """It calls a file that may not be read wrong usage."""
    hints = [parameter.annotation for parameter in signature(command, eval_str=True).parameters.values()]
    paths = [get_args(hint) for hint in hints if get_args(hint)[:1] in ((Path,), (Path | None,))]
    assert all(option.parser is not None for _, option in paths)


def closed(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Make a file one that may not be read, also to those whom no permission stops."""
    path.write_bytes(b"closed")
    access = os.access
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != path and access(place, mode))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("animate {closed} {open}", ExitCode.INPUT),
        ("animate {open} {closed}", ExitCode.INPUT),
        ("animate {open} {open} --emotion {closed}.csv", ExitCode.INPUT),
        ("animate {open} {open} --weights {closed}", ExitCode.WEIGHTS),
        ("batch {closed} -o {open}", ExitCode.INPUT),
        ("batch {open} -o {open} --face {closed}", ExitCode.INPUT),
        ("edit {closed}", ExitCode.INPUT),
        ("edit {closed}.mp4", ExitCode.INPUT),
        ("edit {open} --weights {closed}", ExitCode.WEIGHTS),
        ("emotion {closed}", ExitCode.INPUT),
        ("evaluate --weights {closed}", ExitCode.WEIGHTS),
        ("weights convert {closed} -o {open}", ExitCode.WEIGHTS),
    ],
)
def test_a_file_that_may_not_be_read(words, code, tmp_path, monkeypatch, capsys):
    place = tmp_path / "file"
    shut = {".csv": "file.csv", ".mp4": "file.motion.safetensors"}.get(words[-4:], "file")
    closed(monkeypatch, tmp_path / shut)
    assert run(words.format(closed=place, open=__file__).split()) == code
    assert capsys.readouterr().err.splitlines() == [
        f"floatcli: error: {tmp_path / shut} may not be read",
        "floatcli: hint: check the file's permissions",
    ]


def test_an_empty_path_is_told_as_such(capsys):
    for words in (["animate", "", "b"], ["animate", "a", "b", "--weights", ""], ["weights", "convert", "", "-o", "c"]):
        assert run(words) == ExitCode.USAGE
        assert capsys.readouterr().err.startswith("floatcli: error: a path is empty\n")
