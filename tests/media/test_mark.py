"""The mark that a video is generated: in every container, where it is looked for, and after a remux."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from floatcli.config import SampleConfig, VideoConfig
from floatcli.errors import OutputError
from floatcli.media.mark import GENERATED, SETTINGS, SOURCE_TYPE, mark
from floatcli.media.video import CONTAINERS, STREAMS
from floatcli.motion import FileSource, Making
from floatcli.version import __version__
from tests.media.conftest import tone
from tests.media.test_stream import reader, streamed  # noqa: F401
from tests.media.test_video import clip, write

MAKING = Making(
    weights=FileSource("/home/anna/secret/w.safetensors", "ab" * 32), model="tiny", fps=25, emotions=("sad",),
    coefficient_names=(), basis_size=20, window=50, face=FileSource("/home/anna/me.png", "c" * 64),
    speech=FileSource("/home/anna/me.wav", "d" * 64), crop=(1.0, 2.004, 64.0, 0.0), sample=SampleConfig(nfe=9),
    edits=("basis 3 scale 0:1.5",), emotion="happy", posed=True,
)  # fmt: skip
HOSTILE = 'it\'s "50%" é; a=b\\c #d: $(touch x) `id`\u2028'
TAGS = {".mp4", ".mov", ".mkv", ".webm"}


def tags(path: Path, ffmpeg) -> str:
    """What ffmpeg tells of a file as metadata, unescaped."""
    text = ffmpeg("-i", path, "-f", "ffmetadata", "-").decode()
    for letter in "=;#\\":
        text = text.replace(f"\\{letter}", letter)
    return text


def comment(path: Path, ffmpeg) -> str:
    """The comment of a file."""
    if path.suffix == ".gif":
        return gif_comment(path.read_bytes())
    lines = tags(path, ffmpeg).split("\n")
    return next((line.partition("=")[2] for line in lines if line.lower().startswith("comment=")), "")


def gif_comment(data: bytes) -> str:
    """By the letter of the format: blocks one after the other, to the trailer that ends the file."""

    def table(flags: int) -> int:  # bytes of a palette
        return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0

    def pieces(at: int) -> tuple[bytes, int]:
        found = b""
        while data[at]:
            found, at = found + data[at + 1 : at + 1 + data[at]], at + 1 + data[at]
        return found, at + 1

    said, at = b"", 13 + table(data[10])
    while data[at] != 0x3B:
        if data[at] == 0x21:  # an extension
            content, after = pieces(at + 2)
            said, at = (said + content if data[at + 1] == 0xFE else said), after
        else:
            assert data[at] == 0x2C  # a picture
            _, at = pieces(at + 11 + table(data[at + 9]))
    assert at == len(data) - 1
    return said.decode()


def test_the_mark_alone_says_generated_by_what_and_no_more() -> None:
    assert mark([MAKING], settings=False) == GENERATED
    assert __version__ in GENERATED
    assert "not a recording of a real event" in GENERATED


def test_the_settings_are_what_it_takes_to_make_it_again_and_no_file_of_the_user() -> None:
    text = mark([MAKING], settings=True)
    assert text.startswith(GENERATED + SETTINGS)
    assert json.loads(text.removeprefix(GENERATED + SETTINGS)) == {
        "weights": "tiny", "weights_sha256": "ab" * 32, "audio_scale": 2.0, "emotion_scale": 1.0, "ref_scale": 1.0,
        "nfe": 9, "solver": "euler", "seed": 15, "emotion": "happy", "pose": True, "crop": [1.0, 2.0, 64.0, 0.0],
        "edits": ["basis 3 scale 0:1.5"],
    }  # fmt: skip
    assert "anna" not in text
    assert "me." not in text


def test_what_was_left_alone_is_left_out() -> None:
    plain = replace(MAKING, weights=None, edits=(), emotion=None, posed=False, sample=SampleConfig(solver="dopri5"))
    told = json.loads(mark([plain], settings=True).removeprefix(GENERATED + SETTINGS))
    assert not {"weights_sha256", "edits", "emotion", "pose", "nfe"} & set(told)
    assert told["tolerance"] == SampleConfig.tolerance


def test_nought_is_a_setting_too() -> None:
    nought = replace(MAKING, sample=SampleConfig(seed=0, audio_scale=0.0))
    told = json.loads(mark([nought], settings=True).removeprefix(GENERATED + SETTINGS))
    assert (told["seed"], told["audio_scale"]) == (0, 0)


def test_of_several_clips_every_one_is_told() -> None:
    both = [MAKING, replace(MAKING, emotion="sad")]
    told = json.loads(mark(both, settings=True).removeprefix(GENERATED + SETTINGS))
    assert [each["emotion"] for each in told] == ["happy", "sad"]


def test_of_very_many_edits_as_many_are_told_as_a_command_can_hand_on(tmp_path, ffmpeg) -> None:
    text = mark([replace(MAKING, edits=("basis 3 scale 0:1.5",) * 20_000)], settings=True)
    assert text.startswith(mark([MAKING], settings=True)[:-2])
    assert comment(write(tmp_path / "o.mp4", clip(64, 48), mark=text), ffmpeg) == text


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("text", [mark([MAKING] * 64, True), GENERATED + HOSTILE], ids=["long", "hostile"])
def test_every_container_bears_it_letter_for_letter(tmp_path, ffmpeg, suffix, text) -> None:
    path = write(tmp_path / f"o{suffix}", clip(64, 48), mark=text)
    assert comment(path, ffmpeg) == text
    if suffix == ".gif":
        assert Image.open(path).n_frames == len(clip(64, 48))


@pytest.mark.parametrize("suffix", sorted(TAGS))
def test_it_bears_the_industrys_word_too(tmp_path, ffmpeg, suffix) -> None:
    path = write(tmp_path / f"o{suffix}", clip(64, 48), mark=GENERATED)
    assert SOURCE_TYPE.encode() in path.read_bytes()
    if suffix in (".mkv", ".webm"):
        assert f"DIGITAL_SOURCE_TYPE={SOURCE_TYPE}" in tags(path, ffmpeg)
        return
    data, boxes, at = path.read_bytes(), [], 0
    while at < len(data):
        boxes.append((data[at + 4 : at + 8], data[at + 8 : at + 24]))
        at += int.from_bytes(data[at : at + 4], "big")
    assert at == len(data)  # whole boxes to the end
    assert boxes[-1] == (b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"))


@pytest.mark.parametrize("format", STREAMS)
def test_every_stream_bears_it_but_a_gif(tmp_path, ffmpeg, reader, format) -> None:  # noqa: F811
    path = tmp_path / f"came.{format}"
    path.write_bytes(streamed(reader, format, clip(64, 48), mark=mark([MAKING], True)))
    if format == "gif":
        assert b"floatcli" not in path.read_bytes()  # ffmpeg, which writes to the pipe, knows no comments of GIF
        return
    assert comment(path, ffmpeg) == mark([MAKING], True)


@pytest.mark.parametrize("source", sorted(TAGS))
@pytest.mark.parametrize("target", [".mp4", ".mkv"])
def test_it_survives_a_remux(tmp_path, ffmpeg, source, target) -> None:
    path, moved = write(tmp_path / f"o{source}", clip(64, 48), mark=mark([MAKING], True)), tmp_path / f"moved{target}"
    ffmpeg("-i", path, "-c", "copy", moved)
    assert comment(moved, ffmpeg) == mark([MAKING], True)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_what_was_recorded_bears_no_mark(tmp_path, suffix) -> None:
    assert b"enerated" not in write(tmp_path / f"o{suffix}", clip(64, 48)).read_bytes()


@pytest.mark.parametrize("suffix", sorted(TAGS))
@pytest.mark.parametrize("copied", [True, False])
def test_nothing_goes_along_that_a_recording_says_of_its_speaker(tmp_path, ffmpeg, recording, suffix, copied) -> None:
    tagged = ["-metadata", "artist=Anna Private", "-metadata", "location=+48.1+11.5/", "-metadata", "title=Diary"]
    speech = recording("speech.ogg", tone(1, 48000)[:, None], 48000, "-c:a", "libopus", *tagged)
    assert b"Anna Private" in speech.read_bytes()
    config = VideoConfig(preset="ultrafast", copy_audio=copied)
    content = write(tmp_path / f"o{suffix}", clip(64, 48), speech, config, mark=GENERATED).read_bytes()
    for word in (b"Anna", b"Diary", b"48.1", bytes(tmp_path)):
        assert word not in content


def test_no_room_for_the_mark_leaves_no_video(tmp_path, monkeypatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("floatcli.media.video.add_xmp", full)
    with pytest.raises(OutputError, match="No space left"):
        write(tmp_path / "o.mp4", clip(64, 48), mark=GENERATED)
    assert not list(tmp_path.iterdir())
