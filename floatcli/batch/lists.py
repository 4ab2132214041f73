"""Lists of clips to make: which portrait says which recording, with which settings. Imports no torch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from floatcli.batch.ledger import RESULTS
from floatcli.checks import is_track, parse_colour, text_of
from floatcli.config import CropConfig, SampleConfig, VideoConfig
from floatcli.errors import FloatCliError, InputError, UsageError
from floatcli.files import resolved
from floatcli.jobs import Job
from floatcli.motion import motion_beside

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic"}
RECORDINGS = {".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".aac", ".wma", ".aiff"}
#: What columns are called where they are not called as their settings.
_COLUMNS: dict[type, dict[str, str]] = {CropConfig: {"mode": "crop", "face": "face_number"}}
#: Types of their fields: to find them takes longer than all else that is done with a line.
_HINTS: dict[type, dict[str, Any]] = {
    config: get_type_hints(config) for config in (CropConfig, SampleConfig, VideoConfig)
}
#: Options of animate that are the whole batch's.
_COMMON = ("weights", "device", "dtype", "batch_size", "together", "compile", "overwrite", "quiet", "json")


def read_jobs(
    source: Path,
    folder: Path,
    face: Path | None = None,
    speech: Path | None = None,
    settings: Sequence[str] = (),
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
        settings: Of all clips whose line says nothing else, as in "nfe=5", by the same names as columns.
        notice: Told which files of a folder are left out.

    A line that lacks a face or a speech, or has a value that can't be meant, becomes a job that fails by that: it
    shall not stop the others. Where all lines are like this, the first is told.

    Raises:
        UsageError: two clips of one name, or a column or a setting of all clips that cannot be meant.
        InputError: the list is missing, empty or damaged; a folder without a pair.
    """
    common = _once([_setting(text) for text in settings], "--set")
    _check_columns(common, "--set")
    if source.is_dir():
        jobs = [_adjusted(job, common, "--set") for job in _pairs(source, folder, face, speech, notice)]
    elif face is not None or speech is not None:
        raise UsageError("--face and --speech go with a folder", "a list names them in its columns")
    else:
        if resolved(source) == resolved(folder / RESULTS):
            raise UsageError(f"{source} is where results go", "name another folder with -o")
        jobs = [_listed(source, number, row, folder, common) for number, row in _rows(source)]
        faults = [job.fault for job in jobs if job.fault is not None]
        if len(faults) == len(jobs):
            raise faults[0]
    _check_apart(jobs)
    return jobs


def _check_apart(jobs: list[Job]) -> None:
    """Raise UsageError where two clips would be written to one file, or one over what another is made of."""
    read = {resolved(path): path for job in jobs for path in job.files}
    taken: dict[Path, Job] = {}
    for job in jobs:
        for path in (job.out, motion_beside(job.out)) if job.save_motion else (job.out,):
            place = resolved(path)
            if place in read:
                raise UsageError(f"{path} is an input and would be replaced", "name another output in a column out")
            other = taken.setdefault(place, job)
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
        text = text_of(source, "list", newline="")
        if source.suffix.lower() == ".jsonl":
            lines = enumerate(text.split("\n"), 1)
            rows = [(n, _object(f"{source}, line {n}", line)) for n, line in lines if line.strip()]
        elif source.suffix.lower() == ".csv":
            reader = csv.reader(io.StringIO(text, newline=""))
            columns = next(reader, [])
            rows = [(n, _by_column(columns, cells, f"{source}, line {n}")) for n, cells in _numbered(reader) if cells]
        else:
            raise UsageError(f"{source} is no list that is known", "end it in .csv or .jsonl, or give a folder")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{source} cannot be read: {error}", "save it as UTF-8") from error
    if not rows:
        raise InputError(f"{source} lists nothing", "its first line names columns, the others are clips")
    return rows


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows of CSV with the line that each ends in: cells may hold line ends."""
    for cells in reader:
        yield reader.line_num, cells


def _by_column(columns: list[str], cells: list[str], where: str) -> dict[str, str]:
    """A row's cells that hold something."""
    if len(cells) > len(columns):
        raise InputError(f"{where}: more values than columns", "name every column in the first line")
    return _once([(column, cell) for column, cell in zip(columns, cells, strict=False) if cell.strip()], where)


