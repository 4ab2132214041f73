"""What a batch has done: ``results.jsonl``, a row a clip as it ends. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import asdict
from pathlib import Path

from floatcli.checkpoint.store import file_digest, weights_files
from floatcli.checks import AUTO
from floatcli.config import RunConfig
from floatcli.errors import InputError
from floatcli.files import check_place
from floatcli.jobs import Job
from floatcli.motion import motion_beside
from floatcli.rows import Row, append_row, read_rows
from floatcli.version import __version__

RESULTS = "results.jsonl"
DONE, FAILED = "done", "failed"


class Ledger:
    """The results of the clips of one folder; of a clip that ended several times, the last row counts.

    Args:
        folder: Where ``results.jsonl`` is; rows name videos as seen from there.
        weights: What clips are made with.
        run: How networks are run.

    Raises:
        InputError: results can't be read or written.
    """

    def __init__(self, folder: Path, weights: Path, run: RunConfig):
        self.path = folder / RESULTS
        self.run = run
        self._keeping = threading.Lock()
        self._weights = [file_digest(file) for file in weights_files(weights)]
        try:
            self._known = _read(self.path)
            if self.path.exists():
                self.path.open("ab").close()
            else:  # it begins with the first row: where no worker is found, no empty file is left
                check_place(self.path, overwrite=True)
        except OSError as error:
            said = f"{self.path} can't be written: {error.strerror}"
            raise InputError(said, "remove it, or name another folder with -o") from error

    def name(self, job: Job) -> str:
        """A clip's video, as seen from the ledger's folder."""
        return os.path.relpath(job.out, self.path.parent)

    def key(self, job: Job) -> str:
        """What a clip depends on, in one digest: all that goes in, and every setting.

        Device, batch size and clips that share calls are no part of it: they move results by no more than rounding,
        and nobody wants all made again because another machine goes on.
        """
        made_of = asdict(job) | {
            "face": file_digest(job.face),
            "speech": file_digest(job.speech),
            "emotion": job.emotion if job.track is None else file_digest(job.track),
            "pose": file_digest(job.pose) if job.pose else None,
            "out": job.out.suffix.lower(),
            "weights": self._weights,
            "dtype": self.run.dtype if self.run.dtype != AUTO else "float32",
            "version": __version__,
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    def has(self, job: Job, key: str) -> bool:
        """Whether this clip was last made of just this, and its files are still there, the video unchanged."""
        last = self._known.get(self.name(job))
        if last is None or last.get("status") != DONE or last.get("key") != key or not job.out.is_file():
            return False
        if job.save_motion and not motion_beside(job.out).is_file():
            return False
        return file_digest(job.out) == last.get("digests", {}).get("output")

    def keep(self, row: Row) -> None:
        """Add a row to the file at once, from any thread: whatever happens next, it stays.

        Raises:
            InputError: the file can't be written.
        """
        with self._keeping:
            self._known[row["out"]] = row
            append_row(self.path, row)


def _read(path: Path) -> dict[str, Row]:
    """The last row of every clip."""
    rows = (row for row in read_rows(path) if isinstance(row.get("out"), str))
    return {row["out"]: row for row in rows if isinstance(row.get("digests", {}), dict)}
