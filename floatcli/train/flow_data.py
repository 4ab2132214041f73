"""Stage 2's data: what the frozen encoders hear in the corpus, kept on disk, and windows of motion drawn from it.

Clips of videos are kept, and drawn from, by ``cached_data``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from floatcli.config import POSE, ModelConfig
from floatcli.files import holds, replacing
from floatcli.models.audio_encoder import AudioEncoder
from floatcli.models.conditions import normalise_waveform
from floatcli.models.emotion_encoder import EmotionEncoder
from floatcli.models.motion_basis import MotionBasis
from floatcli.train.arrays import filling, mapped
from floatcli.train.parameters import INDEX, SCALE
from floatcli.train.speech_clips import SpeechAnew, SpeechCorpus

_AT_ONCE = 8  # clips that are heard together
_REF_NOISE = 0.15  # coefficients of a portrait are read by a network, not known
FIRST = 0.1  # chance that nothing comes before a window

#: Where emotion comes from. Mixed: the labels that there are, two times of five what is heard instead, unless voice and
#: face are known to differ; without a label what is heard.
MIXED, SPEECH, LABELS, NONE = EMOTION_SOURCES = ("mixed", "speech", "labels", "none")
_BY_LABEL = 0.6


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
    pose: Tensor  # (B, L' + L, 6), the numbers of ``POSE``; not looked at by a field that follows none


class MotionData(Protocol):
    """What the field learns from."""

    @property
    def held_out(self) -> MotionData | None:
        """What it does not learn from."""
        ...

    def draw(self, batch: int, rng: np.random.Generator) -> FlowBatch:
        """Windows at random places of random clips."""
        ...

    def examples(self) -> FlowBatch:
        """The beginnings (n, T, ...) of the first clips, the same ones every time."""
        ...


def choose_emotion(
    source: str, heard: np.ndarray, named: np.ndarray, apart: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Emotions (B, E) float32 by what is heard and what is labelled, both (B, E), the latter zeros without a label.

    Args:
        source: One of ``EMOTION_SOURCES``.
        heard: Probabilities.
        named: One-hot.
        apart: (B,) bool: face and voice are known to differ.
        rng: Decides between the two where they are mixed.
    """
    by_label = named.any(1) & (apart | (rng.random(len(heard)) < _BY_LABEL))
    chosen = {
        MIXED: lambda: np.where(by_label[:, None], named, heard),
        SPEECH: lambda: heard,
        LABELS: lambda: named,
        NONE: lambda: np.zeros_like(heard),
    }[source]()
    return chosen.astype(np.float32)


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
    names = [f"heard_{name}" for name in Heard._fields]
    stamp, made = fingerprint(corpus, audio, emotion), folder / "heard.sha256"
    if not holds(made, stamp):
        clips, frames = corpus.phones.shape
        width, emotions = audio.projection.in_features, emotion.output.out_features
        kinds = (np.float16, (clips, frames, width)), (np.float32, (clips, emotions))
        with filling(folder, dict(zip(names, kinds, strict=True))) as into:
            hear(corpus, audio, emotion, Heard(*into.values()), log)
        with replacing(made) as temporary:
            temporary.write_text(stamp)
    return Heard(*(mapped(folder / f"{name}.npy", f"remove {made}, and it is made again") for name in names))


