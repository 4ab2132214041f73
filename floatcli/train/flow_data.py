"""Stage 2's data: what the frozen encoders hear in the corpus, kept on disk, and windows of motion drawn from it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from floatcli.config import ModelConfig
from floatcli.models.audio_encoder import AudioEncoder
from floatcli.models.conditions import normalise_waveform
from floatcli.models.emotion_encoder import EmotionEncoder
from floatcli.models.motion_basis import MotionBasis
from floatcli.train.parameters import SCALE
from floatcli.train.speech_clips import SpeechCorpus

_AT_ONCE = 8  # clips that are heard together


class Heard(NamedTuple):
    """What the encoders make of a corpus: features (clips, T, F) float16, emotion probabilities (clips, E)."""

    features: np.ndarray
    emotion: np.ndarray


class FlowBatch(NamedTuple):
    """Windows of L frames with the L' frames before them; everything that stage 2 needs of them."""

    motion: Tensor  # (B, L' + L, D)
    ref_motion: Tensor  # (B, D)
    features: Tensor  # (B, L' + L, F), of the frozen audio encoder
    emotion: Tensor  # (B, E)
    first: Tensor  # (B,) bool: nothing comes before the window


@torch.inference_mode()
def hear(
    corpus: SpeechCorpus, audio: AudioEncoder, emotion: EmotionEncoder, into: Heard, log: Callable[[str], None]
) -> None:
    """Fills ``into`` with what the encoders make of a whole corpus."""
    for start in range(0, len(corpus), _AT_ONCE):
        clips = range(start, min(start + _AT_ONCE, len(corpus)))
        waveform = normalise_waveform(torch.from_numpy(np.stack([corpus.sound(i) for i in clips])))
        into.features[clips.start : clips.stop] = audio.features(waveform, corpus.motion.shape[1]).half().numpy()
        into.emotion[clips.start : clips.stop] = emotion(waveform).numpy()
        if start // _AT_ONCE % 50 == 49:
            log(f"hearing: {clips.stop} of {len(corpus)} clips")


def fingerprint(corpus: SpeechCorpus, audio: AudioEncoder, emotion: EmotionEncoder) -> str:
    """SHA-256 of the encoders' weights and of the corpus's portraits, which tell one corpus from another."""
    digest = hashlib.sha256(np.asarray(corpus.portrait).tobytes())
    for tensor in (*audio.state_dict().values(), *emotion.state_dict().values()):
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def heard_corpus(
    corpus: SpeechCorpus, audio: AudioEncoder, emotion: EmotionEncoder, folder: Path, log: Callable[[str], None]
) -> Heard:
    """What ``hear`` finds, kept in ``folder`` for as long as encoders and corpus are the same."""
    places = [folder / f"heard_{name}.npy" for name in Heard._fields]
    stamp, made = fingerprint(corpus, audio, emotion), folder / "heard.sha256"
    if not (made.exists() and made.read_text() == stamp):
        clips, frames = corpus.phones.shape
        width, emotions = audio.projection.in_features, emotion.output.out_features
        kinds = (np.float16, (clips, frames, width)), (np.float32, (clips, emotions))
        parts = [place.with_suffix(".part") for place in places]
        into = (open_memmap(part, "w+", *kind) for part, kind in zip(parts, kinds, strict=True))
        hear(corpus, audio, emotion, Heard(*into), log)
        for part, place in zip(parts, places, strict=True):
            os.replace(part, place)
        made.write_text(stamp)
    return Heard(*(np.load(place, mmap_mode="r") for place in places))


class FlowData:
    """Windows at random places of random clips."""

    def __init__(self, corpus: SpeechCorpus, heard: Heard, basis: MotionBasis, config: ModelConfig):
        self.corpus, self.heard, self.config = corpus, heard, config
        matrix = basis.matrix.numpy().T
        self.motion = (corpus.motion / SCALE) @ matrix
        self.ref_motion = (corpus.portrait / SCALE) @ matrix

    def draw(self, batch: int, rng: np.random.Generator) -> FlowBatch:
        """Emotions are the face's own, but where voice and face agree, two times of five what the encoder hears."""
        before, window = self.config.preceding, self.config.window
        clips = rng.integers(0, len(self.corpus), batch)
        first = rng.random(batch) < 0.1
        starts = rng.integers(before, self.motion.shape[1] - window + 1, batch)
        starts[first] = 0
        rows = starts[:, None] + np.arange(-before, window)
        rows = np.maximum(rows, 0)  # the frames before a first window are dropped by whoever trains
        motion = self.motion[clips[:, None], rows]
        features = np.stack([self.heard.features[c][r] for c, r in zip(clips, rows, strict=True)])
        named = np.eye(len(self.config.emotions), dtype=np.float32)[self.corpus.emotion[clips]]
        apart = self.corpus.emotion[clips] != self.corpus.manner[clips]
        told = apart | (rng.random(batch) < 0.6)
        emotion = np.where(told[:, None], named, self.heard.emotion[clips])
        arrays = (motion, self.ref_motion[clips], features.astype(np.float32), emotion.astype(np.float32), first)
        return FlowBatch(*map(torch.from_numpy, arrays))
