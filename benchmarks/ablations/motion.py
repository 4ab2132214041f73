"""Stage 2, small: a vector field learns from synthetic speech that the embedded set's frozen encoders hear."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.ablations.variants import FIELD, Variant, samplings
from floatcli.checkpoint.load import load_model
from floatcli.config import EMOTIONS, ModelConfig, SampleConfig
from floatcli.evaluate.curves import correlations
from floatcli.evaluate.drawn_faces import Figures
from floatcli.flow.sampler import noise_windows, sample_motion, sample_window
from floatcli.models.conditions import WindowCondition
from floatcli.train.dropout import Dropout
from floatcli.train.flow_data import FlowData, heard_corpus
from floatcli.train.flow_stage import FlowPart, train_flow
from floatcli.train.frozen import named_basis
from floatcli.train.loop_config import LoopConfig
from floatcli.train.parameters import HIGH, INDEX, LOW, SCALE
from floatcli.train.speech_clips import SpeechConfig, speech_corpus
from floatcli.train.speech_emotions import emotion_face

WINDOW = 5  # frames whose coefficients are compared as one vector
_TOLD = 3  # clips that are said in every emotion
_TIMED = 7  # windows


@dataclass(frozen=True)
class MotionScale:
    """How much is heard, learnt and measured."""

    clips: int = 120
    held_out_clips: int = 12
    seconds: int = 8
    loop: LoopConfig = LoopConfig(
        steps=300, batch=8, lr=3e-3, warmup=30, ema=0.99, save_every=100, log_every=100, keep=1
    )


class MotionBench:
    """Trains and measures models of motion on one corpus. ``folder`` keeps corpus and checkpoints."""

    def __init__(self, scale: MotionScale, folder: Path, log: Callable[[str], None]):
        self.scale, self.log = scale, log
        embedded = load_model("embedded")
        self.audio, emotion = embedded.audio_encoder, embedded.emotion_encoder
        self.base = dataclasses.replace(embedded.config, name="ablation", field=FIELD)
        speech = SpeechConfig(
            str(folder / "speech"), clips=scale.clips, held_out_clips=scale.held_out_clips, seconds=scale.seconds
        )

        def data(split: str) -> FlowData:
            corpus, place = speech_corpus(speech, split, log), folder / split
            place.mkdir(exist_ok=True)
            heard = heard_corpus(corpus, self.audio, emotion, place, log)
            return FlowData(corpus, heard, named_basis(self.base), self.base)

        self.data, self.held_out = data("train"), data("sentences")

    def figures(self, variant: Variant, seed: int, run: Path) -> dict[str, Figures]:
        """Figures of a variant by the name of their row: as sampled by default, and otherwise where that is varied."""
        config = variant.of(self.base)
        loop = dataclasses.replace(self.scale.loop, seed=seed)
        torch.manual_seed(seed)
        part = FlowPart(config, self.audio, named_basis(config), Dropout(emotion_with_audio=True))
        trial = Trial(config, train_flow(part, loop, self.data, run, self.log), self.held_out)
        return {row: trial.figures(sampling) for row, sampling in samplings(variant.name).items()}


class Trial(NamedTuple):
    """A trained stage 2 on held-out clips."""

    config: ModelConfig
    part: FlowPart
    data: FlowData

    @torch.inference_mode()
    def speak(self, sampling: SampleConfig, emotion: Tensor | None = None, clips: int | None = None) -> np.ndarray:
        """Parameters (clips, T, 20) of the first clips, or of all; the emotion (7,) is heard unless it is told."""
        given = (*self.data.heard, self.data.ref_motion)
        features, felt, ref_motion = (torch.tensor(values[:clips]).float() for values in given)
        told = felt if emotion is None else emotion.expand_as(felt)
        generator = torch.Generator().manual_seed(sampling.seed)
        shape = (len(felt), self.config.window, self.config.motion_dim)
        noise = iter(lambda: torch.randn(shape, generator=generator), None)  # of each clip its own, without an end
        audio = self.part.hear(features)
        windows = sample_motion(self.part.field, ref_motion, audio, told, sampling, self.config, noise)
        coeffs = self.part.basis.coefficients(torch.cat(list(windows), 1))
        return np.clip(coeffs.numpy() * SCALE, LOW, HIGH)

    def figures(self, sampling: SampleConfig) -> Figures:
        """All figures of a way of sampling."""
        made, truth = self.speak(sampling), np.asarray(self.data.corpus.motion)
        jaw = INDEX["jaw"]
        return {
            "jaw_r": float(correlations(made[..., jaw], truth[..., jaw]).mean()),
            **compare(made, truth),
            "told": self.told_share(sampling),
            "ms": self.window_ms(sampling),
        }

    def told_share(self, sampling: SampleConfig) -> float:
        """How far a face goes towards an emotion it is told, from the neutral face: 1 is all of the way."""
        rows = zip(EMOTIONS, torch.eye(len(EMOTIONS)), strict=True)
        means = {name: self.speak(sampling, told, _TOLD).mean((0, 1)) / SCALE for name, told in rows}
        shares = []
        for name in EMOTIONS:
            if name != "neutral":
                wanted = (emotion_face(name) - emotion_face("neutral")) / SCALE
                shares.append((means[name] - means["neutral"]) @ wanted / (wanted @ wanted))
        return float(np.mean(shares))

    @torch.inference_mode()
    def window_ms(self, sampling: SampleConfig) -> float:
        """Milliseconds that a window of one clip takes to sample, the least of some, encoders left out."""
        config = self.config
        condition = WindowCondition(
            torch.zeros(1, config.motion_dim),
            torch.zeros(1, config.preceding, config.motion_dim),
            torch.zeros(1, config.preceding, config.audio_dim),
            torch.randn(1, config.window, config.audio_dim, generator=torch.Generator().manual_seed(0)),
            torch.zeros(1, len(config.emotions)),
        )
        x_0 = next(noise_windows(0, config.window, config.motion_dim))
        times = []
        for _ in range(_TIMED):
            begun = time.perf_counter()
            sample_window(self.part.field, condition, x_0, sampling)
            times.append(time.perf_counter() - begun)
        return 1000 * min(times)


def compare(made: np.ndarray, truth: np.ndarray) -> Figures:
    """Speed and jerk of motion (clips, T, 20) over the truth's, and how far its distribution is from the truth's."""

    def size(motion: np.ndarray, order: int) -> float:
        return float(np.abs(np.diff(motion / SCALE, order, axis=1)).mean())

    return {
        "velocity": size(made, 1) / size(truth, 1),
        "jerk": size(made, 3) / size(truth, 3),
        "frechet": frechet(stretches(made), stretches(truth)),
    }


def stretches(motion: np.ndarray) -> np.ndarray:
    """Coefficients of WINDOW frames one after the other as vectors (n, 20 WINDOW), of parameters (clips, T, 20)."""
    frames, count = motion.shape[1:]
    kept = (motion / SCALE)[:, : frames - frames % WINDOW]
    return kept.reshape(-1, WINDOW * count)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance, squared, of two sets of vectors (n, d), each taken for a Gaussian."""
    spread_a, spread_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shared = np.sqrt(np.linalg.eigvals(spread_a @ spread_b).real.clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(spread_a) + np.trace(spread_b) - 2 * shared)
