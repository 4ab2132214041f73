"""espeak-ng through ctypes: text to a waveform with the sample at which every phoneme starts."""

from __future__ import annotations

import _ctypes
import ctypes
import sys
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from floatcli.errors import UsageError

ENGINE_RATE = 22050  # samples per second of every espeak-ng voice
_RATE, _PITCH, _RANGE, _WORD_GAP = 1, 3, 4, 7  # espeak_PARAMETER
_SYNCHRONOUS, _CHARACTERS, _UTF8 = 2, 1, 1
_IPA_EVENTS, _DO_NOT_EXIT = 0x3, 0x8000
_PHONEME = 7  # espeak_EVENT_TYPE
_STRESS = "\u02c8\u02cc"  # primary, secondary


class VoiceSettings(NamedTuple):
    """How one utterance is spoken, in espeak-ng's units."""

    name: str = "en-us"  # language, or language+variant
    rate: int = 165  # words per minute
    pitch: int = 50  # 0..100
    pitch_range: int = 50  # 0..100
    word_gap: int = 0  # 10 ms each


class Phone(NamedTuple):
    """One phoneme: IPA without stress marks ("" is a pause), seconds, primary or secondary stress."""

    ipa: str
    start: float
    end: float
    stressed: bool = False


class Utterance(NamedTuple):
    """Waveform float32 (samples,) in [-1, 1] with its rate, and its phonemes without gaps."""

    waveform: np.ndarray
    sample_rate: int
    phones: tuple[Phone, ...]


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class SpeechEngine:
    """One freshly loaded library, as a context: its oscillators carry over from one utterance to the next.

    A seed therefore gives the same sounds only to the same utterances in the same order from the start.
    The library holds one voice and one callback for the whole process: one engine at a time.

    Raises:
        UsageError: espeak-ng is not installed, or cannot read its data.
    """

    def __init__(self, seed: int = 0) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise UsageError("espeak-ng is not installed", "pip install 'floatcli[train]' brings it") from error
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._pieces: list[np.ndarray] = []
        self._starts: list[tuple[int, str]] = []
        self._callback = _Callback(self._receive)  # kept here: the library stores a bare pointer
        data = espeakng_loader.get_data_path()
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _IPA_EVENTS | _DO_NOT_EXIT) <= 0:
            raise UsageError(f"espeak-ng cannot read its data in {data}", "reinstall espeakng-loader")
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))

    def __enter__(self) -> SpeechEngine:
        return self

    def __exit__(self, *failure: object) -> None:
        """Unloads the library, static variables and all."""
        self._library.espeak_Terminate()
        unload = "FreeLibrary" if sys.platform == "win32" else "dlclose"
        getattr(_ctypes, unload)(self._library._handle)

    def say(self, text: str, voice: VoiceSettings) -> Utterance:
        """Speaks a text. Raises ValueError where the voice does not exist or says nothing."""
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise ValueError(f"no espeak-ng voice {voice.name!r}")
        settings = {
            _RATE: voice.rate,
            _PITCH: voice.pitch,
            _RANGE: voice.pitch_range,
            _WORD_GAP: voice.word_gap,
        }
        for parameter, value in settings.items():
            self._library.espeak_SetParameter(parameter, int(value), 0)
        self._pieces, self._starts = [], []
        data = text.encode() + b"\0"
        self._library.espeak_Synth(
            ctypes.c_char_p(data), ctypes.c_size_t(len(data)), 0, _CHARACTERS, 0, _UTF8, None, None
        )
        self._library.espeak_Synchronize()
        if not self._pieces:
            raise ValueError(f"{voice.name!r} says nothing for {text!r}")
        waveform = np.concatenate(self._pieces).astype(np.float32) / 32768
        return Utterance(waveform, ENGINE_RATE, _phones(self._starts, len(waveform)))

    def _receive(self, samples, count: int, events) -> int:
        if count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != 0:
            event = events[index]
            if event.type == _PHONEME:
                self._starts.append((event.sample, event.id.string.decode(errors="ignore")))
            index += 1
        return 0


def _phones(starts: list[tuple[int, str]], samples: int) -> tuple[Phone, ...]:
    """Each phoneme lasts until the next one starts; what precedes the first is a pause."""
    edges = [(0, ""), *starts, (samples, "")]
    return tuple(
        Phone(name.strip(_STRESS), start / ENGINE_RATE, end / ENGINE_RATE, name[:1] in _STRESS and name != "")
        for (start, name), (end, _) in pairwise(edges)
        if end > start
    )
