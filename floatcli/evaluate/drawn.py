"""Every figure of a set of weights on drawn faces, synthetic speech and photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from tempfile import TemporaryDirectory

import numpy as np
import torch

from floatcli.errors import WeightsError
from floatcli.evaluate.drawn_faces import held_out_person, measure_drawn
from floatcli.evaluate.drift import measure_drift
from floatcli.evaluate.emotion_judge import EmotionJudge, measure_emotions
from floatcli.evaluate.photographs import measure_photographs
from floatcli.evaluate.pictures import Figures, mean_figures
from floatcli.evaluate.pixel_judge import measure_lips, measure_looks, sitters
from floatcli.evaluate.settings import DrawnConfig
from floatcli.evaluate.smiles import measure_closing
from floatcli.evaluate.speech_quality import evaluate_speech, speaker
from floatcli.evaluate.turns import measure_turns
from floatcli.models.float_model import FloatModel
from floatcli.train.parameters import INDEX
from floatcli.train.speech_clips import SPLITS, SpeechConfig, speech_corpus

SIZES = (256, 512)  # of drawn faces, pixels a side


def check_measurable(model: FloatModel) -> None:
    """Raise WeightsError where a set was not trained by this package, so that its coefficients have no names."""
    if model.config.decoder != "anchored":
        raise WeightsError(
            f"{model.config.name} has no named coefficients to measure", "give a set of your own training"
        )


@torch.inference_mode()
def evaluate_drawn(
    model: FloatModel, config: DrawnConfig, log: Callable[[str], None]
) -> dict[str, Mapping[str, float | None]]:
    """Figures by what they are of: drawn faces, what they are told, photographs, speech as curves, speech as pixels.

    Raises:
        WeightsError: as ``check_measurable``.
    """
    check_measurable(model)
    figures: dict[str, Mapping[str, float | None]] = {}
    for size in SIZES:
        log(f"{config.identities} drawn faces of {size} pixels")
        for motion, found in measure_drawn(model, config.identities, size).items():
            figures[f"drawn faces at {size}, {motion}"] = found
    log("turns of heads, and lips that close over teeth")
    figures |= measure_told(model, config.identities)
    log("the photograph, and restyled people")
    figures |= measure_photographs(model)
    with TemporaryDirectory() as folder:
        settings = SpeechConfig(folder=folder, held_out_clips=config.clips)
        corpora = {name: speech_corpus(settings, name, log) for name in SPLITS[1:]}
        log(f"{config.clips} clips each of {', '.join(corpora)}")
        figures["speech"] = evaluate_speech(speaker(model.config, model), corpora, config.clips)
        sentences = corpora["sentences"]
        every = np.stack([sentences.sound(k) for k in range(config.clips)])
        sounds, jaws = every[: config.decoded], np.asarray(sentences.motion)[: config.decoded, :, INDEX["jaw"]]
    log(f"pixels of {config.decoded} clips, each said by three people")
    clips = [sitters(model, number) for number in range(config.decoded)]
    looks = measure_looks(model, [sitter for people in clips for sitter in people])
    figures["pixels"] = measure_lips(model, clips, sounds, jaws) | looks
    log("a minute of speech")
    figures["drift"] = measure_drift(model, clips[0], every)
    log("seven emotions of the same people")
    figures["emotions"] = measure_emotions(model, clips, sounds, EmotionJudge(np.random.default_rng(0))).figures()
    return figures


def measure_told(model: FloatModel, identities: int) -> dict[str, Figures]:
    """Figures of held-out people at rest whose heads turn, and of the same when they smile and shut their lips."""
    turns: list[Figures] = []
    closings: list[Figures] = []
    for person in map(held_out_person, range(identities)):
        turns.append(measure_turns(model, person))
        closings.append(measure_closing(model, person))
    left = [figures["teeth left"] or 0.0 for figures in closings]
    return {"turns": mean_figures(turns), "closing": mean_figures(closings) | {"teeth left, worst": max(left)}}
