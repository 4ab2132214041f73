"""What README shows works as it is written."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from PIL import Image

README = Path(__file__).parent.parent / "README.md"


def test_the_lines_of_python_make_a_video(tmp_path, monkeypatch, speech_file):
    from skimage.data import astronaut

    (lines,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    Image.fromarray(astronaut()).save(tmp_path / "face.png")
    shutil.copy(speech_file, tmp_path / "speech.wav")
    monkeypatch.chdir(tmp_path)
    exec(lines, {})
    assert (tmp_path / "out.mp4").stat().st_size > 10_000
