"""Workers on a Ray cluster that is there already: an actor for every GPU, or where there are none for every node.

An actor holds the model in a ``DeviceWorker`` of its own. Paths are the cluster's own where storage is shared; else
files travel as bytes, there and back. This process only waits, and imports no torch.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

from floatcli.batch.worker import DeviceWorker, Progress, WorkerLostError
from floatcli.checkpoint.store import weights_files
from floatcli.config import RunConfig
from floatcli.errors import DeviceError, FloatCliError, UsageError
from floatcli.files import Draft, place, writing
from floatcli.jobs import Job
from floatcli.motion import SUFFIX, Motion, motion_beside
from floatcli.version import __version__

LIVES = 4  # actors that are lost before their place is given up: one more than a clip may lose
PLACEMENT = 300.0  # seconds until an actor must have found room and loaded the weights
_WAIT = 1.0  # seconds between looks at whether the batch has been stopped meanwhile
_KNOCK = 5.0  # seconds to answer in
_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # HTTP/2's frame of settings, empty: its fourth byte is its kind
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS
_CLEANING = 20.0  # seconds that an actor gets then


class Place(NamedTuple):
    """Where an actor may live."""

    node: str  # Ray's name of it
    address: str
    cpus: int  # of the node, for this actor
    gpus: int  # 1 or 0


Files: TypeAlias = dict[str, bytes]  # contents by relative path, to travel


def packed(paths: dict[str, Path]) -> Files:
    """Files under the names they shall have where they arrive."""
    return {name: path.read_bytes() for name, path in paths.items()}


def unpacked(files: Files, folder: Path) -> None:
    """Write files that have arrived."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


class Hand:
    """The actor: makes clips where it lives.

    Args:
        weights: The file, whether it is here or among those sent.
        sent: The files of the set, where files travel.
        run: Where and how.
        threads: Of the networks, on a CPU.
    """

    def __init__(self, weights: Path, sent: Files | None, run: RunConfig, threads: int):
        self._folder = TemporaryDirectory(prefix="floatcli-")
        if sent is not None:
            unpacked(sent, Path(self._folder.name))
            weights = Path(self._folder.name, weights.name)
        self._worker, self._threads = DeviceWorker(weights, run, lambda line: None), threads

    def prepare(self) -> str:
        """Load the weights; the version that is installed here."""
        import torch

        torch.set_num_threads(self._threads)
        self._worker.prepare()
        return __version__

    def make(self, job: Job, sent: Files | None) -> tuple[dict[str, Any], Files | None]:
        """Make a clip; what there is to tell of it, and where files were sent, those that were made."""
        if sent is None:
            return self._worker.make(job, lambda done, total: None), None
        with TemporaryDirectory(dir=self._folder.name) as name:
            unpacked(sent, Path(name))
            local = _moved(job, Path(name))
            try:
                result = self._worker.make(local, lambda done, total: None)
            except FloatCliError as error:  # names files as they are called at home
                for theirs, ours in zip(local.files, job.files, strict=True):
                    error.message = error.message.replace(str(theirs), str(ours))
                error.args = (error.message,)
                raise
            made = {local.out.name: local.out}
            if job.save_motion:
                made[motion_beside(local.out).name] = motion_beside(local.out)
            return result, packed(made)

    def stop(self) -> None:
        """Give up what is at work."""
        self._worker.stop()


