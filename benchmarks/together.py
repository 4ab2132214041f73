"""Frames/s against the number of clips side by side, which share evaluations of the field and decode batches.

    python benchmarks/together.py --weights float --device cuda --seconds 10 --batch-size 32

Every row makes the same clips, which differ in their seeds alone, with ``floatcli batch --together`` of so many:
frames only, and written as videos. Portrait and speech are read before the clock starts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from floatcli import FloatPipeline
from floatcli.clip import Clip
from floatcli.config import CropConfig, RunConfig, SampleConfig
from floatcli.hearing import Heard
from floatcli.media.audio import load_speech
from floatcli.portraits import Still

EXAMPLES = Path(__file__).parent.parent / "examples"


def main() -> None:
    """Print a row for every number of clips."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights")
    parser.add_argument("--device", default=RunConfig.device)
    parser.add_argument("--dtype", default=RunConfig.dtype)
    parser.add_argument("--batch-size", type=int, default=RunConfig.batch_size)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each clip")
    parser.add_argument("--clips", type=int, default=16, help="made by every row")
    parser.add_argument("--together", type=int, nargs="+", default=[1, 2, 4, 8])
    asked = parser.parse_args()
    first = FloatPipeline.from_weights(asked.weights, asked.device, asked.dtype, asked.batch_size)
    rate = first.config.sample_rate
    samples = load_speech(EXAMPLES / "speech.wav", rate)
    wanted = round(asked.seconds * rate)
    heard = first.hear(samples.repeat(-(-wanted // len(samples)))[:wanted])
    still = first.portrait(EXAMPLES / "portrait.png", CropConfig("none"))
    print(f"{asked.clips} clips of {asked.seconds:g} s, {first.config.name} on {first.device}")
    print(f"{'together':>8} {'frames only':>15} {'with video':>15}")
    for together in asked.together:
        run = RunConfig(asked.device, asked.dtype, asked.batch_size, together)
        pipe = FloatPipeline(first.model, run)
        with TemporaryDirectory() as folder:
            speeds = [speed(pipe, run, still, heard, asked.clips, end) for end in (shown, saved_in(Path(folder)))]
        print(f"{together:8} " + " ".join(f"{value:7.1f} frames/s" for value in speeds), flush=True)


def shown(clip: Clip) -> None:
    """Compute all frames of a clip."""
    for _ in clip.batches():
        pass


def saved_in(folder: Path) -> Callable[[Clip], None]:
    """Writes clips as videos there."""

    def save(clip: Clip) -> None:
        clip.save(folder / f"{clip.seed}.mp4")

    return save


def speed(
    pipe: FloatPipeline, run: RunConfig, still: Still, heard: Heard, clips: int, end: Callable[[Clip], None]
) -> float:
    """Frames/s of so many clips, as many at a time as in a batch, after one that nobody times."""

    def make(seed: int) -> int:
        clip = pipe.animate(still, heard, sample=SampleConfig(seed=seed))
        end(clip)
        return len(clip)

    make(0)
    since = time.perf_counter()
    with ThreadPoolExecutor(run.abreast) as threads:
        frames = sum(threads.map(make, range(1, clips + 1)))
    return frames / (time.perf_counter() - since)


if __name__ == "__main__":
    main()
