"""Choice of device and number format, and what to say when a device is missing or full."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache

import torch

from floatcli.checks import AUTO
from floatcli.compiling import compiling_told
from floatcli.config import ModelConfig
from floatcli.errors import DeviceError


def choose_device(name: str) -> torch.device:
    """The device of a name; "auto" takes cuda, mps or cpu, the first that is there.

    Raises:
        DeviceError: the device asked for is not there.
    """
    if name == AUTO:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }[device.type]
    if (device.index or 0) >= there:
        raise DeviceError(f"there is no device {name} here", "use --device cpu, or auto for the best there is")
    return device


def choose_dtype(name: str) -> torch.dtype:
    """The number format of a name. "auto" is float32, as the weights were trained."""
    return torch.float32 if name == AUTO else getattr(torch, name)


#: Frames decoded at a time on a CPU, where more gain nothing.
CPU_FRAMES = 8
#: Of a GPU's free memory, what one batch of frames may take: others come and go beside it.
_SHARE = 0.25
#: Maps of the finest level that decoding holds for each frame at a time (benchmarks/NOTES.md).
_MAPS = 4


def frames_at_once(config: ModelConfig, device: torch.device) -> int:
    """Frames to decode at a time where nobody says: 8, on a GPU as many as a quarter of its free memory holds."""
    if device.type != "cuda":
        return CPU_FRAMES
    fitting = int(_SHARE * torch.cuda.mem_get_info(device)[0] / _frame_bytes(config))
    return min(max(fitting, 1), config.window)  # frames come window by window


def _frame_bytes(config: ModelConfig) -> int:
    """Bytes that decoding holds for each frame of a batch, in float32."""
    if config.decoder == "anchored":
        side, channels = max(config.anchored.output_sizes), 4  # colour and matte
    else:
        side, channels = config.image_size, config.channels_at(config.image_size)
    return _MAPS * channels * side**2 * torch.float32.itemsize


_TURNS: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)


def turn(device: torch.device | str, lane: str = "") -> threading.RLock:
    """What a thread holds while it computes on a device: at the same time, two would only slow one another down.

    A GPU has work left for others while it waits for one thread's next: there every lane has turns of its own.
    """
    return _TURNS[f"{device} {lane}" if str(device).startswith("cuda") else str(device)]


@cache
def _stream(device: torch.device, lane: str) -> torch.cuda.Stream:
    return torch.cuda.Stream(device) if lane else torch.cuda.default_stream(device)


@contextmanager
def _on_stream(device: torch.device, lane: str) -> Iterator[None]:
    """Compute on a lane's own CUDA stream, after what this thread has begun before; at the end, all is done."""
    if device.type != "cuda":
        yield
        return
    stream = _stream(device, lane)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()  # errors and seconds belong to the stage that made them, and results may go to other streams


@contextmanager
def mixed(device: torch.device, dtype: torch.dtype, lane: str = "") -> Iterator[None]:
    """Run networks without gradients, their products in ``dtype``, one thread at a time; on a GPU, one in each lane.

    The parameters stay float32, and so do the coordinates that pictures are warped by: 16 bits would move them by
    visible fractions of a pixel.

    Raises:
        DeviceError: the device ran out of memory, or compiling was asked for and failed.
    """
    half = dtype is not torch.float32
    telling = turn(device, lane), memory_told(device), compiling_told()
    computing = exactly(), torch.inference_mode(), torch.autocast(device.type, dtype if half else None, enabled=half)
    with ExitStack() as stack:
        for each in (*telling, *computing, _on_stream(device, lane)):
            stack.enter_context(each)
        yield


class _Exactly:
    """Turns TF32 off when the first thread enters, and to what it was when the last leaves."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = torch.backends.cudnn.allow_tf32
                torch.backends.cudnn.allow_tf32 = False
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch.backends.cudnn.allow_tf32 = self._before


_EXACTLY = _Exactly()


def exactly() -> AbstractContextManager[None]:
    """Let float32 be float32: cuDNN would round a convolution's factors to 19 bits."""
    return _EXACTLY


@contextmanager
def memory_told(
    device: torch.device, hint: str = "lower --batch-size, try --dtype float16 or take another --device"
) -> Iterator[None]:
    """Raise DeviceError with this hint where the device runs out of memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        raise DeviceError(f"{device} has too little memory", hint) from error


def _out_of_memory(error: Exception) -> bool:
    # Only CUDA has an exception of its own; the others say it in words.
    words = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(word in str(error) for word in words)
