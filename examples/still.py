"""One frame of a video as a picture 1200 pixels wide: `python examples/still.py VIDEO OUT SECONDS`."""

import subprocess
import sys

from floatcli.media.ffmpeg import ffmpeg_executable

if __name__ == "__main__":
    video, out, seconds = sys.argv[1:]
    shown = ["-ss", seconds, "-i", video, "-frames:v", "1", "-vf", "scale=1200:-2:flags=lanczos"]
    subprocess.run([ffmpeg_executable(), "-v", "error", "-y", *shown, out], check=True)
