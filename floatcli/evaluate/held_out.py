"""Which of a folder's prepared clips are measured: the same ones every time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np

from floatcli.train.prepared_data import PreparedClip, prepared_videos, read_clip
from floatcli.train.shards import read_shard


def held_out_clips(folder: Path, count: int) -> Iterator[PreparedClip]:
    """At most so many clips, one after the other, of as many videos as there are.

    What the manifest says of a clip comes with it, in place of what its shard says: labels can be added there.

    Raises:
        InputError: there are none, or a shard can't be read.
    """
    rows = prepared_videos(folder)
    rows = [rows[k] for k in np.random.default_rng(0).permutation(len(rows))]
    turns = zip_longest(*([(row["shard"], told) for told in row["clips"]] for row in rows))
    chosen = list(islice((each for turn in turns for each in turn if each is not None), count))
    return _read(folder, chosen)


def _read(folder: Path, chosen: list[tuple[str, dict]]) -> Iterator[PreparedClip]:
    """Clips of shards, each of which is read once."""
    for shard in dict.fromkeys(shard for shard, _ in chosen):
        told = {row["key"]: row for name, row in chosen if name == shard}
        for key, sample in read_shard(folder / shard):
            if key in told:
                clip = read_clip(key, sample)
                yield clip._replace(told=clip.told | told[key])
