"""Many short clips: ``floatcli batch`` against a shell loop of ``floatcli animate``, in turn on one machine.

    python benchmarks/batch.py --clips 40 --seconds 2

Prints seconds, frames/s and the ratio. Both make the same videos, which is checked.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

EXAMPLES = Path(__file__).parent.parent / "examples"


def main() -> None:
    """Set up the folders, run both, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each clip")
    asked = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        portraits, recordings = folder / "portraits", folder / "recordings"
        portraits.mkdir(), recordings.mkdir()
        shutil.copy(EXAMPLES / "portrait.png", portraits)
        cut(EXAMPLES / "speech.wav", recordings, asked.clips, asked.seconds)
        loop = timed("bash", EXAMPLES / "batch.sh", portraits, recordings, folder / "loop", "-q", "--crop", "none")
        face = ("--face", portraits / "portrait.png")
        batch = timed("floatcli", "batch", recordings, *face, "-o", folder / "batch", "-q", "--set", "crop=none")
        for made in (folder / "batch").glob("*.mp4"):
            assert made.read_bytes() == (folder / f"loop/portrait-{made.name}").read_bytes(), made
        assert len(list((folder / "batch").glob("*.mp4"))) == asked.clips
    frames = asked.clips * round(asked.seconds * 25)
    print(f"{asked.clips} clips of {asked.seconds:g} s")
    print(f"loop of animate  {loop:7.1f} s  {frames / loop:6.1f} frames/s")
    print(f"batch            {batch:7.1f} s  {frames / batch:6.1f} frames/s  {loop / batch:.2f} times as fast")


def cut(speech: Path, folder: Path, count: int, seconds: float) -> None:
    """Recordings of this length, each from another place of one."""
    with wave.open(str(speech)) as whole:
        frames = round(seconds * whole.getframerate())
        for k in range(count):
            whole.setpos(k * (whole.getnframes() - frames) // max(count - 1, 1))
            with wave.open(str(folder / f"{k:03d}.wav"), "wb") as part:
                part.setparams(whole.getparams())
                part.writeframes(whole.readframes(frames))


def timed(*command: str | Path) -> float:
    """Seconds that a command takes."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # this environment's floatcli first
    since = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, env={**os.environ, "PATH": path})
    return time.perf_counter() - since


if __name__ == "__main__":
    main()
