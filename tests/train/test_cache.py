"""The cache of stage 2, and stage 2 on it: made once, noticed when stale, read in windows, learnt from."""

from __future__ import annotations

import copy
import errno
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from floatcli.checkpoint.load import load_model, save_model
from floatcli.cli.app import run
from floatcli.config import POSE, ModelConfig
from floatcli.errors import InputError
from floatcli.models.float_model import FloatModel
from floatcli.train import cache as cache_module
from floatcli.train.cached_data import INDEX, CachedClip, CachedClips, learnable, open_cache, read_index
from floatcli.train.flow_stage import FlowPart, FlowSettings, flow_part
from floatcli.train.initial import initial_weights
from floatcli.train.loop_config import LoopConfig
from floatcli.train.prepare_clips import mp4, wav
from floatcli.train.prepared_data import PreparedClips
from floatcli.train.sample_video import Example, keep_example, kept_example
from floatcli.train.shards import write_shard
from tests.conftest import TINY
from tests.unit.test_anchored import CONFIG as ANCHORED
from tests.unlike import random_model

SIZE, FRAMES = 32, (60, 75, 55)  # of each video's clips
CONFIG = replace(TINY, image_size=64, window=20, preceding=4)
EMOTION = slice(CONFIG.motion_dim + CONFIG.audio_dim, CONFIG.motion_dim + CONFIG.audio_dim + len(CONFIG.emotions))
NAMED = replace(CONFIG, coefficient_names=(*(f"c{k}" for k in range(14)), *POSE), coefficient_scales=(0.5,) * 20)


def shard(folder: Path, video: str, seed: int) -> dict:
    """A shard of three clips of noise that drifts, and its row in the manifest."""
    rng = np.random.default_rng(seed)
    told, samples = [], []
    for k, frames in enumerate(FRAMES):
        noise = rng.integers(0, 255, (1, SIZE, SIZE, 3)) + np.arange(frames)[:, None, None, None]
        sound = (rng.standard_normal(frames * 640) * 3000).astype(np.int16)
        clip = {"key": f"{video}-{k:04d}", "frames": frames}
        data = {"mp4": mp4(noise.clip(0, 255).astype(np.uint8), SIZE), "wav": wav(sound)}
        boxes = np.zeros((frames, 3, 4)).tolist()
        samples.append((clip["key"], {**data, "json": json.dumps({**clip, "boxes": boxes}).encode()}))
        told.append(clip)
    write_shard(folder / f"{video}.tar", samples)
    about = {"source": f"/talks/{video}.mp4", "status": "done", "digest": str(seed)}
    return {**about, "shard": f"{video}.tar", "clips": told}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows = [shard(folder, video, seed) for seed, video in enumerate(("anna", "ben"))]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "settings.json").write_text("{}")
    return folder


def weights(folder: Path, config: ModelConfig = CONFIG, seed: int = 0) -> Path:
    path = folder / f"{config.field.pose}-{len(config.coefficient_names)}-{seed}.safetensors"
    if not path.exists():  # metadata are in no order, so a second time it would be another file
        save_model(random_model(config, seed), path)
    return path


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights, a run that starts from them, settings and a cache."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "a.toml").write_text("[flow.field]\nsteps = 2\nbatch = 2\nsave_every = 2\nlog_every = 1\n")
    (folder / "labels.csv").write_text("clip,emotion\nanna.mp4,sad\nben-0001,happy\nanna-0002,fear\n")
    assert run(command(folder, data, weights(folder), "--emotions", str(folder / "labels.csv"))) == 0
    return folder


def command(folder: Path, data: Path, init: Path | str, *more: str, cache: str = "cache") -> list[str]:
    places = ["--data", str(data), "--run", str(folder / "run"), "-o", str(folder / cache), "--init", str(init)]
    return ["train", "cache", str(folder / "a.toml"), *places, "--device", "cpu", *more]


