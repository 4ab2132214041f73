"""Stage 2: what is dropped, what is descended, and that a tiny run learns, resumes and can be judged."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("espeakng_loader")

import torch
from accelerate.utils import send_to_device

from floatcli.config import OBJECTIVES, FieldSize, ModelConfig, Wav2Vec2Size
from floatcli.errors import InputError, UsageError
from floatcli.evaluate.curves import correlations
from floatcli.evaluate.speech_quality import blink_count, evaluate_speech, seam, speaker
from floatcli.models.audio_encoder import AudioEncoder
from floatcli.models.emotion_encoder import EmotionEncoder
from floatcli.models.float_model import FloatModel
from floatcli.models.motion_basis import MotionBasis
from floatcli.train import motion_stage
from floatcli.train.audio_stage import AudioPart, EmotionPart, train_audio, train_emotion
from floatcli.train.checkpoints import checkpoints
from floatcli.train.dropout import Dropout
from floatcli.train.flow_data import FlowBatch, FlowData, heard_corpus
from floatcli.train.flow_stage import (
    FlowPart,
    FlowSettings,
    named_basis,
    train_encoder,
    train_flow,
    train_on_corpus,
)
from floatcli.train.loop import Run
from floatcli.train.loop_config import LoopConfig
from floatcli.train.parameters import INDEX, NAMES, SCALE
from floatcli.train.settings import Settings
from floatcli.train.speech_clips import (
    Clip,
    SpeechAnew,
    SpeechConfig,
    SpeechCorpus,
    speech_corpus,
    training_speech,
)

EAR = Wav2Vec2Size(
    hidden=16, layers=1, heads=2, intermediate=16, conv_dim=(8,) * 7, position_kernel=4, position_groups=2
)
CONFIG = ModelConfig(
    image_size=32,
    channels=((4, 8), (8, 8), (16, 8), (32, 8)),
    motion_dim=24,
    audio=EAR,
    audio_dim=12,
    emotion=EAR,
    field=FieldSize(width=32, depth=1, heads=2, time_features=16),
    window=20,
    preceding=4,
    coefficient_names=NAMES,
    coefficient_scales=tuple(map(float, SCALE)),
)
POSED = dataclasses.replace(CONFIG, field=dataclasses.replace(CONFIG.field, pose=True))
LOOP = LoopConfig(steps=2, batch=2, warmup=1, save_every=1, log_every=1)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> SpeechCorpus:
    folder = tmp_path_factory.mktemp("speech")
    return speech_corpus(SpeechConfig(str(folder), seed=5, clips=3, seconds=4), "train")


@pytest.fixture
def data(corpus, tmp_path) -> FlowData:
    torch.manual_seed(0)
    heard = heard_corpus(corpus, AudioEncoder(CONFIG).eval(), EmotionEncoder(CONFIG).eval(), tmp_path, print)
    return FlowData(corpus, heard, named_basis(CONFIG), CONFIG)


@pytest.fixture
def part() -> FlowPart:
    torch.manual_seed(0)
    return FlowPart(CONFIG, AudioEncoder(CONFIG), named_basis(CONFIG))


def test_a_corpus_is_heard_once_until_an_encoder_changes(corpus, tmp_path):
    audio, emotion, said = AudioEncoder(CONFIG).eval(), EmotionEncoder(CONFIG).eval(), tmp_path / "heard_features.npy"
    first = heard_corpus(corpus, audio, emotion, tmp_path, print)
    written = said.stat().st_mtime_ns
    heard_corpus(corpus, audio, emotion, tmp_path, print)
    assert said.stat().st_mtime_ns == written
    said.unlink()
    with pytest.raises(InputError, match=r"heard_features\.npy can't be read"):
        heard_corpus(corpus, audio, emotion, tmp_path, print)
    other = heard_corpus(corpus, AudioEncoder(CONFIG).eval(), emotion, tmp_path, print)
    assert not np.array_equal(first.features, other.features)
    assert np.array_equal(first.emotion, other.emotion)


def test_the_named_basis_is_orthonormal_and_keeps_coefficients_apart():
    matrix = named_basis(CONFIG).matrix
    assert torch.allclose(matrix.T @ matrix, torch.eye(20), atol=1e-6)
    assert ((matrix.abs() > 0.5).sum(0) == 1).all()


def test_windows_are_consecutive_frames_of_one_clip_with_its_own_sound(data, corpus):
    batch = data.draw(16, np.random.default_rng(1))
    truth, basis = corpus.motion / SCALE, named_basis(CONFIG)
    refs = basis.coefficients(batch.ref_motion)
    for coeffs, ref, features in zip(basis.coefficients(batch.motion), refs, batch.features, strict=True):
        places = np.argwhere(np.isclose(truth, coeffs[-1].numpy(), atol=1e-5).all(-1))
        clip, last = places[0]
        start = last + 1 - CONFIG.window
        assert np.allclose(truth[clip, start : last + 1], coeffs[CONFIG.preceding :], atol=1e-5)
        assert np.allclose(corpus.portrait[clip] / SCALE, ref, atol=0.8)  # read by a network, not known
        assert np.allclose(data.heard.features[clip, start : last + 1], features[CONFIG.preceding :])
    assert torch.allclose(batch.emotion.sum(1), torch.ones(16))


def test_where_voice_and_face_differ_the_face_is_told(data, corpus):
    apart = copy.copy(corpus)
    apart.emotion, apart.manner = np.array([0, 1, 2]), np.array([3, 1, 2])
    apart_data = FlowData(apart, data.heard, named_basis(CONFIG), CONFIG)
    batch = apart_data.draw(400, np.random.default_rng(1))
    named = (batch.emotion == 1).any(1)
    refs = torch.from_numpy(corpus.portrait / SCALE)
    coeffs = named_basis(CONFIG).coefficients(batch.ref_motion)
    clips = (coeffs[:, None] - refs).abs().sum(-1).argmin(1)
    assert (batch.emotion[clips == 0].argmax(1) == 0).all()
    assert named[clips == 0].all()
    assert 0.4 < named[clips != 0].float().mean() < 0.8


def test_nothing_precedes_a_first_window(data, part):
    batch = data.draw(200, np.random.default_rng(1))
    assert batch.first.any()
    torch.manual_seed(0)
    condition = part._condition(batch, batch.motion[:, : CONFIG.preceding])
    assert not condition.preceding_motion[batch.first].any()
    assert not condition.preceding_audio[batch.first].any()


def dropped(data, **chances) -> dict[str, torch.Tensor]:
    """Where each condition of many windows is gone, (B,) bool."""
    batch = data.draw(2000, np.random.default_rng(1))
    torch.manual_seed(0)
    part = FlowPart(POSED, AudioEncoder(POSED), named_basis(POSED), Dropout(**chances))
    condition = part._condition(batch, batch.motion[:, : CONFIG.preceding])
    return {name: (value.flatten(1) == 0).all(1) for name, value in condition._asdict().items()}


def test_conditions_are_dropped_as_often_as_the_paper_says(data):
    gone = dropped(data)
    for name in ("audio", "emotion", "ref_motion", "pose"):
        assert gone[name].float().mean() == pytest.approx(0.1, abs=0.03)
    assert gone["preceding_audio"].float().mean() == pytest.approx(0.55, abs=0.04)  # a half, and first windows
    assert torch.equal(gone["preceding_audio"], gone["preceding_motion"])
    assert (gone["audio"] & ~gone["emotion"]).any()  # each by itself


@pytest.mark.parametrize(
    ("chance", "condition"),
    [("reference", "ref_motion"), ("emotion", "emotion"), ("audio", "audio"), ("preceding", "preceding_motion"),
     ("pose", "pose")],
)  # fmt: skip
def test_each_chance_is_that_of_its_condition(data, chance, condition):
    none = dict.fromkeys(("reference", "emotion", "audio", "preceding", "pose"), 0.0)
    gone = dropped(data, **none | {chance: 1.0})
    assert gone.pop(condition).all()
    assert not any(others.all() for others in gone.values()) or chance == "preceding"
    with pytest.raises(ValueError, match=f"{chance} is 1.5, not in 0"):
        Dropout(**{chance: 1.5})


def test_emotion_can_go_where_audio_goes(data):
    gone = dropped(data, emotion_with_audio=True)
    assert not (gone["audio"] & ~gone["emotion"]).any()
    assert gone["emotion"].float().mean() == pytest.approx(0.19, abs=0.03)


def test_the_losses_are_the_papers_where_coefficients_have_no_names(data, monkeypatch):
    """L1 of the field, of its differences in time, and of what it says of the frames before."""
    unnamed = dataclasses.replace(CONFIG, coefficient_names=(), coefficient_scales=())
    part = FlowPart(unnamed, AudioEncoder(CONFIG), named_basis(CONFIG), Dropout(preceding=0.0))
    batch = data.draw(4, np.random.default_rng(1))
    x_1, x_0 = batch.motion[:, CONFIG.preceding :], torch.randn_like(batch.motion[:, CONFIG.preceding :])
    wrong = torch.randn_like(batch.motion)
    monkeypatch.setattr(torch, "randn_like", lambda x: x_0)
    truth = torch.cat((batch.motion[:, : CONFIG.preceding], x_1 - x_0), 1)
    truth[batch.first, : CONFIG.preceding] = 0
    monkeypatch.setattr(part.field, "forward", lambda t, x_t, condition: truth + wrong)
    within = wrong[:, CONFIG.preceding :]
    wanted = (
        within.abs().mean(),
        (within[:, 1:] - within[:, :-1]).abs().mean(),
        wrong[:, : CONFIG.preceding].abs().mean(),
    )
    torch.testing.assert_close(part.losses(batch), dict(zip(("field", "velocity", "preceding"), wanted, strict=True)))


def test_it_learns_on_other_devices(data, part, monkeypatch):
    """On torch's device without numbers, which refuses whatever lies elsewhere as a GPU would."""
    monkeypatch.setattr(MotionBasis, "matrix", part.basis.matrix.to("meta"))  # which is worked out on a CPU
    batch = send_to_device(data.draw(4, np.random.default_rng(1)), "meta")
    losses = part.to("meta").losses(batch)
    torch.stack(list(losses.values())).sum().backward()
    assert {loss.device.type for loss in losses.values()} == {"meta"}


