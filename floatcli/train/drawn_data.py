"""Sets of drawn portraits: one identity in several states, drawn once to shards, read at random by training."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from floatcli.config import ANCHORS, POSE
from floatcli.errors import InputError, UsageError
from floatcli.files import holds, make_folder, replacing
from floatcli.train.arrays import filling, mapped
from floatcli.train.augment import augment
from floatcli.train.drawn import (
    LANDMARKS,
    Identity,
    displacements,
    draw,
    portrait_parameters,
    random_identity,
    random_parameters,
)
from floatcli.train.parameters import INDEX

POSE_COLUMNS = [INDEX[name] for name in POSE]
TILT, SHIFT = INDEX["roll"], [INDEX["shift_x"], INDEX["shift_y"]]
ANCHOR_COLUMNS = [LANDMARKS.index(name) for name in ANCHORS]  # where they are among the renderer's landmarks

# The frames of a set: a source; others in its pose; others with its expression; others in everything.
SOURCE, EXPRESSIONS, POSES, OTHERS = 0, slice(1, 4), slice(4, 6), slice(6, 8)
FRAMES = 8
LOOK = 4  # of the drawings; another number where the same settings draw other pictures


@dataclass(frozen=True)
class DrawnConfig:
    """How much is drawn, and how."""

    folder: str = "runs/drawn"
    identities: int = 1500  # 0: others all the time, drawn while training learns from them
    shard: int = 100  # identities a file
    restyled: int = 2  # further versions of every drawing: other colours, light, geometry
    size: int = 256  # pixels a side
    seed: int = 1

    def __post_init__(self) -> None:
        for name, least in (("identities", 0), ("shard", 1), ("restyled", 0), ("size", 32), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, not at least {least}")

    @property
    def shards(self) -> int:
        """Files that the identities fill."""
        return -(-self.identities // self.shard)

    @property
    def clips_folder(self) -> Path:
        """Where clips go that are drawn."""
        return Path(self.folder) / "clips"


class Batch(NamedTuple):
    """Sets as tensors: B sets of F frames. Pictures are uint8 until ``images`` turns them into [-1, 1]."""

    pictures: Tensor  # (B, F, H, W, 3) uint8
    mattes: Tensor  # (B, F, H/2, W/2) uint8, how far the person hides what is behind
    landmarks: Tensor  # (B, F, P, 2) in grid coordinates, -1 to 1
    displacements: Tensor  # (B, F, S, S, 2) float16, likewise: where cells of the set's source go; NaN where none does
    parameters: Tensor  # (B, F, 20)

    def images(self, frames: int | slice) -> Tensor:
        """Frames as (B, 3, H, W) or (B, F', 3, H, W) in [-1, 1]."""
        return self.pictures[:, frames].movedim(-1, -3).float() / 127.5 - 1

    def opacity(self, frames: int | slice) -> Tensor:
        """Mattes as (B, 1, H/2, W/2) or (B, F', 1, H/2, W/2), from 0 to 1."""
        return self.mattes[:, frames].unsqueeze(-3).float() / 255

    def small_images(self, size: int) -> Tensor:
        """All frames as (B F, 3, size, size) in [-1, 1], on a CPU scaled down as bytes: several times faster."""
        return resized(self.pictures.flatten(0, 1), size)


def resized(pictures: Tensor, size: int) -> Tensor:
    """Pictures (N, H, W, 3) uint8 as (N, 3, size, size) in [-1, 1]."""
    planes = pictures.movedim(-1, -3)
    planes = planes if planes.device.type == "cpu" else planes.float()
    return F.interpolate(planes, size=(size, size), mode="bilinear", antialias=True).float() / 127.5 - 1


def jitter(anchors: Tensor, rng: np.random.Generator) -> Tensor:
    """Anchors (B, 7, 2) as a network might find them: a little off, in proportion to the eyes' distance."""
    distance = (anchors[:, 1] - anchors[:, 0]).norm(dim=-1)[:, None, None]
    return anchors + torch.randn_like(anchors) * distance * rng.uniform(0, 0.06)


def set_parameters(rng: np.random.Generator, draw_one: Callable[[np.random.Generator], np.ndarray]) -> np.ndarray:
    """Parameters (FRAMES, 20) of one set, in the roles above."""
    rows = np.stack([draw_one(rng) for _ in range(FRAMES)])
    if rng.random() < 0.4:  # a source that looks at the camera, as most portraits do
        rows[SOURCE] = portrait_parameters(rng)
    rows[EXPRESSIONS, POSE_COLUMNS] = rows[SOURCE, POSE_COLUMNS]
    if rng.random() < 0.15:  # nothing changes where nothing is asked for
        rows[EXPRESSIONS.start] = rows[SOURCE]
    poses = rows[POSES][:, POSE_COLUMNS]
    rows[POSES] = rows[SOURCE]
    rows[POSES, POSE_COLUMNS] = poses
    return rows


class DrawnSet(NamedTuple):
    """F frames of one identity, as ``Batch`` has those of several."""

    pictures: np.ndarray  # (F, S, S, 3) uint8
    mattes: np.ndarray  # (F, S/2, S/2) uint8
    landmarks: np.ndarray  # (F, P, 2) in [0, 1]
    displacements: np.ndarray  # (F, S', S', 2) float16, likewise, of cells of the set's source; NaN where none is seen
    parameters: np.ndarray  # (F, 20)


def draw_set(rng: np.random.Generator, size: int, frames: Sequence[int] = range(FRAMES)) -> DrawnSet:
    """Some frames of one identity, S pixels a side."""
    identity = random_identity(rng)
    rows = set_parameters(rng, random_parameters)
    return draw_frames(identity, rows[list(frames)], size, rows[SOURCE])


def draw_frames(identity: Identity, parameters: np.ndarray, size: int, source: np.ndarray | None = None) -> DrawnSet:
    """Frames of an identity with parameters (F, 20), S pixels a side; the source has (20,), or is the first of them."""
    drawings = [draw(identity, row, size) for row in parameters]
    halves = [cv2.resize(drawing.matte, (size // 2,) * 2, interpolation=cv2.INTER_AREA) for drawing in drawings]
    pictures, landmarks = ([getattr(drawing, name) for drawing in drawings] for name in ("picture", "landmarks"))
    moves = displacements(identity, parameters[0] if source is None else source, parameters, size).astype(np.float16)
    return DrawnSet(np.stack(pictures), np.stack(halves), np.stack(landmarks), moves, parameters)


def identities(config: DrawnConfig) -> Iterator[Identity]:
    """Who is in the shards, in their order; where people are drawn without end, a thousand of their kind."""
    for index in range(-(-(config.identities or 1000) // config.shard)):
        for k in range(config.shard):
            yield random_identity(np.random.default_rng((config.seed, index, k)))


def draw_shard(config: DrawnConfig, index: int) -> None:
    """Draws shard ``index`` and its restyled versions, as far as they are not there: five .npy files each."""
    folder, stem = Path(config.folder), f"{index:04d}"
    if not _is_whole(folder, stem):
        sets = [draw_set(np.random.default_rng((config.seed, index, k)), config.size) for k in range(config.shard)]
        _save(folder, stem, [np.stack(column) for column in zip(*sets, strict=True)])
    for version in range(1, config.restyled + 1):
        if not _is_whole(folder, f"{stem}-{version}"):
            drawn = zip(*_open(folder, stem), strict=True)
            rngs = [np.random.default_rng((config.seed, index, k, version)) for k in range(config.shard)]
            sets = [restyled(DrawnSet(*one), rng) for one, rng in zip(drawn, rngs, strict=True)]
            _save(folder, f"{stem}-{version}", [np.stack(column) for column in zip(*sets, strict=True)])


def restyled(drawn: DrawnSet, rng: np.random.Generator) -> DrawnSet:
    """The same faces in other colours, light, geometry; heads tilt and shift with the picture."""
    pictures, warp = augment(drawn.pictures, rng)
    parameters = drawn.parameters.copy()
    parameters[:, TILT], parameters[:, SHIFT] = warp.pose(parameters[:, TILT], parameters[:, SHIFT])
    return DrawnSet(
        pictures,
        np.stack([warp.matte(matte) for matte in drawn.mattes]),
        warp.points(drawn.landmarks).astype(drawn.landmarks.dtype),
        warp.displacements(drawn.displacements).astype(drawn.displacements.dtype),
        parameters,
    )


def _save(folder: Path, stem: str, columns: list[np.ndarray]) -> None:
    """Writes Batch's columns, the pictures last: where they are, the shard is whole, unless it is damaged."""
    kinds = [np.uint8, np.uint8, np.float32, np.float16, np.float32]
    shapes = [column.shape for column in columns]
    names = [f"{stem}.{name}" for name in Batch._fields]
    with filling(folder, dict(zip(names, zip(kinds, shapes, strict=True), strict=True))) as files:
        for file, column in zip(files.values(), columns, strict=True):
            file[:] = column


def _open(folder: Path, stem: str) -> list[np.ndarray]:
    """Batch's columns, mapped from disk. Raises InputError where they are damaged."""
    return [mapped(folder / f"{stem}.{name}.npy", f"remove {folder}/{stem}.*") for name in Batch._fields]


def _is_whole(folder: Path, stem: str) -> bool:
    """Whether a shard is there, undamaged."""
    try:
        return bool(_open(folder, stem))
    except InputError:
        return False


def draw_shards(config: DrawnConfig, log: Callable[[str], None]) -> None:
    """Draws every shard that is missing or damaged, on all cores.

    Raises:
        InputError: Others are in the folder, or it can't be written to.
    """
    if not config.identities:
        return
    check_drawings(config)
    made = _stamped(config)
    make_folder(made.parent, "name another folder under [autoencoder.drawn]")
    with replacing(made) as temporary:
        temporary.write_text(_stamp(config))
    missing = [index for index in range(config.shards) if not _is_drawn(config, index)]
    if not missing:
        return
    with multiprocessing.get_context("spawn").Pool(min(len(missing), os.cpu_count() or 1)) as pool:
        for done, _ in enumerate(pool.imap_unordered(partial(draw_shard, config), missing), 1):
            log(f"drawn {done}/{len(missing)} shards of {config.shard} portraits")


def check_drawings(config: DrawnConfig) -> None:
    """Raise InputError where the folder holds drawings of other settings."""
    made = _stamped(config)
    if config.identities and made.exists() and not holds(made, _stamp(config)):
        raise InputError(f"{config.folder} holds drawings of other settings", "remove it, or name another folder")


def check_drawn_size(config: DrawnConfig, size: int) -> None:
    """Raise UsageError where drawings are smaller than a model's pictures of ``size`` pixels a side."""
    if config.size < size:
        said = f"drawings of {config.size} pixels a side are too small for a model of {size}"
        raise UsageError(said, f"set size = {size} under [autoencoder.drawn]")


def _stamped(config: DrawnConfig) -> Path:
    """The file that tells how a folder's drawings are made."""
    return Path(config.folder) / "made.json"


def _stamp(config: DrawnConfig) -> str:
    """How drawings are made."""
    return json.dumps({"look": LOOK, "seed": config.seed, "size": config.size, "shard": config.shard})


def _is_drawn(config: DrawnConfig, index: int) -> bool:
    return all(_is_whole(Path(config.folder), stem) for stem in _stems(config, index))


def _stems(config: DrawnConfig, index: int) -> list[str]:
    """What a shard and its restyled versions are called."""
    return [f"{index:04d}", *(f"{index:04d}-{version}" for version in range(1, config.restyled + 1))]


class DrawnSets:
    """Random access to the shards that settings ask for, as far as they are there, memory-mapped."""

    def __init__(self, config: DrawnConfig):
        self.config, folder = config, Path(config.folder)
        stems = (stem for index in range(config.shards) for stem in _stems(config, index))
        self.shards = [_open(folder, stem) for stem in stems if (folder / f"{stem}.pictures.npy").exists()]
        if not self.shards:
            raise InputError(f"no drawn portraits in {folder}", "draw some first: floatcli train draw CONFIG")

    def __reduce__(self) -> tuple[Any, ...]:
        return DrawnSets, (self.config,)  # another process maps the files for itself

    def sample(self, rng: np.random.Generator, batch: int, frames: Sequence[int]) -> Batch:
        """``batch`` random sets, of which only ``frames`` are read."""
        picks = [(rng.integers(len(self.shards)), rng.integers(len(self.shards[0][0]))) for _ in range(batch)]
        return _batch([tuple(column[k][list(frames)] for column in self.shards[s]) for s, k in picks])


class DrawnAnew:
    """Identities without end: every set is drawn when it is asked for, and restyled as often as those in shards are."""

    def __init__(self, config: DrawnConfig):
        self.config = config

    def sample(self, rng: np.random.Generator, batch: int, frames: Sequence[int]) -> Batch:
        """``batch`` sets that nobody has seen, of which only ``frames`` are drawn."""
        return _batch([self._one(rng, frames) for _ in range(batch)])

    def _one(self, rng: np.random.Generator, frames: Sequence[int]) -> tuple[np.ndarray, ...]:
        drawn = draw_set(rng, self.config.size, frames)
        return restyled(drawn, rng) if rng.integers(self.config.restyled + 1) else drawn


def drawn_sets(config: DrawnConfig) -> DrawnSets | DrawnAnew:
    """The sets that training learns from. Raises InputError where they should have been drawn and are not."""
    return DrawnSets(config) if config.identities else DrawnAnew(config)


def _batch(sets: list[tuple[np.ndarray, ...]]) -> Batch:
    """Sets, as ``DrawnSet`` has them, side by side."""
    batch = Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*sets, strict=True)))
    return batch._replace(landmarks=batch.landmarks * 2 - 1, displacements=batch.displacements * 2)
