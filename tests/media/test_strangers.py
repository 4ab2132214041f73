"""A file from a stranger is read alone: no file or address that it names is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from floatcli.errors import InputError
from floatcli.media.audio import load_speech
from floatcli.media.ffmpeg import file_input, media_info
from floatcli.media.frames import check_video
from tests.media.conftest import tone

RATE = 16000
CONCAT = "ffconcat version 1.0\nfile secret.wav\n"
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{}\n#EXT-X-ENDLIST\n"
SCRIPTS = {
    "concat.wav": CONCAT,
    "playlist.mp4": PLAYLIST.format("secret.ts"),
    "playlist.m3u8": PLAYLIST.format("secret.ts"),
}


@pytest.fixture
def folder(tmp_path: Path, recording) -> Path:
    """Has recordings beside which a script lies that names them."""
    for name in ("secret.wav", "secret.ts"):
        recording(name, tone(0.5, RATE)[:, None], RATE)
    return tmp_path


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_names_is_not_read(folder: Path, name: str) -> None:
    path = folder / name
    path.write_text(SCRIPTS[name])
    assert media_info(path) is None
    with pytest.raises(InputError, match="no recording that ffmpeg can read"):
        load_speech(path, RATE)
    with pytest.raises(InputError, match="no video that ffmpeg can read"):
        check_video(path)


def test_ffmpeg_left_to_itself_would_read_it(folder: Path, ffmpeg) -> None:
    (folder / "concat.wav").write_text(CONCAT)
    assert ffmpeg("-i", folder / "concat.wav", "-f", "s16le", "pipe:1")


@contextmanager
def server() -> Iterator[tuple[str, list[bytes]]]:
    """An address on loopback, and whether somebody came meanwhile."""
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.ts", came
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return
        with connection:
            came.append(b"somebody")


def test_no_address_is_asked(tmp_path: Path, ffmpeg) -> None:
    path = tmp_path / "playlist.m3u8"
    with server() as (address, came):
        path.write_text(PLAYLIST.format(address))
        with pytest.raises(InputError):
            load_speech(path, RATE)
    assert not came
    with server() as (address, came):
        path.write_text(PLAYLIST.format(address))
        with pytest.raises(CalledProcessError):  # but where ffmpeg may, it does
            ffmpeg("-protocol_whitelist", "file,http,tcp", "-rw_timeout", "300000", "-i", path, "-f", "null", "-")
    assert came


def test_every_input_is_closed_to_others() -> None:
    words = file_input(Path("-a.wav")).output("out.wav").get_args()
    assert words[words.index("-i") + 1] == "file:-a.wav"
    assert words[words.index("-protocol_whitelist") + 1] == "file"
    assert not {"hls", "concat", "dash"} & set(words[words.index("-format_whitelist") + 1].split(","))


LIES = (
    "Duration: 05:00:00.00",
    "  Stream #0:0: Video: h264, 1 Hz",
    "  Duration: 09:00:00.00",
    f"Duration: {'9' * 400}:00:00",
)


@pytest.mark.parametrize("lie", LIES)
def test_what_tags_and_names_say_is_not_taken_for_what_ffmpeg_says(tmp_path, recording, ffmpeg, lie) -> None:
    plain = recording("plain.wav", tone(0.5, RATE)[:, None], RATE)
    path = tmp_path / f"a\n{lie[:60]}.flac"
    ffmpeg("-i", plain, "-metadata", f"title=a\n{lie}", "-metadata", f"{lie.strip()}=x", f"file:{path}")
    info = media_info(path)
    assert info is not None
    assert info.duration == pytest.approx(0.5, abs=0.05)
    assert (info.video, len(info.audio)) == ((), 1)