def again(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made"


def marks(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cache").glob("*.safetensors")}


def model_of(folder: Path) -> FloatModel:
    initial = initial_weights(None, folder / "run", lambda line: None)
    assert initial is not None
    return initial.model


def clips_of(made: Path, emotion_from: str = "speech") -> CachedClips:
    return open_cache(made / "cache", model_of(made), emotion_from)


@torch.no_grad()
def test_a_clip_is_kept_as_the_model_encodes_it(made: Path, data: Path):
    model = model_of(made)
    clip = next(clip for clip in PreparedClips(data).stream(0) if clip.key == "ben-0002")
    kept = load_file(made / "cache" / "ben-0002.safetensors")
    pictures = torch.from_numpy(clip.frames[:8]).movedim(-1, 1).float() / 127.5 - 1
    pictures = torch.nn.functional.interpolate(pictures, size=(64, 64), mode="bilinear", antialias=True)
    motion = model.basis.motion(torch.from_numpy(kept["coefficients"][:8]))
    assert torch.allclose(motion, model.encode(pictures).ref_motion, atol=1e-3 * motion.std().item())
    heard = model.audio_encoder
    condition = torch.nn.functional.silu(heard.norm(heard.projection(torch.from_numpy(kept["features"]).float())))
    sound = torch.from_numpy(clip.audio)[None]
    assert torch.allclose(condition, model.hear(sound)[0], atol=1e-2 * condition.std().item())
    assert torch.allclose(torch.from_numpy(kept["emotion"]), model.feel(sound)[0], atol=1e-5)
    assert kept["features"].dtype == np.float16
    assert len(kept["coefficients"]) == len(kept["features"]) == FRAMES[2]
    assert "pose" not in kept


def test_run_again_only_what_is_missing_damaged_or_changed_is_made(made: Path, data: Path, tmp_path: Path, capsys):
    folder = again(made, tmp_path)
    first, changed = marks(folder), tmp_path / "data"
    assert run(command(folder, data, weights(made))) == 0
    assert marks(folder) == first
    (folder / "cache" / "anna-0000.safetensors").unlink()
    whole = (folder / "cache" / "ben-0001.safetensors").read_bytes()
    (folder / "cache" / "ben-0001.safetensors").write_bytes(whole[:-100])
    capsys.readouterr()
    assert run(command(folder, data, weights(made))) == 0
    second = marks(folder)
    assert {name for name in first if second[name] != first[name]} == {"anna-0000.safetensors", "ben-0001.safetensors"}
    assert (folder / "cache" / "ben-0001.safetensors").read_bytes() == whole
    assert "1/2 /talks/anna.mp4: 3 clips, 1 of them encoded now" in capsys.readouterr().err

    shutil.copytree(data, changed)
    anna, ben = (json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines())
    row = {**shard(changed, "ben", 7), "clips": ben["clips"][:2]}
    (changed / "manifest.jsonl").write_text(f"{json.dumps(anna)}\n{json.dumps(row)}\n")
    assert run(command(folder, changed, weights(made))) == 0
    third = marks(folder)
    assert {name for name in third if third[name] != second[name]} == {"ben-0000.safetensors", "ben-0001.safetensors"}
    assert "ben-0002.safetensors" not in third  # which its video has no more


def test_what_is_interrupted_goes_on_and_is_no_cache_until_it_is_whole(made, data, tmp_path, monkeypatch, capsys):
    folder = again(made, tmp_path)
    encode, count = cache_module.Encoders.encode, []

    def fails(self, clip):
        count.append(clip.key)
        if len(count) == 4:
            raise KeyboardInterrupt
        return encode(self, clip)

    with monkeypatch.context() as patch:
        patch.setattr(cache_module.Encoders, "encode", fails)
        assert run(command(folder, data, weights(made), cache="new")) == 130
    assert len(list((folder / "new").glob("*.safetensors"))) == 3
    with pytest.raises(InputError, match="none that is finished"):
        read_index(folder / "new")
    assert run(command(folder, data, weights(made), cache="new")) == 0
    said = capsys.readouterr().err
    assert "anna.mp4: 3 clips, 0 of them encoded now" in said
    assert "ben.mp4: 3 clips, 3 of them encoded now" in said
    assert len(read_index(folder / "new")["clips"]) == 6


def test_a_damaged_shard_is_told_and_stops_no_other(made: Path, data: Path, tmp_path: Path, capsys):
    shutil.copytree(data, tmp_path / "data")
    tar = tmp_path / "data" / "anna.tar"
    tar.write_bytes(tar.read_bytes()[:3000])
    folder = again(made, tmp_path)
    assert run(command(folder, tmp_path / "data", weights(made), cache="new")) == 3
    assert "failed: /talks/anna.mp4: " in capsys.readouterr().err
    assert {clip[0] for clip in read_index(folder / "new")["clips"]} == {f"ben-000{k}" for k in range(3)}


def test_other_encoders_make_a_cache_stale(made: Path, data: Path, tmp_path: Path):
    folder = again(made, tmp_path)
    model = copy.deepcopy(model_of(folder))
    with torch.no_grad():
        model.audio_encoder.projection.weight += 1  # which trains on
        open_cache(folder / "cache", model, "speech")
        next(model.motion_encoder.parameters()).data += 1
    with pytest.raises(InputError, match="was made with other encoders") as caught:
        open_cache(folder / "cache", model, "speech")
    assert "floatcli train cache" in caught.value.hint
    shutil.rmtree(folder / "run")
    first = marks(folder)
    assert run(command(folder, data, weights(folder, seed=1))) == 0
    assert all(made != first[name] for name, made in marks(folder).items())


def test_windows_are_frames_in_a_row_of_one_clip(made: Path):
    clips = clips_of(made)
    held, learnt = clips.held_out.clips, clips.clips
    assert (len(held), len(learnt)) == (1, 5)
    assert {clip.key for clip in held}.isdisjoint(clip.key for clip in learnt)
    kept = {clip.key: load_file(made / "cache" / f"{clip.key}.safetensors") for clip in (*held, *learnt)}
    batch = clips.draw(40, np.random.default_rng(0))
    assert batch.motion.shape == (40, 24, CONFIG.motion_dim)
    basis = model_of(made).basis
    with torch.no_grad():
        rows, refs = basis.coefficients(batch.motion).numpy(), basis.coefficients(batch.ref_motion).numpy()
    seen, references = set(), set()
    for k, features in enumerate(batch.features.numpy()):
        key, start = next(
            (key, at)
            for key, arrays in kept.items()
            for at in range(len(arrays["features"]) - 19)
            if np.array_equal(arrays["features"][at], features[4])
        )
        assert key in {clip.key for clip in learnt}
        assert batch.first[k] == (start == 0)
        before = max(0, start - 4)
        assert np.array_equal(kept[key]["features"][before : start + 20], features[4 - (start - before) :])
        own = kept[key]["coefficients"]
        np.testing.assert_allclose(own[start : start + 20], rows[k, 4:], atol=1e-4)
        distance = np.abs(own - refs[k]).max(1)
        assert distance.min() < 1e-4
        references.add((key, int(distance.argmin())))
        seen.add((key, start))
    assert len(seen) > 25
    assert len(references) > 10  # frames that can be told apart are few


def test_each_source_of_emotion_is_what_it_says(made: Path):
    def emotions(source: str) -> torch.Tensor:
        return clips_of(made, source).draw(200, np.random.default_rng(0)).emotion

    heard, mixed = emotions("speech"), emotions("mixed")
    assert not (heard == 1).any()
    assert torch.allclose(heard.sum(1), torch.ones(200), atol=1e-4)
    assert not emotions("none").any()
    one_hot = (mixed == 1).any(1)
    assert 0.3 < one_hot.float().mean() < 0.6  # two thirds of the clips have labels, six times of ten they are told
    assert torch.equal(mixed[~one_hot], heard[~one_hot])
    told = {CONFIG.emotions[k] for k in mixed[one_hot].argmax(1).tolist()}
    assert told <= {"sad", "happy", "fear"}
    with pytest.raises(InputError, match=r"2 of 6 clips in .* have no label"):
        emotions("labels")


def test_labels_of_a_clip_come_before_its_videos(made: Path):
    told = {key: emotion for key, _, emotion in read_index(made / "cache")["clips"]}
    assert [told[f"anna-000{k}"] for k in range(3)] == ["sad", "sad", "fear"]
    assert [told[f"ben-000{k}"] for k in range(3)] == [None, "happy", None]


def test_a_label_that_the_model_does_not_tell_is_told(tmp_path: Path):
    clips = [CachedClip("a", 60, "sad"), CachedClip("b", 60, "bored"), CachedClip("c", 60, None)]
    with pytest.raises(InputError, match="clip b is labelled 'bored', which the model does not tell"):
        learnable(tmp_path, clips, False, CONFIG, "mixed")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip,emotion\nanna.mp4,bored\n", "line 2: the model knows no emotion 'bored'"),
        ("video,emotion\n", "line 1: the columns are not clip,emotion"),
        ("clip,emotion\nanna.mp4\n", "line 2: the model knows no emotion ''"),
    ],
)
def test_labels_that_cannot_be_meant_are_told(made: Path, data: Path, tmp_path: Path, capsys, text: str, said: str):
    (tmp_path / "labels.csv").write_text(text)
    assert run(command(made, data, weights(made), "--emotions", str(tmp_path / "labels.csv"), cache="no")) == 3
    assert said in capsys.readouterr().err
    assert not (made / "no").exists()


