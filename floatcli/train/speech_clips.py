"""Clips of synthetic speech with everything the face does: made by seed, kept on disk as arrays."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from floatcli.config import EMOTIONS
from floatcli.files import holds, make_folder, replacing
from floatcli.train.arrays import Kinds, filling, mapped
from floatcli.train.parameters import PARAMETERS
from floatcli.train.speech_emotions import draw_emotion, draw_prosody
from floatcli.train.speech_engine import ENGINE_RATE, Phone, SpeechEngine, VoiceSettings
from floatcli.train.speech_face import draw_pose, face_motion, portrait_state
from floatcli.train.speech_text import HELD_OUT_SENTENCES, something_to_say
from floatcli.train.speech_visemes import lip_curves, phone_classes
from floatcli.train.speech_voice import background, change_speed, record, reshape_voice, roughen, tremble

SPLITS = ("train", "sentences", "voices", "rooms")  # rooms: held-out voices, recorded as badly as in training
_ENGLISH = (
    "en", "en-us", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc",
    "en-029",
)  # fmt: skip
_FOREIGN = (
    "de",
    "fr",
    "es",
    "pt-br",
    "nl",
    "pl",
    "fi",
    "hu",
    "hr",
    "ca",
    "lv",
    "eo",
    "sw",
    "id",
    "et",
    "ro",
    "sk",
)
_VARIANTS = (
    "Alex", "Andrea", "Annie", "AnxiousAndy", "Denis", "Diogo", "Gene", "Gene2", "Henrique", "Hugo",
    "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "Nguyen", "Reed", "RicishayMax", "Tweaky", "adam",
    "anika", "announcer", "antonio", "aunty", "benjamin", "boris", "caleb", "croak", "david", "ed",
    "edward", "f1", "f3", "f4", "f5", "grandma", "grandpa", "gustave", "ian", "iven", "iven3", "john",
    "kaukovalta", "klatt", "klatt2", "klatt4", "klatt6", "linda", "m1", "m2", "m4", "m5", "m6", "m7", "m8",
    "marcelo", "michel", "miguel", "mike2", "norbert", "pablo", "paul", "pedro", "rob", "robert",
    "robosoft2", "robosoft5", "sandro", "shelby", "steph", "steph3", "travis", "victor", "whisper", "zac",
)  # fmt: skip
_UNSEEDED = ("Reed", "caleb")  # whose hiss comes from a generator that no seed reaches
_HELD_OUT_VARIANTS = (
    "m3", "f2", "Andy", "Alicia", "Storm", "belinda", "quincy", "klatt3", "klatt5", "steph2", "whisperf",
    "max", "Mr serious", "iven2", "edward2", "RicishayMax3", "robosoft7",
)  # fmt: skip
_HELD_OUT_LANGUAGES = ("en", "en-us", "en-gb-x-rp", "sv", "it", "cs")


@dataclass(frozen=True)
class SpeechConfig:
    """Place, size and seed of a speech corpus."""

    folder: str = "runs/speech"
    seed: int = 1
    clips: int = 8000  # 0: others all the time, made while training learns from them
    held_out_clips: int = 60  # of each of the three held-out splits
    seconds: int = 8
    fps: int = 25
    sample_rate: int = 16000
    quiet_share: float = 0.04  # training clips without speech: room noise or digital silence
    faces_apart: float = 0.5  # training clips whose face shows another emotion than the voice

    def __post_init__(self) -> None:
        least = {"seed": 0, "clips": 0, "held_out_clips": 1, "seconds": 1, "fps": 1, "sample_rate": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} is {getattr(self, name)}, not at least {value}")

    @property
    def frames(self) -> int:
        return self.seconds * self.fps

    @property
    def samples(self) -> int:
        return self.seconds * self.sample_rate


class Clip(NamedTuple):
    """waveform (samples,) float32; motion (frames, 20) parameters; portrait (20,); phone classes (frames,).

    ``emotion`` is the face's, ``manner`` the voice's: indices into EMOTIONS.
    """

    waveform: np.ndarray
    motion: np.ndarray
    portrait: np.ndarray
    emotion: int
    manner: int
    phones: np.ndarray


def make_clip(config: SpeechConfig, split: str, index: int) -> Clip:
    """Clip ``index`` of a split; the same for the same seed and espeak-ng.

    In half of the training clips the face shows an emotion of its own, whatever the voice does: else a field that
    hears the manner of speaking has no reason to heed the emotion it is told.
    The hiss of two variants (3 clips of a hundred) escapes the seed, and loudness with it; phonemes and times do not.
    Speech without end goes without them.
    """
    rng = np.random.default_rng((config.seed, SPLITS.index(split), index))
    manner = draw_emotion(rng)
    pose = draw_pose(rng)
    no_phones: tuple[Phone, ...] = ()
    if split == "train" and rng.random() < config.quiet_share:
        manner, phones = "neutral", no_phones
        waveform = 10 ** -rng.uniform(0.5, 4) * background(config.samples, config.sample_rate, rng)
        waveform = np.clip(waveform, -1, 1) if rng.random() < 0.75 else np.zeros_like(waveform)
        loudness = np.zeros(config.frames)
    else:
        clean, phones = _speak(config, split, manner, rng)
        loudness = _loudness(clean, config.frames)
        studio = split in ("sentences", "voices")
        waveform = 0.7 * clean / np.abs(clean).max() if studio else record(clean, config.sample_rate, rng)
    lips = lip_curves(phones, loudness, config.frames, config.fps)
    apart = split == "train" and rng.random() < config.faces_apart
    emotion = draw_emotion(rng) if apart else manner
    motion = face_motion(lips, loudness, emotion, pose, config.fps, rng)
    labels = phone_classes(phones, config.frames, config.fps)
    return Clip(waveform, motion, portrait_state(pose, rng), EMOTIONS.index(emotion), EMOTIONS.index(manner), labels)


def _speak(
    config: SpeechConfig, split: str, emotion: str, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[Phone, ...]]:
    """Sentences with pauses until the clip is full, before any microphone; phonemes in its own time."""
    manner = draw_prosody(emotion, rng)
    speed, formants = rng.uniform(0.88, 1.15), rng.uniform(0.85, 1.2)
    language, voice = _draw_voice(config, split, manner, rng)
    pieces: list[np.ndarray] = []
    phones: list[Phone] = []
    at, length = 0.0, config.seconds * speed
    pause = rng.uniform(0.1, 1.5) if rng.random() < 0.85 else rng.uniform(1.5, 4.0)
    with SpeechEngine(int(rng.integers(2**31))) as engine:
        while at < length:
            pieces.append(np.zeros(int(pause * ENGINE_RATE), np.float32))
            at += len(pieces[-1]) / ENGINE_RATE
            said = engine.say(_draw_text(split, language, emotion, rng), voice)
            phones += [p._replace(start=p.start + at, end=p.end + at) for p in said.phones]
            fade = np.linspace(0.5, -0.5, len(said.waveform)) * -manner["fade"]
            pieces.append(said.waveform * 10 ** (fade / 20).astype(np.float32))
            at += len(said.waveform) / ENGINE_RATE
            pause = manner["pause"] * rng.uniform(0.6, 1.4)
    rate = config.sample_rate
    waveform, exact = change_speed(np.concatenate(pieces), ENGINE_RATE, rate, speed)
    waveform = np.pad(waveform[: config.samples], (0, max(0, config.samples - len(waveform))))
    waveform = reshape_voice(waveform, rate, formants, manner["breath"], manner["tilt"], rng)
    if manner["tremor"] > 0:
        waveform = tremble(waveform, rate, manner["tremor"], rng)
    if manner["roughness"] > 0:
        waveform = roughen(waveform, rate, manner["roughness"], rng)
    return waveform, tuple(p._replace(start=p.start / exact, end=p.end / exact) for p in phones)


def _draw_voice(
    config: SpeechConfig, split: str, manner: dict[str, float], rng: np.random.Generator
) -> tuple[str, VoiceSettings]:
    if split in ("voices", "rooms"):
        language, variant = str(rng.choice(_HELD_OUT_LANGUAGES)), str(rng.choice(_HELD_OUT_VARIANTS))
    else:
        foreign = split == "train" and rng.random() < 0.22
        language = str(rng.choice(_FOREIGN if foreign else _ENGLISH))
        # What is made anew should be the same, as far as espeak-ng goes, when a run that was stopped makes it again.
        variants = _VARIANTS if config.clips else [name for name in _VARIANTS if name not in _UNSEEDED]
        variant = str(rng.choice(variants)) if rng.random() < 0.92 else ""
    return language, VoiceSettings(
        name=f"{language}+{variant}" if variant else language,
        rate=int(np.clip(rng.uniform(150, 180) * manner["rate"], 80, 300)),
        pitch=int(np.clip(50 + manner["pitch"] + rng.uniform(-6, 6), 0, 99)),
        pitch_range=int(manner["pitch_range"]),
    )


def _draw_text(split: str, language: str, emotion: str, rng: np.random.Generator) -> str:
    english = language.startswith("en")
    if split != "train" and english:
        return str(rng.choice(HELD_OUT_SENTENCES))
    return something_to_say(rng, english, emotion)


def _loudness(waveform: np.ndarray, frames: int) -> np.ndarray:
    """Root mean square of each frame, 1 at the clip's loud syllables."""
    level = np.sqrt(np.mean(waveform.reshape(frames, -1) ** 2, 1))
    return np.clip(level / (np.quantile(level, 0.95) + 1e-6), 0, 1)


