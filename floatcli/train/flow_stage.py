"""Stage 2: flow matching of motion given speech, emotion and the portrait (SPEC section 7).

The embedded set's motion is made of named coefficients, so this stage needs no pictures: x_1 is the true
coefficients in the basis. Of clips of videos it is what the frozen motion encoder has read. The encoders are frozen but
for the audio projection.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
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
from floatcli.models.float_model import FloatModel
from floatcli.models.fmt import VectorField
from floatcli.models.motion_basis import MotionBasis
from floatcli.train.audio_stage import listener, train_audio, train_emotion
from floatcli.train.cached_data import open_cache
from floatcli.train.dropout import Dropout, dropped
from floatcli.train.flow_data import (
    EMOTION_SOURCES,
    MIXED,
    NONE,
    FlowAnew,
    FlowBatch,
    FlowData,
    MotionData,
    heard_corpus,
)
from floatcli.train.frozen import frozen_model, named_basis
from floatcli.train.initial import begin
from floatcli.train.learning import Learning
from floatcli.train.loop import Losses, Run, processes
from floatcli.train.loop_config import LoopConfig
from floatcli.train.sample_video import Example, SampleVideo, kept_example
from floatcli.train.sheets import save_curves
from floatcli.train.speech_clips import SpeechAnew, SpeechConfig, SpeechCorpus, training_speech
from floatcli.train.speech_visemes import LIPS

_LIP_WEIGHT, _REST_WEIGHT = 2.0, 0.25  # of lip coefficients, and of what lies outside the basis
_CHANCE = ("lid_left", "lid_right", "gaze_x", "gaze_y", *POSE)  # coefficients that speech does not decide


@dataclass(frozen=True)
class FlowSettings:
    """Everything stage 2 is made from: the speech, and the loop of each network in turn."""

    speech: SpeechConfig = SpeechConfig()
    audio: LoopConfig = LoopConfig()
    emotion: LoopConfig = LoopConfig()
    field: LoopConfig = LoopConfig()
    dropout: Dropout = Dropout()
    emotion_from: str = MIXED  # mixed, speech, labels or none: see ``flow_data``
    workers: int = 0  # processes that make speech without end (``speech.clips`` = 0) ahead

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"workers are {self.workers}, not 0 or more")
        if self.emotion_from not in EMOTION_SOURCES:
            raise ValueError(f"emotion_from is {self.emotion_from!r}, not one of {', '.join(EMOTION_SOURCES)}")


class FlowPart(nn.Module):
    """What stage 2 trains: the audio projection and the vector field. The basis is frozen."""

    weights: Tensor

    def __init__(self, config: ModelConfig, audio: AudioEncoder, basis: MotionBasis, dropout: Dropout = Dropout()):
        super().__init__()
        self.config, self.dropout = config, dropout
        self.projection, self.norm = copy.deepcopy(audio.projection), copy.deepcopy(audio.norm)
        self.requires_grad_(True)
        self.field = VectorField(config)
        self.basis = copy.deepcopy(basis).requires_grad_(False)
        names = config.coefficient_names
        weights = torch.tensor([_LIP_WEIGHT if name in LIPS else 1.0 for name in names])
        self.register_buffer("weights", weights, persistent=False)
        self.chance = [k for k, name in enumerate(names) if name in _CHANCE]

    @torch.no_grad()
    def forget_emotion(self) -> None:
        """Have emotion no effect: its columns start at zero, where training without emotion leaves them."""
        before = self.config.motion_dim + self.config.audio_dim
        self.field.condition_in.weight[:, before : before + len(self.config.emotions)] = 0

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
    def samples(self, data: MotionData) -> tuple[Tensor, Tensor]:
        """Coefficients (clips, T, M) of the data's examples, as they are and as sampled."""
        given = data.examples()
        pose = given.pose if self.config.field.pose else None
        told = given.ref_motion, self.hear(given.features), given.emotion, SampleConfig(), self.config
        made = sample_motion(self.field, *told, pose=pose)
        return self.basis.coefficients(given.motion), self.basis.coefficients(torch.cat(list(made), 1))

    def _condition(self, batch: FlowBatch, preceding: Tensor) -> WindowCondition:
        """The batch's conditions with random ones left out."""
        audio, before = self.hear(batch.features), preceding.shape[1]
        condition = WindowCondition(
            ref_motion=batch.ref_motion,
            preceding_motion=preceding,
            preceding_audio=audio[:, :before],
            audio=audio[:, before:],
            emotion=batch.emotion,
            pose=self.field.pose_in(batch.pose) if self.field.pose_in else None,
        )
        return dropped(condition, batch.first, self.dropout)

    def _size(self, error: Tensor) -> Tensor:
        """Size of an error in motion (..., D): L1, as in the paper, where coefficients have no names.

        Where they have, L1 weighted by coefficient, but squares for what is left to chance. Under L1 the best field is
        the median, and the median of a face that blinks one frame in eight never blinks. The mean, which squares ask
        for, carries noise to the true distribution.
        """
        if not self.config.coefficient_names:
            return error.float().abs().mean()
        coeffs = self.basis.coefficients(error).float()
        outside = error - self.basis.motion(coeffs)
        sizes = coeffs.abs() * self.weights
        sizes[..., self.chance] = coeffs[..., self.chance] ** 2
        return sizes.mean() + _REST_WEIGHT * outside.abs().mean()


def flow_part(
    config: ModelConfig, settings: FlowSettings, audio: AudioEncoder, basis: MotionBasis, init: FloatModel | None
) -> FlowPart:
    """What stage 2 starts from: the weights of ``init``, or a new field on the projection of ``audio``."""
    torch.manual_seed(settings.field.seed)
    part = FlowPart(config, audio, basis, settings.dropout)
    begin("flow", part, init)
    if settings.emotion_from == NONE:
        part.forget_emotion()
    return part