class FlowData:
    """The synthetic corpus, whose motion is known: coefficients by name in a basis. Other splits are held out."""

    held_out = None

    def __init__(
        self, corpus: SpeechCorpus, heard: Heard, basis: MotionBasis, config: ModelConfig, emotion_from: str = MIXED
    ):
        self.corpus, self.heard, self.config, self.emotion_from = corpus, heard, config, emotion_from
        self._matrix = basis.matrix.detach().numpy().T
        self.motion = (corpus.motion / SCALE) @ self._matrix
        self.ref_motion = (corpus.portrait / SCALE) @ self._matrix

    def draw(self, batch: int, rng: np.random.Generator) -> FlowBatch:
        """Windows at random places of random clips. Labels are the face's own emotions."""
        before, window = self.config.preceding, self.config.window
        clips = rng.integers(0, len(self.corpus), batch)
        first = rng.random(batch) < FIRST
        starts = rng.integers(before, self.motion.shape[1] - window + 1, batch)
        starts[first] = 0
        rows = starts[:, None] + np.arange(-before, window)
        rows = np.maximum(rows, 0)  # the frames before a first window are dropped by whoever trains
        named = np.eye(len(self.config.emotions), dtype=np.float32)[self.corpus.emotion[clips]]
        apart = self.corpus.emotion[clips] != self.corpus.manner[clips]
        emotion = choose_emotion(self.emotion_from, self.heard.emotion[clips], named, apart, rng)
        noise = _REF_NOISE * rng.standard_normal((batch, len(self._matrix))) @ self._matrix
        return self._batch(clips, rows, self.ref_motion[clips] + noise, emotion, first)

    def examples(self, clips: int = 3, windows: int = 2) -> FlowBatch:
        """The beginnings of the corpus's first clips, with the emotions that are heard."""
        chosen = np.arange(min(clips, len(self.corpus)))
        frames = min(windows * self.config.window, self.motion.shape[1])
        rows = np.tile(np.arange(frames), (len(chosen), 1))
        first = np.ones(len(chosen), bool)
        return self._batch(chosen, rows, self.ref_motion[chosen], self.heard.emotion[chosen], first)

    def _batch(
        self, clips: np.ndarray, rows: np.ndarray, ref_motion: np.ndarray, emotion: np.ndarray, first: np.ndarray
    ) -> FlowBatch:
        """Rows (B, n) of clips (B,)."""
        motion = self.motion[clips[:, None], rows]
        features = np.stack([self.heard.features[c][r] for c, r in zip(clips, rows, strict=True)])
        pose = self.corpus.motion[clips[:, None], rows][..., [INDEX[name] for name in POSE]]
        arrays = (values.astype(np.float32) for values in (motion, ref_motion, features, emotion))
        return FlowBatch(*map(torch.from_numpy, (*arrays, first, pose)))


class FlowAnew:
    """Windows of speech without end. What its clips sound like to the encoders is worked out as they are drawn.

    That is done where they are drawn, so that processes that draw ahead take it off the one that trains.
    """

    held_out = None

    def __init__(
        self,
        speech: SpeechAnew,
        audio: AudioEncoder,
        emotion: EmotionEncoder,
        basis: MotionBasis,
        config: ModelConfig,
        emotion_from: str = MIXED,
    ):
        self.speech, self.audio, self.emotion, self.basis = speech, audio, emotion, basis
        self.config, self.emotion_from = config, emotion_from

    def __reduce__(self) -> tuple[Any, ...]:
        states = tuple(part.state_dict() for part in (self.audio, self.emotion, self.basis))
        return _rebuilt, (self.speech, states, self.config, self.emotion_from)  # parametrised parts can't be pickled

    def draw(self, batch: int, rng: np.random.Generator) -> FlowBatch:
        """Windows at random places of as many new clips."""
        return self._among(self.speech.among(batch, rng)).draw(batch, rng)

    def examples(self) -> FlowBatch:
        """The beginnings of the first clips, the same ones every time."""
        return self._among(self.speech.examples(3)).examples()

    def _among(self, corpus: SpeechCorpus) -> FlowData:
        clips, frames = corpus.phones.shape
        width, emotions = self.audio.projection.in_features, self.emotion.output.out_features
        heard = Heard(np.empty((clips, frames, width), np.float16), np.empty((clips, emotions), np.float32))
        with _one_thread():
            hear(corpus, self.audio, self.emotion, heard, lambda line: None)
        return FlowData(corpus, heard, self.basis, self.config, self.emotion_from)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute as processes do that draw ahead: other numbers of threads round otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _rebuilt(
    speech: SpeechAnew, states: tuple[dict[str, Tensor], ...], config: ModelConfig, emotion_from: str
) -> FlowAnew:
    parts = AudioEncoder(config), EmotionEncoder(config), MotionBasis(config)
    for part, state in zip(parts, states, strict=True):
        part.load_state_dict(state)
        part.eval()
    return FlowAnew(speech, *parts, config, emotion_from)
