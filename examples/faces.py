"""Faces that training never saw, as they say examples/speech.wav: `python examples/faces.py OUT.mp4`.

The video in weights/README.md: above with the emotion that is heard, below told to be happy. Needs the extra train,
whose drawings it shows.
"""

import sys
from pathlib import Path

from floatcli import FloatPipeline
from floatcli.config import CropConfig, VideoConfig
from floatcli.evaluate.faces_sheet import sources
from floatcli.grid import save_grid

SHOWN = ("photograph", "light skin", "medium skin", "dark skin", "oil", "pencil")
EMOTIONS = {"as heard": "auto", "happy": "happy"}
SPEECH = Path(__file__).parent / "speech.wav"

if __name__ == "__main__":
    pipe = FloatPipeline.from_weights("embedded")
    faces = {name: picture for name, picture in sources() if name in SHOWN}
    crop = CropConfig("none")
    heard = pipe.hear(SPEECH)
    stills = [pipe.portrait(faces[name], crop) for name in SHOWN]
    clips = [[pipe.animate(still, heard, crop, emotion=emotion) for still in stills] for emotion in EMOTIONS.values()]
    save_grid(Path(sys.argv[1]), clips, list(EMOTIONS), SHOWN, VideoConfig(crf=26))