class RayWorker:
    """Makes clips by an actor, which it begins anew where that is lost.

    Args:
        place: Where the actor shall live.
        weights: The file that clips are made with.
        content: All files of the set in Ray's store, where files travel; else None.
        run: How networks are run.
        notice: Told one line whenever something is out of the ordinary.
    """

    def __init__(self, place: Place, weights: Path, content: Any, run: RunConfig, notice: Callable[[str], None]):
        self.gone, self.abreast = False, run.abreast
        self._place, self._weights, self._content, self._run, self._notice = place, weights, content, run, notice
        self._actor: Any = None
        self._lost: list[Any] = []
        self._beginning, self._counting = threading.Lock(), threading.Lock()
        self._stopped = threading.Event()

    def prepare(self) -> None:
        """Begin the actor, unless it lives. Raises WorkerLostError, and FloatCliError where no clip can be made."""
        with self._beginning:
            if self._actor is not None:
                return
            if self.gone:
                raise WorkerLostError(f"nothing can be begun on {self._place.address}")
            actor = self._begun()
            version = self._answer(actor, actor.prepare.remote(), PLACEMENT)
            if version != __version__:
                said = f"{self._place.address} has floatcli {version}, and here is {__version__}"
                raise UsageError(said, "install the same on all nodes")
            self._actor = actor

    def make(self, job: Job, progress: Progress) -> dict[str, Any]:
        """Make a clip. Raises FloatCliError, WorkerLostError."""
        actor = self._actor
        if actor is None:
            raise WorkerLostError(f"the actor on {self._place.address} has just gone")
        job = replace(job, **{name: getattr(job, name).absolute() for name in ("face", "speech", "out")})
        if job.track is not None:
            job = replace(job, emotion=str(job.track.absolute()))
        if job.pose is not None:
            job = replace(job, pose=job.pose.absolute())
        there = _moved(job, Path())
        sent = None
        if self._content is not None:
            sent = packed({str(name): path for name, path in zip(there.files, job.files, strict=True)})
        result, made = self._answer(actor, actor.make.remote(job, sent))
        if made is not None:
            self._place_files(job, made)
        progress(result["frames"], result["frames"])
        return result

    def stop(self) -> None:
        """Have the actor give up what is at work."""
        self._stopped.set()
        if self._actor is not None:
            self._actor.stop.remote()

    def _begun(self) -> Any:
        """A new actor, in its place or nowhere."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(self._place.node, soft=False)
        gpus = self._place.gpus
        needs = {"num_gpus": gpus, "num_cpus": 0 if gpus else 1}  # there may be more GPUs than CPUs
        hand = ray.remote(Hand).options(  # called from one thread more, to be told to stop
            max_concurrency=self.abreast + 1, scheduling_strategy=there, **needs
        )
        return hand.remote(self._weights.absolute(), self._content, self._run, self._place.cpus)

    def _answer(self, actor: Any, call: Any, patience: float | None = None) -> Any:
        """What an actor answers. Raises what it raised, and WorkerLostError where it can't answer any more.

        Args:
            actor: Who was called.
            call: Ray's reference to the answer.
            patience: Seconds after which it is given up; None waits for ever.
        """
        import ray
        from ray import exceptions

        until = None if patience is None else time.monotonic() + patience
        try:
            while not ray.wait([call], timeout=_WAIT)[0]:
                if self._stopped.is_set():
                    return ray.get(call, timeout=_CLEANING if patience is None else 0)
                if until is not None and time.monotonic() > until:
                    ray.kill(actor)
                    self.gone = True
                    raise WorkerLostError(f"{self._place.address}: no room for a worker within {patience:g} s")
            return ray.get(call)
        except exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except exceptions.RayError as error:
            self._bury(actor)
            reason = str(error).strip().splitlines()[0]
            raise WorkerLostError(f"{self._place.address}: {reason}") from error

    def _bury(self, actor: Any) -> None:
        """Take note that an actor is lost, once for all the calls that were lost with it."""
        with self._counting:
            if actor not in self._lost:
                self._lost.append(actor)
                self.gone = len(self._lost) >= LIVES
            if self._actor is actor:
                self._actor = None

    def _place_files(self, job: Job, made: Files) -> None:
        """Write what came from an actor where it belongs."""
        video = f"out{job.out.suffix}"
        beside = motion_beside(video).name
        with ExitStack() as closing, writing(job.out):
            drafts = [closing.enter_context(Draft(job.out))]
            drafts[0].file.write_bytes(made[video])
            if beside in made:
                motion = self._told_here(job, made[beside])
                drafts.append(closing.enter_context(motion.drafted(motion_beside(job.out))))
            place(drafts)

    def _told_here(self, job: Job, made: bytes) -> Motion:
        """A motion that names files as they are called here."""
        with TemporaryDirectory() as folder:
            path = Path(folder, f"made{SUFFIX}")
            path.write_bytes(made)
            motion = Motion.load(path)
        names = {"face": job.face, "speech": job.speech, "weights": self._weights.absolute()}
        told = {name: replace(getattr(motion.making, name), path=str(path)) for name, path in names.items()}
        return replace(motion, making=replace(motion.making, **told))


def cluster_workers(
    address: str | None, weights: Path, run: RunConfig, ship: bool, notice: Callable[[str], None]
) -> list[RayWorker]:
    """Workers for all places of a Ray cluster.

    Args:
        address: As ``ray.init`` takes it; None is the cluster of RAY_ADDRESS, or of this machine.
        weights: The file that clips are made with.
        run: How networks are run; "cpu" uses no GPUs.
        ship: Whether files travel as bytes; else every node must have them under the same paths.
        notice: Told one line whenever something is out of the ordinary.

    Raises:
        UsageError: Ray is not installed.
        DeviceError: there is no such cluster, or it has nothing to work on.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("--engine ray needs Ray, which is not installed", "pip install 'floatcli[ray]'") from error
    address = address or os.environ.get("RAY_ADDRESS", "auto")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except (RuntimeError, ValueError, OSError, OverflowError) as error:  # the last of a port beyond all bounds
        reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[0]
        said = f"there is no Ray cluster at {address}: {reason}"
        raise DeviceError(said, "start one with 'ray start --head', or name its address with --ray-address") from error
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray puts its own in place
    places = _places(ray.nodes(), run.device != "cpu")
    if not places:
        raise DeviceError(f"the Ray cluster at {address} has no CPU and no GPU to work on", "add nodes to it")
    set_ = {str(path.relative_to(weights.parent)): path for path in weights_files(weights)} if ship else None
    content = None if set_ is None else ray.put(packed(set_))
    notice(f"{len(places)} workers on the Ray cluster: {', '.join(place.address for place in places)}")
    return [RayWorker(place, weights, content, run, notice) for place in places]


