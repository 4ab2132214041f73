"""Files that are cut off, at one length after another: told in one line, or used as far as they go, never a hang."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open

from floatcli.media.ffmpeg import ffmpeg_executable
from floatcli.motion import Motion, motion_beside
from tests.faults.running import FRAMES, MOTION, PAIR, Place, animate, survived, whole_pair

INPUT, WEIGHTS = 3, 4
POINTS = 5


def lengths(path: Path, seed: int) -> list[int]:
    """Of what is left of a file: a byte, all but a byte, and one in every stretch between."""
    size, draws = path.stat().st_size, random.Random(seed)
    print(f"seed {seed}")
    return [1, *(int((k + draws.random()) / POINTS * (size - 1)) or 1 for k in range(POINTS)), size - 1]


def cut(path: Path, length: int, place: Place) -> Path:
    short = place.folder / f"short{path.suffix}"
    short.write_bytes(path.read_bytes()[:length])
    return short


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif"])
def test_a_portrait(place, face, speech, seed, suffix):
    """A picture that is not all there is no portrait, but for ends that hold none of it."""
    picture = place.folder / f"face.{suffix}"
    Image.open(face).save(picture)
    for length in lengths(picture, seed):
        short = cut(picture, length, place)
        run = place.run(*animate(short, speech))
        if run.wait() == 0:
            assert (Image.open(short).convert("RGB").tobytes()) == Image.open(picture).convert("RGB").tobytes()
            whole_pair(place.work / "o.mp4")
        else:
            place.told(run, INPUT, f"{short} is")
            assert place.there() == set()
        place.empty()
        survived["truncated"] += 1


@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "flac", "ogg", "mp4", "mkv"])
def test_a_recording(place, face, speech, seed, suffix):
    """What can be heard of it is said, and where it breaks off is told."""
    recording = place.folder / f"speech.{suffix}"
    pictures = ["-f", "lavfi", "-i", "testsrc=s=64x64:r=25", "-shortest"] if suffix in ("mp4", "mkv") else []
    command = [ffmpeg_executable(), "-v", "error", "-i", str(speech), *pictures, str(recording)]
    subprocess.run(command, check=True)
    said = {}
    for length in lengths(recording, seed):
        run = place.run(*animate(face, cut(recording, length, place)))
        if run.wait() == 0:
            assert place.there() == PAIR
            frames = len(Motion.load(motion_beside(place.work / "o.mp4")).latents)
            whole_pair(place.work / "o.mp4", frames)
            assert frames <= FRAMES + 2  # encoders fill their last packet
            said[length] = frames
        else:
            place.told(run, INPUT, "short.")
            assert ("breaks off" in run.said) <= ("is too short" in run.said)  # else there is nothing that could
            assert place.there() == set()
        place.empty()
        survived["truncated"] += 1
    assert list(said.values()) == sorted(said.values())


def test_where_a_recording_breaks_off_is_told(place, face, speech):
    run = place.run(*animate(face, cut(speech, speech.stat().st_size // 2, place)))
    assert run.wait() == 0
    assert "breaks off after 0.6 s" in run.said


def test_a_motion(place, face, speech, seed):
    assert place.run(*animate(face, speech)).wait() == 0
    motion = place.work / f"o{MOTION}"
    kept = shutil.move(motion, place.folder / "kept")
    (place.work / "o.mp4").unlink()
    for length in lengths(kept, seed):
        motion.write_bytes(kept.read_bytes()[:length])
        run = place.run("edit", motion.name, "--basis", "1", "--scale", "2", "-o", "edited.mp4")
        place.told(run, INPUT, f"{motion.name} cannot be read")
        assert place.there() == {motion.name}
        survived["truncated"] += 1
    shutil.copy(kept, motion)
    assert place.run("edit", motion.name, "--basis", "1", "--scale", "2", "-o", "edited.mp4").wait() == 0
    whole_pair(place.work / "edited.mp4")


def test_weights(place, face, speech, tiny_weights, seed):
    """And in the place where tensors begin."""
    with tiny_weights.open("rb") as file:
        header = 8 + int.from_bytes(file.read(8), "little")
    with safe_open(tiny_weights, framework="numpy") as whole:
        assert whole.keys()
    for length in [7, 8, header - 1, header, *lengths(tiny_weights, seed)]:
        short = cut(tiny_weights, length, place)
        place.options = ["--weights", str(short), "--device", "cpu"]
        place.told(place.run(*animate(face, speech)), WEIGHTS, f"{short}")
        assert place.there() == set()
        survived["truncated"] += 1


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_list(place, face, speech, seed, suffix):
    """Lines that are whole are made where the others can be told; else nothing is, and the line is named."""
    text = f"face,speech,out,seed\n{face},{speech},1.mp4,1\n{face},{speech},2.mp4,2\n"
    if suffix == "jsonl":
        text = "".join(f'{{"face": "{face}", "speech": "{speech}", "out": "{k}.mp4"}}\n' for k in range(2))
    jobs = place.folder / f"jobs.{suffix}"
    jobs.write_text(text)
    for length in lengths(jobs, seed):
        command = ("batch", cut(jobs, length, place), "-o", "out", "--set", "crop=none", "--set", "nfe=1")
        run = place.run(*command)
        assert run.wait() in (0, 2, INPUT), run.said
        assert "Traceback" not in run.said
        assert "bug in floatcli" not in run.said
        for video in place.work.rglob("*.mp4"):
            whole_pair(video)
        assert not list(place.work.rglob(".floatcli-*"))
        place.empty()
        survived["truncated"] += 1
