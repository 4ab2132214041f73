"""How fast the stages of the work are on this machine, against what it can do, and against a plain rendering."""

from __future__ import annotations

import importlib.util
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from floatcli import hearing
from floatcli.allocator import PlainThread
from floatcli.config import POSE, CropConfig, SampleConfig, VideoConfig
from floatcli.device import exactly, mixed
from floatcli.errors import UsageError
from floatcli.flow.guidance import GuidedField
from floatcli.flow.sampler import noise_windows, sample_window
from floatcli.flow.solvers import resolved
from floatcli.media.video import VideoWriter
from floatcli.models.conditions import WindowCondition
from floatcli.pipeline import FloatPipeline
from floatcli.portraits import to_network
from floatcli.version import __version__

BATCHES = (1, 4, 8)
_RSS_UNIT = 1e6 if sys.platform == "darwin" else 1e3  # of what the system says, in MB
PLAIN = Path(__file__).parents[1] / "benchmarks/plain.py"
_WHOLE, _CHANNELS, _MAPS, _MANY = 1024, 128, 128, 8  # sizes of what the machine is measured by
_GPU = 8  # times as large on a GPU, which is done with these before the next is asked of it


@dataclass(frozen=True)
class Row:
    """One stage.

    Attributes:
        stage: Its name.
        frames: Frames of video that one run of it makes or serves.
        seconds: Of one run, median.
        fastest: Likewise, the least.
        slowest: Likewise, the most.
        gflops: 10^9 operations a second in matrix products and convolutions; None where there are none.
        gbytes: 10^9 bytes a second that torch's operations read and write, were nothing kept in caches; None likewise.
        plain: Seconds of a run of the plain rendering, median, where it was compared.
    """

    stage: str
    frames: int
    seconds: float
    fastest: float
    slowest: float
    gflops: float | None = None
    gbytes: float | None = None
    plain: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the plain rendering."""
        return None if self.plain is None else self.plain / self.seconds


class Machine(NamedTuple):
    """What this machine reaches, in float32 or the number format asked for."""

    matmul: float  # GFLOP/s
    convolution: float  # GFLOP/s, 3x3
    copy: float  # GB/s, read and written


@dataclass(frozen=True)
class Report:
    """What was measured."""

    machine: Machine
    rows: list[Row]
    first_frame: float  # seconds from a loaded model to the first batch of frames in ffmpeg's hands, median
    realtime: float  # seconds of video a second, end to end
    peak_rss: float | None  # MB; None where the plain rendering took its part
    peak_gpu: float | None  # MB, likewise
    about: dict[str, Any]  # weights, device, number format, threads, versions

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        rows = [asdict(row) | {"frames_per_second": row.frames / row.seconds, "ratio": row.ratio} for row in self.rows]
        return asdict(self) | {"machine": self.machine._asdict(), "rows": rows}


class Stage(NamedTuple):
    """Something to be timed."""

    name: str
    frames: int
    run: Callable[[], object]
    plain: Callable[[], object] | None = None


class Bench:
    """Times a pipeline.

    Args:
        pipe: What is timed.
        seconds: Length of the speech.
        repeats: Runs of everything, after some that do not count.
        beside: Where the plain rendering of the model runs, in turn with it; None to run none.

    Raises:
        UsageError: the plain rendering is not there, or is none of this model.
    """

    def __init__(self, pipe: FloatPipeline, seconds: float, repeats: int, beside: PlainThread | None = None):
        self.pipe, self.config, self.repeats = pipe, pipe.config, repeats
        self.plain, self.beside = _plain(pipe) if beside else None, beside
        self.picture = _picture(pipe)
        self.samples = _speech(seconds, self.config.sample_rate)
        self.still = pipe.portrait(self.picture, CropConfig("none"))
        self.speech = hearing.read(self.samples, self.config.sample_rate)
        self.frames = pipe.ear.frames(self.speech)
        self.first: list[float] = []

    def report(self, told: Callable[[str], None]) -> Report:
        """Measure everything; ``told`` hears the name of each stage as it begins."""
        rows = []
        with TemporaryDirectory() as folder:
            for stage in self.stages(Path(folder)):
                told(stage.name)
                rows.append(self._row(stage))
        peaks = self._peaks()
        told("machine")
        whole = rows[-1]
        first, realtime = statistics.median(self.first), whole.frames / self.config.fps / whole.seconds
        return Report(self._machine(), rows, first, realtime, *peaks, self._about())

    def _peaks(self) -> tuple[float | None, float | None]:
        """MB of memory so far, and of a GPU's; None of a machine that the plain rendering used too."""
        if self.plain:
            return None, None
        on = self.pipe.device
        gpu = torch.cuda.max_memory_allocated(on) / 1e6 if on.type == "cuda" else None
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RSS_UNIT, gpu

    def _about(self) -> dict[str, Any]:
        """What was measured, on what."""
        pipe = self.pipe
        gpu = torch.cuda.get_device_name(pipe.device) if pipe.device.type == "cuda" else None
        return {
            "floatcli": __version__,
            "torch": torch.__version__,
            "weights": str(pipe.weights),
            "device": gpu or str(pipe.device),
            "dtype": str(pipe.dtype).removeprefix("torch."),
            "batch_size": pipe.batch_size,
            "threads": torch.get_num_threads(),
        }

    def stages(self, folder: Path) -> Iterator[Stage]:
        """Everything that is timed, in the order of the work; the last is all of it."""
        pipe, model, plain = self.pipe, self.pipe.model, self.plain
        inside = partial(_inside, pipe)
        image = to_network(self.still.image, pipe.device)
        speech = torch.from_numpy(self.samples)[None].to(pipe.device)
        plainly = plain.encode(image) if plain else None
        yield Stage(
            "portrait", self.frames, lambda: pipe.portrait(self.picture, CropConfig("none")),
            plain and (lambda: plain.encode(image)),
        )  # fmt: skip
        heard, felt = partial(pipe.ear.condition, self.speech), partial(pipe.ear.feel, self.speech)
        yield Stage("audio", self.frames, heard, plain and (lambda: plain.hear(speech)))
        yield Stage("emotion", self.frames, felt, plain and (lambda: plain.feel(speech)))

        settings = resolved(SampleConfig())
        length = self.config.window
        feeling = felt()
        condition = self._condition(heard())._replace(emotion=feeling)
        x_0 = next(noise_windows(settings.seed, length, self.config.motion_dim)).to(pipe.device)
        t = torch.tensor(0.5, device=pipe.device)
        guided = GuidedField(model.field, condition, settings)
        yield Stage(
            "field evaluation", length, inside(lambda: guided(t, x_0)),
            plain and (lambda: plain.guided(t, x_0, condition[:-1])),
        )  # fmt: skip
        yield Stage(
            "window", length,
            inside(lambda: sample_window(model.field, condition, x_0, settings)),
            plain and (lambda: plain.sample(plainly, condition.audio, feeling, [x_0], settings.nfe)),
        )  # fmt: skip

        motion = 0.1 * torch.randn(max(BATCHES), self.config.motion_dim, generator=torch.Generator().manual_seed(0))
        motion = motion.to(pipe.device)
        for count in BATCHES:
            some = motion[:count]
            yield Stage(
                f"decode, {count} at a time", count, partial(pipe.networks.draw, self.still.portrait, some),
                plain and partial(_one_by_one, partial(plain.decode, plainly), some),
            )  # fmt: skip
        drawn = pipe.networks.draw(self.still.portrait, motion)
        yield Stage("video encoding", self.frames, lambda: self._encoded(folder / "encoded.mp4", drawn))
        yield Stage(
            "end to end", self.frames, lambda: self._whole(folder / "whole.mp4"),
            plain and (lambda: self._plain_whole(image, speech, folder / "plain.mp4", settings)),
        )  # fmt: skip

    def _condition(self, audio: torch.Tensor) -> WindowCondition:
        """The conditions of a first window."""
        config, ref_motion = self.config, self.still.portrait.ref_motion
        window = F.pad(audio.mT, (0, max(0, config.window - audio.shape[1])), mode="replicate").mT[:, : config.window]
        before = ref_motion.new_zeros(1, config.preceding, config.motion_dim)
        quiet = ref_motion.new_zeros(1, config.preceding, config.audio_dim)
        unmoved = config.preceding + config.window, len(POSE)
        pose = ref_motion.new_zeros(1, *unmoved) if config.field.pose else None
        return WindowCondition(ref_motion, before, quiet, window, ref_motion.new_zeros(1, len(config.emotions)), pose)

    def _whole(self, path: Path) -> None:
        begun, first = time.perf_counter(), list[float]()

        def written(done: int, total: int) -> None:
            first.append(time.perf_counter() - begun)

        self.pipe.animate(self.picture, self.samples, CropConfig("none")).save(path, VideoConfig(), written)
        self.first.append(first[0])

    def _encoded(self, path: Path, frames: np.ndarray) -> None:
        height, width = frames.shape[1:3]
        with VideoWriter(path, width, height, self.config.fps) as writer:
            for start in range(0, self.frames, len(frames)):
                writer.write(frames[: self.frames - start])

    def _plain_whole(self, image: torch.Tensor, speech: torch.Tensor, path: Path, settings: SampleConfig) -> None:
        noise = noise_windows(settings.seed, self.config.window, self.config.motion_dim)
        assert self.plain is not None
        frames = self.plain.animate(image, speech, noise, settings.nfe)
        height, width = frames.shape[1:3]
        with VideoWriter(path, width, height, self.config.fps) as writer:
            writer.write(frames)

    def _row(self, stage: Stage) -> Row:
        stage.run()  # what is made ready or compiled at first use does not count
        with torch.compiler.set_stance("force_eager"), _one_thread(self.pipe), _Counter() as counter:
            stage.run()
        self._plain_seconds(stage)
        self.first.clear()
        ours, plain = list[float](), list[float]()
        for _ in range(self.repeats):  # in turn
            ours.append(self._seconds(stage.run))
            plain += self._plain_seconds(stage)
        middle = statistics.median(ours)
        gflops, gbytes = (count / middle / 1e9 if count else None for count in (counter.operations, counter.bytes))
        against = statistics.median(plain) if plain else None
        return Row(stage.name, stage.frames, middle, min(ours), max(ours), gflops, gbytes, against)

    def _plain_seconds(self, stage: Stage) -> list[float]:
        """Of a run of the plain rendering, where there is one."""
        return [self.beside.run(partial(self._seconds, stage.plain))] if self.beside and stage.plain else []

    def _seconds(self, run: Callable[[], object]) -> float:
        begun = time.perf_counter()
        run()
        if self.pipe.device.type == "cuda":
            torch.cuda.synchronize(self.pipe.device)
        return time.perf_counter() - begun

    def _machine(self) -> Machine:
        """The best of several runs of a matrix product, a 3x3 convolution and a copy."""
        device, dtype = self.pipe.device, self.pipe.dtype
        times = _GPU if device.type == "cuda" else 1
        whole, many = times * _WHOLE, times * _MANY
        square = torch.randn(whole, whole, device=device, dtype=dtype)
        maps = torch.randn(many, _CHANNELS, _MAPS, _MAPS, device=device, dtype=dtype)
        maps = maps.to(memory_format=torch.channels_last)
        kernel = torch.randn(_CHANNELS, _CHANNELS, 3, 3, device=device, dtype=dtype).to(
            memory_format=torch.channels_last
        )
        target = torch.empty_like(maps)

        def best(run: Callable[[], object]) -> float:
            return min(self._seconds(run) for _ in range(4))

        with torch.inference_mode(), exactly():
            return Machine(
                2 * whole**3 / best(lambda: square @ square) / 1e9,
                18 * maps.numel() * _CHANNELS / best(lambda: F.conv2d(maps, kernel, padding=1)) / 1e9,
                2 * maps.nbytes / best(lambda: target.copy_(maps)) / 1e9,
            )


