"""The fit of the initial state, on which the error of everything after rests: Adam, then Levenberg-Marquardt."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pdesolve.errors import InputError
from pdesolve.least_squares import LeastSquares, LevenbergMarquardt
from pdesolve.marching.instant import Instant
from pdesolve.training.run import Run

_RATE = 5e-3  # learning rate of Adam
_EXACT = 1e-12  # relative residual below which a fit has nothing more to give
_SLOW = 0.999  # factor of the loss over `_LOOK` steps above which it has stalled
_LOOK = 20


@dataclass(frozen=True)
class Fit:
    """How a fit ended: relative L2 at the points it was made on and at others, Levenberg-Marquardt's steps."""

    residual: float
    unseen: float
    steps: int
    seconds: float


def fit_initial(
    instant: Instant, unseen: Instant, run: Run, *, adam_steps: int, steps: int, seconds: float, tolerance: float
) -> Fit:
    """Fit the network to the initial state, until the steps or the CPU seconds are over or nothing is gained.

    Raises:
        InputError: a relative L2 at unseen points above the tolerance, with the fit that was reached.
    """
    began, module = run.budget.spent, instant.module
    end = min(began + seconds, run.budget.cpu_seconds)
    adam = torch.optim.Adam(module.parameters(), lr=_RATE)
    for _ in range(adam_steps):
        if run.budget.spent >= began + (end - began) / 4:
            break
        adam.zero_grad()
        instant.rows(instant.initial, instant.start).square().sum().backward()
        adam.step()
    adam.zero_grad()
    method = LeastSquares(module, LevenbergMarquardt())
    losses: list[float] = []
    longest = 0.0
    while len(losses) < steps and run.budget.spent + longest < end:
        before = run.budget.spent
        loss = float(method.step(lambda: {"initial state": instant.rows(instant.initial, instant.start)}))
        longest = max(longest, run.budget.spent - before)
        losses.append(loss)
        stalled = len(losses) > _LOOK and loss > _SLOW * losses[-1 - _LOOK]
        if not method.moved or stalled or 2 * loss <= _EXACT**2:
            break
    fit = Fit(
        instant.distance(instant.initial, instant.start), unseen.distance(unseen.initial, unseen.start), len(losses),
        run.budget.spent - began,
    )  # fmt: skip
    run.say(
        f"initial fit: relative L2 {fit.unseen:.1e} at unseen points after {fit.steps} steps, {fit.seconds:.0f} CPU s"
    )
    if not fit.unseen <= tolerance:
        raise InputError(
            f"the network fits the initial state to {fit.unseen:.1e} at points it has not seen ({fit.residual:.1e} at "
            f"its own), not to {tolerance:g}: give --method.width, --budget or a larger --method.fit_tolerance"
        )
    return fit
