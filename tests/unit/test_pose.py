"""The head's pose as a driving signal: in the field, in sampling, in files, from Python and from the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from floatcli import FloatPipeline, Motion
from floatcli.checkpoint.load import save_model
from floatcli.cli.app import run
from floatcli.config import POSE, CropConfig, ModelConfig, SampleConfig
from floatcli.errors import InputError, UsageError
from floatcli.flow.guidance import GuidedField
from floatcli.flow.sampler import sample_motion
from floatcli.models.conditions import WindowCondition, joined
from floatcli.models.float_model import FloatModel
from floatcli.poses import PoseTrack, read_pose
from tests.conftest import TINY
from tests.unlike import UNLIKE, random_model

WHOLE, QUICK = CropConfig(mode="none"), SampleConfig(nfe=1)
POSED = replace(UNLIKE, field=replace(UNLIKE.field, pose=True))
NAMES = (*(f"c{k}" for k in range(14)), *POSE)
TINY_POSED = replace(
    TINY, name="posed", coefficient_names=NAMES, coefficient_scales=(0.5,) * 20, field=replace(TINY.field, pose=True)
)


@pytest.fixture(scope="module")
def model() -> FloatModel:
    return random_model(POSED)


@pytest.fixture(scope="module")
def posed_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("posed") / "posed.safetensors"
    save_model(random_model(TINY_POSED), path)
    return path


@pytest.fixture(scope="module")
def pipe(posed_weights: Path) -> FloatPipeline:
    return FloatPipeline.from_weights(posed_weights, device="cpu")


def condition(config: ModelConfig, pose: Tensor | None) -> WindowCondition:
    torch.manual_seed(1)
    return WindowCondition(
        ref_motion=torch.randn(1, config.motion_dim),
        preceding_motion=torch.randn(1, config.preceding, config.motion_dim),
        preceding_audio=torch.randn(1, config.preceding, config.audio_dim),
        audio=torch.randn(1, config.window, config.audio_dim),
        emotion=torch.rand(1, len(config.emotions)),
        pose=pose,
    )


def some_pose(frames: int, seed: int = 0) -> Tensor:
    return torch.randn(1, frames, len(POSE), generator=torch.Generator().manual_seed(seed))


def test_a_field_without_pose_has_the_parameters_it_always_had():
    without, with_pose = (random_model(config).field.state_dict() for config in (UNLIKE, POSED))
    assert {"pose_in.0.weight", "pose_in.0.bias", "pose_in.1.weight", "pose_in.1.bias"} == set(with_pose) - set(without)
    assert with_pose["condition_in.weight"].shape[1] == without["condition_in.weight"].shape[1] + 6
    assert without["condition_in.weight"].shape[1] == UNLIKE.motion_dim + UNLIKE.audio_dim + len(UNLIKE.emotions)


@torch.no_grad()
def test_the_pose_moves_the_field_where_it_is_given(model: FloatModel):
    t, x_t = torch.tensor([0.4]), torch.randn(1, POSED.window, POSED.motion_dim)
    told = model.field.pose_in(some_pose(POSED.preceding + POSED.window))
    before = model.field(t, x_t, condition(POSED, told))
    moved = told.clone()
    moved[:, -1] += 1
    change = (model.field(t, x_t, condition(POSED, moved)) - before).abs().amax((0, 2))
    assert change[-1] > 1e-3
    assert (change[: -1 - POSED.field.reach * POSED.field.depth] < 1e-5).all()


@torch.no_grad()
def test_no_pose_is_told_from_a_frontal_one(model: FloatModel):
    assert model.field.pose_in(torch.zeros(1, 6)).abs().max() > 0.1


@torch.no_grad()
def test_the_pose_stays_in_every_pass_of_guidance(model: FloatModel):
    """Alone left without audio and emotion, the field still follows it."""
    t, x_t = torch.tensor(0.3), torch.randn(1, POSED.window, POSED.motion_dim)
    poses = [model.field.pose_in(some_pose(POSED.preceding + POSED.window, seed)) for seed in (0, 1)]
    settings = SampleConfig(audio_scale=0, emotion_scale=0)  # the nothing pass alone
    one, other = (GuidedField(model.field, condition(POSED, pose), settings)(t, x_t) for pose in poses)
    assert not torch.allclose(one, other, atol=1e-3)


def sampled(model: FloatModel, config: ModelConfig, pose: Tensor | None) -> Tensor:
    torch.manual_seed(0)
    given = torch.randn(1, config.motion_dim), torch.randn(1, 19, config.audio_dim), torch.rand(1, 3)
    return torch.cat(list(sample_motion(model.field, *given, QUICK, config, pose=pose)), 1)


def test_every_window_follows_its_own_frames_of_the_pose(model: FloatModel):
    pose = some_pose(19)
    turned = torch.cat((pose[:, :8], -pose[:, 8:]), 1)  # from the second window on
    first, second = sampled(model, POSED, pose), sampled(model, POSED, turned)
    assert torch.equal(first[:, :7], second[:, :7])
    assert not torch.allclose(first[:, 8:], second[:, 8:], atol=1e-3)


def test_without_a_pose_the_field_moves_the_head_itself(model: FloatModel):
    assert not torch.allclose(sampled(model, POSED, None), sampled(model, POSED, torch.zeros(1, 19, 6)), atol=1e-3)
    with pytest.raises(ValueError, match="follows none"):
        sampled(random_model(UNLIKE), UNLIKE, some_pose(19))


def test_clips_that_share_a_batch_keep_their_poses(model: FloatModel):
    told = [some_pose(POSED.preceding + POSED.window, seed) for seed in (0, 1)]
    both = joined([condition(POSED, pose) for pose in told])
    assert torch.equal(both.pose, torch.cat(told))
    assert joined([condition(UNLIKE, None)] * 2).pose is None


def test_a_table_is_in_degrees_and_shares_and_what_it_lacks_is_zero(tmp_path: Path):
    (tmp_path / "p.csv").write_text("time,Yaw,zoom,pitch\n0,0,0,0\n1,25,0.1,-10\n")
    frames = read_pose(tmp_path / "p.csv").frames(51, 25)
    assert frames.shape == (51, 6)
    np.testing.assert_allclose(frames[25], [1, -0.5, 0, 0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(frames[12:14, 0], [0.48, 0.52], atol=1e-6)
    np.testing.assert_allclose(frames[50], frames[25])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,happy\n0,1\n", "line 1: the model knows no pose 'happy'"),
        ("yaw\n0\n", "line 1: the first column is 'yaw', not time"),
        ("time,yaw\n0,left\n", "line 2: '0,left' are not all numbers"),
        ("time,yaw\n-1,3\n", "line 2: -1 is negative"),
        ("time,yaw\n1,-3\n0,3\n", "line 3: 0 s does not come after 1 s"),
    ],
)
def test_lines_of_a_table_that_cannot_be_meant_are_named(tmp_path: Path, text: str, said: str):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_pose(tmp_path / "p.csv")


def test_a_clip_follows_a_track_a_table_and_another_clips_motion(pipe, face_file, speech_file, tmp_path):
    def latents(pose) -> np.ndarray:
        return pipe.animate(face_file, speech_file, WHOLE, QUICK, "happy", pose).motion.latents

    (tmp_path / "p.csv").write_text("time,yaw,roll\n0,25,0\n3,-25,40\n")
    track = PoseTrack(np.array([0.0, 3.0]), np.array([[1, 0, 0, 0, 0, 0], [-1, 0, 2, 0, 0, 0]], np.float64))
    free, followed = latents(None), latents(track)
    assert np.abs(free - followed).max() > 1e-3
    np.testing.assert_allclose(latents(tmp_path / "p.csv"), followed, atol=1e-5)

    clip = pipe.animate(face_file, speech_file, WHOLE, QUICK, "happy")
    coefficients = clip.motion.latents @ pipe.model.basis.matrix.detach().numpy()
    own = PoseTrack(np.arange(len(coefficients)) / 25, coefficients[:, 14:] * 0.5)
    path = clip.motion.save(tmp_path / "a.motion.safetensors")
    np.testing.assert_allclose(latents(path), latents(own), atol=1e-4)
    np.testing.assert_allclose(latents(Motion.load(path)), latents(own), atol=1e-4)


def test_animate_takes_a_pose_and_tells_its_digest(posed_weights, face_file, speech_file, tmp_path):
    (tmp_path / "p.csv").write_text("time,yaw\n0,20\n")
    command = ["animate", str(face_file), str(speech_file), "--weights", str(posed_weights), "--crop", "none"]
    command += ["--nfe", "1", "--emotion", "sad", "--device", "cpu", "-q"]
    assert run([*command, "-o", str(tmp_path / "a.mp4")]) == 0
    assert run([*command, "-o", str(tmp_path / "b.mp4"), "--pose", str(tmp_path / "p.csv")]) == 0
    one, other = (Motion.load(tmp_path / f"{name}.motion.safetensors").latents for name in "ab")
    assert np.abs(one - other).max() > 1e-3


def test_weights_that_follow_no_pose_say_so_before_they_are_read(
    tiny_weights, face_file, speech_file, tmp_path, capsys
):
    (tmp_path / "p.csv").write_text("time,yaw\n0,20\n")
    command = ["animate", str(face_file), str(speech_file), "--weights", str(tiny_weights), "-o"]
    assert run([*command, str(tmp_path / "a.mp4"), "--pose", str(tmp_path / "p.csv")]) == 2
    said = capsys.readouterr().err
    assert "error: the weights, tiny, follow no pose\n" in said
    assert "hint: those do that are trained with pose = true in [model.field]" in said
    pipe = FloatPipeline.from_weights(tiny_weights, device="cpu")
    with pytest.raises(UsageError, match="follow no pose"):
        pipe.animate(face_file, speech_file, WHOLE, QUICK, "happy", tmp_path / "p.csv")


def test_a_batch_gives_clips_poses_of_their_own(posed_weights, face_file, speech_file, tmp_path):
    (tmp_path / "p.csv").write_text("time,yaw\n0,20\n")
    row = f"{face_file},{speech_file},happy,none,1"
    (tmp_path / "jobs.csv").write_text(f"face,speech,emotion,crop,nfe,out,pose\n{row},a.mp4,\n{row},b.mp4,p.csv\n")
    command = ["batch", str(tmp_path / "jobs.csv"), "-o", str(tmp_path / "out"), "--weights", str(posed_weights)]
    assert run([*command, "--device", "cpu", "-q"]) == 0
    one, other = (Motion.load(tmp_path / "out" / f"{name}.motion.safetensors").latents for name in "ab")
    assert np.abs(one - other).max() > 1e-3
