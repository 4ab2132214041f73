"""How the cost of a clip grows with its length, size, evaluations and batches, one at a time.

    python benchmarks/growth.py [--weights W] [--device D]

The example's portrait says the example's speech. Seconds are those from a loaded model, the portrait read and the
speech heard, to the video's last byte; the middle of three runs, after one that does not count.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from floatcli import FloatPipeline
from floatcli.config import CropConfig, SampleConfig
from floatcli.device import CPU_FRAMES
from floatcli.inputs import read_speech

EXAMPLES = Path(__file__).parent.parent / "examples"


@dataclass(frozen=True)
class Setting:
    """What is varied."""

    seconds: float = 4
    pixels: int = 512
    nfe: int = 10
    batch: int = CPU_FRAMES


VARIED = {"seconds": (2, 4, 8, 16), "pixels": (256, 512), "nfe": (5, 10, 20), "batch": (1, 4, 8, 16)}


def main() -> None:
    """Print a row for every setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="embedded")
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    print(
        "| seconds of speech | pixels a side | evaluations | batch | seconds | ms a frame |\n|---|---|---|---|---|---|"
    )
    settings = [replace(Setting(), **{name: value}) for name, values in VARIED.items() for value in values]
    for setting in dict.fromkeys(settings):
        pipe = FloatPipeline.from_weights(asked.weights, asked.device, batch_size=setting.batch)
        times, frames = measured(pipe, setting)
        cells = (*asdict(setting).values(), f"{times:.2f}", f"{1000 * times / frames:.0f}")
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def measured(pipe: FloatPipeline, setting: Setting) -> tuple[float, int]:
    """Seconds that a clip takes, and its frames."""
    picture = Image.open(EXAMPLES / "portrait.png").convert("RGB").resize((setting.pixels,) * 2)
    still = pipe.portrait(np.asarray(picture), CropConfig("none"))
    rate = pipe.config.sample_rate
    speech = np.resize(read_speech(EXAMPLES / "speech.wav", rate)[0].numpy(), round(setting.seconds * rate))
    heard, times, frames = pipe.hear(speech), [], 0
    with TemporaryDirectory() as folder:
        for _ in range(4):
            begun = time.perf_counter()
            clip = pipe.animate(still, heard, sample=SampleConfig(nfe=setting.nfe))
            clip.save(Path(folder) / "clip.mp4")
            times.append(time.perf_counter() - begun)
            frames = len(clip)
    return statistics.median(times[1:]), frames


if __name__ == "__main__":
    main()
