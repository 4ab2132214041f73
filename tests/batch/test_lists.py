"""Which clips a list or a folder means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from floatcli.batch.lists import read_jobs
from floatcli.config import CropConfig, SampleConfig, VideoConfig
from floatcli.errors import FloatCliError, InputError, UsageError
from floatcli.jobs import Job
from tests.conftest import write_wav

CSV = "face,speech\nanna.png,anna.wav\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two portraits and two recordings, one pair of them alike in name."""
    for name in ("anna", "bert"):
        Image.new("RGB", (64, 64), "gray").save(tmp_path / f"{name}.png")
    write_wav(tmp_path / "anna.wav", 0.3)
    write_wav(tmp_path / "carl.wav", 0.4, seed=1)
    return tmp_path


def listed(folder: Path, text: str, name: str = "jobs.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_list_names_its_clips_and_their_settings(folder):
    text = "face,Speech,out,crop,audio-scale,nfe,copy_audio,background,emotion\n"
    text += "a.png,b.wav,x/c.mkv,none,1.5,4,yes,red,t.csv\n\nd.png,e.wav,,,,,,,\n"
    first, second = read_jobs(listed(folder, text), Path("out"))
    assert first == Job(
        folder / "a.png",
        folder / "b.wav",
        Path("out/x/c.mkv"),
        CropConfig("none", background=(255, 0, 0)),
        SampleConfig(audio_scale=1.5, nfe=4),
        VideoConfig(copy_audio=True),
        str(folder / "t.csv"),
    )
    assert second == Job(folder / "d.png", folder / "e.wav", Path("out/d-e.mp4"))


def test_json_lines_say_the_same(folder):
    rows = [{"face": "a.png", "speech": "b.wav", "seed": 7, "align": True, "face_number": 1, "emotion": "sad"}]
    rows[0]["save-motion"] = False
    (job,) = read_jobs(listed(folder, "\n".join(map(json.dumps, rows)), "jobs.jsonl"), Path("out"))
    assert (job.sample.seed, job.crop.align, job.crop.face, job.emotion) == (7, True, 1, "sad")
    assert not job.save_motion


def test_a_folder_pairs_by_name_or_with_one_for_all(folder):
    def names(**one: Path) -> list[tuple[str, str, str]]:
        return [(j.face.name, j.speech.name, str(j.out)) for j in read_jobs(folder, Path("o"), **one)]

    assert names() == [("anna.png", "anna.wav", "o/anna.mp4")]
    assert names(face=Path("me.png")) == [("me.png", "anna.wav", "o/anna.mp4"), ("me.png", "carl.wav", "o/carl.mp4")]
    assert names(speech=Path("s.wav")) == [("anna.png", "s.wav", "o/anna.mp4"), ("bert.png", "s.wav", "o/bert.mp4")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("jobs.csv", "", "jobs.csv is empty"),
        ("jobs.csv", "face,speech\n", "lists nothing"),
        ("jobs.txt", "face,speech\na,b\n", "no list that is known"),
        ("jobs.csv", "face\na.png\n", "line 2: there is no speech"),
        ("jobs.csv", "face,speech\na.png\n", "line 2: there is no speech"),
        ("jobs.csv", "face,speech\na.png,b.wav,c\n", "line 2: more values than columns"),
        ("jobs.csv", "face,speech,loud\na.png,b.wav,1\n", "line 2: animate has no option loud"),
        ("jobs.csv", "face,speech,nfe\na.png,b.wav,many\n", "line 2: nfe is 'many'"),
        ("jobs.csv", "face,speech,align\na.png,b.wav,maybe\n", "line 2: align is 'maybe'"),
        ("jobs.csv", "face,speech,background\na.png,b.wav,loud\n", "there is no colour 'loud'"),
        ("jobs.csv", "face,speech,device\na.png,b.wav,cpu\n", "line 2: device is the whole batch's"),
        ("jobs.csv", "face,speech,overwrite\na.png,b.wav,no\n", "line 2: overwrite is the whole batch's"),
        ("jobs.csv", "face,speech\na.png,b.wav\na.png,b.wav\n", "would both become o/a-b.mp4"),
        (
            "jobs.csv",
            "face,speech,out\na.png,b.wav,c.mp4\na.png,b.wav,c.mkv\n",
            "would both become o/c.motion.safetensors",
        ),
        ("jobs.csv", "face,speech,out\na.png,s.wav,x/../v.mp4\nb.png,s.wav,v.mp4\n", "would both become o/v.mp4"),
        ("jobs.csv", "face,speech,nfe,nfe\na.png,b.wav,3,4\n", "line 2: nfe is told twice"),
        (
            "jobs.jsonl",
            '{"face": "a.png", "speech": "s.wav", "audio-scale": 1, "audio_scale": 2}',
            "audio_scale is told twice",
        ),
        ("jobs.jsonl", '{"face": "a.png", "speech": ["s.wav"]}', "line 1: speech is neither text nor a number"),
        ("jobs.jsonl", '{"face": "a.png", "speech": {"a": 1}}', "line 1: speech is neither text nor a number"),
        ("jobs.jsonl", "{\n", "line 1: no JSON"),
        ("jobs.jsonl", "[1]\n", "line 1: no object"),
        ("jobs.jsonl", "[" * 90_000, "line 1: no JSON"),
        ("o/results.jsonl", '{"face": "a.png", "speech": "s.wav"}', "results.jsonl is where results go"),
    ],
)
def test_lists_that_cannot_be_meant(folder, monkeypatch, name, text, message):
    (folder / "o").mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(FloatCliError) as error:
        read_jobs(listed(Path(), text, name), Path("o"))
    assert message in error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("c.png,d.wav,x,,", "nfe is 'x'"),
        ("c.png,d.wav,,loud,", "background: there is no colour 'loud'"),
        ("c.png,d.wav,,,maybe", "save_motion is 'maybe'"),
        ("c.png,,,,", "there is no speech"),
        (",,,,", "there is no face and no speech"),
    ],
)
def test_a_line_that_cannot_be_meant_is_a_clip_that_fails(folder, line, fault):
    jobs = listed(folder, f"face,speech,nfe,background,save-motion\na.png,b.wav,4,,\n{line}\ne.png,f.wav,,red,\n")
    first, bad, last = read_jobs(jobs, Path("o"))
    assert (first.fault, last.fault, first.sample.nfe, last.crop.background) == (None, None, 4, (255, 0, 0))
    assert bad.out == Path("o/c-d.mp4" if "d.wav" in line else "o/line-3.mp4")
    with pytest.raises(FloatCliError) as error:
        bad.check(None)
    assert error.value.message == f"{jobs}, line 3: {fault}"


