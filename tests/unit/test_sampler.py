import copy
from collections.abc import Iterator
from itertools import islice

import pytest
import torch
from torch import Tensor, nn

from floatcli.config import ModelConfig, SampleConfig
from floatcli.flow.sampler import noise_windows, sample_motion
from floatcli.models.conditions import WindowCondition
from floatcli.models.float_model import FloatModel


class Recorder:
    """Carries noise to itself plus one, and keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[WindowCondition] = []
        self.x: list[Tensor] = []

    def __call__(self, condition: WindowCondition, x_0: Tensor, settings: SampleConfig) -> Tensor:
        self.given.append(condition)
        self.x.append(x_0)
        return x_0 + 1

    def sample(self, config: ModelConfig, *given: Tensor, noise: Tensor | None = None) -> Iterator[Tensor]:
        """Windows under the reference motion, audio and emotion given; there is no field."""
        return sample_motion(nn.Identity(), *given, SampleConfig(), config, noise, carry=self)


def sample(model: FloatModel, batch: int, settings: SampleConfig = SampleConfig(), **changes: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    given = {
        "ref_motion": torch.randn(3, 20, generator=generator),
        "audio_cond": torch.randn(3, 19, 10, generator=generator),
        "emotion": torch.rand(3, 3, generator=generator),
    } | changes
    given = {name: value[:batch] for name, value in given.items()}
    return torch.cat(list(sample_motion(model.field, **given, settings=settings, config=model.config)), dim=1)


def test_windows_follow_each_other(unlike_config: ModelConfig) -> None:
    recorder, audio = Recorder(), torch.randn(1, 19, 10)
    ref_motion, emotion = torch.randn(1, 20), torch.rand(1, 3)
    windows = list(recorder.sample(unlike_config, ref_motion, audio, emotion))
    assert [window.shape[1] for window in windows] == [8, 8, 3]
    first, second, third = recorder.given
    assert not first.preceding_motion.any()
    assert not first.preceding_audio.any()
    assert torch.equal(second.preceding_motion, windows[0][:, -3:])
    assert torch.equal(second.preceding_audio, audio[:, 5:8])
    assert torch.equal(third.audio[:, :3], audio[:, 16:])
    assert torch.equal(third.audio[:, 3:], audio[:, 18:].expand(-1, 5, -1))
    assert torch.equal(third.ref_motion, ref_motion)


def test_windows_come_before_the_next_is_begun(unlike_config: ModelConfig) -> None:
    recorder = Recorder()
    audio, ref_motion, emotion = torch.zeros(1, 19, 10), torch.zeros(1, 20), torch.zeros(1, 3)
    windows = recorder.sample(unlike_config, ref_motion, audio, emotion)
    next(windows)
    assert len(recorder.given) == 1


def test_emotion_by_frame_goes_with_its_window(unlike_config: ModelConfig) -> None:
    recorder, emotion = Recorder(), torch.arange(19.0).view(1, 19, 1).expand(-1, -1, 3)
    list(recorder.sample(unlike_config, torch.zeros(1, 20), torch.zeros(1, 19, 10), emotion))
    rows = [given.emotion[0, :, 0].tolist() for given in recorder.given]
    assert rows[0] == [0, 0, 0, *range(8)]
    assert rows[1] == [*range(5, 16)]
    assert rows[2] == [13, 14, 15, 16, 17, 18, 18, 18, 18, 18, 18]


def test_a_constant_emotion_by_frame_is_that_of_the_clip(unlike_model: FloatModel) -> None:
    emotion = torch.rand(1, 3)
    by_frame = emotion[:, None].expand(-1, 19, -1)
    assert torch.equal(sample(unlike_model, 1, emotion=emotion), sample(unlike_model, 1, emotion=by_frame))


@pytest.mark.parametrize("solver", ["euler", "rk4"])
def test_a_clip_moves_in_a_batch_as_it_does_alone(solver: str, unlike_model: FloatModel) -> None:
    settings = SampleConfig(solver=solver)
    alone, together = sample(unlike_model, 1, settings), sample(unlike_model, 3, settings)
    assert alone.shape == (1, 19, 20)
    assert (alone - together[:1]).abs().max() <= 1e-5 * alone.std()


def test_a_seed_gives_one_motion_and_another_seed_another(unlike_model: FloatModel) -> None:
    first = sample(unlike_model, 1, SampleConfig(seed=1))
    torch.randn(5)  # no other randomness has a part in it
    assert torch.equal(sample(unlike_model, 1, SampleConfig(seed=1)), first)
    assert not torch.allclose(sample(unlike_model, 1, SampleConfig(seed=2)), first, atol=0.1)


def test_sixteen_bit_weights_sample_in_float32(unlike_model: FloatModel) -> None:
    half = copy.deepcopy(unlike_model).bfloat16()
    given = (torch.randn(1, 20), torch.randn(1, 19, 10), torch.rand(1, 3))
    halved = (each.bfloat16() for each in given)
    windows = sample_motion(half.field, *halved, SampleConfig(), half.config)
    motion = torch.cat(list(windows), dim=1)
    expected = torch.cat(list(sample_motion(unlike_model.field, *given, SampleConfig(), half.config)), dim=1)
    assert motion.dtype == torch.float32
    assert (motion - expected).abs().mean() < 0.1 * expected.std()


def test_each_window_has_noise_of_its_own_from_one_stream() -> None:
    first, second = islice(noise_windows(15, 8, 20), 2)
    assert first.shape == second.shape == (1, 8, 20)
    assert not torch.equal(first, second)
    stream = torch.randn(2, 8, 20, generator=torch.Generator().manual_seed(15))
    assert torch.equal(torch.cat((first, second)), stream)


def test_noise_of_ones_own(unlike_config: ModelConfig) -> None:
    recorder, noise = Recorder(), torch.randn(3, 1, 8, 20)
    audio, ref_motion, emotion = torch.zeros(1, 19, 10), torch.zeros(1, 20), torch.zeros(1, 3)
    windows = list(recorder.sample(unlike_config, ref_motion, audio, emotion, noise=noise))
    assert torch.equal(torch.cat(recorder.x), noise[:, 0])
    assert torch.allclose(torch.cat(windows, dim=1), noise.flatten(0, 2)[None, :19] + 1)


def test_nothing_before_the_window_is_allowed() -> None:
    from dataclasses import replace

    from tests.unlike import UNLIKE

    config, recorder = replace(UNLIKE, preceding=0), Recorder()
    audio, ref_motion, emotion = torch.zeros(1, 9, 10), torch.zeros(1, 20), torch.zeros(1, 3)
    assert len(list(recorder.sample(config, ref_motion, audio, emotion))) == 2
    assert recorder.given[1].preceding_motion.shape == (1, 0, 20)