class SpeechCorpus:
    """Clips of one split as arrays, mostly mapped from disk; motion and portrait in renderer parameters."""

    waveform: np.ndarray  # (clips, samples) int16
    motion: np.ndarray  # (clips, frames, 20) float32
    portrait: np.ndarray  # (clips, 20) float32
    emotion: np.ndarray  # (clips,) int64, of the face
    manner: np.ndarray  # (clips,) int64, of the voice
    phones: np.ndarray  # (clips, frames) int64

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        for name in Clip._fields:
            setattr(self, name, arrays[name])

    @classmethod
    def on_disk(cls, folder: Path) -> SpeechCorpus:
        """What ``speech_corpus`` made. Raises InputError where it is damaged."""
        hint = f"remove {folder}, and it is made again"
        return cls({name: mapped(folder / f"{name}.npy", hint) for name in Clip._fields})

    @classmethod
    def of(cls, clips: Sequence[Clip]) -> SpeechCorpus:
        """Clips that are held in memory."""
        columns = dict(zip(Clip._fields, map(np.stack, zip(*clips, strict=True)), strict=True))
        return cls(columns | {"waveform": _as_kept(columns["waveform"])})

    def __len__(self) -> int:
        return len(self.waveform)

    def sound(self, index: int) -> np.ndarray:
        """Waveform (samples,) float32 in [-1, 1]."""
        return self.waveform[index].astype(np.float32) / 32767

    def among(self, count: int, rng: np.random.Generator) -> SpeechCorpus:
        """The clips of which ``count`` are to be drawn."""
        return self

    def examples(self, count: int) -> SpeechCorpus:
        """Clips of which the first ``count`` are the same every time."""
        return self


