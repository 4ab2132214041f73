"""A head's pose over time: six numbers a frame, from a CSV file or by coefficients' names. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from floatcli.config import POSE, POSE_SHIFT, POSE_ZOOM, TURN_DEGREES, ModelConfig
from floatcli.errors import UsageError
from floatcli.motion import Motion
from floatcli.tracks import read_table

#: One unit of each number of ``POSE``: degrees, shares of the picture's side, a share of the head's size.
_UNITS = np.array([*TURN_DEGREES, POSE_SHIFT, POSE_SHIFT, POSE_ZOOM])


@dataclass(frozen=True, eq=False)
class PoseTrack:
    """Poses at times; linear between them, held before the first and after the last.

    Attributes:
        times: (n,) seconds, rising.
        values: (n, 6), the numbers of ``POSE`` in the units of ``config``.
    """

    times: np.ndarray
    values: np.ndarray

    def frames(self, count: int, fps: int) -> np.ndarray:
        """Poses (count, 6) float32 at the beginning of every frame."""
        at = np.arange(count) / fps
        return np.stack([np.interp(at, self.times, column) for column in self.values.T], axis=1).astype(np.float32)


def read_pose(path: str | Path) -> PoseTrack:
    """A track with columns time and any of ``POSE``; those that are not there are zero.

    In the file yaw, pitch and roll are degrees, shift_x and shift_y shares of the picture's side, and zoom is a share
    of the head's size: to the right, down, clockwise and nearer are positive.

    Raises:
        InputError: the file is missing or empty, or a line of it, which is named, cannot be meant.
    """
    columns, _, table = read_table(path, POSE, "pose", "yaw")
    values = np.zeros((len(table), len(POSE)))
    values[:, columns] = table[:, 1:]
    return PoseTrack(table[:, 0], values / _UNITS)


def check_follows(config: ModelConfig) -> None:
    """Raise UsageError where a model's field follows no pose."""
    if not config.field.pose:
        said = f"the weights, {config.name}, follow no pose"
        raise UsageError(said, "those do that are trained with pose = true in [model.field]")


def is_table(pose: str | Path) -> bool:
    """Whether a pose is given as a CSV file; else it is a motion that is kept."""
    return Path(pose).suffix.lower() == ".csv"


def pose_of_motion(motion: Motion, matrix: np.ndarray, config: ModelConfig) -> PoseTrack:
    """The pose in a motion that was made with a model, whose basis is ``matrix`` (D, M).

    Raises:
        UsageError: the model's coefficients do not tell it.
    """
    if not tells_pose(config):
        raise UsageError(f"no coefficient of {config.name} tells a pose by its name", "give poses as a .csv file")
    values = pose_of(motion.latents @ matrix, config)
    return PoseTrack(np.arange(len(values)) / config.fps, values)


def tells_pose(config: ModelConfig) -> bool:
    """Whether a model's coefficients have names, and the head's pose is among them."""
    return set(POSE) <= set(config.coefficient_names)


def pose_of(coefficients: np.ndarray, config: ModelConfig) -> np.ndarray:
    """The numbers of ``POSE`` (T, 6) float32 that coefficients (T, M) of a model hold by name."""
    columns = [config.coefficient_names.index(name) for name in POSE]
    scales = np.array(config.coefficient_scales or [1.0] * config.basis_size)[columns]
    return (coefficients[:, columns] * scales).astype(np.float32)
