"""Before stage 2: the small audio encoder learns lips and phonemes, the emotion encoder the manner of speaking.

The published encoders come pre-trained on hours of people; ours learn from the synthetic corpus and are then
frozen, but for the audio projection, which trains on with the vector field (SPEC sections 3 and 7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from floatcli.config import EMOTIONS, ModelConfig
from floatcli.errors import InputError
from floatcli.models.audio_encoder import AudioEncoder
from floatcli.models.conditions import normalise_waveform
from floatcli.models.emotion_encoder import EmotionEncoder
from floatcli.models.float_model import FloatModel
from floatcli.models.wav2vec2 import Wav2Vec2Backbone
from floatcli.train.initial import begin
from floatcli.train.loop import Losses, Run
from floatcli.train.loop_config import LoopConfig
from floatcli.train.parameters import INDEX, SCALE
from floatcli.train.sheets import save_curves
from floatcli.train.speech_clips import SpeechAnew, SpeechCorpus
from floatcli.train.speech_visemes import LIPS, PHONE_CLASSES
from floatcli.train.speech_voice import disturb

_LIPS = [INDEX[name] for name in LIPS]
_LIP_SCALES = torch.from_numpy(SCALE[_LIPS])


@torch.no_grad()
def listen_in_bands(backbone: Wav2Vec2Backbone, sample_rate: int) -> None:
    """Starts the first convolution as a bank of windowed waves, which would take long to find from noise.

    Every band, evenly spaced in mel, has three phases a third of a period apart: rectified by the activation they
    add up to the band's magnitude. High bands are lifted as speech has little there. Trained on like all the rest.
    """
    weight = backbone.feature_extractor.get_parameter("conv_layers.0.conv.weight")  # (C, 1, kernel)
    count, _, kernel = weight.shape
    bands = count // 3
    lowest, highest = (2595 * np.log10(1 + f / 700) for f in (70, 0.48 * sample_rate))
    frequency = 700 * (10 ** (np.linspace(lowest, highest, bands) / 2595) - 1)
    phase = np.arange(3)[None, :, None] * 2 * np.pi / 3
    time = (np.arange(kernel) - kernel / 2) / sample_rate
    waves = np.hanning(kernel) * np.cos(2 * np.pi * frequency[:, None, None] * time + phase)
    waves *= (frequency / 500)[:, None, None] ** 0.6 / np.linalg.norm(waves, axis=-1, keepdims=True)
    weight[: 3 * bands, 0] = torch.from_numpy(waves.reshape(3 * bands, kernel)).float()


class AudioPart(nn.Module):
    """The audio encoder with heads that read lips and phonemes from its condition, frame by frame."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.encoder = AudioEncoder(config)
        listen_in_bands(self.encoder.backbone, config.sample_rate)
        self.lips = nn.Linear(config.audio_dim, len(LIPS))
        self.phones = nn.Linear(config.audio_dim, len(PHONE_CLASSES))

    def losses(self, waveform: Tensor, lips: Tensor, phones: Tensor) -> Losses:
        """L1 of lip coefficients and of their changes, cross entropy of phoneme classes.

        Args:
            waveform: (B, samples) normalised.
            lips: (B, T, 6) renderer parameters.
            phones: (B, T) classes.
        """
        condition = self.encoder(waveform, lips.shape[1])
        error = self.lips(condition) - lips / _LIP_SCALES.to(lips.device)
        logits = self.phones(condition).flatten(0, 1)
        return {
            "lips": error.abs().mean(),
            "change": error.diff(dim=1).abs().mean(),
            "phones": 0.3 * F.cross_entropy(logits, phones.flatten(), label_smoothing=0.05),
        }