def test_paths_that_nothing_can_be_at_are_for_their_clips_to_tell(folder):
    (folder / "loop.png").symlink_to("loop.png")
    rows = [{"face": name, "speech": "anna.wav"} for name in ("a\0.png", "\ud800.png", "loop.png")]
    rows += [{"face": "anna.png", "speech": "anna.wav", "out": name} for name in ("b\0.mp4", "\ud800.mp4")]
    jobs = read_jobs(listed(folder, "\n".join(map(json.dumps, rows)), "jobs.jsonl"), folder)
    for job in jobs:
        with pytest.raises(InputError, match=r"is no usable path|is not there"):
            job.check(None)


def test_folders_that_cannot_be_meant(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no pair"):
        read_jobs(tmp_path / "empty", Path("o"))
    with pytest.raises(InputError, match="holds no file to pair"):
        read_jobs(tmp_path / "empty", Path("o"), face=Path("a.png"))
    with pytest.raises(UsageError, match="there is one clip"):
        read_jobs(folder, Path("o"), Path("a.png"), Path("b.wav"))
    with pytest.raises(UsageError, match="go with a folder"):
        read_jobs(listed(folder, CSV), Path("o"), Path("a.png"))


def test_settings_of_all_clips_give_way_to_those_of_a_line(folder):
    jobs = listed(folder, "face,speech,nfe\nanna.png,anna.wav,4\nbert.png,carl.wav,\n")
    both = ["nfe=5", "emotion=happy", "save-motion=no", "Crop = none"]
    first, second = read_jobs(jobs, Path("o"), settings=both)
    assert (first.sample.nfe, second.sample.nfe) == (4, 5)
    assert {(job.emotion, job.save_motion, job.crop.mode) for job in (first, second)} == {("happy", False, "none")}
    (pair,) = read_jobs(folder, Path("o"), settings=both)
    assert (pair.sample.nfe, pair.crop.mode, pair.out) == (5, "none", Path("o/anna.mp4"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nfe", "--set 'nfe' is not understood"),
        ("=5", "--set '=5' is not understood"),
        ("nfe=", "--set 'nfe=' is not understood"),
        ("loud=1", "--set: animate has no option loud"),
        ("nfe=x", "--set: nfe is 'x'"),
        ("weights=a", "--set: weights is the whole batch's"),
        ("out=a.mp4", "--set: animate has no option out"),
    ],
)
def test_settings_that_cannot_be_meant(folder, setting, message):
    with pytest.raises(UsageError) as error:
        read_jobs(folder, Path("o"), settings=[setting])
    assert error.value.message == message


def test_what_is_left_out_of_a_folder_is_told(folder):
    told: list[str] = []
    read_jobs(folder, Path("o"), notice=told.append)
    assert told == ["left out, as nothing there is called alike: bert.png, carl.wav"]
    told.clear()
    read_jobs(folder, Path("o"), Path("me.png"), notice=told.append)
    assert not told


def test_two_recordings_of_one_name_are_not_guessed_between(folder):
    write_wav(folder / "anna.flac", 0.2)
    with pytest.raises(UsageError, match=r"would both become o/anna\.mp4"):
        read_jobs(folder, Path("o"))


def test_no_clip_is_written_over_what_another_is_made_of(folder):
    jobs = listed(folder, "face,speech,out\nanna.png,anna.wav,../bert.mp4\nanna.png,bert.mp4,two.mp4\n")
    with pytest.raises(UsageError, match=r"bert\.mp4 is an input and would be replaced"):
        read_jobs(jobs, folder / "out")


def test_cells_may_hold_line_ends_and_nulls_are_nothing(folder):
    (job,) = read_jobs(listed(folder, 'face,speech\r\n"an\nna.png",anna.wav\r\n'), Path("o"))
    assert job.face == folder / "an\nna.png"
    row = '{"face": "a\u2028.png", "speech": "s.wav", "out": null, "emotion": null}\n'
    (job,) = read_jobs(listed(folder, row, "jobs.jsonl"), Path("o"))
    assert (job.face.name, job.out, job.emotion) == ("a\u2028.png", Path("o/a\u2028-s.mp4"), "auto")