def test_emotions_of_clips_that_are_not_there_are_told(made: Path, data: Path, tmp_path: Path, capsys):
    (tmp_path / "labels.csv").write_text("clip,emotion\nann.mp4,sad\nben.mp4,happy\n")
    folder = again(made, tmp_path)
    assert run(command(folder, data, weights(made), "--emotions", str(tmp_path / "labels.csv"))) == 0
    assert "1 emotions are of clips that are not there, such as ann.mp4" in capsys.readouterr().err
    assert {emotion for _, _, emotion in read_index(folder / "cache")["clips"]} == {None, "happy"}


def settings(source: str = "speech") -> FlowSettings:
    return FlowSettings(field=LoopConfig(steps=2, batch=2), emotion_from=source)


def emotion_gradient(part: FlowPart, clips: CachedClips) -> torch.Tensor:
    """Of the losses, by the weights through which emotion comes in."""
    torch.stack(list(part.losses(clips.draw(4, np.random.default_rng(0))).values())).sum().backward()
    return part.field.condition_in.weight.grad[:, EMOTION]


def test_trained_without_emotion_it_has_no_effect(made: Path):
    model = model_of(made)
    for source in ("speech", "none"):
        part = flow_part(CONFIG, settings(source), model.audio_encoder, model.basis, model)
        effects = part.field.condition_in.weight[:, EMOTION], emotion_gradient(part, clips_of(made, source))
        assert [bool(effect.any()) for effect in effects] == [source == "speech"] * 2