class EmotionPart(nn.Module):
    """The emotion encoder."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.encoder = EmotionEncoder(config)
        listen_in_bands(self.encoder.backbone, config.sample_rate)

    def losses(self, waveform: Tensor, emotion: Tensor) -> Losses:
        """Cross entropy of (B,) labels, smoothed: synthetic prosody must not make it sure of itself."""
        return {"emotion": F.cross_entropy(self.encoder.logits(waveform), emotion, label_smoothing=0.1)}


def _draw(corpus: SpeechCorpus, batch: int, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, int, Tensor]:
    """Clips, the frame their excerpts start at, and the disturbed, normalised excerpts (batch, samples).

    None is drawn twice but where there are fewer than a batch.
    """
    clips = rng.choice(len(corpus), batch, replace=batch > len(corpus))
    length, hop = corpus.motion.shape[1], corpus.waveform.shape[1] // corpus.motion.shape[1]
    start = int(rng.integers(0, length - frames + 1))
    sounds = [corpus.sound(i)[start * hop : (start + frames) * hop] for i in clips]
    disturbed = np.stack([disturb(sound, sounds[k - 1], rng) for k, sound in enumerate(sounds)])
    return clips, start, normalise_waveform(torch.from_numpy(disturbed))


def _frames(
    corpus: SpeechCorpus, rng: np.random.Generator, lengths: tuple[int, ...], chances: tuple[float, ...]
) -> int:
    """How long excerpts are: one of these lengths, as far as clips are so long, or whole clips."""
    whole = corpus.motion.shape[1]
    return min(int(rng.choice([*lengths, whole], p=chances)), whole)


@dataclass(frozen=True)
class DrawLips:
    """What the audio encoder learns from: excerpts with their lips and phonemes."""

    speech: SpeechCorpus | SpeechAnew
    batch: int

    def __call__(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A batch, as ``AudioPart.losses`` takes it."""
        corpus = self.speech.among(self.batch, rng)
        frames = _frames(corpus, rng, (50, 75, 100, 150), (0.15, 0.25, 0.3, 0.2, 0.1))
        clips, start, waveform = _draw(corpus, self.batch, frames, rng)
        lips = torch.from_numpy(corpus.motion[clips, start : start + frames][..., _LIPS])
        return waveform, lips, torch.from_numpy(corpus.phones[clips, start : start + frames])


@dataclass(frozen=True)
class DrawManner:
    """What the emotion encoder learns from: excerpts with their manner of speaking."""

    speech: SpeechCorpus | SpeechAnew
    batch: int

    def __call__(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A batch, as ``EmotionPart.losses`` takes it."""
        corpus = self.speech.among(self.batch, rng)
        frames = _frames(corpus, rng, (75, 100, 150), (0.25, 0.35, 0.25, 0.15))
        clips, _, waveform = _draw(corpus, self.batch, frames, rng)
        return waveform, torch.from_numpy(corpus.manner[clips])


def listener(name: str, config: ModelConfig, seed: int, init: FloatModel | None) -> nn.Module:
    """One of the parts that listen, "audio" or "emotion", as it begins.

    Raises:
        InputError: The model tells other emotions than those of synthetic speech.
        WeightsError: Those of ``init`` are of other sizes.
    """
    if name == "emotion" and config.emotions != EMOTIONS:
        said = f"synthetic speech has {len(EMOTIONS)} emotions, and [model] emotions are {', '.join(config.emotions)}"
        raise InputError(said, "leave emotions out of [model], or train the field alone, from weights that tell these")
    torch.manual_seed(seed)
    part = {"audio": AudioPart, "emotion": EmotionPart}[name](config)
    begin(name, part, init)
    return part


def train_audio(
    config: ModelConfig,
    loop: LoopConfig,
    speech: SpeechCorpus | SpeechAnew,
    folder: Path,
    log: Callable[[str], None],
    init: FloatModel | None = None,
    workers: int = 0,
) -> AudioEncoder:
    """Pre-trains the audio encoder; resumes from its last checkpoint in ``folder`` and returns its running average."""
    run = Run("audio", listener("audio", config, loop.seed, init), loop, folder)

    def sample(part: nn.Module, path: Path) -> None:
        corpus = speech.examples(3)
        sounds = [corpus.sound(k) for k in range(min(3, len(corpus)))]
        waveform = normalise_waveform(torch.from_numpy(np.stack(sounds)))
        lips = torch.from_numpy(corpus.motion[:3][..., _LIPS]) / _LIP_SCALES
        with torch.inference_mode():
            save_curves(lips, part.lips(part.encoder(waveform, lips.shape[1])), path)  # type: ignore[operator]

    run.train(DrawLips(speech, loop.batch), log, sample, workers)
    return run.average.encoder.eval().cpu()  # type: ignore[union-attr, return-value, operator]


def train_emotion(
    config: ModelConfig,
    loop: LoopConfig,
    speech: SpeechCorpus | SpeechAnew,
    folder: Path,
    log: Callable[[str], None],
    init: FloatModel | None = None,
    workers: int = 0,
) -> EmotionEncoder:
    """Trains the emotion encoder; resumes from its last checkpoint in ``folder`` and returns its running average."""
    run = Run("emotion", listener("emotion", config, loop.seed, init), loop, folder)
    run.train(DrawManner(speech, loop.batch), log, workers=workers)
    return run.average.encoder.eval().cpu()  # type: ignore[union-attr, return-value, operator]