def _object(where: str, line: str) -> dict[str, str]:
    """A line of JSON as cells; nulls are left out."""
    try:
        pairs = json.loads(line, object_pairs_hook=lambda pairs: pairs)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: no JSON: {error}", "one object a line") from None
    hint = 'as in {"face": "a.png", "speech": "a.wav"}'
    if not line.lstrip().startswith("{"):
        raise InputError(f"{where}: no object", hint)
    for name, value in pairs:
        if isinstance(value, list):
            raise InputError(f"{where}: {name} is neither text nor a number", hint)
    told = [(name, value) for name, value in pairs if value is not None]
    return _once([(name, value if isinstance(value, str) else json.dumps(value)) for name, value in told], where)


def _once(pairs: list[tuple[str, str]], where: str) -> dict[str, str]:
    """Values by the plain names of their options. Raises UsageError where one is told twice."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if _plain(name) in values:
            raise UsageError(f"{where}: {_plain(name)} is told twice", "keep one of them")
        values[_plain(name)] = value.strip()
    return {name: value for name, value in values.items() if value}


def _listed(source: Path, number: int, row: dict[str, str], folder: Path, common: dict[str, str]) -> Job:
    """The clip of one line, with its fault where it has one."""
    where = f"{source}, line {number}"
    cells = dict(row)
    missing = [name for name in ("face", "speech") if name not in cells]
    face, speech = (source.parent / cells.pop(name, "") for name in ("face", "speech"))
    name = f"line-{number}.mp4" if missing else f"{face.stem}-{speech.stem}.mp4"
    job = _adjusted(Job(face, speech, folder / cells.pop("out", name)), common, "--set")
    _check_columns(cells, where)
    if is_track(cells.get("emotion", "")):
        cells["emotion"] = str(source.parent / cells["emotion"])
    if "pose" in cells:
        cells["pose"] = str(source.parent / cells["pose"])
    try:
        if missing:
            said = f"{where}: there is no {' and no '.join(missing)}"
            raise InputError(said, "every clip needs a face and a speech")
        return _adjusted(job, cells, where)
    except FloatCliError as fault:
        return replace(job, fault=fault)


def _setting(text: str) -> tuple[str, str]:
    """Name and value of "name=value"."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise UsageError(f"--set {text!r} is not understood", "name an option of animate, as in --set nfe=5")
    return name, value


def _plain(name: str) -> str:
    """An option's name, as the settings have it."""
    return name.strip().lower().replace("-", "_")


def _check_columns(names: Iterable[str], where: str) -> None:
    """Raise UsageError for settings that no clip has of its own."""
    common = [name for name in _COMMON if name in names]
    if common:
        raise UsageError(f"{where}: {', '.join(common)} is the whole batch's", "see 'floatcli batch --help'")
    own = {"emotion", "pose", "save_motion"}
    known = {column for config in (CropConfig, SampleConfig, VideoConfig) for column in _columns(config).values()}
    unknown = [name for name in names if name not in known | own]
    if unknown:
        raise UsageError(f"{where}: animate has no option {', '.join(unknown)}", "see 'floatcli animate --help'")


def _adjusted(job: Job, cells: dict[str, str], where: str) -> Job:
    """A clip with some of its settings told. Raises UsageError where they can't be meant."""
    crop, sample, video = (_told(config, cells, where) for config in (job.crop, job.sample, job.video))
    save_motion = _value(bool, cells.get("save_motion", str(job.save_motion)), f"{where}: save_motion")
    emotion = cells.get("emotion", job.emotion)
    pose = Path(cells["pose"]) if "pose" in cells else job.pose
    return replace(job, crop=crop, sample=sample, video=video, emotion=emotion, save_motion=save_motion, pose=pose)


def _columns(config: type) -> dict[str, str]:
    """What the columns for a configuration's fields are called."""
    return {field.name: field.name for field in fields(config)} | _COLUMNS.get(config, {})


def _told(config: Any, cells: dict[str, str], where: str) -> Any:
    """A configuration with the values that cells have for it."""
    hints = _HINTS[type(config)]
    return replace(
        config,
        **{
            name: _value(hints[name], cells[column], f"{where}: {column}")
            for name, column in _columns(type(config)).items()
            if column in cells
        },
    )


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
    if hint is str:
        return text
    try:
        return parse_colour(text)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from None
