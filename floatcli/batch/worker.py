"""Who makes the clips of a batch: weights on one device, portraits and recordings that several clips share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from floatcli.checks import AUTO
from floatcli.config import RunConfig
from floatcli.jobs import Job, save_clip

if TYPE_CHECKING:
    from floatcli.pipeline import FloatPipeline

Progress = Callable[[int, int], None]


class Stopped(BaseException):
    """The batch ends: what is at work is given up, and cleans up after itself."""


class WorkerLostError(Exception):
    """A worker has gone in the middle of a clip, through no fault of the clip."""


class Worker(Protocol):
    """Anything that makes clips, several at a time, each called from a thread of its own."""

    abreast: int  # clips at a time
    gone: bool  # for good

    def prepare(self) -> None:
        """Load the weights, unless that is done. Raises FloatCliError where nobody could, or WorkerLostError."""
        ...

    def make(self, job: Job, progress: Progress) -> dict[str, Any]:
        """Make a clip; what there is to tell of it. Raises FloatCliError, Stopped or WorkerLostError."""
        ...

    def stop(self) -> None:
        """Have whatever is at work raise Stopped soon."""
        ...


@dataclass
class Shelf:
    """The last few things made, by what they were made of; one thread at a time makes any."""

    places: int
    _kept: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was made of ``key``, or is made now."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
            self._kept.move_to_end(key)
            while len(self._kept) > self.places:
                self._kept.popitem(last=False)
            return self._kept[key]


class DeviceWorker:
    """Makes clips in this process, on one device.

    Args:
        weights: The file to load, when the first clip comes.
        run: Where and how.
        notice: Told one line whenever something is out of the ordinary.
    """

    gone = False

    def __init__(self, weights: Path, run: RunConfig, notice: Callable[[str], None]):
        self.run, self.abreast = run, run.abreast
        self._weights, self._notice = weights, notice
        self._pipeline: FloatPipeline | None = None
        self._loading = threading.Lock()
        self._stopping = threading.Event()
        self._portraits, self._recordings = Shelf(run.abreast), Shelf(run.together)

    def prepare(self) -> None:
        """Load the weights, unless that is done. Raises WeightsError, DeviceError."""
        with self._loading:
            if self._pipeline is None:
                from floatcli.pipeline import FloatPipeline

                pipe = FloatPipeline.from_weights(
                    self._weights, notice=self._notice, stage=self._go_on, **asdict(self.run)
                )
                pipe.model.prepare()  # what is wrong with any part of it concerns all clips
                self._pipeline = pipe

    def make(self, job: Job, progress: Progress) -> dict[str, Any]:
        """Make a clip. Raises FloatCliError, Stopped."""
        assert self._pipeline is not None
        pipe = self._pipeline

        def go_on(done: int, total: int) -> None:
            self._go_on()
            progress(done, total)

        still = self._portraits.take((_state(job.face), job.crop), lambda: pipe.portrait(job.face, job.crop))
        heard = self._recordings.take(_state(job.speech), lambda: pipe.hear(job.speech))
        clip = pipe.animate(still, heard, sample=job.sample, emotion=job.emotion, pose=job.pose)
        return save_clip(clip, job.out, job.video, job.save_motion, pipe, go_on)

    def stop(self) -> None:
        """Have clips that are at work raise Stopped at their next stage or batch of frames."""
        self._stopping.set()

    def _go_on(self, *_: object) -> None:
        if self._stopping.is_set():
            raise Stopped


def device_workers(weights: Path, runs: Sequence[RunConfig], notice: Callable[[str], None]) -> list[DeviceWorker]:
    """A worker for every run; one on "auto" stands for all GPUs of this machine, where it has any."""
    import torch

    everywhere = [f"cuda:{number}" for number in range(torch.cuda.device_count())] or [AUTO]
    each = [replace(run, device=name) for run in runs for name in (everywhere if run.device == AUTO else [run.device])]
    return [DeviceWorker(weights, run, notice) for run in each]


def _state(path: Path) -> Hashable:
    """A file, and a mark that changes when it is written again."""
    status = path.stat()
    return path, status.st_size, status.st_mtime_ns
