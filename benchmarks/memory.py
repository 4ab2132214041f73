"""What ``floatcli animate`` takes of memory, by the length of the speech.

    python benchmarks/memory.py [--seconds 10 3600] [--weights W] [--emotion E] [--device D]

Every length runs in a process of its own: the example's portrait at 256x256 says the example's speech, over and over.
Frames are small and the field is evaluated once a window, to keep an hour of speech bearable: memory depends on the
frames' size and not on the evaluations, and what is compared are lengths. Prints the peak resident memory of the
process and its difference to that of the first length, and the peak of what is allocated on a GPU where there is one.
ffmpeg runs in processes of its own, which are not counted. Needs Linux, where resident memory is counted in kB.

Two cores take about as long as the speech lasts; lengths such as ``--seconds 10 120 240 480`` show the slope in less.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"
CHILD = """
import json, resource, sys
from floatcli.cli.app import run
code = run(sys.argv[1:])
import torch
gpu = [torch.cuda.max_memory_allocated() / 2**20] if torch.cuda.is_available() else []
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, *gpu]))
sys.exit(code)
"""


def main() -> None:
    """Print a row for every length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 3600], help="lengths, the first to compare to")
    parser.add_argument("--weights", default="embedded")
    parser.add_argument("--emotion", default="auto")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    options = ["--weights", asked.weights, "--emotion", asked.emotion, "--device", asked.device]
    print(f"{'speech, s':>10} {'time, s':>10} {'peak, MB':>10} {'more, MB':>10} {'GPU, MB':>10}")
    first = None
    with TemporaryDirectory() as name:
        for seconds in asked.seconds:
            since = time.perf_counter()
            own, *gpu = peaks(Path(name), seconds, options)
            first = own if first is None else first
            row = (seconds, time.perf_counter() - since, own, own - first, *gpu)
            print(" ".join(f"{value:10.0f}" for value in row), flush=True)


def peaks(folder: Path, seconds: float, options: list[str]) -> list[float]:
    """Peaks in MB of a clip of this length: of the process, and of its GPU where there is one."""
    face, speech = folder / "face.png", folder / "speech.wav"
    Image.open(EXAMPLES / "portrait.png").convert("RGB").resize((256, 256)).save(face)
    repeat(EXAMPLES / "speech.wav", speech, seconds)
    command = ["animate", face, speech, "-o", folder / "out.mp4", "--crop", "none", "--nfe", "1", "--overwrite", "-q"]
    command += ["--preset", "ultrafast", *options]
    child = [sys.executable, "-c", CHILD, *map(str, command)]
    said = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(said.splitlines()[-1])


def repeat(speech: Path, place: Path, seconds: float) -> None:
    """A recording over and over, up to a length."""
    with wave.open(str(speech)) as once, wave.open(str(place), "wb") as again:
        again.setparams(once.getparams())
        left = round(seconds * once.getframerate())
        while left > 0:
            once.rewind()
            again.writeframes(once.readframes(min(left, once.getnframes())))
            left -= once.getnframes()


if __name__ == "__main__":
    main()
