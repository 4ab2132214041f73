"""FLOAT as a whole: the networks of one set of weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.audio_encoder import AudioEncoder
from floatcli.models.conditions import normalise_waveform, pad_samples, pad_waveform
from floatcli.models.decoder import WarpedDecoder
from floatcli.models.emotion_encoder import EmotionEncoder
from floatcli.models.fmt import VectorField
from floatcli.models.motion_basis import MotionBasis
from floatcli.models.motion_encoder import MotionEncoder

Prepare: TypeAlias = Callable[[str, nn.Module], None]

_PREPARING = threading.RLock()  # a thread that finds a part being prepared waits until it is ready


class Portrait(NamedTuple):
    """A picture as the decoder needs it."""

    identity: Tensor  # (B, D)
    features: Any  # maps (B, C, r, r), r = 8, 16, ..., S; of the anchored decoder: AnchoredFeatures
    ref_motion: Tensor  # (B, D), the motion that the picture itself shows


class FloatModel(nn.Module):
    """All networks, built from one ``ModelConfig``. Nothing is loaded here: see ``floatcli.checkpoint``."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self._unprepared: dict[str, list[Prepare]] = {}
        self.motion_encoder, decoder = _autoencoder(config)
        self.basis = MotionBasis(config)
        self.decoder = decoder
        self.audio_encoder = AudioEncoder(config)
        self.emotion_encoder = EmotionEncoder(config)
        self.field = VectorField(config)

    def at_first_use(self, prepare: Prepare) -> None:
        """Have ``prepare`` told the name of each part, and the part, before that is used for the first time.

        So what nobody uses costs nothing. Of several, those that came first are told first.
        """
        for name, _ in self.named_children():
            self._unprepared.setdefault(name, []).append(prepare)

    def prepare(self) -> None:
        """Prepare all parts now."""
        for name, _ in self.named_children():
            getattr(self, name)

    def __getattr__(self, name: str) -> Any:
        part: Any = super().__getattr__(name)
        if name in self.__dict__.get("_unprepared", ()):
            # Parameters of inference mode could never be learnt, nor would they tell when they change.
            with _PREPARING, torch.inference_mode(False), torch.no_grad():
                for prepare in self._unprepared.get(name, ()):
                    prepare(name, part)
                self._unprepared.pop(name, None)
        return part

    def encode(self, image: Tensor, anchors: Tensor | None = None) -> Portrait:
        """Pictures in [-1, 1] as portraits.

        Args:
            image: (B, 3, S, S); for the anchored decoder (1, 3, H, H), where frames shall be H pixels a side.
            anchors: (1, 7, 2) landmarks in grid coordinates, for the anchored decoder; None lets it find them.
        """
        if self.config.decoder == "warped":
            identity, features = self.motion_encoder(image)
            return Portrait(identity, features, self.basis.motion(self.motion_encoder.coefficients(identity)))
        identity, anchors = self.motion_encoder(image, anchors)
        coeffs = self.motion_encoder.coefficients(identity)
        features = self.decoder.features(image, coeffs, self.basis.matrix, anchors)
        return Portrait(identity, features, self.basis.motion(coeffs))

    def coefficients(self, pictures: Tensor) -> Tensor:
        """Motion coefficients (N, M) that pictures (N, 3, H, H) in [-1, 1] show, of any size."""
        size = self.config.image_size
        if self.config.decoder == "warped" and pictures.shape[-1] != size:
            pictures = F.interpolate(pictures, size=(size, size), mode="bilinear", antialias=True)
        identity, _ = self.motion_encoder(pictures)
        return self.motion_encoder.coefficients(identity)

    def decode(self, portrait: Portrait, motion: Tensor) -> Tensor:
        """Frames (N, 3, S, S), about [-1, 1], of one portrait (batch 1) or N in motion (N, D)."""
        return self.decoder(portrait.identity, motion, portrait.features)

    def decode_together(self, portraits: Sequence[Portrait], motions: Sequence[Tensor]) -> list[Tensor]:
        """Frames (n, 3, S, S) of each of several portraits (batch 1) in its motions (n, D), drawn in one batch."""
        if len(portraits) == 1:
            return [self.decode(portraits[0], motions[0])]
        identities, features, _ = zip(*portraits, strict=True)
        return self.decoder.several(identities, motions, features)

    def hear(self, speech: Tensor) -> Tensor:
        """Audio condition (B, T, audio_dim) of speech (B, samples) at ``config.sample_rate``, as recorded."""
        waveform, frames = pad_waveform(normalise_waveform(speech), self.config)
        return self.audio_encoder(waveform, frames)

    def feel(self, speech: Tensor) -> Tensor:
        """Probabilities (B, E) of the emotions in speech (B, samples), as for ``hear``."""
        return self.emotion_encoder(pad_samples(normalise_waveform(speech), self.config.emotion.min_samples))

    def emotion(self, name: str) -> Tensor:
        """The named emotion alone, (1, E), in place of what is heard. ValueError for an unknown name."""
        one_hot = torch.zeros(1, len(self.config.emotions))
        one_hot[0, self.config.emotions.index(name)] = 1
        return one_hot.to(self.basis.weight)


def _autoencoder(config: ModelConfig) -> tuple[Any, Any]:
    """What reads motion from pictures, and what draws pictures in motion."""
    if config.decoder == "anchored":  # only the sets that have them pay for these
        from floatcli.models.anchored_decoder import AnchoredDecoder
        from floatcli.models.face_reader import AnchoredEncoder

        return AnchoredEncoder(config), AnchoredDecoder(config)
    return MotionEncoder(config), WarpedDecoder(config)
