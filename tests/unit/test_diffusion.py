"""Diffusion in place of flow: the mixture is the usual one, and DDIM undoes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from floatcli.config import OBJECTIVES, ModelConfig, SampleConfig
from floatcli.errors import UsageError
from floatcli.flow.diffusion import ddim, mixed, shares
from floatcli.flow.path import training_pair
from floatcli.flow.sampler import evaluation_times, sample_window
from floatcli.flow.solvers import ADAPTIVE_SOLVERS, FIXED_SOLVERS, check_objective
from floatcli.models.conditions import WindowCondition
from tests.unlike import random_model

DIFFUSIONS = tuple(name for name in OBJECTIVES if name != "flow")


def test_the_schedule_is_the_usual_one_of_a_thousand_steps() -> None:
    betas = np.linspace(1e-4, 0.02, 1000)
    kept = np.sqrt(np.cumprod(1 - betas))
    alpha, sigma = shares(1 - torch.arange(1, 1001) / 1000)
    assert np.allclose(alpha, kept, rtol=0.03, atol=2e-4)
    assert torch.allclose(alpha**2 + sigma**2, torch.ones(1000))


def test_motion_stands_at_the_end_and_hardly_at_the_start() -> None:
    alpha, sigma = shares(torch.tensor([0.0, 1.0]))
    assert alpha.tolist() == pytest.approx([np.exp(-5.025), 1], rel=1e-5)
    assert sigma.tolist() == pytest.approx([1, 0], abs=1e-4)


def test_training_pairs_in_closed_form() -> None:
    x_0, x_1, t = torch.randn(2, 3, 4), torch.randn(2, 3, 4), torch.tensor([0.25, 0.5])
    at = t.view(2, 1, 1)
    x_t, u_t = training_pair("flow", x_0, x_1, t)
    assert torch.equal(u_t, x_1 - x_0)
    assert torch.allclose(x_t, (1 - at) * x_0 + at * x_1)
    alpha = torch.exp(-(0.05 * (1 - at) + 4.975 * (1 - at) ** 2))
    for objective, expected in (("epsilon", x_0), ("x0", x_1)):
        x_t, target = training_pair(objective, x_0, x_1, t)
        assert torch.equal(target, expected)
        assert torch.allclose(x_t, alpha * x_1 + (1 - alpha**2).sqrt() * x_0, atol=1e-6)


@pytest.mark.parametrize("objective", DIFFUSIONS)
@pytest.mark.parametrize("nfe", [1, 2, 9])
def test_the_truth_is_followed_to_the_motion(objective: str, nfe: int) -> None:
    x_0, x_1 = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    times = torch.linspace(0, 1, nfe + 1, dtype=torch.float64)[:-1]
    seen = []

    def predict(t: Tensor, x_t: Tensor) -> Tensor:
        seen.append(t.item())
        assert torch.allclose(x_t, mixed(x_0, x_1, t.expand(2)), atol=1e-9)
        return x_0 if objective == "epsilon" else x_1

    start = mixed(x_0, x_1, times[:1].expand(2))
    assert torch.allclose(ddim(predict, objective, start, times), x_1, atol=1e-6)
    assert seen == times.tolist()


@pytest.mark.parametrize("objective", DIFFUSIONS)
def test_a_gaussian_is_sampled_as_it_is(objective: str) -> None:
    mean, spread = 1.5, 0.4
    torch.manual_seed(0)

    def predict(t: Tensor, x_t: Tensor) -> Tensor:
        alpha, sigma = shares(t)
        x_1 = mean + alpha * spread**2 / (alpha**2 * spread**2 + sigma**2) * (x_t - alpha * mean)
        return x_1 if objective == "x0" else (x_t - alpha * x_1) / sigma

    def sampled(nfe: int) -> Tensor:
        return ddim(predict, objective, torch.randn(20000, dtype=torch.float64), torch.linspace(0, 1, nfe + 1)[:-1])

    x_1 = sampled(200)
    assert x_1.mean().item() == pytest.approx(mean, abs=0.02)
    assert x_1.std().item() == pytest.approx(spread, rel=0.03)
    assert sampled(1).std().item() < 0.1 * spread  # all that one evaluation knows is the mean


@pytest.mark.parametrize("objective", DIFFUSIONS)
@pytest.mark.parametrize("nfe", [1, 5, None])
@torch.no_grad()
def test_nfe_is_the_number_of_evaluations(
    objective: str, nfe: int | None, unlike_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(unlike_config, objective=objective)
    field, settings = random_model(config).field, SampleConfig(nfe=nfe)
    through, times = field.through, []

    def counted(*given: object, **named: object) -> Tensor:
        times.append(1)
        return through(*given, **named)

    monkeypatch.setattr(field, "through", counted)
    sample_window(field, _condition(config), torch.randn(1, config.window, config.motion_dim), settings)
    assert len(times) == (nfe or 9) == len(evaluation_times(settings))


@torch.no_grad()
def test_the_same_network_is_followed_by_what_it_predicts(unlike_config: ModelConfig) -> None:
    x_0, made = torch.randn(1, unlike_config.window, unlike_config.motion_dim), []
    for objective in OBJECTIVES:
        config = replace(unlike_config, objective=objective)
        field = random_model(config).field
        made.append(sample_window(field, _condition(config), x_0, SampleConfig(nfe=2)))
        assert made[-1].isfinite().all()
    assert not torch.allclose(made[0], made[1], atol=0.1)
    assert not torch.allclose(made[1], made[2], atol=0.1)


@torch.no_grad()
def test_with_one_evaluation_x0_is_the_prediction_itself(unlike_config: ModelConfig) -> None:
    """Guided, as the field is: guidance is linear in whatever is predicted."""
    config = replace(unlike_config, objective="x0")
    field, given = random_model(config).field, _condition(config)
    x_0, t = torch.randn(1, config.window, config.motion_dim), torch.zeros(1)

    def predicted(**zeroed: Tensor) -> Tensor:
        return field(t, x_0, given._replace(**zeroed))[:, config.preceding :]

    v_ae = predicted()
    v_a, u = predicted(emotion=0 * given.emotion), predicted(emotion=0 * given.emotion, audio=0 * given.audio)
    expected = u + 2 * (v_a - u) + 3 * (v_ae - v_a)
    made = sample_window(field, given, x_0, SampleConfig(audio_scale=2, emotion_scale=3, nfe=1))
    assert torch.allclose(made, expected, atol=1e-3 * expected.std().item())


@pytest.mark.parametrize("solver", [*FIXED_SOLVERS, *ADAPTIVE_SOLVERS])
def test_other_solvers_are_for_the_flow_alone(solver: str, unlike_config: ModelConfig) -> None:
    settings = SampleConfig(solver=solver)
    check_objective(settings, "flow")
    config = replace(unlike_config, objective="epsilon")
    if solver == "euler":
        check_objective(settings, "epsilon")
        return
    with pytest.raises(UsageError, match=f"sampled by DDIM, not by {solver}"):
        sample_window(random_model(config).field, _condition(config), torch.zeros(1, 8, 20), settings)


def _condition(config: ModelConfig) -> WindowCondition:
    generator = torch.Generator().manual_seed(4)
    return WindowCondition(
        torch.randn(1, config.motion_dim, generator=generator),
        torch.randn(1, config.preceding, config.motion_dim, generator=generator),
        torch.randn(1, config.preceding, config.audio_dim, generator=generator),
        torch.randn(1, config.window, config.audio_dim, generator=generator),
        torch.rand(1, len(config.emotions), generator=generator),
    )