#: Operations that torch has no formula for.
_FORMULAS: dict[str, Callable[..., int]] = {
    "mkl::_mkl_linear": lambda x, packed, weight, *_, out_val: 2 * x.numel() * len(weight),
    "mkldnn::_convolution_pointwise": lambda x, weight, *_, out_val: 2 * out_val.numel() * weight[0].numel(),
}


@contextmanager
def _one_thread(pipe: FloatPipeline) -> Iterator[None]:
    """Compute in this thread alone, as nothing is counted in others."""
    threads, overlaps = torch.get_num_threads(), pipe.overlaps
    torch.set_num_threads(1)
    pipe.overlaps = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        pipe.overlaps = overlaps


class _Counter(TorchDispatchMode):
    """Counts operations by formulas, and the bytes of what torch's operations read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket) or _FORMULAS.get(func._schema.name)
        if formula is None:  # in inference mode, what is made of other operations comes whole
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if formula is not None:
            self.operations += formula(*args, **kwargs, out_val=out)
        if not func.is_view:
            self.bytes += sum(map(_bytes, tree_leaves((args, kwargs, out))))
        return out


def _bytes(part: object) -> int:
    """What an argument or a result takes of memory; a tensor that was expanded, as much as it was before."""
    if not isinstance(part, torch.Tensor) or part.is_mkldnn:
        return 0
    return min(part.nbytes, part.untyped_storage().nbytes())


def _inside(pipe: FloatPipeline, run: Callable[[], object]) -> Callable[[], object]:
    """Something run as the pipeline runs its networks."""

    def running() -> object:
        with mixed(pipe.device, pipe.dtype):
            return run()

    return running


def _one_by_one(decode: Callable[[torch.Tensor], object], motion: torch.Tensor) -> None:
    for each in motion:
        decode(each[None])


def _picture(pipe: FloatPipeline) -> np.ndarray:
    """The photograph that comes with scikit-image, (H, H, 3) uint8, as large as frames get."""
    from PIL import Image
    from skimage.data import astronaut

    config = pipe.config
    side = config.image_size if config.decoder == "warped" else max(config.anchored.output_sizes)
    head = Image.fromarray(astronaut()).crop((100, 0, 356, 256))
    return np.asarray(head.resize((side, side), Image.Resampling.BICUBIC))


def _speech(seconds: float, rate: int) -> np.ndarray:
    """Noise that swells and fades like syllables, (n,) float32."""
    when = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(when))
    return (0.1 * noise * np.sin(2 * np.pi * 2 * when) ** 2).astype(np.float32)


def _plain(pipe: FloatPipeline) -> Any:
    """The plain rendering of the pipeline's model."""
    if not PLAIN.exists():
        said = "the plain rendering is not part of the package"
        raise UsageError(said, "run bench --compare in a checkout of the repository")
    spec = importlib.util.spec_from_file_location("floatcli_plain", PLAIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    pipe.model.prepare()
    try:
        return module.PlainFloat(pipe.model)
    except ValueError as error:
        said = f"the plain rendering is of the published model, and {pipe.config.name} is another: {error}"
        hint = "give published weights, or ones made by rule: python -m benchmarks.rule_weights FILE"
        raise UsageError(said, hint) from None
