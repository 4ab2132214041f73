"""Every command that makes a video marks it as generated, whatever its options; settings go along unless refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from floatcli.cli.app import run
from floatcli.media.ffmpeg import ffmpeg_executable
from floatcli.media.mark import GENERATED, SETTINGS
from floatcli.motion import read_making


def comment(path: Path) -> str:
    command = [ffmpeg_executable(), "-v", "error", "-i", f"file:{path}", "-f", "ffmetadata", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search("^comment=(.*)$", text, re.MULTILINE | re.IGNORECASE)
    assert found, text
    return re.sub(r"\\(.)", r"\1", found[1])


def settings(path: Path) -> dict:
    text = comment(path)
    assert text.startswith(GENERATED + SETTINGS)
    return json.loads(text.removeprefix(GENERATED + SETTINGS))


@pytest.fixture
def animate(tiny_weights, face_file, speech_file, tmp_path):
    """The command, and the video it writes."""

    def make(*options: str, name: str = "out.mp4") -> Path:
        fixed = ["--weights", str(tiny_weights), "--crop", "none", "--nfe", "1", "--device", "cpu", "-q"]
        assert run(["animate", str(face_file), str(speech_file), "-o", str(tmp_path / name), *fixed, *options]) == 0
        return tmp_path / name

    return make


def test_animate_tells_seed_scales_and_emotion(animate):
    told = settings(animate("--seed", "7", "--audio-scale", "1.5", "--emotion", "SAD"))
    assert (told["seed"], told["nfe"], told["audio_scale"], told["emotion"]) == (7, 1, 1.5, "sad")
    assert told["weights"] == "tiny"
    assert "edits" not in told


def test_no_metadata_leaves_settings_out_and_the_mark_in(animate):
    assert comment(animate("--no-metadata")) == GENERATED
    assert comment(animate("--no-metadata", name="o.webm")) == GENERATED


def test_nothing_in_a_video_tells_where_it_was_made(animate, face_file, speech_file, tmp_path):
    content = animate(name="o.mkv").read_bytes()
    for word in (tmp_path, face_file.parent, speech_file.parent, Path.home(), face_file.name, speech_file.name):
        assert str(word).encode() not in content


@pytest.mark.parametrize("option", ["--metadata", "--no-metadata"])
def test_a_stream_is_marked_from_its_first_bytes(option, tiny_weights, face_file, speech_file, tmp_path):
    fixed = ["--weights", str(tiny_weights), "--crop", "none", "--nfe", "1", "--device", "cpu", option]
    command = [sys.executable, "-m", "floatcli", "animate", str(face_file), str(speech_file), "-o", "-", *fixed]
    (tmp_path / "o.mp4").write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    assert GENERATED in comment(tmp_path / "o.mp4")
    assert (SETTINGS in comment(tmp_path / "o.mp4")) == (option == "--metadata")


def test_an_edit_tells_the_edits_and_what_made_the_clip(animate, tmp_path):
    clip, edited = animate("--seed", "3", "--emotion", "happy"), tmp_path / "edited.mov"
    words = ["edit", str(clip), "--basis", "3", "--scale", "1.5", "-o", str(edited), "--device", "cpu", "-q"]
    assert run(words) == 0
    told = settings(edited)
    assert told["edits"] == ["basis 3 scale 0:1.5"]
    assert (told["seed"], told["emotion"]) == (3, "happy")
    making = read_making(tmp_path / "edited.motion.safetensors")
    assert making.weights is not None
    assert (making.emotion, making.posed) == ("happy", False)
    assert run([*words, "--no-metadata"]) == 0
    assert comment(edited) == GENERATED


def test_emotions_side_by_side_tell_all_clips(tiny_weights, face_file, speech_file, tmp_path):
    path = tmp_path / "grid.mkv"
    fixed = ["--weights", str(tiny_weights), "--crop", "none", "--nfe", "1", "--device", "cpu", "-q"]
    words = ["emotion", str(speech_file), "--face", str(face_file), "--to", "happy,sad", "-o", str(path), *fixed]
    assert run(words) == 0
    assert [each["emotion"] for each in settings(path)] == ["happy", "sad"]
    assert run([*words, "--no-metadata"]) == 0
    assert comment(path) == GENERATED


def test_metadata_is_about_a_video(tiny_weights, speech_file, capsys):
    assert run(["emotion", str(speech_file), "--no-metadata"]) == 2
    assert "--metadata is for showing emotions" in capsys.readouterr().err


def test_a_batch_takes_it_for_all_or_by_the_line(tiny_weights, face_file, speech_file, tmp_path):
    jobs = tmp_path / "jobs.csv"
    lines = ["face,speech,out,crop,nfe,metadata,seed"]
    lines += [f"{face_file},{speech_file},{name}.mp4,none,1,{told},4" for name, told in (("a", ""), ("b", "yes"))]
    jobs.write_text("\n".join(lines))
    out = tmp_path / "videos"
    fixed = ["--weights", str(tiny_weights), "--device", "cpu", "-q", "--set", "metadata=no"]
    assert run(["batch", str(jobs), "-o", str(out), *fixed]) == 0
    assert comment(out / "a.mp4") == GENERATED
    assert settings(out / "b.mp4")["seed"] == 4


def test_what_travels_with_the_package_is_told_by_its_digest_without_reading_it():
    from floatcli.checkpoint.store import file_digest, find_weights, told_digest

    path = find_weights("embedded")
    assert told_digest(path) == file_digest(path)


def test_other_weights_are_told_by_their_name_alone(tiny_weights, animate):
    from floatcli.checkpoint.store import told_digest

    assert told_digest(tiny_weights) is None
    assert "weights_sha256" not in settings(animate())
