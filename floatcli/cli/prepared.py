"""What people see of videos that are prepared: a line each, and counts in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from floatcli.batch.ledger import FAILED
from floatcli.cli import console
from floatcli.errors import InputError
from floatcli.rows import Row
from floatcli.train.prepare import Ended
from floatcli.train.prepare_settings import FPS


def tell(ends: Iterable[Ended], total: int, folder: Path) -> int:
    """Say how videos end, as they do; the exit code of the first that fails, 0 where none does.

    Raises:
        InputError: nothing has failed, and yet no clip was kept.
    """
    rows: list[Row] = []
    code = failed = 0
    for number, (video, row, made) in enumerate(ends, 1):
        if row["status"] == FAILED:
            failed, code = failed + 1, code or row["code"]
            console.say(f"failed: {video}: {row['error']}")
        else:
            rows.append(row)
            console.say(f"{number}/{total} {video}: {'' if made else 'there already, '}{_counts([row])}")
    if rows and not code and not any(row["clips"] for row in rows):
        raise InputError(f"nothing is left to train on: {_counts(rows)}", "give videos of somebody who speaks")
    if total > 1:
        console.say(f"{len(rows)} of {total} videos in {folder}: {_counts(rows)}{f'; {failed} failed' * bool(failed)}")
    return code


def _counts(rows: list[Row]) -> str:
    """Clips that were kept of videos, and what was dropped."""
    clips = [clip for row in rows for clip in row["clips"]]
    dropped = sum((Counter(row.get("dropped")) for row in rows), Counter[str]())
    seconds = sum(clip["frames"] for clip in clips) / FPS
    told = f"; dropped {', '.join(f'{count} {why}' for why, count in sorted(dropped.items()))}" if dropped else ""
    return f"{len(clips)} clip{'s' * (len(clips) != 1)}, {seconds:.1f} s{told}"
