"""Penalties on what a learned differential equation costs to integrate: the solver's own error and stiffness estimates.

Terms of an objective, weighted beside the loss of the task, so that training finds dynamics of fewer evaluations.
Global ones sum over the steps of a solution: A. Pal, Y. Ma, V. Shah, C. Rackauckas, Opening the Blackbox, 2021, arXiv
2105.03918. Local ones look at one more step somewhere: A. Pal, A. Edelman, C. Rackauckas, Locally Regularized Neural
Differential Equations, 2023, arXiv 2303.02262. They scale with the tolerances, since q is measured in them, and draw
learned dynamics towards slow ones: where the dynamics is what is wanted, anneal the weight to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.integration.neural_ode import OdeSolution, Watch, solve_ivp
from pdesolve.integration.runge_kutta import DORMAND_PRINCE, Rate, RungeKutta, instant, runge_kutta_step
from pdesolve.integration.step_control import starting_length


def error_penalty(solution: OdeSolution) -> Tensor:
    """R_E = sum_j q_j |h_j| over the accepted steps, a scalar; good weights are 100 falling to 10 (MNIST).

    Raises:
        InputError: a solution whose errors have no gradient: an adjoint's, or one without a graph.
    """
    return (_differentiable(solution, "errors") * solution.lengths.abs()).sum()


def squared_error_penalty(solution: OdeSolution) -> Tensor:
    """sum_j q_j^2, the variant of `error_penalty` that counts steps rather than time.

    Raises:
        InputError: as `error_penalty`.
    """
    return _differentiable(solution, "errors").square().sum()


def stiffness_penalty(solution: OdeSolution) -> Tensor:
    """R_S = sum_j s_j |h_j|, a scalar, about the time times the mean stiffness; good weights are 0.03 to 0.3.

    Raises:
        InputError: as `error_penalty`, or a pair that has no stiffness estimate.
    """
    return (_differentiable(solution, "stiffness") * solution.lengths.abs()).sum()


def local_error_penalty(
    f: Rate,
    y: Tensor,
    *,
    t: float,
    end: float,
    method: RungeKutta = DORMAND_PRINCE,
    relative: float = 1e-6,
    absolute: float = 1e-8,
) -> Tensor:
    """q |h| of one step from (t, y) towards `end`, of the length a solver would begin with there, at most end - t.

    y is a constant: the gradient is that of that step in the parameters of f, so that it goes with any solver and any
    adjoint. Costs two evaluations more than a step.
    """
    y = y.detach()
    slope = f(instant(t, y), y)
    length = float(starting_length(f, t, y, slope, end=end, method=method, relative=relative, absolute=absolute))
    step = runge_kutta_step(f, method, t=t, y=y, slope=slope, length=math.copysign(length, end - t))
    return step.scaled_error(relative=relative, absolute=absolute) * length


class Solve(Protocol):
    """`solve_ivp`, `solve_adjoint`, or one of them with settings of its own (functools.partial)."""

    def __call__(
        self,
        f: Rate,
        y: Tensor,
        times: Sequence[float],
        *,
        relative: float,
        absolute: float,
        watch: Watch | None = None,
    ) -> OdeSolution: ...


def unbiased_local_error(
    f: Rate,
    y: Tensor,
    times: Sequence[float],
    *,
    generator: torch.Generator,
    solve: Solve = solve_ivp,
    relative: float = 1e-6,
    absolute: float = 1e-8,
) -> tuple[OdeSolution, Tensor]:
    """The solution at `times`, and `local_error_penalty` at a time drawn uniformly between the first and the last.

    On average over draws the mean of that penalty over the time, whatever steps the solver takes. generator: of the
    CPU. With an adjoint the drawn time is one more at which its way back begins anew.
    """
    times = [float(time) for time in times]
    place = float(torch.rand((), generator=generator, dtype=torch.float64))
    t = times[0] + place * (times[-1] - times[0])
    index = sum((t - other) * (times[-1] - times[0]) > 0 for other in times)
    if t in times:
        solution = solve(f, y, times, relative=relative, absolute=absolute)
        here = solution.states[times.index(t)]
    else:
        more = solve(f, y, [*times[:index], t, *times[index:]], relative=relative, absolute=absolute)
        kept = [i for i in range(len(times) + 1) if i != index]
        here, solution = more.states[index], replace(more, times=more.times[kept], states=more.states[kept])
    return solution, local_error_penalty(f, here, t=t, end=times[-1], relative=relative, absolute=absolute)


def biased_local_error(
    f: Rate,
    y: Tensor,
    times: Sequence[float],
    *,
    generator: torch.Generator,
    solve: Solve = solve_ivp,
    relative: float = 1e-6,
    absolute: float = 1e-8,
) -> tuple[OdeSolution, Tensor]:
    """The solution at `times`, and `local_error_penalty` where one of its steps began, each of them as likely.

    More often where the solver takes short steps than `unbiased_local_error`. generator: of the CPU.
    """
    times = [float(time) for time in times]
    drawn = _Drawn(generator)
    solution = solve(f, y, times, relative=relative, absolute=absolute, watch=drawn)
    assert drawn.state is not None
    t = float(drawn.start)
    return solution, local_error_penalty(f, drawn.state, t=t, end=times[-1], relative=relative, absolute=absolute)


class _Drawn:
    """One of a number of steps that is not known before, each of them as likely: the n-th replaces it once in n."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator, self.count = generator, 0
        self.start: float | Tensor = math.nan
        self.state: Tensor | None = None

    def __call__(self, start: float | Tensor, state: Tensor, length: float | Tensor) -> None:
        self.count += 1
        if float(torch.rand((), generator=self.generator, dtype=torch.float64)) * self.count < 1.0:
            self.start, self.state = start, state


@dataclass(frozen=True)
class ExponentialAnnealing:
    """A weight that goes from `first` to `last` in `steps` steps, first (last / first)^(k / steps), and stays there."""

    first: float
    last: float
    steps: int

    def __post_init__(self) -> None:
        if not (0 < self.first < math.inf and 0 < self.last < math.inf and self.steps >= 1):
            raise InputError(
                f"expected weights above zero and at least one step, got {self}: for zero leave the term out"
            )

    def at(self, step: int) -> float:
        """The weight of a step, counted from zero."""
        return self.first * (self.last / self.first) ** min(1.0, step / self.steps)


def _differentiable(solution: OdeSolution, name: str) -> Tensor:
    """The estimates of a solution, refused where a penalty on them would train nothing."""
    advice = "solve with solve_ivp, or take unbiased_local_error, which goes with any adjoint"
    if not isinstance(solution, OdeSolution):
        raise InputError(f"expected an OdeSolution, got {type(solution).__name__}, which knows no steps: {advice}")
    if solution.errors is None:
        raise InputError(
            f"a continuous adjoint never sees the stages of steps, so their {name} have no gradient: {advice}"
        )
    estimates = solution.errors if name == "errors" else solution.stiffness
    if estimates is None:
        raise InputError("this pair has no two stages at the end of a step, which stiffness needs: DORMAND_PRINCE")
    if torch.is_grad_enabled() and not estimates.requires_grad:
        raise InputError(
            f"the {name} of this solution have no gradient: it was solved under no_grad or f has nothing to train; "
            "solve with gradients, or look at the penalty under torch.no_grad()"
        )
    return estimates
