"""Curves of a training for TensorBoard."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from floatcli.files import make_folder, writing


class Board:
    """An event file of scalars. TensorBoard's own writer has a thread, which tells of a full disk by its traceback.

    Args:
        folder: Of the file.
        step: From here on, what earlier files in the folder say no longer counts.

    Raises:
        OutputError: It can't be written.
    """

    def __init__(self, folder: Path, step: int):
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"  # read in this order
        self.path = folder / name
        make_folder(folder, "name another folder with --run")
        self._write(Event(step=step, file_version="brain.Event:2"))
        self._write(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each curve. Raises OutputError."""
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(Event(step=step, summary=Summary(value=scalars)))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        with writing(self.path), self.path.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())
