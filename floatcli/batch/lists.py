"""Lists of clips to make: which portrait says which recording, with which settings. Imports no torch."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from floatcli.checks import AUTO, check_source, parse_colour
from floatcli.config import CropConfig, SampleConfig, VideoConfig
from floatcli.errors import InputError, UsageError
from floatcli.jobs import Job
from floatcli.motion import motion_beside

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic"}
RECORDINGS = {".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".aac", ".wma", ".aiff"}
_PATHS = ("face", "speech", "out")
#: What a column is called where it is not called as its setting.
_COLUMNS = {"crop": "mode", "face_number": "face"}
#: Options of animate that are the whole batch's.
_COMMON = ("weights", "device", "dtype", "batch_size", "overwrite", "quiet", "json")


def read_jobs(
    source: Path,
    folder: Path,
    face: Path | None = None,
    speech: Path | None = None,
    notice: Callable[[str], None] = lambda line: None,
) -> list[Job]:
    """The clips of a list or of a folder.

    Args:
        source: A .csv or .jsonl with face, speech, and if wanted out and settings of animate, by the names of its
            options; relative paths start from the list's own folder. Or a folder: every picture with the recording
            of the same name.
        folder: Where videos go that the list does not place itself.
        face: Of a folder: one portrait for all its recordings.
        speech: Of a folder: one recording for all its pictures.
        notice: Told which files of a folder are left out.

    Raises:
        UsageError: two clips of one name, or a setting that cannot be meant, with the line it stands in.
        InputError: the list is missing, empty or damaged; a folder without a pair.
    """
    if source.is_dir():
        jobs = _pairs(source, folder, face, speech, notice)
    elif face is not None or speech is not None:
        raise UsageError("--face and --speech go with a folder", "a list names them in its columns")
    else:
        check_source(source, "list")
        jobs = [_wanted(source, number, row, folder) for number, row in _rows(source)]
    _check_apart(jobs)
    return jobs


def _check_apart(jobs: list[Job]) -> None:
    """Raise UsageError where two clips would be written to one file."""
    taken: dict[Path, Job] = {}
    for job in jobs:
        for path in (job.out, motion_beside(job.out)) if job.save_motion else (job.out,):
            other = taken.setdefault(path.absolute(), job)
            if other is not job:
                said = f"{job.face} with {job.speech} and {other.face} with {other.speech} would both become {path}"
                raise UsageError(said, "name them in a column out")


def _pairs(
    source: Path, folder: Path, face: Path | None, speech: Path | None, notice: Callable[[str], None]
) -> list[Job]:
    files = sorted(path for path in source.iterdir() if path.is_file())
    faces = [path for path in files if path.suffix.lower() in PICTURES]
    speeches = [path for path in files if path.suffix.lower() in RECORDINGS]
    if face is not None and speech is not None:
        raise UsageError("with --face and --speech there is one clip", "make it with animate")
    if face is not None:
        found = [Job(face, path, folder / f"{path.stem}.mp4") for path in speeches]
    elif speech is not None:
        found = [Job(path, speech, folder / f"{path.stem}.mp4") for path in faces]
    else:
        found = [Job(f, s, folder / f"{f.stem}.mp4") for f in faces for s in speeches if s.stem == f.stem]
        paired = {path for job in found for path in (job.face, job.speech)}
        alone = [path.name for path in (*faces, *speeches) if path not in paired]
        if found and alone:
            notice(f"left out, as nothing there is called alike: {', '.join(alone)}")
    if not found:
        what = "no pair such as anna.png and anna.wav" if face is speech is None else "no file to pair it with"
        raise InputError(f"{source} holds {what}", "name files alike, or use --face or --speech, or a list")
    return found


def _rows(source: Path) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and cells by column."""
    try:
        text = source.read_text(encoding="utf-8-sig")
        if source.suffix.lower() == ".jsonl":
            rows = [(n, _object(source, n, line)) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        elif source.suffix.lower() == ".csv":
            reader = csv.DictReader(text.splitlines(), restkey="")
            rows = [(reader.line_num, _cells(source, reader.line_num, row)) for row in reader]
        else:
            raise UsageError(f"{source} is no list that is known", "end it in .csv or .jsonl, or give a folder")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{source} cannot be read: {error}", "save it as UTF-8") from error
    if not rows:
        raise InputError(f"{source} lists nothing", "its first line names columns, the others are clips")
    return rows


def _cells(source: Path, number: int, row: dict[str, str | None]) -> dict[str, str]:
    """A line of CSV by column."""
    if "" in row:
        raise InputError(f"{source}, line {number}: more values than columns", "name every column in the first line")
    return {key.strip(): value or "" for key, value in row.items()}


def _object(source: Path, number: int, line: str) -> dict[str, str]:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise InputError(f"{source}, line {number}: no JSON: {error}", "one object a line") from None
    if not isinstance(values, dict):
        raise InputError(f"{source}, line {number}: no object", 'as in {"face": "a.png", "speech": "a.wav"}')
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def _wanted(source: Path, number: int, row: dict[str, str], folder: Path) -> Job:
    where = f"{source}, line {number}"
    cells = {key.lower().replace("-", "_"): value.strip() for key, value in row.items() if value.strip()}
    missing = [name for name in ("face", "speech") if name not in cells]
    if missing:
        raise InputError(f"{where}: there is no {' and no '.join(missing)}", "every clip needs a face and a speech")
    face, speech = (source.parent / cells[name] for name in ("face", "speech"))
    out = folder / cells.get("out", f"{face.stem}-{speech.stem}.mp4")
    settings = {name: value for name, value in cells.items() if name not in _PATHS}
    emotion = settings.pop("emotion", AUTO)
    if emotion.lower().endswith(".csv"):
        emotion = str(source.parent / emotion)
    save_motion = _value(bool, settings.pop("save_motion", "true"), f"{where}: save_motion")
    common = [name for name in _COMMON if name in settings]
    if common:
        raise UsageError(f"{where}: {', '.join(common)} can't differ from clip to clip", "see 'floatcli batch --help'")
    crop, sample, video = (_settings(kind, settings, where) for kind in (CropConfig, SampleConfig, VideoConfig))
    if settings:
        raise UsageError(f"{where}: animate has no option {', '.join(settings)}", "see 'floatcli animate --help'")
    return Job(face, speech, out, crop, sample, video, emotion, save_motion)


def _settings(kind: type, cells: dict[str, str], where: str) -> Any:
    """One of the configurations; the cells it takes are taken out."""
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    names = {field.name: field.name for field in dataclasses.fields(kind)} | {
        field: column for column, field in _COLUMNS.items() if kind is CropConfig
    }
    for field, column in names.items():
        if column in cells:
            values[field] = _value(hints[field], cells.pop(column), f"{where}: {column}")
    return kind(**values)


def _value(hint: Any, text: str, where: str) -> Any:
    if isinstance(hint, UnionType):
        hint = get_args(hint)[0]
    if hint is bool:
        if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
            raise UsageError(f"{where} is {text!r}", "give true or false")
        return text.lower() in ("true", "yes", "1")
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            raise UsageError(f"{where} is {text!r}", f"give {'a whole' if hint is int else 'a'} number") from None
    return text if hint is str else parse_colour(text)