@pytest.mark.parametrize("kind", [AudioPart, EmotionPart])
def test_encoders_learn_on_other_devices(kind):
    given = [torch.zeros(2, 8000), torch.zeros(2, 12, 6), torch.zeros(2, 12, dtype=torch.long)]
    given = given if kind is AudioPart else [given[0], torch.zeros(2, dtype=torch.long)]
    losses = kind(CONFIG).to("meta").losses(*send_to_device(given, "meta"))
    assert {loss.device.type for loss in losses.values()} == {"meta"}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_true_prediction_has_no_loss(objective, data, monkeypatch):
    part = FlowPart(dataclasses.replace(CONFIG, objective=objective), AudioEncoder(CONFIG), named_basis(CONFIG))
    batch = data.draw(4, np.random.default_rng(1))
    x_1 = batch.motion[:, CONFIG.preceding :]
    x_0 = torch.randn_like(x_1)
    monkeypatch.setattr(torch, "randn_like", lambda x: x_0)

    def truth(t, x_t, condition):
        predicted = {"flow": x_1 - x_0, "epsilon": x_0, "x0": x_1}[objective]
        return torch.cat((condition.preceding_motion, predicted), 1)

    monkeypatch.setattr(part.field, "forward", truth)
    assert all(value.item() == pytest.approx(0, abs=1e-6) for value in part.losses(batch).values())


