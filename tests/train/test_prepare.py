"""Videos become clips to train on: a face that is followed, a crop that stays, cuts, counts, and a stream of them."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, brick

from floatcli.cli.app import run
from floatcli.cli.signals import Interrupted
from floatcli.errors import InputError
from floatcli.face.crop import square_around
from floatcli.face.detect import FaceBox
from floatcli.face.landmarks import yaw_of_landmarks
from floatcli.media.ffmpeg import ffmpeg_executable, media_info
from floatcli.media.frames import decoded_frames, video_frames, video_sound
from floatcli.train import prepare_clips
from floatcli.train.prepare import read_manifest
from floatcli.train.prepare_clips import Clip
from floatcli.train.prepare_faces import EVERY, Look, Track, takes, tracks
from floatcli.train.prepare_settings import PARTS, PrepareConfig
from floatcli.train.prepare_shots import Frame, frames_of_shots
from floatcli.train.prepared_data import PreparedClips
from floatcli.train.shards import read_shard, write_shard

WIDTH, HEIGHT, SIZE = 300, 360, 128
FACE = np.array([175.3, 72.8, 272.9, 186.2])  # of the astronaut, by face-alignment
HEAD = (slice(40, 215), slice(155, 295))  # what is shown of her
CORNER = np.s_[:8, :8]  # of a clip, where nothing but the wall is ever seen
OPTIONS = ("--size", str(SIZE), "--shortest", "1")

TONE = ("-f", "lavfi", "-i", "sine=300:r=44100")
QUIET = ("-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo")


def wall() -> np.ndarray:
    """What is behind her: coarse enough to be found again after encoding."""
    bricks = cv2.resize(brick()[:160, :180], (WIDTH, HEIGHT))
    return np.stack([bricks // 2, bricks // 2 + 40, bricks // 2 + 80], axis=-1)


def placed(time: float) -> np.ndarray:
    """Matrix (2, 3) that puts her into a picture at a time: she sways, and comes nearer."""
    scale = 0.9 + 0.1 * time
    return np.array([[scale, 0, 30 * np.sin(3 * time) - 70], [0, scale, 20 + 12 * np.cos(4 * time)]])


def shot(seconds: float, fps: int = 30) -> np.ndarray:
    """Pictures (F, HEIGHT, WIDTH, 3) of her before a wall that stands still."""
    mask = np.zeros((512, 512), np.uint8)
    mask[HEAD] = 1
    pictures = []
    for number in range(round(seconds * fps)):
        her, where = (cv2.warpAffine(a, placed(number / fps), (WIDTH, HEIGHT)) for a in (astronaut(), mask))
        pictures.append(np.where(where[..., None] > 0, her, wall()))
    return np.stack(pictures)


def film(path: Path, pictures: np.ndarray, sound: tuple[str, ...], fps: int = 30) -> Path:
    """Pictures and a sound of their length as a video."""
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(fps), "-i", "pipe:0")
    length = ("-t", str(len(pictures) / fps))
    command = [ffmpeg_executable(), "-v", "error", "-y", *raw, *sound, "-pix_fmt", "yuv420p", *length, str(path)]
    subprocess.run(command, input=pictures.tobytes(), check=True)
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of videos that can all be used, one in a folder within."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "more").mkdir()
    steady = shot(1.6)
    film(folder / "talk.mp4", steady, TONE)
    dark = (shot(1.2)[:, :, ::-1] * 0.35).astype(np.uint8)
    film(folder / "more" / "two shots.mkv", np.concatenate([steady[:36], dark]), TONE)
    film(folder / "silent.mp4", steady[:36], QUIET)
    film(folder / "short.mp4", steady[:18], TONE)
    return folder


@pytest.fixture(scope="module")
def prepared(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one") / "data"
    assert run(["train", "prepare", str(videos), "-o", str(folder), "--workers", "1", *OPTIONS]) == 0
    return folder


def row_of(folder: Path, name: str) -> dict:
    """The manifest's row of a video."""
    (row,) = [row for source, row in read_manifest(folder).items() if Path(source).name == name]
    return row


def sample_of(folder: Path, name: str) -> dict[str, bytes]:
    """The files of a video's first clip."""
    return dict(next(read_shard(folder / row_of(folder, name)["shard"]))[1])


