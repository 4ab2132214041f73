"""Every figure of a set of weights on drawn faces, synthetic speech and a photograph."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryDirectory

import numpy as np
import skimage.data
import torch

from floatcli.errors import WeightsError
from floatcli.evaluate.drawn_faces import Figures, measure_drawn, measure_sweeps
from floatcli.evaluate.emotion_judge import EmotionJudge, measure_emotions
from floatcli.evaluate.lip_judge import measure_lips
from floatcli.evaluate.pictures import to_tensor
from floatcli.evaluate.settings import DrawnConfig
from floatcli.evaluate.speech_quality import evaluate_speech, speaker
from floatcli.face.crop import Crop
from floatcli.models.float_model import FloatModel
from floatcli.train.parameters import INDEX
from floatcli.train.speech_clips import SPLITS, SpeechConfig, speech_corpus

#: The seven anchors of scikit-image's astronaut, marked by hand, in its pixels.
ASTRONAUT = np.array(
    [[202.8, 100.6], [247.8, 103.4], [202.9, 139.6], [247.5, 139.1], [224.4, 140], [224, 155], [225, 178]]
)
ASTRONAUT_CROP = Crop(left=132, top=38, side=182)  # around the face, as the published model cuts it


@torch.inference_mode()
def measure_photograph(model: FloatModel, size: int = 512) -> Figures:
    """Where sweeps of jaw and lids change the photograph; anchors found by the set's own network."""
    picture = skimage.data.astronaut()
    portrait = model.encode(to_tensor(ASTRONAUT_CROP.cut(picture, size)[None]))
    marked = ASTRONAUT_CROP.from_picture(ASTRONAUT, size)
    found = ((portrait.features.anchors[0].numpy() + 1) / 2) * size
    distance = np.linalg.norm(marked[1] - marked[0])
    figures = measure_sweeps(model, portrait, marked, size)
    figures["anchors off, eye distances"] = float(np.linalg.norm(found - marked, axis=1).mean() / distance)
    return figures


def evaluate_drawn(model: FloatModel, config: DrawnConfig, log: Callable[[str], None]) -> dict[str, Figures]:
    """Figures by what they are of: drawn faces, the photograph, speech as curves, speech as pixels.

    Raises:
        WeightsError: the set was not trained by this package, so its coefficients have no names to be driven by.
    """
    if model.config.decoder != "anchored":
        raise WeightsError(
            f"{model.config.name} has no named coefficients to measure", "give a set of your own training"
        )
    log(f"{config.identities} drawn faces")
    with torch.inference_mode():
        figures = {
            "drawn faces, motion as drawn": measure_drawn(model, config.identities, read=False),
            "drawn faces, motion as read": measure_drawn(model, config.identities, read=True),
        }
    log("the photograph")
    figures["photograph"] = measure_photograph(model)
    with TemporaryDirectory() as folder:
        settings = SpeechConfig(folder=folder, held_out_clips=config.clips)
        corpora = {name: speech_corpus(settings, name, log) for name in SPLITS[1:]}
        log(f"{config.clips} clips each of {', '.join(corpora)}")
        figures["speech"] = evaluate_speech(speaker(model.config, model), corpora, config.clips)
        log(f"pixels of {config.decoded} videos")
        sentences = corpora["sentences"]
        sounds = np.stack([sentences.sound(k) for k in range(config.decoded)])
        read = measure_lips(model, sounds, np.asarray(sentences.motion)[: config.decoded, :, INDEX["jaw"]])
        log(f"seven emotions of {config.decoded} portraits")
        confusion = measure_emotions(model, sounds, EmotionJudge(np.random.default_rng(0)))
    figures["emotions"] = confusion.figures()
    figures["pixels"] = {"jaw_r_median": float(np.median(read)), "jaw_r_worst": float(min(read))}
    return figures
