"""Synthetic speech: times, lips, faces, and the same clip for the same seed."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest

pytest.importorskip("espeakng_loader")


from floatcli.config import EMOTIONS
from floatcli.errors import InputError, OutputError
from floatcli.train.parameters import HIGH, INDEX, LOW
from floatcli.train.speech_clips import SpeechConfig, make_clip, speech_corpus
from floatcli.train.speech_emotions import PROSODY, emotion_face
from floatcli.train.speech_engine import ENGINE_RATE, Phone, SpeechEngine, VoiceSettings
from floatcli.train.speech_example import example_speech
from floatcli.train.speech_face import blinks, draw_pose, face_motion, portrait_state
from floatcli.train.speech_text import HELD_OUT_SENTENCES, made_up_sentence, something_to_say, wide_sentence
from floatcli.train.speech_visemes import LIPS, PHONE_CLASSES, lip_curves, phone_classes, phone_shapes, speech_spans
from floatcli.train.speech_voice import change_speed, coloured_noise, record, reshape_voice, roughen, tremble
from tests.conftest import small_disk

JAW, ROUND, PRESS = LIPS.index("jaw"), LIPS.index("round"), LIPS.index("lip_press")
AH, SILENCE = Phone("ɑː", 1.0, 1.4, True), Phone("", 1.4, 2.4)
SMALL = SpeechConfig(seed=3, clips=3, held_out_clips=2, seconds=4)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def curves(*phones: Phone) -> np.ndarray:
    return lip_curves(phones, np.full(75, 0.5), 75, 25)


def test_the_engine_times_phonemes_on_the_sound_they_make():
    with SpeechEngine() as engine:
        said = engine.say("A papa. Mama.", VoiceSettings("en-us"))
    assert said.sample_rate == ENGINE_RATE
    assert said.phones[-1].end == pytest.approx(len(said.waveform) / ENGINE_RATE)
    assert all(a.end == b.start for a, b in zip(said.phones, said.phones[1:], strict=False))
    vowel = next(p for p in said.phones if p.ipa.startswith("ɑ"))
    pause = max((p for p in said.phones if not p.ipa), key=lambda p: p.end - p.start)
    level = [
        np.abs(said.waveform[int(p.start * ENGINE_RATE) : int(p.end * ENGINE_RATE)]).mean() for p in (vowel, pause)
    ]
    assert level[0] > 20 * level[1]


def test_the_engine_refuses_a_voice_it_does_not_have():
    with SpeechEngine() as engine, pytest.raises(ValueError, match="no espeak-ng voice 'xx-nowhere'"):
        engine.say("Hello.", VoiceSettings("xx-nowhere"))


def test_phones_are_read_from_ipa():
    assert phone_shapes("aɪ") == ["a", "ɪ"]
    assert phone_shapes("(en)b") == ["b"]
    assert phone_shapes("") == [""]
    assert PHONE_CLASSES[phone_classes((AH,), 75, 25)[28]] == "open"


def test_the_jaw_opens_on_a_vowel_and_rests_in_silence():
    lips = curves(AH, SILENCE)
    assert lips[30, JAW] > 0.7
    assert not lips[:22].any()  # 100 ms before speech nothing moves yet
    assert not lips[39:].any()  # and 120 ms after it nothing moves any more


def test_lips_shut_on_bilabials_and_round_on_oo():
    lips = curves(AH, Phone("m", 1.4, 1.5), Phone("uː", 1.5, 1.8))
    assert lips[35:37, JAW].min() < 0.05
    assert lips[35:37, PRESS].max() > 0.7
    assert lips[41, ROUND] > 0.7
    unvoiced = curves(AH, Phone("p", 1.4, 1.43), AH._replace(start=1.43, end=1.8))
    assert unvoiced[33:36, JAW].min() < 0.05  # the closure comes before the burst that the engine reports


def test_short_pauses_do_not_part_speech():
    phones = (AH, Phone("", 1.4, 1.45), Phone("i", 1.45, 1.6), Phone("", 1.6, 2.0), Phone("i", 2.0, 2.2))
    assert speech_spans(phones) == [(1.0, 1.6), (2.0, 2.2)]


def test_blinks_shut_both_lids_every_few_seconds(rng):
    shut = blinks(np.zeros(1500), 25, rng)
    closed = shut == 1
    count = int((closed[1:] & ~closed[:-1]).sum())
    assert 60 / 5.5 <= count <= 60 / 2
    lips = np.zeros((200, 6), np.float32)
    motion = face_motion(lips, np.zeros(200), "neutral", draw_pose(rng), 25, rng)
    assert np.array_equal(motion[:, INDEX["lid_left"]], motion[:, INDEX["lid_right"]])
    assert motion[:, INDEX["lid_left"]].max() == 1


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_every_emotion_has_a_voice_and_a_face_of_its_own(emotion, rng):
    others = [name for name in EMOTIONS if name != emotion]
    assert all(PROSODY[emotion] != PROSODY[name] for name in others)
    assert min(np.abs(emotion_face(emotion) - emotion_face(name)).max() for name in others) > 0.25
    motion = face_motion(np.zeros((200, 6), np.float32), np.zeros(200), emotion, np.zeros(6), 25, rng)
    assert motion[:, INDEX["jaw"]].max() == 0  # no emotion opens a silent mouth
    assert (motion >= LOW).all()
    assert (motion <= HIGH).all()


def test_the_head_moves_about_the_portrait(rng):
    pose = np.array([0.5, 0, 0, 0, 0, 0])
    motion = face_motion(np.zeros((1000, 6), np.float32), np.zeros(1000), "neutral", pose, 25, rng)
    yaw = motion[:, INDEX["yaw"]]
    assert abs(yaw.mean() - 0.5) < 0.15
    assert 0.03 < yaw.std() < 0.3
    assert np.abs(np.diff(yaw)).max() < 0.08
    assert abs(portrait_state(pose, rng)[INDEX["yaw"]] - 0.5) < 0.12


def test_speed_moves_the_pitch_and_reports_the_factor_exactly():
    tone = np.sin(2 * np.pi * 200 * np.arange(ENGINE_RATE * 2) / ENGINE_RATE).astype(np.float32)
    faster, factor = change_speed(tone, ENGINE_RATE, 16000, 1.1)
    assert len(faster) / 16000 == pytest.approx(2 / factor, abs=1e-3)
    peak = np.abs(np.fft.rfft(faster)).argmax() * 16000 / len(faster)
    assert peak == pytest.approx(200 * factor, rel=0.01)


def test_voice_changes_keep_length_and_timing(rng):
    burst = np.zeros(16000, np.float32)
    burst[6000:9000] = rng.standard_normal(3000)
    changed = (
        reshape_voice(burst, 16000, 1.15, 0.3, -3, rng),
        tremble(burst, 16000, 0.03, rng),
        roughen(burst, 16000, 0.5, rng),
    )
    for sound in changed:
        assert sound.shape == burst.shape
        assert np.square(sound[5500:9500]).sum() > 0.95 * np.square(sound).sum()
    assert np.abs(record(burst, 16000, rng)).max() <= 1
    assert coloured_noise(1000, 1, rng).std() == pytest.approx(1, rel=1e-3)


def test_texts_are_wide_and_the_seeds_own(rng):
    texts = [something_to_say(np.random.default_rng(k), True, "happy") for k in range(200)]
    assert len(set(texts)) > 180
    assert texts[0] == something_to_say(np.random.default_rng(0), True, "happy")
    assert made_up_sentence(rng, english=False)[-1] in ".?!"
    words = {
        word.strip(",.?!").lower() for k in range(2000) for word in wide_sentence(np.random.default_rng(k)).split()
    }
    assert len(words) > 1000
    assert not any(text in HELD_OUT_SENTENCES for text in texts)


def test_a_clip_is_the_same_for_the_same_seed_and_another_for_another():
    first, again, other = (make_clip(SMALL, "sentences", k) for k in (0, 0, 1))
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first.waveform, other.waveform)
    assert first.waveform.shape == (SMALL.samples,)
    assert first.motion.shape == (SMALL.frames, 20)


def test_in_training_half_of_the_faces_show_an_emotion_of_their_own():
    always = dataclasses.replace(SMALL, faces_apart=1.0, quiet_share=0.0)
    never = dataclasses.replace(SMALL, faces_apart=0.0, quiet_share=0.0)
    for index in range(3):
        clip = make_clip(never, "train", index)
        assert clip.emotion == clip.manner
        held_out = make_clip(always, "sentences", index)
        assert held_out.emotion == held_out.manner
    assert any(clip.emotion != clip.manner for clip in (make_clip(always, "train", k) for k in range(4)))


def test_a_corpus_is_made_once(tmp_path):
    config = dataclasses.replace(SMALL, folder=str(tmp_path))
    made = speech_corpus(config, "voices")
    stamp = (tmp_path / "voices" / "waveform.npy").stat().st_mtime_ns
    again = speech_corpus(config, "voices")
    assert len(again) == 2
    assert (tmp_path / "voices" / "waveform.npy").stat().st_mtime_ns == stamp
    assert np.array_equal(made.motion, again.motion)
    assert np.abs(again.sound(0)).max() <= 1
    os.truncate(tmp_path / "voices" / "waveform.npy", 2000)
    with pytest.raises(InputError, match=r"waveform\.npy can't be read"):
        speech_corpus(config, "voices")


def test_a_corpus_that_has_no_place_is_told_and_leaves_nothing(tmp_path):
    config = dataclasses.replace(SMALL, folder=str(tmp_path / "file"))
    with small_disk(2000), pytest.raises(OutputError, match=r"waveform\.npy can't be written: File too large"):
        speech_corpus(dataclasses.replace(config, folder=str(tmp_path)), "voices")
    assert not list((tmp_path / "voices").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be used: Not a directory"):
        speech_corpus(config, "voices")


def test_the_example_is_quiet_at_its_ends_and_in_the_middle():
    speech = example_speech()
    assert 6 * 16000 < len(speech) < 8 * 16000
    level = np.abs(speech[: len(speech) // 800 * 800]).reshape(-1, 800).max(1)
    assert level[:8].max() == 0
    assert level[-7:].max() == 0
    quiet = "".join("." if value < 1e-3 else "#" for value in level[8:-8])
    assert "." * 12 in quiet  # the pause
    assert level.max() == pytest.approx(0.7)
