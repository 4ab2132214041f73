"""The solvers there are, and how many steps make the evaluations asked for. Imports no torch."""

from __future__ import annotations

from dataclasses import replace

from floatcli.config import DEFAULT_NFE, SampleConfig
from floatcli.errors import UsageError

#: Solvers of fixed step, with the evaluations of the field in each step.
FIXED_SOLVERS = {"euler": 1, "midpoint": 2, "heun2": 2, "heun3": 3, "rk4": 4}

LARGEST_NFE = 10_000  # a hundred are beyond telling from exact

#: Solvers that choose their steps to meet a tolerance.
ADAPTIVE_SOLVERS = ("adaptive_heun", "bosh3", "dopri5", "dopri8", "fehlberg2")


def solver_steps(settings: SampleConfig) -> int | None:
    """Steps from noise to motion; None where the solver chooses them itself.

    ``settings.nfe`` is met exactly. Where it is None, fixed steps make DEFAULT_NFE evaluations or the next number
    that is whole steps.

    Raises:
        UsageError: there is no such solver, it cannot make exactly that many evaluations, or it makes as many as
            its tolerance needs, which the others have not.
    """
    solver, nfe = settings.solver, settings.nfe
    if solver in ADAPTIVE_SOLVERS:
        if nfe is not None:
            raise UsageError(
                f"{solver} chooses its own steps and takes no nfe",
                f"leave nfe out and set the tolerance, or choose from {', '.join(FIXED_SOLVERS)}",
            )
        if not 1e-6 <= settings.tolerance < 1:  # float32 cannot meet less
            said = f"tolerance must be at least 1e-6 and below 1, not {settings.tolerance}"
            raise UsageError(said, "1e-4 is plenty")
        return None
    if solver not in FIXED_SOLVERS:
        raise UsageError(
            f"there is no solver {solver!r}", f"choose from {', '.join((*FIXED_SOLVERS, *ADAPTIVE_SOLVERS))}"
        )
    if settings.tolerance != SampleConfig.tolerance:
        raise UsageError(f"{solver} takes no tolerance", f"adaptive solvers do: {', '.join(ADAPTIVE_SOLVERS)}")
    per_step = FIXED_SOLVERS[solver]
    if nfe is None:
        return -(-DEFAULT_NFE // per_step)
    if not 1 <= nfe <= LARGEST_NFE:
        said = f"nfe must lie in 1..{LARGEST_NFE}, not {nfe}"
        raise UsageError(said, f"{DEFAULT_NFE} is what the published model uses")
    if nfe % per_step:
        below = nfe - nfe % per_step
        near = f"{below} or {below + per_step}" if below else f"{per_step}"
        raise UsageError(f"{solver} makes {per_step} evaluations a step and cannot make {nfe}", f"take {near}")
    return nfe // per_step


def check_objective(settings: SampleConfig, objective: str) -> None:
    """Raise UsageError where the solver is none for a field that predicts ``objective``.

    A diffusion is sampled by DDIM, which is Euler's method for its own ODE, so it goes by that name.
    """
    if objective != "flow" and settings.solver != "euler":
        said = f"these weights predict {objective}, a diffusion's, which is sampled by DDIM, not by {settings.solver}"
        raise UsageError(said, "leave out the solver and its tolerance: euler stands for DDIM with such weights")


def resolved(settings: SampleConfig) -> SampleConfig:
    """The settings with the number of evaluations that will be made, where the solver's steps fix it."""
    steps = solver_steps(settings)
    return settings if steps is None else replace(settings, nfe=steps * FIXED_SOLVERS[settings.solver])


def in_step(settings: SampleConfig) -> SampleConfig | None:
    """What is the same for all windows that one batch can sample; None where the solver chooses steps by what it sees.

    A seed is no part of it: it has made its noise by then.
    """
    return None if solver_steps(settings) is None else replace(resolved(settings), seed=0)
