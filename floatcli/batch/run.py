"""A batch at work: what is not done yet goes to workers as they are free, and every end is kept. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from floatcli.batch.ledger import DONE, FAILED, Ledger, Row
from floatcli.batch.worker import Stopped, Worker, WorkerLostError
from floatcli.errors import DeviceError, InputError, explained
from floatcli.jobs import Job

ATTEMPTS = 3  # at a clip over which workers are lost
PATIENCE = 30.0  # seconds that clips at work get to clean up after themselves
_LOOK = 0.5  # seconds that the end of a clip is waited for at a time


class Ended(NamedTuple):
    """A clip, and the row of its result that is in the ledger; without one, it was done before."""

    job: Job
    row: Row | None


class Batch:
    """Makes clips that are not done yet.

    Args:
        jobs: The clips.
        ledger: What is done, and where results go.
        weights: The file that clips are made with.
        force: Make again what is done already.
    """

    def __init__(self, jobs: Sequence[Job], ledger: Ledger, weights: Path, force: bool = False):
        self._jobs, self._ledger, self._weights, self._force = jobs, ledger, weights, force

    def run(
        self,
        hire: Callable[[], Sequence[Worker]],
        frames: Callable[[Job, int, int], None] = lambda *_: None,
        notice: Callable[[str], None] = lambda line: None,
    ) -> Generator[Ended]:
        """Clips as they end, first those that are done or can't be begun. Closing it gives up what is at work.

        Args:
            hire: Asked for workers once there is something to make.
            frames: Told, from other threads, how many frames of a clip are done, and of how many.
            notice: Told of workers that are lost.

        Raises:
            FloatCliError: the weights can't be loaded, results can't be written, or no worker is left.
        """
        left: dict[Job, Row] = {}
        for job in self._jobs:
            row = self._begun(job)
            if row is not None and "status" not in row:
                left[job] = row
            else:
                yield self._kept(Ended(job, row))
        if left:
            crew = _Crew(left, hire(), frames, self._kept)
            try:
                yield from crew.work(notice)
            finally:
                crew.stop()

    def _begun(self, job: Job) -> Row | None:
        """The beginning of a clip's row, or all of it where it can't be made; None where the clip is done."""
        row: Row = {"out": self._ledger.name(job), "face": os.fspath(job.face), "speech": os.fspath(job.speech)}
        try:
            _make_room(job.out.parent)
            job.check(self._weights)
            row["key"] = self._ledger.key(job)
            return None if not self._force and self._ledger.has(job, row["key"]) else row
        except Exception as error:
            return row | _failure(error)

    def _kept(self, ended: Ended) -> Ended:
        if ended.row is not None:
            self._ledger.keep(ended.row)
        return ended


class _Crew:
    """Workers, and the threads that hand them clips and keep how these ended, which no signal cuts short."""

    def __init__(
        self,
        left: dict[Job, Row],
        workers: Sequence[Worker],
        frames: Callable[[Job, int, int], None],
        kept: Callable[[Ended], Ended],
    ):
        self._rows, self._orders, self._workers = left, _Orders(left), workers
        self._frames, self._kept = frames, kept
        self._ended: SimpleQueue[Ended | BaseException | None] = SimpleQueue()
        most = max((worker.abreast for worker in workers), default=0)
        hands = [worker for k in range(most) for worker in workers if k < worker.abreast]  # first one of everybody
        self._threads = [threading.Thread(target=self._serve, args=(worker,), daemon=True) for worker in hands]

    def work(self, notice: Callable[[str], None]) -> Iterator[Ended]:
        """Clips as they end. Raises FloatCliError where no more can be made."""
        loss: WorkerLostError | None = None
        running, left = len(self._threads), len(self._rows)
        for thread in self._threads:
            thread.start()
        while running and left:
            ended = self._next()
            if ended is None:
                running -= 1
            elif isinstance(ended, WorkerLostError):
                loss = ended
                notice(f"lost a worker: {loss}")
            elif isinstance(ended, BaseException):
                raise ended
            else:
                left -= 1
                yield ended
        if left:
            raise DeviceError(f"no worker is left for {left} of the clips: {loss}", "mend that, and run it again")

    def _next(self) -> Ended | BaseException | None:
        """What ends next. Looks up every now and then: a signal that comes right before a wait does not end it."""
        while True:
            with contextlib.suppress(Empty):
                return self._ended.get(timeout=_LOOK)

    def stop(self) -> None:
        """Give up what is at work, and wait until it has cleaned up after itself."""
        self._orders.close()
        for worker in self._workers:
            worker.stop()
        until = time.monotonic() + PATIENCE
        for thread in self._threads:
            if thread.ident is not None:  # None where it was never started
                thread.join(max(0.0, until - time.monotonic()))

    def _serve(self, worker: Worker) -> None:
        """What a thread does: clips with one worker, until there are none, or the worker is gone."""
        try:
            while not (worker.gone or self._orders.closed):
                try:
                    worker.prepare()
                except WorkerLostError as lost:
                    self._ended.put(lost)
                    continue
                if (job := self._orders.take()) is None:
                    break
                unfinished = True
                try:
                    self._ended.put(self._kept(Ended(job, self._made(worker, job))))
                    unfinished = False
                except WorkerLostError as lost:
                    self._ended.put(lost)
                finally:
                    self._orders.put_down(job, unfinished)
        except Stopped:
            pass
        except BaseException as error:
            self._ended.put(error)
        finally:
            self._ended.put(None)

    def _made(self, worker: Worker, job: Job) -> Row:
        """The row of a clip that is made, or fails. Raises where the fault is not the clip's."""
        row = self._rows[job]
        if self._orders.losses(job) >= ATTEMPTS:
            return row | _failure(DeviceError(f"its worker was lost {ATTEMPTS} times", "try it alone, with animate"))
        start = time.monotonic()
        try:
            result = worker.make(job, partial(self._frames, job))
            row = (
                row
                | {"status": DONE, "error": None}
                | {name: result[name] for name in ("frames", "fps", "seed", "digests")}
            )
        except WorkerLostError:
            raise
        except Exception as error:
            row = row | _failure(error)
        return row | {"seconds": round(time.monotonic() - start, 3)}


class _Orders:
    """Clips handed out to threads until every one has ended; one that is put down unfinished is handed out again."""

    def __init__(self, jobs: Iterable[Job]):
        self._waiting = deque(jobs)
        self._losses: Counter[Job] = Counter()
        self._at_work = 0
        self.closed = False  # nothing is handed out any more
        self._changed = threading.Condition()

    def take(self) -> Job | None:
        """The next clip; None where there will be no more. Waits while another thread might put one down."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._at_work or self.closed)
            if self.closed or not self._waiting:
                return None
            self._at_work += 1
            return self._waiting.popleft()

    def put_down(self, job: Job, unfinished: bool) -> None:
        """A thread has nothing more to do with a clip."""
        with self._changed:
            self._at_work -= 1
            if unfinished:
                self._losses[job] += 1
                self._waiting.append(job)
            self._changed.notify_all()

    def losses(self, job: Job) -> int:
        """How often a clip was put down unfinished."""
        return self._losses[job]

    def close(self) -> None:
        """Hand out nothing any more."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()


def _make_room(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # the latter where no path can be called so
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{str(folder)!r} can't be a folder: {reason}", "place the clip elsewhere") from error


def _failure(error: Exception) -> Row:
    """What a row says of a failure."""
    said, code = explained(error)
    return {"status": FAILED, "error": said, "code": int(code), "seconds": 0.0, "frames": 0, "digests": {}}
