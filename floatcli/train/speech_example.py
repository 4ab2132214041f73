"""``python -m floatcli.train.speech_example OUT.wav``: the short speech that ships in ``examples/``."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np

from floatcli.train.speech_engine import ENGINE_RATE, SpeechEngine, VoiceSettings
from floatcli.train.speech_voice import change_speed

_RATE = 16000
_SENTENCES = (
    "Hello! I am only a picture, but give me a voice,",
    "and I open my mouth, move my head, and blink.",
)
_VOICE = VoiceSettings("en-gb-x-rp+f3", rate=160, pitch=45, pitch_range=60)
_BEFORE, _BETWEEN, _AFTER = 0.4, 0.7, 0.4  # seconds of silence


def example_speech() -> np.ndarray:
    """Float32 (samples,) at 16 kHz: silence, a sentence, a pause, another, silence."""
    with SpeechEngine() as engine:
        said = [_trimmed(engine.say(sentence, _VOICE).waveform) for sentence in _SENTENCES]
    first, second = (change_speed(sound, ENGINE_RATE, _RATE, 1.0)[0] for sound in said)
    before, between, after = (np.zeros(int(s * _RATE), np.float32) for s in (_BEFORE, _BETWEEN, _AFTER))
    speech = np.concatenate([before, first, between, second, after])
    return 0.7 * speech / np.abs(speech).max()


def _trimmed(waveform: np.ndarray) -> np.ndarray:
    """Without the silence at its ends."""
    heard = np.flatnonzero(np.abs(waveform) > 1e-3)
    return waveform[heard[0] : heard[-1] + 1]


def write_example(path: Path) -> None:
    """Writes the example as 16-bit mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes((example_speech() * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    write_example(Path(sys.argv[1]))
