"""How well speech moves the face: figures of a trained stage 2 on sentences and voices it never heard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from floatcli.config import POSE, ModelConfig, SampleConfig
from floatcli.evaluate.curves import correlations, count_spells
from floatcli.flow.sampler import sample_motion
from floatcli.models.audio_encoder import AudioEncoder
from floatcli.models.conditions import normalise_waveform
from floatcli.models.emotion_encoder import EmotionEncoder
from floatcli.models.fmt import VectorField
from floatcli.models.motion_basis import MotionBasis
from floatcli.train.parameters import HIGH, INDEX, LOW, SCALE
from floatcli.train.speech_clips import SpeechCorpus
from floatcli.train.speech_emotions import emotion_face
from floatcli.train.speech_voice import coloured_noise

_TOLD = ("smile", "brow_left", "furrow", "sneer", "lid_left")  # what tells emotions apart


class Speaker(NamedTuple):
    """The networks that speech goes through, on its way to renderer parameters."""

    config: ModelConfig
    audio_encoder: AudioEncoder
    emotion_encoder: EmotionEncoder
    field: VectorField
    basis: MotionBasis

    @torch.inference_mode()
    def speak(
        self,
        sounds: np.ndarray,
        portraits: np.ndarray,
        emotion: str | None = None,
        sampling: SampleConfig | None = None,
    ) -> np.ndarray:
        """Parameters (clips, T, 20) of a face with portraits (clips, 20) that says sounds (clips, samples).

        The emotion is heard unless it is named. Noise differs from clip to clip.
        """
        sampling = sampling or SampleConfig()
        waveform = normalise_waveform(torch.from_numpy(sounds))
        frames = sounds.shape[1] * self.config.fps // self.config.sample_rate
        labels = self.config.emotions
        told = torch.eye(len(labels))[labels.index(emotion)].expand(len(sounds), -1) if emotion else None
        ref_motion = self.basis.motion(torch.from_numpy(portraits / SCALE))
        windows = sample_motion(
            self.field,
            ref_motion,
            self.audio_encoder(waveform, frames),
            self.emotion_encoder(waveform) if told is None else told,
            sampling,
            self.config,
            _noises(len(sounds), self.config, sampling.seed),
        )
        coeffs = self.basis.coefficients(torch.cat(list(windows), 1))
        return np.clip(coeffs.numpy() * SCALE, LOW, HIGH)


def speaker(config: ModelConfig, networks: nn.Module) -> Speaker:
    """The speaker in anything that holds the networks under FloatModel's names."""
    parts = [getattr(networks, name) for name in Speaker._fields[1:]]
    return Speaker(config, *parts)


