"""Stage 2: flow matching of motion given speech, emotion and the portrait (SPEC section 7).

The embedded set's motion is made of named coefficients, so this stage needs no pictures: x_1 is the true
coefficients in the basis. The encoders are frozen but for the audio projection.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from floatcli.config import POSE, ModelConfig, SampleConfig
from floatcli.flow.path import training_pair
from floatcli.flow.sampler import sample_motion
from floatcli.models.audio_encoder import AudioEncoder
from floatcli.models.conditions import WindowCondition
from floatcli.models.emotion_encoder import EmotionEncoder
from floatcli.models.fmt import VectorField
from floatcli.models.motion_basis import MotionBasis
from floatcli.train.audio_stage import train_audio, train_emotion
from floatcli.train.flow_data import FlowBatch, FlowData, heard_corpus
from floatcli.train.loop import LoopConfig, Losses, Run, processes
from floatcli.train.parameters import INDEX
from floatcli.train.sheets import save_curves
from floatcli.train.speech_clips import SpeechConfig, speech_corpus
from floatcli.train.speech_visemes import LIPS

_DROP, _DROP_BEFORE = 0.1, 0.5  # chances: reference, audio, emotion; what precedes the window
_LIP_WEIGHT, _REST_WEIGHT = 2.0, 0.25  # of lip coefficients, and of what lies outside the basis
_CHANCE = ("lid_left", "lid_right", "gaze_x", "gaze_y", *POSE)  # coefficients that speech does not decide
_REF_NOISE = 0.15  # coefficients of a portrait are read by a network, not known


@dataclass(frozen=True)
class FlowSettings:
    """Everything stage 2 is made from: the speech, and the loop of each network in turn."""

    speech: SpeechConfig = SpeechConfig()
    audio: LoopConfig = LoopConfig()
    emotion: LoopConfig = LoopConfig()
    field: LoopConfig = LoopConfig()


def named_basis(config: ModelConfig) -> MotionBasis:
    """The basis of the embedded set: axis k of the latent is coefficient k, so each one keeps to itself."""
    basis = MotionBasis(config).requires_grad_(False)
    basis.weight.copy_(torch.eye(config.motion_dim, config.basis_size))
    return basis


class FlowPart(nn.Module):
    """What stage 2 trains: the audio projection and the vector field."""

    weights: Tensor

    def __init__(self, config: ModelConfig, audio: AudioEncoder):
        super().__init__()
        self.projection, self.norm = copy.deepcopy(audio.projection), copy.deepcopy(audio.norm)
        self.requires_grad_(True)
        self.field = VectorField(config)
        self.basis = named_basis(config)
        weights = torch.ones(config.basis_size)
        weights[[INDEX[name] for name in LIPS]] = _LIP_WEIGHT
        self.register_buffer("weights", weights, persistent=False)
        self.chance = [INDEX[name] for name in _CHANCE]

    def hear(self, features: Tensor) -> Tensor:
        """Audio condition (B, n, A) of features (B, n, F), as ``AudioEncoder.forward`` ends."""
        return F.silu(self.norm(self.projection(features)))

    def losses(self, batch: FlowBatch) -> Losses:
        """L1 of the field, of its one-frame differences, and of the frames before the window given back.

        Where the model predicts a diffusion's noise or motion, that stands in place of the field.
        """
        before = self.field.preceding
        condition = self._condition(batch, batch.motion[:, :before])
        x_1 = batch.motion[:, before:]
        x_0, t = torch.randn_like(x_1), torch.rand(len(x_1), device=x_1.device)
        x_t, u_t = training_pair(self.field.objective, x_0, x_1, t)
        v_t = self.field(t, x_t, condition)
        error = v_t[:, before:] - u_t
        return {
            "field": self._size(error),
            "velocity": self._size(error.diff(dim=1)),
            "preceding": self._size(v_t[:, :before] - condition.preceding_motion),
        }

    @torch.inference_mode()
    def samples(self, data: FlowData, clips: int = 3, windows: int = 2) -> tuple[Tensor, Tensor]:
        """Coefficients (clips, T, M) of the corpus's first clips, as they are and as sampled."""
        frames = windows * data.config.window
        motion, features = (torch.tensor(a[:clips, :frames]).float() for a in (data.motion, data.heard.features))
        ref_motion, emotion = (torch.tensor(a[:clips]).float() for a in (data.ref_motion, data.heard.emotion))
        made = sample_motion(self.field, ref_motion, self.hear(features), emotion, SampleConfig(), data.config)
        return self.basis.coefficients(motion), self.basis.coefficients(torch.cat(list(made), 1))

    def _condition(self, batch: FlowBatch, preceding: Tensor) -> WindowCondition:
        """The batch's conditions with random ones dropped.

        Where audio goes, emotion goes too: guidance asks for neither, for audio alone, and for both, never for
        emotion alone.
        """
        count, before = len(preceding), preceding.shape[1]

        def by_chance(chance: float) -> Tensor:
            return torch.rand(count, device=preceding.device) < chance

        audio = self.hear(batch.features)
        no_audio = by_chance(_DROP)
        no_emotion = no_audio | by_chance(_DROP)
        alone = batch.first | by_chance(_DROP_BEFORE)
        noise = self.basis.motion(torch.randn(count, self.basis.matrix.shape[1], device=preceding.device))
        return WindowCondition(
            ref_motion=_kept(batch.ref_motion + _REF_NOISE * noise, by_chance(_DROP)),
            preceding_motion=_kept(preceding, alone),
            preceding_audio=_kept(audio[:, :before], alone),
            audio=_kept(audio[:, before:], no_audio),
            emotion=_kept(batch.emotion, no_emotion),
        )

    def _size(self, error: Tensor) -> Tensor:
        """Weighted size of an error in motion (..., D): L1, but squares for what is left to chance.

        Under L1 the best field is the median, and the median of a face that blinks one frame in eight never
        blinks. The mean, which squares ask for, carries noise to the true distribution.
        """
        coeffs = self.basis.coefficients(error).float()
        outside = error - self.basis.motion(coeffs)
        sizes = coeffs.abs() * self.weights
        sizes[..., self.chance] = coeffs[..., self.chance] ** 2
        return sizes.mean() + _REST_WEIGHT * outside.abs().mean()


