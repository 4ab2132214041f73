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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from floatcli.batch.worker import ABREAST, DeviceWorker, Progress, WorkerLostError
from floatcli.config import RunConfig
from floatcli.errors import DeviceError, UsageError
from floatcli.files import replacing
from floatcli.jobs import Job
from floatcli.motion import Motion, motion_beside
from floatcli.version import __version__

LIVES = 3  # of an actor, before its place is given up
_WAIT = 1.0  # seconds between looks at whether the batch has been stopped meanwhile
_KNOCK = 5.0  # seconds to answer in
_CLEANING = 20.0  # seconds that an actor gets then


class Place(NamedTuple):
    """Where an actor may live."""

    node: str  # Ray's name of it
    address: str
    cpus: int  # of the node, for this actor
    gpus: int  # 1 or 0


class Files(NamedTuple):
    """What a clip is made of, or what was made, as bytes with the names' suffixes."""

    contents: dict[str, tuple[str, bytes]]

    @classmethod
    def read(cls, paths: dict[str, Path]) -> Files:
        """Files by what they are to the clip."""
        return cls({what: (path.suffix, path.read_bytes()) for what, path in paths.items()})

    def write(self, folder: Path) -> dict[str, Path]:
        """Write them all; where each lies."""
        places = {what: folder / f"{what}{suffix}" for what, (suffix, _) in self.contents.items()}
        for what, (_, content) in self.contents.items():
            places[what].write_bytes(content)
        return places


class Hand:
    """The actor: makes clips where it lives.

    Args:
        weights: The file, or its content.
        run: Where and how.
        threads: Of the networks, on a CPU.
    """

    def __init__(self, weights: Path | Files, run: RunConfig, threads: int):
        self._folder = TemporaryDirectory(prefix="floatcli-")
        if isinstance(weights, Files):
            weights = weights.write(Path(self._folder.name))["weights"]
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
            here = sent.write(Path(name))
            out = Path(name, f"out{job.out.suffix}")
            local = replace(job, face=here["face"], speech=here["speech"], out=out)
            if "track" in here:
                local = replace(local, emotion=str(here["track"]))
            result = self._worker.make(local, lambda done, total: None)
            made = {"out": out} | ({"motion": motion_beside(out)} if job.save_motion else {})
            return result, Files.read(made)

    def stop(self) -> None:
        """Give up what is at work."""
        self._worker.stop()


class RayWorker:
    """Makes clips by an actor, which it begins anew where that is lost.

    Args:
        place: Where the actor shall live.
        weights: The file that clips are made with.
        content: It as bytes in Ray's store, where files travel; else None.
        run: How networks are run.
        notice: Told one line whenever something is out of the ordinary.
    """

    def __init__(self, place: Place, weights: Path, content: Any, run: RunConfig, notice: Callable[[str], None]):
        self.gone = False
        self._place, self._weights, self._content, self._run, self._notice = place, weights, content, run, notice
        self._lives = LIVES
        self._actor: Any = None
        self._beginning = threading.Lock()
        self._stopped = threading.Event()

    def prepare(self) -> None:
        """Begin the actor, unless it lives. Raises WorkerLostError, and FloatCliError where no clip can be made."""
        with self._beginning:
            if self._actor is not None:
                return
            if self.gone:
                raise WorkerLostError(f"nothing can be begun on {self._place.address}")
            actor = self._begun()
            version = self._answer(actor.prepare.remote())
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
        sent = Files.read(_inputs(job)) if self._content is not None else None
        result, made = self._answer(actor.make.remote(job, sent))
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
        options = {"num_cpus": min(1, self._place.cpus), "num_gpus": self._place.gpus, "scheduling_strategy": there}
        hand = ray.remote(Hand).options(max_concurrency=ABREAST + 1, **options)  # one more to be told to stop
        return hand.remote(
            self._weights.absolute() if self._content is None else self._content, self._run, self._place.cpus
        )

    def _answer(self, call: Any) -> Any:
        """What an actor answers. Raises what it raised, and WorkerLostError where it can't answer any more."""
        import ray
        from ray import exceptions

        try:
            while not self._stopped.is_set() and not ray.wait([call], timeout=_WAIT)[0]:
                continue
            return ray.get(call, timeout=_CLEANING if self._stopped.is_set() else None)
        except exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except exceptions.RayError as error:
            self._actor = None
            self._lives -= 1
            self.gone = self._lives <= 0
            reason = str(error).strip().splitlines()[0]
            raise WorkerLostError(f"{self._place.address}: {reason}") from error

    def _place_files(self, job: Job, made: Files) -> None:
        """Write what came from an actor where it belongs, its motion with the names that files have here."""
        with replacing(job.out) as temporary:
            temporary.write_bytes(made.contents["out"][1])
        if "motion" in made.contents:
            with TemporaryDirectory() as folder:
                motion = Motion.load(made.write(Path(folder))["motion"])
            making = motion.making
            names = {"face": job.face, "speech": job.speech, "weights": self._weights.absolute()}
            told = {name: replace(getattr(making, name), path=str(path)) for name, path in names.items()}
            replace(motion, making=replace(making, **told)).save(motion_beside(job.out))


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
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[0]
        said = f"there is no Ray cluster at {address}: {reason}"
        raise DeviceError(said, "start one with 'ray start --head', or name its address with --ray-address") from error
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray puts its own in place
    places = _places(ray.nodes(), run.device != "cpu")
    if not places:
        raise DeviceError(f"the Ray cluster at {address} has no CPU and no GPU to work on", "add nodes to it")
    content = ray.put(Files.read({"weights": weights})) if ship else None
    notice(f"{len(places)} workers on the Ray cluster: {', '.join(place.address for place in places)}")
    return [RayWorker(place, weights, content, run, notice) for place in places]


def _knock(address: str) -> None:
    """Raise OSError where nobody answers at host:port; Ray itself would go on trying for many minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_KNOCK).close()


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


def _inputs(job: Job) -> dict[str, Path]:
    """The files a clip is made of."""
    files = {"face": job.face, "speech": job.speech}
    return files if job.track is None else files | {"track": job.track}
