"""Drawn people who say synthetic speech, as clips of the kind that ``floatcli train prepare`` makes of videos."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from floatcli.batch.ledger import DONE
from floatcli.config import EMOTIONS, TURN_DEGREES
from floatcli.face.landmarks import box_sides
from floatcli.rows import Row, append_row
from floatcli.train.drawn import draw, random_identity
from floatcli.train.drawn_data import ANCHOR_COLUMNS, LOOK, DrawnConfig
from floatcli.train.parameters import INDEX
from floatcli.train.prepare import MANIFEST, check_stamp, is_whole, read_manifest, stamp
from floatcli.train.prepare_clips import around, level, mp4, rounded, wav
from floatcli.train.prepare_faces import LANDMARKS as BY_LANDMARKS
from floatcli.train.prepare_faces import parts_of_anchors
from floatcli.train.prepare_settings import FPS, PARTS
from floatcli.train.shards import Sample, write_shard
from floatcli.train.speech_clips import SpeechConfig, make_clip

SAID = 4  # clips of every person


@dataclass(frozen=True)
class DrawnClips:
    """What is drawn: how people look and move, and what they say."""

    drawn: DrawnConfig
    speech: SpeechConfig

    @property
    def settings(self) -> Row:
        """How they are made."""
        return {"look": LOOK, "drawn": asdict(self.drawn), "speech": asdict(self.speech)}

    def person(self, number: int) -> Iterator[tuple[Row, Sample]]:
        """Clips of one person, each with what there is to know of it: the same for the same seeds."""
        identity = random_identity(np.random.default_rng((self.drawn.seed, number)))
        for index in range(SAID * number, SAID * (number + 1)):
            clip = make_clip(self.speech, "train", index)
            drawings = [draw(identity, state, self.drawn.size) for state in clip.motion]
            anchors = np.stack([drawing.landmarks[ANCHOR_COLUMNS] for drawing in drawings]) * self.drawn.size
            boxes = parts_of_anchors(anchors, box_sides(anchors))
            sound = np.round(clip.waveform * 32767).astype(np.int16)
            told = {
                "key": f"drawn-{number:05d}-{index:06d}",
                "start": 0.0,
                "end": len(drawings) / FPS,
                "frames": len(drawings),
                "crop": [0, 0, self.drawn.size],
                **dict(zip(PARTS, rounded(around(boxes)), strict=True)),
                "found_by": "drawn",
                "parts_from": BY_LANDMARKS,
                "yaw": round(float(np.abs(clip.motion[:, INDEX["yaw"]]).max()) * TURN_DEGREES[0], 1),
                "level": round(level(sound), 1),
                "emotion": EMOTIONS[clip.emotion],
            }
            pictures = (drawing.picture for drawing in drawings)
            files = {"mp4": mp4(pictures, self.drawn.size), "wav": wav(sound)}
            yield told, files | {"json": json.dumps(told | {"boxes": rounded(boxes)}).encode()}

    def write(self, folder: Path, number: int) -> Row:
        """Writes a person's shard; its row in the manifest."""
        shard = folder / f"drawn-{number:05d}.tar"
        rows: list[Row] = []

        def samples() -> Iterator[tuple[str, Sample]]:
            for told, sample in self.person(number):
                rows.append(told)
                yield told["key"], sample

        write_shard(shard, samples())
        made = {"source": _source(number), "shard": shard.name, "bytes": shard.stat().st_size}
        return made | {"dropped": {}, "clips": rows, "status": DONE}


def _source(number: int) -> str:
    return f"drawn-{number:05d}"


def check_clips(clips: DrawnClips, folder: Path) -> None:
    """Raise InputError where the folder holds clips of other settings."""
    check_stamp(folder, clips.settings)


def draw_clips(clips: DrawnClips, count: int, folder: Path, log: Callable[[str], None]) -> None:
    """Draws so many clips, rounded up to whole persons, as far as they are not there: on all cores.

    Raises:
        InputError: the folder can't be written to, or holds others.
    """
    stamp(folder, clips.settings)
    rows = read_manifest(folder)
    people = range(-(-count // SAID))
    missing = [k for k in people if not is_whole(rows.get(_source(k), {}), folder)]
    if not missing:
        return
    with multiprocessing.get_context("spawn").Pool() as pool:
        for done, row in enumerate(pool.imap_unordered(partial(clips.write, folder), missing), 1):
            append_row(folder / MANIFEST, row)
            log(f"drawn {done}/{len(missing)} people, {SAID} clips each")