def _kept(values: Tensor, dropped: Tensor) -> Tensor:
    """Values (B, ...) with zeros where ``dropped`` (B,) is True."""
    return values * ~dropped.view(-1, *[1] * (values.ndim - 1))


def train_flow(
    config: ModelConfig,
    loop: LoopConfig,
    data: FlowData,
    audio: AudioEncoder,
    folder: Path,
    log: Callable[[str], None],
) -> FlowPart:
    """Trains field and projection; resumes from its last checkpoint in ``folder`` and returns the running average."""
    torch.manual_seed(loop.seed)
    run = Run("flow", FlowPart(config, audio), loop, folder)

    def draw(rng: np.random.Generator) -> tuple[FlowBatch]:
        return (data.draw(loop.batch, rng),)

    def sample(part: nn.Module, path: Path) -> None:
        truth, made = part.samples(data)  # type: ignore[operator]
        save_curves(truth, made, path)

    run.train(draw, log, sample)
    return run.average.eval().cpu()  # type: ignore[return-value]


def train_stage(config: ModelConfig, settings: FlowSettings, folder: Path, log: Callable[[str], None]) -> SpeechPart:
    """The whole of stage 2, from nothing or from where the last run in ``folder`` stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    with processes().main_process_first():  # the others find it made
        corpus = speech_corpus(settings.speech, "train", log)
    audio = train_audio(config, settings.audio, corpus, folder, log)
    emotion = train_emotion(config, settings.emotion, corpus, folder, log)
    with processes().main_process_first():
        heard = heard_corpus(corpus, audio, emotion, folder, log)
    data = FlowData(corpus, heard, named_basis(config), config)
    return SpeechPart(config, audio, emotion, train_flow(config, settings.field, data, audio, folder, log))


class SpeechPart(nn.Module):
    """Stage 2's share of a FloatModel, under its names: ``state_dict`` goes into the weights as it is."""

    def __init__(self, config: ModelConfig, audio: AudioEncoder, emotion: EmotionEncoder, flow: FlowPart):
        super().__init__()
        self.config = config
        self.audio_encoder, self.emotion_encoder = copy.deepcopy(audio), emotion
        self.audio_encoder.projection, self.audio_encoder.norm = flow.projection, flow.norm
        self.field, self.basis = flow.field, flow.basis
        self.eval().requires_grad_(False)