def marks(folder: Path) -> dict[str, int]:
    """When each shard was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.tar")}


def test_the_crop_is_section_5_around_all_boxes_of_the_clip(prepared: Path):
    (clip,) = row_of(prepared, "talk.mp4")["clips"]
    corners = [FACE.reshape(2, 2) @ m[:, :2].T + m[:, 2] for m in (placed(n / 25) for n in range(40))]
    low, high = np.min(corners, axis=0)[0], np.max(corners, axis=0)[1]
    expected = square_around(FaceBox(*low, *high), 1.6)
    np.testing.assert_allclose(clip["crop"], [expected.left, expected.top, expected.side], atol=12)
    assert clip["crop"][2] > 1.1 * square_around(FaceBox(*FACE * 0.9), 1.6).side


def test_the_crop_stands_still_while_the_face_moves(prepared: Path):
    frames = decoded_frames(sample_of(prepared, "talk.mp4")["mp4"]).astype(float)
    corners = np.stack([frame[CORNER] for frame in frames])
    assert np.abs(corners - corners[0]).mean(axis=(1, 2, 3)).max() < 3
    assert corners[0].std() > 6  # there is something to see that could move
    assert np.abs(frames[20] - frames[0]).mean() > 8


def test_clips_have_25_frames_and_16000_samples_a_second(prepared: Path, tmp_path: Path):
    sample = sample_of(prepared, "talk.mp4")
    (tmp_path / "clip.mp4").write_bytes(sample["mp4"])
    info = media_info(tmp_path / "clip.mp4")
    assert re.search(r"\b25 fps\b", info.video[0])
    assert info.audio == ()
    assert decoded_frames(sample["mp4"]).shape == (40, SIZE, SIZE, 3)
    with wave.open(io.BytesIO(sample["wav"])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16000, 1, 40 * 640)
        sound = np.frombuffer(file.readframes(40 * 640), "<i2")
    assert np.abs(np.fft.rfft(sound)).argmax() == pytest.approx(300 * 1.6, abs=2)


def test_boxes_lie_where_eyes_and_mouth_are_on_every_frame(prepared: Path):
    clip = json.loads(sample_of(prepared, "talk.mp4")["json"])
    assert (clip["found_by"], clip["parts_from"], clip["yaw"]) == ("cascade", "proportions", None)
    seen = np.array([[203.0, 107.0], [244.0, 108.0], [226.0, 152.0]])  # pupils and mouth of the astronaut
    left, top, side = clip["crop"]
    boxes = np.array(clip["boxes"])
    assert boxes.shape == (40, len(PARTS), 4)
    for number, parts in enumerate(boxes):
        matrix = placed(number / 25)
        there = (seen @ matrix[:, :2].T + matrix[:, 2] - (left, top)) * SIZE / side
        assert (there > parts[:, :2]).all()
        assert (there < parts[:, 2:]).all()
    around = [min(boxes[:, 2, 0]), min(boxes[:, 2, 1]), max(boxes[:, 2, 2]), max(boxes[:, 2, 3])]
    np.testing.assert_allclose(clip["mouth"], around, atol=0.11)


def test_a_scene_change_ends_a_clip(prepared: Path):
    clips = row_of(prepared, "two shots.mkv")["clips"]
    assert [(clip["start"], clip["end"]) for clip in clips] == [(0.0, 1.2), (1.2, 2.4)]


def test_what_is_dropped_is_counted_with_its_reason(prepared: Path):
    for name, why in (("silent.mp4", "silent"), ("short.mp4", "too short")):
        row = row_of(prepared, name)
        assert (row["status"], row["dropped"], row["clips"], row["shard"]) == ("done", {why: 1}, [], None)
    assert row_of(prepared, "talk.mp4")["dropped"] == {}


def test_a_head_turned_too_far_is_dropped_where_landmarks_tell():
    track = Track(0, np.zeros((30, 4)), np.zeros((30, 7, 2)), yaw=25.0)
    clip = Clip("a", track, np.full(30 * 640, 1000, np.int16))
    dropped = prepare_clips.Counter()
    assert list(prepare_clips._kept([clip], PrepareConfig(shortest=1, yaw=30), dropped)) == [clip]
    assert list(prepare_clips._kept([clip], PrepareConfig(shortest=1, yaw=20), dropped)) == []
    assert dropped == {"turned away": 1}


@pytest.mark.parametrize("yaw", [-40, -10, 0, 25])
def test_yaw_is_read_from_landmarks_of_a_tilted_head(yaw: float):
    solid = np.zeros((68, 3))
    solid[[36, 45, 30]] = [(-45, 0, 0), (45, 0, 0), (0, 40, 45)]  # mm: x across, y down, z to the camera
    turn, tilt = np.deg2rad([yaw, 12])
    x = solid[:, 0] * np.cos(turn) + solid[:, 2] * np.sin(turn)
    level = np.stack([x, solid[:, 1] * 0], axis=1)
    points = level @ np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]]) * 2 + 300
    assert yaw_of_landmarks(points) == pytest.approx(yaw, abs=0.1)


def looker(box_of: Callable[[int], FaceBox | None]) -> Callable[[Frame, Look | None], Look | None]:
    """Looks that see what a function says."""

    def look(frame: Frame, last: Look | None) -> Look | None:
        box = box_of(frame.number)
        return None if box is None else Look(frame.number, box, np.zeros((7, 2)), None)

    return look


def spans(box_of: Callable[[int], FaceBox | None], pictures: np.ndarray) -> list[tuple[int, int] | None]:
    """First and last frames of takes; None for a shot without a face."""
    found = takes(frames_of_shots(pictures), looker(box_of))
    return [(take[0].frame, take[-1].frame) if take else None for take in found]


def test_takes_end_where_the_face_is_lost_or_another_and_not_where_one_look_misses_it():
    gray, here, there = np.zeros((100, 36, 64, 3), np.uint8), FaceBox(0, 0, 10, 12), FaceBox(30, 0, 40, 12)
    assert spans(lambda n: here, gray) == [(0, 99)]
    assert spans(lambda n: None if 30 <= n < 60 else here, gray) == [(0, 25), (60, 99)]
    assert spans(lambda n: None if n == 6 * EVERY else here, gray) == [(0, 99)]
    assert spans(lambda n: here if n < 50 else there, gray) == [(0, 45), (50, 99)]
    half_white = gray.copy()
    half_white[50:] = 255
    assert spans(lambda n: here, half_white) == [(0, 49), (50, 99)]
    assert spans(lambda n: None if n >= 50 else here, half_white) == [(0, 49), None]


def test_long_takes_are_cut_into_equal_parts_and_boxes_move_in_straight_lines():
    take = [Look(n, FaceBox(n, 0, n + 10, 12), np.full((7, 2), n), None) for n in (10, 20, 39)]
    parts = tracks(take, most=12)
    assert [(part.start, part.stop) for part in parts] == [(10, 20), (20, 30), (30, 40)]
    for part in parts:
        np.testing.assert_allclose(part.boxes[:, 0], np.arange(part.start, part.stop))
        np.testing.assert_allclose(part.anchors[:, 3, 1], np.arange(part.start, part.stop))


def test_pictures_and_sound_are_on_one_clock(tmp_path: Path):
    late = ("-itsoffset", "0.4", *TONE)
    path = film(tmp_path / "late.mkv", np.zeros((30, HEIGHT, WIDTH, 3), np.uint8), late)
    sound = np.abs(video_sound(path, 16000).astype(int))
    assert sound[: round(0.38 * 16000)].max() < 30
    assert sound[round(0.42 * 16000) : round(0.6 * 16000)].max() > 1000
    assert len(list(video_frames(path, 25))) == 25


def test_a_video_that_jumps_ahead_by_days_is_refused(tmp_path: Path, monkeypatch):
    """What lies between would be filled with silence, and with the same picture."""
    once = film(tmp_path / "once.mkv", np.zeros((60, HEIGHT, WIDTH, 3), np.uint8), TONE)
    path, twice = tmp_path / "late.mkv", ("-i", str(once), "-itsoffset", "30", "-i", str(once))
    command = [ffmpeg_executable(), "-v", "error", *twice, "-map", "0:v", "-map", "1:a", "-c", "copy", str(path)]
    subprocess.run(command, check=True)
    monkeypatch.setattr("floatcli.media.frames.LONGEST_HOURS", 20 / 3600)
    with pytest.raises(InputError, match="is longer than"):
        video_sound(path, 16000)
    monkeypatch.setattr("floatcli.media.frames.LONGEST_HOURS", 1 / 3600)
    with pytest.raises(InputError, match="is longer than"):
        list(video_frames(path, 25))


def test_two_workers_make_the_same_as_one(videos: Path, prepared: Path, tmp_path: Path):
    names = ("short.mp4", "talk.mp4", "more/two shots.mkv")
    sources = [str(videos / name) for name in names]
    assert run(["train", "prepare", *sources, "-o", str(tmp_path), "--workers", "2", *OPTIONS]) == 0
    assert len(read_manifest(tmp_path)) == len(names)
    assert read_manifest(tmp_path).items() <= read_manifest(prepared).items()
    assert set(marks(tmp_path)) == set(marks(prepared))
    for name in marks(prepared):
        assert (tmp_path / name).read_bytes() == (prepared / name).read_bytes()


def test_run_again_only_what_is_missing_or_changed_is_made(videos: Path, prepared: Path, tmp_path: Path, capsys):
    source, folder = tmp_path / "videos", tmp_path / "data"
    source.mkdir()
    for name in ("talk.mp4", "silent.mp4"):
        shutil.copy(videos / name, source / name)
    command = ["train", "prepare", str(source), "-o", str(folder), "--workers", "1", *OPTIONS]
    assert run(command) == 0
    first, rows = marks(folder), (folder / "manifest.jsonl").read_text()
    assert run(command) == 0
    assert capsys.readouterr().err.count("there already") == 2
    assert (marks(folder), (folder / "manifest.jsonl").read_text()) == (first, rows)

    (shard,) = folder.glob("*.tar")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:1000])
    assert run(command) == 0
    assert shard.read_bytes() == whole
    assert capsys.readouterr().err.count("there already") == 1

    (source / "talk.mp4").unlink()  # away for a while, it keeps its clips
    assert run([*command[:2], str(source / "talk.mp4"), *command[3:]]) == 3
    assert (row_of(folder, "talk.mp4")["status"], shard.read_bytes()) == ("done", whole)

    shutil.copy(videos / "silent.mp4", source / "talk.mp4")
    assert run(command) == 3
    assert "nothing is left to train on: 0 clips, 0.0 s; dropped 2 silent" in capsys.readouterr().err
    assert (list(folder.glob("*.tar")), row_of(folder, "talk.mp4")["dropped"]) == ([], {"silent": 1})


def test_a_run_that_is_interrupted_loses_the_video_at_work_alone(videos: Path, tmp_path: Path, monkeypatch, capsys):
    command = ["train", "prepare", str(videos / "silent.mp4"), str(videos / "talk.mp4"), "-o", str(tmp_path)]
    command += ["--workers", "1", *OPTIONS]

    def interrupted(pictures: Iterator[np.ndarray], size: int) -> bytes:
        next(pictures)
        raise Interrupted(2)

    with monkeypatch.context() as patch:
        patch.setattr(prepare_clips, "mp4", interrupted)
        assert run(command) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.jsonl", "settings.json"]
    capsys.readouterr()
    assert run(command) == 0
    assert [line.count("there already") for line in capsys.readouterr().err.splitlines()[-3:]] == [1, 0, 0]
    assert len(row_of(tmp_path, "talk.mp4")["clips"]) == 1


def test_webdataset_reads_the_shards(prepared: Path):
    webdataset = pytest.importorskip("webdataset")
    shards = [str(path) for path in sorted(prepared.glob("*.tar"))]
    found = list(webdataset.WebDataset(shards, shardshuffle=False).decode())
    told = {clip["key"]: clip for row in read_manifest(prepared).values() for clip in row["clips"]}
    assert {sample["__key__"] for sample in found} == set(told)
    for sample in found:
        clip = told[sample["__key__"]]
        assert {name: sample["json"][name] for name in clip} == clip
        assert {"mp4", "wav"} < set(sample)


def test_clips_come_as_arrays(prepared: Path):
    clips = {clip.key: clip for clip in PreparedClips(prepared).stream(seed=0)}
    assert len(clips) == 3
    for clip in clips.values():
        frames = clip.told["frames"]
        assert (clip.frames.shape, clip.frames.dtype) == ((frames, SIZE, SIZE, 3), np.uint8)
        assert (clip.audio.shape, clip.audio.dtype) == ((frames * 640,), np.float32)
        assert (clip.boxes.shape, clip.boxes.dtype) == ((frames, 3, 4), np.float32)
        assert 0.05 < np.abs(clip.audio).max() <= 1
        assert Path(clip.told["source"]).is_file()


@pytest.fixture
def many(prepared: Path, tmp_path: Path) -> Path:
    """Four shards of four clips, all alike but for their keys."""
    sample = sample_of(prepared, "talk.mp4")
    with (tmp_path / "manifest.jsonl").open("w") as manifest:
        for shard in range(4):
            write_shard(tmp_path / f"{shard}.tar", ((f"{shard}-{k}", sample) for k in range(4)))
            row = {"source": str(shard), "status": "done", "shard": f"{shard}.tar", "clips": []}
            manifest.write(json.dumps(row) + "\n")
    return tmp_path


def keys(folder: Path, seed: int, **part) -> list[str]:
    return [clip.key for clip in PreparedClips(folder, **part).stream(seed, held=6)]


def test_the_order_follows_from_the_seed_alone(many: Path):
    everything = sorted(f"{shard}-{k}" for shard in range(4) for k in range(4))
    first = keys(many, 1)
    assert keys(many, 1) == first != everything
    assert sorted(first) == sorted(keys(many, 2)) == everything
    assert keys(many, 2) != first
    parts = [keys(many, 1, part=(k, 2)) for k in range(2)]
    assert sorted(parts[0] + parts[1]) == everything
    assert len(parts[0]) == len(parts[1]) == 8


def test_a_damaged_shard_and_an_empty_folder_are_told(many: Path, tmp_path: Path):
    (many / "3.tar").write_bytes((many / "3.tar").read_bytes()[:2000])
    with pytest.raises(InputError, match=r"3\.tar can't be read"):
        keys(many, 1)
    with pytest.raises(InputError, match="no clips are in"):
        PreparedClips(tmp_path / "nowhere")


def notes(path: Path) -> None:
    path.write_text("no video")


def mute(path: Path) -> None:
    film(path, shot(0.2), ())


def empty_wall(path: Path) -> None:
    film(path, wall()[None], TONE)


BAD = [
    (lambda path: None, "bad.mp4 is not there (check the video's path)"),
    (notes, "bad.mp4 is no video that ffmpeg can read (use MP4, MOV, MKV or WebM)"),
    (mute, "bad.mp4 has no sound (give a video of somebody who speaks)"),
    (empty_wall, "no face found in {tmp}/bad.mp4 (give videos of somebody who looks into the camera)"),
]


@pytest.mark.parametrize(("make", "said"), BAD, ids=["missing", "no video", "mute", "no face"])
def test_a_video_that_cannot_be_used_is_one_line_and_an_exit_code(make, said: str, tmp_path: Path, capsys):
    make(tmp_path / "bad.mp4")
    assert run(["train", "prepare", str(tmp_path / "bad.mp4"), "-o", str(tmp_path / "data"), *OPTIONS]) == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if "can't be" not in line]  # networks
    assert len(lines) == 1
    assert lines[0].startswith("floatcli: failed: ")
    assert lines[0].endswith(said.format(tmp=tmp_path))
    assert marks(tmp_path / "data") == {}


def test_a_bad_video_stops_no_other(videos: Path, tmp_path: Path, capsys):
    sources = [str(tmp_path / "no.mp4"), str(videos / "talk.mp4")]
    assert run(["train", "prepare", *sources, "-o", str(tmp_path / "data"), "--workers", "1", *OPTIONS]) == 3
    assert len(marks(tmp_path / "data")) == 1
    assert "1 of 2 videos in" in (said := capsys.readouterr().err)
    assert said.rstrip().endswith("1 clip, 1.6 s; 1 failed")


def test_a_folder_that_cannot_be_written_or_holds_other_clips_is_told(videos: Path, prepared: Path, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    talk = str(videos / "talk.mp4")
    assert run(["train", "prepare", talk, "-o", str(tmp_path / "file" / "data")]) == 3
    assert "can't be used: Not a directory" in capsys.readouterr().err
    assert run(["train", "prepare", talk, "-o", str(prepared), "--size", "256"]) == 3
    assert "holds clips of other settings" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run(["train", "prepare", str(tmp_path / "empty"), "-o", str(tmp_path / "data")]) == 3
    assert "no video is in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [("--size", "33"), ("--shortest", "6"), ("--longest", "100"), ("--max-yaw", "0"), ("--device", "abacus")]
)
def test_settings_that_cannot_be_meant_are_wrong_usage(options: tuple[str, str], tmp_path: Path):
    assert run(["train", "prepare", "a.mp4", "-o", str(tmp_path / "data"), *options]) == 2
    assert not (tmp_path / "data").exists()