class SpeechAnew:
    """Speech without end: training clips that nobody has heard, made when they are asked for (0.1 s each)."""

    def __init__(self, config: SpeechConfig):
        self.config = config

    def among(self, count: int, rng: np.random.Generator) -> SpeechCorpus:
        """``count`` new clips."""
        return SpeechCorpus.of([make_clip(self.config, "train", int(rng.integers(2**62))) for _ in range(count)])

    def examples(self, count: int) -> SpeechCorpus:
        """The first ``count``, the same every time."""
        return SpeechCorpus.of([make_clip(self.config, "train", index) for index in range(count)])


def training_speech(config: SpeechConfig, log: Callable[[str], None]) -> SpeechCorpus | SpeechAnew:
    """What training learns from: clips that are made first, or without end."""
    return speech_corpus(config, "train", log) if config.clips else SpeechAnew(config)


def _as_kept(waveform: np.ndarray) -> np.ndarray:
    """Samples as int16."""
    return np.round(waveform * 32767).astype(np.int16)


def speech_corpus(config: SpeechConfig, split: str, log: Callable[[str], None] = lambda line: None) -> SpeechCorpus:
    """The corpus in ``config.folder/split``; made first (about 0.1 s a clip) unless the same one is there already."""
    place = Path(config.folder) / split
    stamp = json.dumps({key: value for key, value in dataclasses.asdict(config).items() if key != "folder"})
    made = place / "made.json"
    if holds(made, stamp):
        return SpeechCorpus.on_disk(place)
    count = config.clips if split == "train" else config.held_out_clips
    make_folder(place, "name another folder under [flow.speech]")
    with filling(place, _kinds(config, count)) as arrays, multiprocessing.get_context("spawn").Pool() as pool:
        for index, clip in enumerate(pool.imap(partial(make_clip, config, split), range(count), chunksize=4)):
            for name, value in clip._asdict().items():
                arrays[name][index] = _as_kept(value) if name == "waveform" else value
            if (index + 1) % 200 == 0:
                log(f"speech ({split}): {index + 1} of {count} clips")
    with replacing(made) as temporary:
        temporary.write_text(stamp)
    return SpeechCorpus.on_disk(place)


def _kinds(config: SpeechConfig, count: int) -> Kinds:
    """What ``SpeechCorpus`` is made of."""
    return {
        "waveform": (np.int16, (count, config.samples)),
        "motion": (np.float32, (count, config.frames, len(PARAMETERS))),
        "portrait": (np.float32, (count, len(PARAMETERS))),
        "emotion": (np.int64, (count,)),
        "manner": (np.int64, (count,)),
        "phones": (np.int64, (count, config.frames)),
    }