@dataclass(frozen=True)
class DrawWindows:
    """What the field learns from: windows of motion, and what is said meanwhile."""

    data: MotionData
    batch: int

    def __call__(self, rng: np.random.Generator) -> tuple[FlowBatch]:
        """A batch, as ``FlowPart.losses`` takes it."""
        return (self.data.draw(self.batch, rng),)


def train_flow(
    part: FlowPart,
    loop: LoopConfig,
    data: MotionData,
    folder: Path,
    log: Callable[[str], None],
    video: SampleVideo | None = None,
    workers: int = 0,
) -> FlowPart:
    """Trains field and projection; resumes from its last checkpoint in ``folder`` and returns the running average."""
    run = Run("flow", part, loop, folder)

    def sample(part: nn.Module, path: Path) -> None:
        truth, made = part.samples(data)  # type: ignore[operator]
        save_curves(truth, made, path)
        if video is not None:
            video.save(path.with_suffix(".mp4"), log)
        if data.held_out is not None:
            log(f"flow, held out: {_told(part, data.held_out, loop.batch)}")

    run.train(DrawWindows(data, loop.batch), log, sample, workers)
    return run.average.eval().cpu()  # type: ignore[return-value]


@torch.no_grad()
def _told(part: nn.Module, data: MotionData, batch: int, batches: int = 8) -> str:
    """Mean losses of windows that are the same every time."""
    torch.manual_seed(0)
    rng, totals = np.random.default_rng(0), dict[str, float]()
    for _ in range(batches):
        for name, loss in part.losses(data.draw(batch, rng)).items():  # type: ignore[operator]
            totals[name] = totals.get(name, 0.0) + loss.item() / batches
    return "  ".join(f"{name} {mean:.4f}" for name, mean in totals.items())


def check_networks(
    names: Sequence[str], config: ModelConfig, settings: FlowSettings, folder: Path, init: FloatModel | None
) -> None:
    """Networks of stage 2, "audio", "emotion" and "flow", can go on from what is in ``folder``, or start.

    Raises:
        InputError: A checkpoint can't be used, or the model tells other emotions than those of synthetic speech.
        WeightsError: Those of ``init`` are of other sizes.
    """
    for name in names:
        loop: LoopConfig = settings.field if name == "flow" else getattr(settings, name)
        part: nn.Module
        if name == "flow":
            part = flow_part(config, settings, AudioEncoder(config), MotionBasis(config), init)
        else:
            part = listener(name, config, loop.seed, init)
        Learning(name, part, loop, folder)


def train_encoder(
    name: str,
    config: ModelConfig,
    settings: FlowSettings,
    folder: Path,
    log: Callable[[str], None],
    init: FloatModel | None = None,
) -> None:
    """Trains one of the networks that listen, "audio" or "emotion", on the synthetic corpus."""
    train = {"audio": train_audio, "emotion": train_emotion}[name]
    speech = _speech(settings, folder, log)
    train(config, getattr(settings, name), speech, folder, log, init, _ahead(settings))


def train_on_corpus(
    config: ModelConfig,
    settings: FlowSettings,
    folder: Path,
    log: Callable[[str], None],
    init: FloatModel | None = None,
) -> None:
    """Stage 2 on the synthetic corpus's curves, for a basis that the renderer's parameters are named after."""
    speech, workers = _speech(settings, folder, log), _ahead(settings)
    audio = train_audio(config, settings.audio, speech, folder, log, init, workers)
    emotion = train_emotion(config, settings.emotion, speech, folder, log, init, workers)
    basis = named_basis(config)
    data: MotionData
    if isinstance(speech, SpeechAnew):
        data = FlowAnew(speech, audio, emotion, basis, config, settings.emotion_from)
    else:
        with processes().main_process_first():
            heard = heard_corpus(speech, audio, emotion, folder, log)
        data = FlowData(speech, heard, basis, config, settings.emotion_from)
    video = SampleVideo(config, folder, init, _said_by_a_drawing(speech.examples(1)))
    train_flow(flow_part(config, settings, audio, basis, init), settings.field, data, folder, log, video, workers)


def _said_by_a_drawing(corpus: SpeechCorpus) -> Example | None:
    """The corpus's first clip and a drawn face to say it; None where nothing can be drawn."""
    try:
        from floatcli.train.drawn import draw, random_identity
    except ImportError:
        return None
    face = draw(random_identity(np.random.default_rng(0)), np.asarray(corpus.portrait[0]), 256)
    return Example(face.picture, corpus.sound(0))


def _speech(settings: FlowSettings, folder: Path, log: Callable[[str], None]) -> SpeechCorpus | SpeechAnew:
    folder.mkdir(parents=True, exist_ok=True)
    with processes().main_process_first():  # the others find it made
        return training_speech(settings.speech, log)


def _ahead(settings: FlowSettings) -> int:
    """Processes that make speech ahead; what lies on disk is there at once."""
    return 0 if settings.speech.clips else settings.workers


def train_on_clips(
    config: ModelConfig,
    settings: FlowSettings,
    cache: Path,
    folder: Path,
    log: Callable[[str], None],
    init: FloatModel | None = None,
) -> None:
    """Stage 2 on what ``floatcli train cache`` made, with the encoders that it was made with.

    Raises:
        InputError: the cache is missing, stale or damaged, or lacks labels or poses that are asked for.
    """
    frozen = frozen_model(config, folder, init)
    data = open_cache(cache, frozen, settings.emotion_from)
    part = flow_part(config, settings, frozen.audio_encoder, frozen.basis, init)
    video = SampleVideo(config, folder, init, kept_example(cache, log))
    train_flow(part, settings.field, data, folder, log, video)
