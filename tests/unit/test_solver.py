import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from floatcli.config import SampleConfig
from floatcli.errors import UsageError
from floatcli.flow.path import along, target
from floatcli.flow.sampler import evaluation_times, integrate
from floatcli.flow.solvers import ADAPTIVE_SOLVERS, FIXED_SOLVERS, solver_steps

Field = Callable[[Tensor, Tensor], Tensor]

ORDER = {"euler": 1, "midpoint": 2, "heun2": 2, "heun3": 3, "rk4": 4}


class Counting:
    """A field that remembers when it was asked."""

    def __init__(self, field: Field = lambda t, x: -x) -> None:
        self.field = field
        self.times: list[float] = []

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        self.times.append(t.item())
        return self.field(t, x)


@pytest.mark.parametrize("solver", FIXED_SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 9, 49])
def test_nfe_is_the_number_of_evaluations(solver: str, steps: int) -> None:
    field, nfe = Counting(), steps * FIXED_SOLVERS[solver]
    integrate(field, torch.ones(1, 2), SampleConfig(solver=solver, nfe=nfe))
    assert len(field.times) == nfe
    assert all(0 <= t <= 1 for t in field.times)


def test_nine_evaluations_reproduce_the_release() -> None:
    field = Counting()
    integrate(field, torch.ones(1, 2), SampleConfig())
    assert field.times == pytest.approx([i / 9 for i in range(9)])


@pytest.mark.parametrize("solver", FIXED_SOLVERS)
def test_times_of_fixed_steps_are_known_beforehand(solver: str) -> None:
    field, settings = Counting(), SampleConfig(solver=solver, nfe=None)
    integrate(field, torch.ones(1, 2), settings)
    assert list(evaluation_times(settings)) == field.times


def test_times_that_a_solver_chooses_are_not() -> None:
    assert evaluation_times(SampleConfig(solver="dopri5", nfe=None)) is None


@pytest.mark.parametrize("solver", FIXED_SOLVERS)
@pytest.mark.parametrize(
    ("field", "solution"),
    [(lambda t, x: -x, math.exp(-1)), (lambda t, x: torch.cos(t) * x, math.exp(math.sin(1)))],
)
def test_error_falls_with_the_order(solver: str, field: Field, solution: float) -> None:
    settings = SampleConfig(solver=solver)

    def error(steps: int) -> float:
        nfe = steps * FIXED_SOLVERS[solver]
        x_1 = integrate(field, torch.ones(1, 1, dtype=torch.float64), replace(settings, nfe=nfe))
        return abs(x_1.item() - solution)

    assert math.log2(error(8) / error(16)) > ORDER[solver] - 0.4


@pytest.mark.parametrize("solver", [*FIXED_SOLVERS, *ADAPTIVE_SOLVERS])
def test_a_straight_path_is_followed_exactly(solver: str) -> None:
    x_0, x_1 = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    result = integrate(lambda t, x: target(x_0, x_1), x_0, SampleConfig(solver=solver))
    assert torch.allclose(result, x_1, atol=1e-5)


@pytest.mark.parametrize("solver", ADAPTIVE_SOLVERS)
def test_adaptive_solvers_work_for_their_tolerance(solver: str) -> None:
    evaluations, errors = [], []
    for tolerance in (1e-2, 1e-6):
        field = Counting(lambda t, x: 20 * torch.cos(20 * t) * torch.ones_like(x))
        x_1 = integrate(field, torch.zeros(1, 1), SampleConfig(solver=solver, tolerance=tolerance))
        evaluations.append(len(field.times))
        errors.append(abs(x_1.item() - math.sin(20)))
    assert evaluations[1] > evaluations[0]
    assert errors[1] < min(errors[0], 1e-3)


@pytest.mark.parametrize(
    ("solver", "nfe", "steps"),
    [("euler", None, 9), ("midpoint", None, 5), ("heun3", None, 3), ("rk4", None, 3), ("dopri5", None, None),
     ("rk4", 8, 2), ("euler", 1, 1)],
)  # fmt: skip
def test_steps(solver: str, nfe: int | None, steps: int | None) -> None:
    assert solver_steps(SampleConfig(solver=solver, nfe=nfe)) == steps


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SampleConfig(solver="midpoint", nfe=9), "take 8 or 10"),
        (SampleConfig(solver="rk4", nfe=2), "take 4"),
        (SampleConfig(nfe=0), r"must lie in 1\.\.10000"),
        (SampleConfig(solver="leapfrog"), "euler, midpoint"),
        (SampleConfig(solver="dopri5", nfe=9), "takes no nfe"),
        (SampleConfig(solver="dopri5", tolerance=1e-9), "tolerance"),
    ],
)
def test_what_cannot_be_solved_says_so(settings: SampleConfig, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        solver_steps(settings)


def test_settings_are_checked_without_torch() -> None:
    code = "import floatcli.flow.solvers, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_path() -> None:
    x_0, x_1 = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    x_t = along(x_0, x_1, torch.tensor([0.0, 0.25, 1.0]))
    assert torch.equal(x_t[0], x_0[0])
    assert torch.allclose(x_t[1], x_0[1] + 0.25 * target(x_0, x_1)[1], atol=1e-6)
    assert torch.equal(x_t[2], x_1[2])