def _noises(clips: int, config: ModelConfig, seed: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(clips, config.window, config.motion_dim, generator=generator)


def evaluate_speech(speaker: Speaker, corpora: dict[str, SpeechCorpus], clips: int = 40) -> dict[str, float]:
    """All figures, in renderer parameters; names begin with the corpus they are of.

    Args:
        corpora: held-out splits by name, such as ``{"sentences": ..., "voices": ...}``.
        clips: of each split, the first ones.
    """
    figures: dict[str, float] = {}
    for name, corpus in corpora.items():
        for key, value in _held_out(speaker, corpus, min(clips, len(corpus))).items():
            figures[f"{name}.{key}"] = value
    first = next(iter(corpora.values()))
    figures.update(_quiet(speaker, first.portrait[:8]))
    figures.update(_emotions(speaker, first, min(10, len(first))))
    return figures


def _held_out(speaker: Speaker, corpus: SpeechCorpus, clips: int) -> dict[str, float]:
    sounds = np.stack([corpus.sound(i) for i in range(clips)])
    truth, portraits = np.asarray(corpus.motion[:clips]), np.asarray(corpus.portrait[:clips])
    made = speaker.speak(sounds, portraits)
    jaw, true_jaw = made[..., INDEX["jaw"]], truth[..., INDEX["jaw"]]
    matched = correlations(jaw, true_jaw)
    rounded = correlations(made[..., INDEX["round"]], truth[..., INDEX["round"]])
    pressed = correlations(made[..., INDEX["lip_press"]], truth[..., INDEX["lip_press"]])
    silent = (true_jaw == 0) & (truth[..., INDEX["lip_press"]] == 0)
    return {
        "jaw_r": float(matched.mean()),
        "jaw_r_median": float(np.median(matched)),
        "jaw_r_worst": float(matched.min()),
        "jaw_r_wrong_audio": float(correlations(jaw, np.roll(true_jaw, 1, 0)).mean()),
        "jaw_size": float(jaw.std() / true_jaw.std()),
        "jaw_mean": float(jaw.mean() / true_jaw.mean()),
        "jaw_in_pauses": float(jaw[silent].mean()),
        "round_r": float(rounded.mean()),
        "lip_press_r": float(pressed.mean()),
        **_liveliness(made, portraits, speaker.config.fps, "made"),
        **_liveliness(truth, portraits, speaker.config.fps, "true"),
        "seam": seam(made, speaker.config.window),
        "emotion_accuracy": _emotion_accuracy(speaker.emotion_encoder, corpus),
    }


def _emotion_accuracy(encoder: EmotionEncoder, corpus: SpeechCorpus, at_once: int = 20) -> float:
    """Share of all clips whose emotion is heard right."""
    correct = 0
    for start in range(0, len(corpus), at_once):
        clips = range(start, min(start + at_once, len(corpus)))
        waveform = normalise_waveform(torch.from_numpy(np.stack([corpus.sound(i) for i in clips])))
        with torch.inference_mode():
            heard = encoder(waveform).argmax(-1).numpy()
        correct += int((heard == corpus.manner[start : start + at_once]).sum())
    return correct / len(corpus)


def blink_count(lid: np.ndarray) -> int:
    """Times that a lid (T,) comes down past .7."""
    return count_spells(lid > 0.7)


def seam(motion: np.ndarray, window: int) -> float:
    """Step between windows over the usual step from frame to frame: 1 where no seam can be told."""
    steps = np.abs(np.diff(motion / SCALE, axis=1)).mean((0, 2))
    at = np.arange(window - 1, len(steps), window)
    return float(steps[at].mean() / np.delete(steps, at).mean())


def _liveliness(motion: np.ndarray, portraits: np.ndarray, fps: int, whose: str) -> dict[str, float]:
    lids = motion[..., INDEX["lid_left"]]
    pose = [INDEX[name] for name in POSE]
    minutes = lids.size / fps / 60
    return {
        f"blinks_a_minute_{whose}": sum(blink_count(lid) for lid in lids) / minutes,
        f"lid_peak_{whose}": float(np.median(lids.max(1))),
        f"head_motion_{whose}": float(motion[..., pose].std(1).mean()),
        f"head_offset_{whose}": float(np.abs(motion[..., pose].mean(1) - portraits[:, pose]).mean()),
        f"gaze_motion_{whose}": float(motion[..., INDEX["gaze_x"]].std(1).mean()),
    }


def _quiet(speaker: Speaker, portraits: np.ndarray) -> dict[str, float]:
    """Mouths over digital silence and over faint noise, which normalisation makes loud."""
    samples = 6 * speaker.config.sample_rate
    rng = np.random.default_rng(0)
    noise = 1e-3 * np.stack([coloured_noise(samples, k % 3, rng) for k in range(len(portraits))])
    silence = speaker.speak(np.zeros_like(noise), portraits)
    hiss = speaker.speak(noise, portraits)
    jaw = INDEX["jaw"]
    return {
        "silence.jaw": float(silence[..., jaw].mean()),
        "silence.jaw_highest": float(silence[..., jaw].max()),
        "noise.jaw": float(hiss[..., jaw].mean()),
        "noise.jaw_highest": float(hiss[..., jaw].max()),
    }


def _emotions(speaker: Speaker, corpus: SpeechCorpus, clips: int) -> dict[str, float]:
    """What a named emotion adds to the neutral face, over what it should add, where that is at least .2."""
    sounds = np.stack([corpus.sound(i) for i in range(clips)])
    portraits = np.asarray(corpus.portrait[:clips])
    faces = {name: speaker.speak(sounds, portraits, name).mean((0, 1)) for name in speaker.config.emotions}
    shifts = {}
    for emotion, face in faces.items():
        wanted = emotion_face(emotion) - emotion_face("neutral")
        for name in _TOLD:
            k = INDEX[name]
            if abs(wanted[k]) >= 0.2:
                shifts[f"{emotion}.{name}"] = float((face[k] - faces["neutral"][k]) / wanted[k])
    return shifts