def test_rare_events_pull_the_field_to_their_mean_not_their_median(part):
    lid, jaw = INDEX["lid_left"], INDEX["jaw"]
    truth = torch.zeros(8, 1, 20)
    truth[0] = 3.0  # one blink in eight

    def slope(k: int) -> float:
        guess = torch.full((20,), 0.1, requires_grad=True)
        part._size(part.basis.motion(guess - truth)).backward()
        return guess.grad[k].item()

    assert slope(lid) < 0  # up, towards the blink
    assert slope(jaw) > 0  # down, towards the usual


@pytest.mark.parametrize(
    ("objective", "conditioning"), [*((o, "modulation") for o in OBJECTIVES), ("flow", "cross-attention")]
)
def test_a_window_is_learnt_by_heart(objective, conditioning, data):
    field = dataclasses.replace(CONFIG.field, conditioning=conditioning)
    torch.manual_seed(0)
    part = FlowPart(
        dataclasses.replace(CONFIG, objective=objective, field=field), AudioEncoder(CONFIG), named_basis(CONFIG)
    )
    batch = data.draw(2, np.random.default_rng(3))
    batch = FlowBatch(*(value[:1].repeat(8, *[1] * (value.ndim - 1)) for value in batch))
    optimiser = torch.optim.Adam(part.parameters(), 5e-3)
    torch.manual_seed(0)
    history = []
    for _ in range(60):
        loss = torch.stack(list(part.losses(batch).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert np.mean(history[-5:]) < 0.75 * np.mean(history[:3])


def test_the_stages_run_resume_and_are_judged(corpus, data, tmp_path):
    lines: list[str] = []
    audio = train_audio(CONFIG, LOOP, corpus, tmp_path, lines.append)
    emotion = train_emotion(CONFIG, LOOP, corpus, tmp_path, lines.append)
    part = FlowPart(CONFIG, audio, named_basis(CONFIG))
    flow = train_flow(part, LOOP, data, tmp_path, lines.append)
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"] * 3
    train_flow(part, dataclasses.replace(LOOP, steps=3), data, tmp_path, lines.append)
    assert lines[-1].startswith("flow 3/3")
    model = FloatModel(CONFIG)
    model.audio_encoder, model.emotion_encoder, model.field, model.basis = audio, emotion, flow.field, flow.basis
    audio.projection, audio.norm = flow.projection, flow.norm
    figures = evaluate_speech(speaker(CONFIG, model), {"train": corpus}, clips=2)
    assert {"train.jaw_r", "train.emotion_accuracy", "silence.jaw", "happy.smile"} <= set(figures)
    assert all(np.isfinite(value) for value in figures.values())


def test_figures_of_known_curves():
    curve = np.sin(np.linspace(0, 20, 100))[None]
    assert correlations(curve, 3 * curve + 1) == pytest.approx(1)
    assert correlations(curve, -curve) == pytest.approx(-1)
    lid = np.zeros(100)
    lid[[10, 11, 12, 50]] = 1
    assert blink_count(lid) == 2
    line = np.linspace(0, 1, 100)[None, :, None].repeat(20, 2)
    assert seam(line, 50) == pytest.approx(1)
    line[:, 50:] += 1
    assert seam(line, 50) > 10


def emotions(data: FlowData, source: str) -> np.ndarray:
    data.emotion_from = source
    return data.draw(300, np.random.default_rng(1)).emotion.numpy()


def test_each_source_of_emotion_is_what_it_says(data, corpus):
    assert (emotions(data, "labels").max(1) == 1).all()
    assert not emotions(data, "none").any()
    heard = data.heard.emotion[np.random.default_rng(1).integers(0, len(corpus), 300)]
    np.testing.assert_allclose(emotions(data, "speech"), heard)
    by_label = (emotions(data, "mixed") == 1).any(1)
    assert 0.4 < by_label.mean() < 1
    with pytest.raises(ValueError, match="emotion_from is 'face', not one of mixed, speech, labels, none"):
        FlowSettings(emotion_from="face")


def test_the_drawn_pose_drives_a_field_that_follows_one(data, corpus):
    batch = data.draw(8, np.random.default_rng(1))
    own = named_basis(CONFIG).coefficients(batch.motion)[..., -6:] * torch.from_numpy(SCALE[-6:])
    torch.testing.assert_close(batch.pose, own)
    torch.manual_seed(0)
    part = FlowPart(POSED, AudioEncoder(POSED), named_basis(POSED))
    for parameter in part.field.parameters():  # a new field is zero, and has no slope but at its end
        torch.nn.init.normal_(parameter, std=0.1)
    torch.stack(list(part.losses(batch).values())).sum().backward()
    assert part.field.pose_in[0].weight.grad.any()
    truth, made = part.samples(data)
    assert truth.shape == made.shape == (3, 40, 20)


def test_a_network_that_listens_is_trained_alone(corpus, tmp_path):
    bare = dataclasses.replace(CONFIG, coefficient_names=(), coefficient_scales=())
    speech = SpeechConfig(str(Path(corpus.waveform.filename).parents[1]), seed=5, clips=3, seconds=4)
    settings = FlowSettings(speech, LOOP, LOOP, LOOP)
    train_encoder("emotion", bare, settings, tmp_path, print)
    assert checkpoints(tmp_path, "emotion")
    assert not checkpoints(tmp_path, "audio")


def test_a_corpus_smaller_than_a_batch_is_learnt_from(corpus, tmp_path):
    two, loop = SpeechCorpus({name: getattr(corpus, name)[:2] for name in Clip._fields}), LoopConfig(steps=1, batch=4)
    train_audio(CONFIG, loop, two, tmp_path, print)
    train_emotion(CONFIG, loop, two, tmp_path, print)
    assert checkpoints(tmp_path, "audio")
    assert (tmp_path / "audio-000001.png").exists()
    assert checkpoints(tmp_path, "emotion")


def test_examples_end_with_their_clips(data):
    assert data.examples(windows=9).motion.shape == (3, 100, CONFIG.motion_dim)


def test_speech_shorter_than_a_window_is_told(tmp_path):
    speech = SpeechConfig(seconds=1, fps=20)
    with pytest.raises(UsageError, match="speech of 20 frames is too short") as told:
        motion_stage.check_stage(Settings(CONFIG, flow=FlowSettings(speech)), "drawn", tmp_path)
    assert "seconds = 2" in told.value.hint


ANEW = SpeechConfig("no folder", seed=5, clips=0, seconds=4)


def test_speech_without_end_is_never_the_same_and_never_on_disk(corpus):
    speech, rng = training_speech(ANEW, print), np.random.default_rng(1)
    first, second = speech.among(2, rng), speech.among(2, rng)
    assert not np.array_equal(first.waveform[0], second.waveform[0])
    assert not Path(ANEW.folder).exists()
    again = speech.among(2, np.random.default_rng(1))
    np.testing.assert_allclose(again.motion, first.motion, atol=0.02)  # espeak-ng's samples do not quite follow
    same = dataclasses.replace(ANEW, clips=3)
    clips = SpeechAnew(same).examples(2)  # by the same seed as the corpus
    np.testing.assert_allclose(clips.motion, corpus.motion[:2], atol=0.02)
    assert clips.waveform.dtype == corpus.waveform.dtype


@pytest.mark.parametrize("workers", [0, 1])
def test_stage_2_learns_from_speech_without_end_ahead_or_not(tmp_path, monkeypatch, workers):
    asked = []
    train = Run.train

    def listened(run, draw, log, sample=None, workers=0):
        asked.append(workers)
        train(run, draw, log, sample, workers)

    monkeypatch.setattr(Run, "train", listened)
    train_on_corpus(CONFIG, FlowSettings(ANEW, LOOP, LOOP, LOOP, workers=workers), tmp_path, lambda line: None)
    assert asked == [workers] * 3
    for name in ("audio", "emotion", "flow"):
        state = torch.load(checkpoints(tmp_path, name)[-1])
        assert state["step"] == LOOP.steps
        assert all(tensor.isfinite().all() for tensor in state["module"].values())


@pytest.mark.parametrize("change", [{"clips": -1}, {"seconds": 0}, {"fps": 0}, {"held_out_clips": 0}, {"seed": -1}])
def test_speech_that_cannot_be_meant_is_told(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} is "):
        SpeechConfig(**change)


def test_other_emotions_than_those_of_synthetic_speech_are_told(corpus, tmp_path):
    other = dataclasses.replace(CONFIG, emotions=("calm", "cross"))
    with pytest.raises(InputError, match=r"7 emotions, and \[model\] emotions are calm, cross"):
        train_emotion(other, LOOP, corpus, tmp_path, print)


def test_a_motion_encoder_is_asked_to_read_so_many_drawn_clips(monkeypatch, tmp_path):
    monkeypatch.setattr(motion_stage, "check_encoder", lambda *given: None)
    settings = Settings(dataclasses.replace(CONFIG, coefficient_names=()), flow=FlowSettings(ANEW))
    with pytest.raises(UsageError, match="speech without end") as told:
        motion_stage.check_stage(settings, "drawn", tmp_path)
    assert "--clips N" in told.value.hint
