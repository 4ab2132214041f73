"""Every way by which another program is run: none goes through a shell, and ffmpeg's all go through one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import floatcli
from floatcli.media import ffmpeg

PACKAGE = Path(floatcli.__file__).parent
TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
#: Who runs programs, and which: all else needs none.
RUNNERS = {
    "media/ffmpeg.py": "ffmpeg", "media/audio.py": "ffmpeg", "media/frames.py": "ffmpeg", "media/encoder.py": "ffmpeg",
    "train/record.py": "git",
}  # fmt: skip
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"}
SPAWNS = {f"os.{name}" for name in dir(__import__("os")) if name.startswith(("exec", "spawn", "posix_spawn"))}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call in the package: its file, what is called as it is spelt, and itself."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield name, ast.unparse(node.func), node


def test_nothing_is_run_by_a_shell() -> None:
    found = list(calls())
    assert len(found) > 3000  # it is the package that was looked at
    for file, what, call in found:
        assert what not in SHELLS | SPAWNS, f"{file}:{call.lineno} {what}"
        assert not any(keyword.arg == "shell" for keyword in call.keywords), f"{file}:{call.lineno}"
    for file, tree in TREES.items():  # nor by way of a dictionary of options
        words = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == "shell"]
        assert not words, f"{file}:{words[0].lineno}"


def test_these_modules_run_programs_and_no_others() -> None:
    importing = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if "subprocess" in (alias.name.partition(".")[0], getattr(node, "module", None))
    }
    assert importing == set(RUNNERS)


def test_a_program_is_given_a_list_of_words_and_never_one_text() -> None:
    starts = [(file, call) for file, what, call in calls() if what in ("subprocess.run", "subprocess.Popen", "begun")]
    assert {file for file, _ in starts} == set(RUNNERS)
    for file, call in starts:
        assert not isinstance(call.args[0], (ast.Constant, ast.JoinedStr, ast.BinOp)), f"{file}:{call.lineno}"


def test_inputs_of_ffmpeg_are_made_in_one_place() -> None:
    for file, what, call in calls():
        if what in ("ffmpeg.input", "ffmpeg.probe"):
            assert file == "media/ffmpeg.py", f"{file}:{call.lineno} {what}"
    words = [node.value for name, tree in TREES.items() if name != "media/ffmpeg.py" for node in ast.walk(tree)
             if isinstance(node, ast.Constant) and node.value == "-i"]  # fmt: skip
    assert not words


@pytest.mark.parametrize("made", [ffmpeg.file_input(Path("-i.wav")), ffmpeg.pipe_input("mp4")], ids=["file", "pipe"])
def test_every_input_reads_files_or_the_pipe_and_no_network(made) -> None:
    words = made.output("pipe:1", format="null").get_args()
    allowed = words[words.index("-protocol_whitelist") + 1]
    assert allowed == words[words.index("-i") + 1].partition(":")[0]
    assert allowed in ("file", "pipe")
