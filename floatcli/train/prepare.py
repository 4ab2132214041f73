"""Videos as data to train on: shards, a manifest that grows by a line a video, and several processes at work."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from floatcli.batch.ledger import DONE, FAILED
from floatcli.checkpoint.store import file_digest
from floatcli.cli.signals import catch_signals
from floatcli.errors import DeviceError, InputError, explained
from floatcli.files import holds, replacing, resolved
from floatcli.media.ffmpeg import VIDEO_SUFFIXES
from floatcli.media.frames import check_video
from floatcli.rows import Row, append_row, read_rows
from floatcli.train.prepare_clips import prepare_video
from floatcli.train.prepare_faces import FaceFinder, fetch_networks
from floatcli.train.prepare_settings import FPS, RATE, PrepareConfig

MANIFEST, SETTINGS = "manifest.jsonl", "settings.json"
MOST_FRAMES = 10_000_000  # of a clip: four days
_PLAIN = re.compile("[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")


class Ended(NamedTuple):
    """A video, its row in the manifest or why it has none, and whether something was done for it."""

    video: Path
    row: Row
    made: bool


def find_videos(sources: Sequence[Path]) -> list[Path]:
    """Files as they are named, and the videos of folders and of those within, in order; none twice.

    Raises:
        InputError: a folder holds no video.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        videos = [source]
        if source.is_dir():
            videos = sorted(path for path in source.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
            if not videos:
                raise InputError(f"no video is in {source}", f"name files, or rename to {sorted(VIDEO_SUFFIXES)[0]}")
        for video in videos:
            found.setdefault(resolved(video), video)
    return list(found.values())


def read_manifest(folder: Path) -> dict[str, Row]:
    """The last row of every video, by its source, in the order of sources."""
    rows = read_rows(folder / MANIFEST)
    named = {source if isinstance(source := row.get("source"), str) else "": row for row in rows}
    return dict(sorted(named.items()))


def prepare(
    videos: Sequence[Path],
    folder: Path,
    config: PrepareConfig,
    workers: int,
    device: str,
    notice: Callable[[str], None],
) -> Generator[Ended]:
    """Videos as they end; those that were prepared before and are unchanged stay as they are.

    Raises:
        InputError: the folder can't be written to, or holds clips of other settings.
        DeviceError: a process was lost.
    """
    stamp(folder, asdict(config) | {"fps": FPS, "rate": RATE})
    fetch_networks(notice)
    rows = read_manifest(folder)
    work = partial(_prepared, folder=folder, config=config, device=device)
    for ended in _each(work, [(video, rows.get(_source(video))) for video in videos], min(workers, len(videos))):
        last = rows.get(_source(ended.video))
        if ended.made and not (ended.row["status"] == FAILED and last and is_whole(last, folder)):
            append_row(folder / MANIFEST, ended.row)
        yield ended


def stamp(folder: Path, settings: Row) -> None:
    """Marks a folder with how its clips are made, or finds it marked so.

    Raises:
        InputError: it holds clips of other settings, or can't be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_stamp(folder, settings)
    except OSError as error:
        raise InputError(f"{folder} can't be used: {error.strerror}", "name another folder with -o") from error
    with replacing(folder / SETTINGS) as temporary:  # on every run, so that a closed folder is told before any work
        temporary.write_text(_said(settings))


def check_stamp(folder: Path, settings: Row) -> None:
    """Raise InputError where a folder is marked as holding clips of other settings."""
    path = folder / SETTINGS
    if path.exists() and not holds(path, _said(settings)):
        raise InputError(f"{folder} holds clips of other settings", f"see {path}, or name another folder")


def _said(settings: Row) -> str:
    return json.dumps(settings, indent=2) + "\n"


def _source(video: Path) -> str:
    return str(resolved(video))


def is_whole(row: Row, folder: Path) -> bool:
    """Whether a video was prepared, and what was made of it is still there."""
    if row.get("status") != DONE or not is_sound(row):
        return False
    shard = row.get("shard")
    return shard is None or ((folder / shard).is_file() and (folder / shard).stat().st_size == row.get("bytes"))


def is_plain(name: object) -> bool:
    """Whether something is a name such as shards and clips have, which leads out of no folder."""
    return isinstance(name, str) and _PLAIN.fullmatch(name) is not None


def is_length(frames: object) -> bool:
    """Whether something is a number of frames that a clip can have."""
    return type(frames) is int and 0 < frames <= MOST_FRAMES


def is_sound(row: Row) -> bool:
    """Whether a row names a source, its shard if it has one, and its clips as it should; not whether they are there."""
    shard, clips, dropped = row.get("shard"), row.get("clips"), row.get("dropped", {})
    return (
        isinstance(row.get("source"), str)
        and (shard is None or is_plain(shard))
        and isinstance(clips, list)
        and all(
            isinstance(clip, dict) and is_plain(clip.get("key")) and is_length(clip.get("frames")) for clip in clips
        )
        and isinstance(dropped, dict)
        and all(type(count) is int for count in dropped.values())
    )


def _prepared(video: Path, last: Row | None, folder: Path, config: PrepareConfig, device: str) -> Ended:
    """Prepare a video, unless its last row is still true; what goes wrong is its own."""
    row: Row = {"source": _source(video)}
    try:
        check_video(video)
        row["digest"] = file_digest(video)
        if last is not None and last.get("digest") == row["digest"] and is_whole(last, folder):
            return Ended(video, last, made=False)
        row |= prepare_video(video, folder, config, _finder(device))
        return Ended(video, row | {"status": DONE}, made=True)
    except Exception as error:
        said, code = explained(error)
        return Ended(video, row | {"status": FAILED, "error": said, "code": int(code)}, made=True)


@cache
def _finder(device: str) -> FaceFinder:
    """This process's."""
    return FaceFinder(device)


def _each(
    work: Callable[[Path, Row | None], Ended], items: Sequence[tuple[Path, Row | None]], workers: int
) -> Generator[Ended]:
    """What becomes of items, as they end; closing it gives up what is at work."""
    if workers <= 1:
        yield from (work(*item) for item in items)
        return
    left = iter(items)
    context = multiprocessing.get_context("spawn")
    begin = partial(_begin, max(1, (os.cpu_count() or 1) // workers))
    with ProcessPoolExecutor(workers, context, begin) as pool:
        # No more than there are workers: what waits in a pool's own queue can't be called back.
        running = {pool.submit(work, *item) for item in islice(left, workers)}
        try:
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    running |= {pool.submit(work, *item) for item in islice(left, 1)}
                    yield future.result()
        except BrokenProcessPool as error:
            raise DeviceError("a worker was lost", "where memory ran out, take fewer --workers") from error
        finally:
            for process in multiprocessing.active_children() if running else ():
                process.terminate()


def _begin(threads: int) -> None:
    """A worker begins: it leaves Ctrl-C to the main process, cleans up when that ends it, and keeps to its cores."""
    import cv2
    import torch

    catch_signals()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)