def _knock(address: str) -> None:
    """Raise OSError where nobody, or nothing of Ray's kind, answers at host:port.

    Ray itself would go on trying for many minutes, and for ever where something listens that is not Ray. Its servers
    speak gRPC, so they begin with HTTP/2's frame of settings.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return
    with socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK) as line, line.makefile("rb") as said:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):  # then only Ray has the keys to talk
            return
        try:
            line.sendall(_GREETING)
            answer = said.read(len(_SETTINGS))
        except OSError:
            answer = b""
        if answer[3:4] != _SETTINGS[3:4]:
            raise OSError("what answers there is not Ray")


def _places(nodes: list[dict[str, Any]], gpus_wanted: bool) -> list[Place]:
    """Every GPU of living nodes, or where there are none every node with a CPU."""
    alive = [node for node in nodes if node["Alive"]]
    found = []
    for node in alive:
        resources = node["Resources"]
        cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0)) if gpus_wanted else 0
        share = max(1, cpus // gpus) if gpus else cpus
        found += [Place(node["NodeID"], node["NodeManagerAddress"], share, bool(gpus))] * max(gpus, bool(cpus))
    with_gpus = [place for place in found if place.gpus]
    return with_gpus or found


def _moved(job: Job, folder: Path) -> Job:
    """A clip with all its files in a folder of its own."""
    face, speech, out = (folder / f"{name}{getattr(job, name).suffix}" for name in ("face", "speech", "out"))
    emotion = job.emotion if job.track is None else str(folder / "track.csv")
    pose = None if job.pose is None else folder / f"pose{job.pose.suffix}"
    return replace(job, face=face, speech=speech, out=out, emotion=emotion, pose=pose)