def test_a_basis_without_names_is_learnt_under_plain_l1(made: Path):
    part = flow_part(CONFIG, settings(), model_of(made).audio_encoder, model_of(made).basis, None)
    error = torch.randn(3, 5, CONFIG.motion_dim)
    assert part._size(error).item() == pytest.approx(error.abs().mean().item())
    assert torch.equal(part.basis.matrix, model_of(made).basis.matrix)


def test_stage_2_learns_from_the_cache(made: Path):
    clips = clips_of(made)
    part = flow_part(CONFIG, settings(), model_of(made).audio_encoder, model_of(made).basis, None)
    clips.matrix = clips.matrix / clips.draw(64, np.random.default_rng(0)).motion.std().item()  # of random encoders
    batch = clips.draw(8, np.random.default_rng(0))
    optimiser = torch.optim.Adam(part.parameters(), 5e-3)
    torch.manual_seed(0)
    history = []
    for _ in range(80):
        loss = torch.stack(list(part.losses(batch).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert np.mean(history[-5:]) < 0.85 * np.mean(history[:3])


def test_the_command_trains_exports_and_says_what_is_held_out(made: Path, tmp_path: Path, capsys):
    folder = again(made, tmp_path)
    toml, places = str(folder / "a.toml"), ["--run", str(folder / "run")]
    assert run(["train", "flow", toml, *places, "--data", str(folder / "cache")]) == 0
    said = capsys.readouterr().err
    assert "flow 2/2" in said
    assert "flow, held out: field" in said
    assert (folder / "run" / "flow-000002.png").exists()
    assert run(["train", "export", places[1], "-o", str(folder / "out.safetensors")]) == 0
    before, after = load_model(weights(made)), load_model(folder / "out.safetensors")
    assert after.config == before.config
    assert not torch.equal(before.field.motion_in.weight.half(), after.field.motion_in.weight.half())
    for name in ("motion_encoder", "decoder", "emotion_encoder", "basis"):
        for ours, theirs in zip(getattr(after, name).parameters(), getattr(before, name).parameters(), strict=True):
            assert torch.equal(ours.half(), theirs.half()), name


def test_missing_pieces_are_told(made: Path, data: Path, tmp_path: Path, capsys):
    folder = again(made, tmp_path)
    toml = str(folder / "a.toml")
    assert run(["train", "flow", toml, "--run", str(folder / "run"), "--data", str(tmp_path / "no")]) == 3
    assert "no clips are in" in capsys.readouterr().err
    assert run(["train", "flow", toml, "--run", str(tmp_path / "new"), "--data", str(data)]) == 3
    assert "has no checkpoint of" in capsys.readouterr().err  # before any listener is trained
    assert run(["train", "flow", toml, "--run", str(tmp_path / "new"), "--data", str(folder / "cache")]) == 3
    assert "has no checkpoint of" in (said := capsys.readouterr().err)
    assert "--init WEIGHTS" in said
    (folder / "cache" / "anna-0001.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"anna-0001\.safetensors can't be read") as caught:
        clips_of(folder).draw(60, np.random.default_rng(0))
    assert "floatcli train cache" in caught.value.hint
    (folder / "cache" / INDEX).write_text('{"version": 99}')
    with pytest.raises(InputError, match="of another version"):
        read_index(folder / "cache")


@pytest.mark.parametrize("text", ["{}", '{"version": 1}', '{"version": 1, "encoders": 1, "pose": 1, "clips": [1]}'])
def test_a_damaged_index_is_told(tmp_path: Path, text: str):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(InputError, match=r"cache\.json is damaged|another version") as caught:
        read_index(tmp_path)
    assert "floatcli train cache" in caught.value.hint


@pytest.mark.parametrize(
    "clip",
    [["../../x", 60, None], ["/x", 60, None], ["a/b", 60, None], ["a", -1, None], ["a", "60", None], ["a", 1, 2]],
)
def test_an_index_of_others_leads_out_of_no_folder(tmp_path: Path, clip: list[object]):
    (tmp_path / INDEX).write_text(json.dumps({"version": 1, "encoders": "1", "pose": False, "clips": [clip]}))
    with pytest.raises(InputError, match=r"cache\.json is damaged: ValueError: a clip called"):
        read_index(tmp_path)


@pytest.mark.parametrize("name", ["example.png", "example.wav"])
@pytest.mark.parametrize("content", [b"", b"no", None])
def test_a_damaged_example_is_told_and_replaced(tmp_path: Path, name: str, content: bytes | None):
    example, lines = Example(np.full((8, 8, 3), 9, np.uint8), np.zeros(640, np.float32)), list[str]()
    keep_example(tmp_path, example)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:30] if content is None else content)
    assert kept_example(tmp_path, lines.append) is None
    assert len(lines) == 1
    assert re.match(f"no sample videos: the example in {tmp_path} is damaged: .", lines[0])
    keep_example(tmp_path, example)
    assert (tmp_path / name).read_bytes() == whole


def test_a_full_disk_leaves_no_cache(made: Path, data: Path, tmp_path: Path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = again(made, tmp_path)
    monkeypatch.setattr(cache_module, "save_file", full)
    assert run(command(folder, data, weights(made), cache="new")) == 3
    assert "can't be written: No space left on device" in capsys.readouterr().err.splitlines()[-2]
    assert not list((folder / "new").glob("*.safetensors"))
    assert not (folder / "new" / INDEX).exists()


def test_poses_are_the_encoders_own_where_they_have_names(data: Path, tmp_path: Path):
    posed = replace(NAMED, field=replace(NAMED.field, pose=True))
    path = weights(tmp_path, posed)
    (tmp_path / "a.toml").write_text("[flow]\n")
    assert run(command(tmp_path, data, path)) == 0
    kept = load_file(tmp_path / "cache" / "anna-0000.safetensors")
    np.testing.assert_allclose(kept["pose"], kept["coefficients"][:, 14:] * 0.5, rtol=1e-5)
    clips = clips_of(tmp_path)
    batch = clips.draw(6, np.random.default_rng(0))
    with torch.no_grad():
        own = model_of(tmp_path).basis.coefficients(batch.motion)[..., 14:] * 0.5
    torch.testing.assert_close(batch.pose, own, rtol=1e-3, atol=1e-3)
    part = flow_part(posed, settings(), model_of(tmp_path).audio_encoder, model_of(tmp_path).basis, model_of(tmp_path))
    torch.stack(list(part.losses(batch).values())).sum().backward()
    assert part.field.pose_in[0].weight.grad.any()
    assert part.samples(clips)[0].shape == part.samples(clips)[1].shape


def test_poses_can_be_another_encoders_and_are_asked_for_where_there_are_none(data: Path, tmp_path: Path, capsys):
    (tmp_path / "a.toml").write_text("[model.field]\npose = true\n[flow.field]\nsteps = 1\nbatch = 2\n")
    path, teller = weights(tmp_path), weights(tmp_path, NAMED, seed=5)
    flow = ["train", "flow", str(tmp_path / "a.toml"), "--run", str(tmp_path / "run")]
    flow += ["--data", str(tmp_path / "cache")]
    assert run(command(tmp_path, data, path)) == 3
    assert f"{data} holds no poses" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()
    assert run(command(tmp_path, data, path, "--pose-from", str(path))) == 2
    assert "do not tell a pose by name" in capsys.readouterr().err
    assert run(command(tmp_path, data, path, "--pose-from", str(teller))) == 0
    kept = load_file(tmp_path / "cache" / "anna-0000.safetensors")
    assert kept["pose"].shape == (FRAMES[0], 6)
    assert kept["pose"].std() > 0
    assert run(flow) == 0


def test_an_anchored_model_learns_from_clips_too(data: Path, tmp_path: Path, face_file, speech_file):
    """Its coefficients have names, so that they are weighted, and tell the pose."""
    (tmp_path / "a.toml").write_text("[model.field]\npose = true\n[flow.field]\nsteps = 1\nbatch = 2\n")
    assert run(command(tmp_path, data, weights(tmp_path, ANCHORED, seed=3))) == 0
    places, out = ["--run", str(tmp_path / "run")], str(tmp_path / "out.safetensors")
    assert run(["train", "flow", str(tmp_path / "a.toml"), *places, "--data", str(tmp_path / "cache")]) == 0
    assert run(["train", "export", places[1], "-o", out]) == 0
    assert load_model(out).config.field.pose
    (tmp_path / "p.csv").write_text("time,yaw\n0,20\n")
    made = ["--weights", out, "--crop", "none", "--device", "cpu", "-q", "-o", str(tmp_path / "a.mp4")]
    assert run(["animate", str(face_file), str(speech_file), *made, "--pose", str(tmp_path / "p.csv")]) == 0
