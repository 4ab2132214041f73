"""Sound files of every kind that is read, as bytes, small."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from floatcli.media.ffmpeg import ffmpeg_executable


class Files(dict[str, bytes]):
    """Contents by name, which are not spelt out in a report."""

    def __repr__(self) -> str:
        return f"Files({', '.join(self)})"


_PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 4), np.uint8)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def pictures() -> Files:
    """By the suffix they go by, and a word."""
    rgba = Image.fromarray(_PIXELS)
    rgb, gray = rgba.convert("RGB"), rgba.convert("L")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a face"
    deep = Image.fromarray(np.asarray(gray).astype(np.uint16) << 8)
    files = {
        "rgb.png": _saved(rgb, "png", exif=exif),
        "palette.png": _saved(rgba.convert("P"), "png", transparency=0),
        "deep.png": _saved(deep, "png"),
        "apng.png": _saved(rgb, "png", save_all=True, append_images=[rgb]),
        "rgb.jpg": _saved(rgb, "jpeg", exif=exif),
        "cmyk.jpg": _saved(rgb.convert("CMYK"), "jpeg"),
        "rgb.gif": _saved(rgb, "gif", save_all=True, append_images=[gray.convert("RGB")]),
        "rgba.webp": _saved(rgba, "webp"),
        "rgb.bmp": _saved(rgb, "bmp"),
        "deep.tiff": _saved(deep, "tiff"),
        "rgb.tiff": _saved(rgb, "tiff", compression="tiff_lzw", save_all=True, append_images=[gray]),
        "rgb.ppm": _saved(rgb, "ppm"),
        "rgba.tga": _saved(rgba, "tga"),
        "rgb.avif": _saved(rgb, "avif"),
    }
    return Files(files)


def ffmpeg(*words: str) -> bytes:
    """What ffmpeg writes to its stdout."""
    return subprocess.run([ffmpeg_executable(), "-v", "error", *words], check=True, capture_output=True).stdout


def recordings() -> Files:
    tone = ("-f", "lavfi", "-i", "sine=duration=0.3:sample_rate=16000")
    formats = {
        "wav": [],
        "flac": [],
        "mp3": [],
        "ogg": ["-c:a", "libopus"],
        "adts": [],
        "au": [],
        "caf": [],
    }
    sounds = {f"a.{kind}": ffmpeg(*tone, *words, "-f", kind, "-") for kind, words in formats.items()}
    return Files(sounds | {"f.wav": ffmpeg(*tone, "-c:a", "pcm_f32le", "-f", "wav", "-")})


def videos(folder: Path) -> Files:
    both = ("-f", "lavfi", "-i", "testsrc=s=32x32:r=25:d=0.3", "-f", "lavfi", "-i", "sine=duration=0.3")
    made = Files()
    for name in ("a.mp4", "a.mkv", "a.webm", "a.avi", "a.mov"):
        ffmpeg(*both, "-shortest", "-y", f"file:{folder / name}")
        made[name] = (folder / name).read_bytes()
    return made


TRACK = "time,happy,sad\n0,1,0\n0.5,0.25,0.75\n2,0,1\n"
POSE = "time,yaw,pitch,zoom\n0,0,0,0\n0.5,10,-5,0.1\n"
CURVE = "0,1\n0.5,2\n1.5:0.5\n"
TYPED = ("0:1,1.5:2", "0:1", "offset=0:0,1:2", "curve.csv")
JOBS_CSV = """face,speech,out,emotion,seed,crop,nfe,copy-audio,background
a.png,a.wav,x.mp4,happy,3,none,5,yes,white
b.png,b.wav,,,,,,,
"""
JOBS_JSONL = """{"face": "a.png", "speech": "a.wav", "seed": 3, "align": true, "margin": 1.5}
{"face": "b.png", "speech": "b.wav"}
"""
ROWS = "".join(json.dumps({"out": f"{k}.mp4", "status": "done", "digests": {"output": "a"}}) + "\n" for k in range(3))
