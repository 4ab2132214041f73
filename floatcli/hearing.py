"""Speech as the field follows it: heard at once where it is short, else in pieces that overlap."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from floatcli.allocator import release_memory
from floatcli.device import mixed
from floatcli.inputs import ARRAYS, Source, read_speech
from floatcli.media.audio import pieces, speech_blocks
from floatcli.models.conditions import frame_count, pad_samples, pad_waveform
from floatcli.models.float_model import FloatModel
from floatcli.models.wav2vec2 import Moments, Wav2Vec2Backbone
from floatcli.motion import FileSource

#: Speech up to this length is heard at once, seconds. Longer speech is heard in pieces of PIECE seconds, which see
#: CONTEXT more on either side; so what it takes does not grow with the length.
AT_ONCE, PIECE, CONTEXT = 60, 20, 2

Padding: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Speech:
    """Mono samples at the model's rate: held where they are few, else read from their file whenever they are needed.

    Attributes:
        source: The samples (n,) float32, or the file that holds them.
        sample_rate: In Hz.
        samples: How many there are, n.
        mean: Of all samples.
        variance: Of all samples.
    """

    source: Tensor | Path
    sample_rate: int
    samples: int
    mean: float
    variance: float

    def blocks(self) -> Iterator[Tensor]:
        """All samples in order."""
        if isinstance(self.source, Tensor):
            return iter([self.source])
        return speech_blocks(self.source, self.sample_rate)

    def normalised(self, samples: Tensor) -> Tensor:
        """Samples as wav2vec2 expects them: zero mean and unit variance over all of the speech."""
        return (samples - self.mean) / math.sqrt(self.variance + 1e-7)

    @property
    def is_short(self) -> bool:
        """Whether it is heard at once."""
        return self.samples <= AT_ONCE * self.sample_rate


class Heard(NamedTuple):
    """Speech that was heard, or will be, window by window, where it is long."""

    speech: Speech
    condition: Tensor | None  # (1, T, A) on the model's device; None where it is long
    sound: np.ndarray | Path  # what is heard beside the frames
    source: FileSource | None  # None for arrays
    remarks: tuple[str, ...]  # what was out of the ordinary


def read(speech: Source, sample_rate: int, notice: Callable[[str], None] = lambda line: None) -> Speech:
    """Speech of a file or an array; ``notice`` is told where a recording breaks off. Raises InputError."""
    if isinstance(speech, ARRAYS):
        samples = read_speech(speech, sample_rate)[0]
        return Speech(samples, sample_rate, len(samples), *_moments([samples]))
    held, count = list[Tensor](), 0

    def counted() -> Iterator[Tensor]:
        nonlocal held, count
        for block in speech_blocks(Path(speech), sample_rate, notice):
            count += len(block)
            held = [*held, block] if count <= AT_ONCE * sample_rate else []
            yield block

    moments = _moments(counted())
    return Speech(torch.cat(held) if held else Path(speech), sample_rate, count, *moments)


def _moments(blocks: Iterable[Tensor]) -> tuple[float, float]:
    """Mean and variance of all samples."""
    count, total, power = 0, 0.0, 0.0
    for block in blocks:
        count += len(block)
        total += block.double().sum().item()
        power += block.double().square().sum().item()
    mean = total / count
    return mean, max(0.0, power / count - mean**2)


class Piece(NamedTuple):
    """A piece of long speech with its surroundings."""

    samples: Tensor  # (1, n), normalised
    before: int  # samples that come before the piece itself
    length: int  # samples of the piece itself

    def own(self, x: Tensor, hop: int) -> Tensor:
        """Of what has a column for every ``hop`` samples, (..., m), those of the piece itself."""
        start = self.before // hop
        return x[..., start : start - (-self.length // hop)]


class Ear:
    """Hears speech with the networks of one model.

    Args:
        model: On ``device``.
        device: Where it is.
        dtype: Of the networks' products.
    """

    def __init__(self, model: FloatModel, device: torch.device, dtype: torch.dtype):
        self.model, self.config, self.device, self.dtype = model, model.config, device, dtype

    def frames(self, speech: Speech) -> int:
        """T, the video frames that speech lasts."""
        return frame_count(speech.samples, self.config)

    def condition(self, speech: Speech) -> Tensor:
        """Audio condition (1, T, A) of all of the speech at once."""
        samples = torch.cat(list(speech.blocks()))[None]
        with mixed(self.device, self.dtype):
            return self.model.hear(samples.to(self.device)).float()

    def windows(self, speech: Speech) -> Iterator[Tensor]:
        """Audio condition (1, L, A) of window after window, the last one shorter, heard in pieces as it is needed."""
        encoder, rest = self.model.audio_encoder, list[Tensor]()
        moments = self._moments(encoder.backbone, speech, self._on_frames)
        for piece in self._pieces(speech, self._on_frames):
            start, count = (frame_count(samples, self.config) for samples in (piece.before, piece.length))
            with mixed(self.device, self.dtype):
                frames = frame_count(piece.samples.shape[1], self.config)
                heard = encoder(piece.samples, frames, moments).float()[:, start : start + count]
            *whole, last = torch.cat([*rest, heard], 1).split(self.config.window, dim=1)
            yield from whole
            rest = [last]
        yield from rest

    def feel(self, speech: Speech) -> Tensor:
        """Probabilities (1, E) of the emotions: of all of the speech at once, or pooled over its pieces."""
        if speech.is_short:
            samples = torch.cat(list(speech.blocks()))[None]
            with mixed(self.device, self.dtype):
                return self.model.feel(samples.to(self.device)).float()
        encoder, hop = self.model.emotion_encoder, math.prod(self.config.emotion.conv_stride)
        moments = self._moments(encoder.backbone, speech, self._as_it_is)
        total, count = torch.zeros((), device=self.device), 0
        for piece in self._pieces(speech, self._as_it_is):
            with mixed(self.device, self.dtype):
                heard = piece.own(encoder.hidden(piece.samples, moments).float().mT, hop)
            total, count = total + heard.sum(2), count + heard.shape[2]
        with mixed(self.device, self.dtype):
            return encoder.classify(total / count).softmax(-1).float()

    def _moments(self, backbone: Wav2Vec2Backbone, speech: Speech, padded: Padding) -> Moments | None:
        """What the first convolution is normalised by, over all of the speech; None where that is done otherwise."""
        if not backbone.normalises_over_time:
            return None
        hop, count = backbone.config.conv_stride[0], 0
        total = power = torch.zeros((), dtype=torch.float64)
        for piece in self._pieces(speech, padded):
            with mixed(self.device, self.dtype):
                x = piece.own(backbone.first_convolution(piece.samples), hop)[0].float()
                count += x.shape[1]
                total, power = total + x.sum(1).cpu(), power + x.square().sum(1).cpu()
        mean = total / count
        variance = (power / count - mean**2).clamp(min=0)
        return Moments(mean.float().to(self.device), variance.float().to(self.device))

    def _pieces(self, speech: Speech, padded: Padding) -> Iterator[Piece]:
        rate = speech.sample_rate
        for samples, before, count in pieces(speech.blocks(), PIECE * rate, CONTEXT * rate):
            release_memory()  # of the frames since the piece before
            waveform = padded(speech.normalised(samples)[None])
            is_last = before + count == len(samples)
            yield Piece(waveform.to(self.device), before, count + is_last * (waveform.shape[1] - len(samples)))

    def _on_frames(self, samples: Tensor) -> Tensor:
        return pad_waveform(samples, self.config)[0]

    def _as_it_is(self, samples: Tensor) -> Tensor:
        return pad_samples(samples, self.config.emotion.min_samples)
