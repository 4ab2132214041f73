"""Saves the public-domain photograph that ships with scikit-image: `python examples/photograph.py OUT.png`."""

import sys
from pathlib import Path

import skimage.data
from PIL import Image

out = Path(sys.argv[1])
out.parent.mkdir(parents=True, exist_ok=True)
Image.fromarray(skimage.data.astronaut()).save(out)
