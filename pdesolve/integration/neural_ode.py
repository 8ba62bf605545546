"""Adaptive integration of neural and other ordinary differential equations, and what its steps say of their errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import Diverged, InputError
from pdesolve.integration.runge_kutta import DORMAND_PRINCE, Rate, RungeKutta, Step, instant, runge_kutta_step
from pdesolve.integration.step_control import StepControl, starting_length

Watch = Callable[[float | Tensor, Tensor, float | Tensor], None]
"""Called with each accepted step: where it began, the state there without its graph, the step's length."""

_CONTROL = StepControl()
_SHORTEST = 1e-14  # of the whole time: shorter steps end the integration


@dataclass(frozen=True, eq=False)
class OdeSolution:
    """States at the times asked for, and the record of the steps that led there.

    Attributes:
        times: (time,), float64 on the CPU.
        states: y (time, *y).
        starts, lengths: where the accepted steps began and how long they were, negative backward in time (step,).
        errors: q (step,), the scaled errors `Step.scaled_error`; None where an adjoint hides them.
        stiffness: s (step,), the estimates `Step.stiffness`; None where an adjoint hides them or the pair has none.
        evaluations: of f for a batch, on the way forward; rejected steps and the choice of the first one count.
    """

    times: Tensor
    states: Tensor
    starts: Tensor
    lengths: Tensor
    errors: Tensor | None
    stiffness: Tensor | None
    evaluations: int
    accepted: int
    rejected: int


def solve_ivp(
    f: Rate,
    y: Tensor,
    times: Sequence[float] | Tensor,
    *,
    method: RungeKutta = DORMAND_PRINCE,
    relative: float = 1e-6,
    absolute: float = 1e-8,
    first: float | None = None,
    control: StepControl = _CONTROL,
    attempts: int = 100_000,
    watch: Watch | None = None,
) -> OdeSolution:
    """y_t = f(t, y) from y at times[0] through the other times, which ascend or descend; differentiable.

    f: a module or function of a scalar t and y (*sample, *place) that returns the shape of y, such as `Lines`. All
    samples share a step. States between the steps come from the interpolant of degree four, the last one is an end.
    relative, absolute: the tolerances of a step in `Step.scaled_error`. first: |h| of the first step, by default found
    with one more evaluation. attempts: steps, rejected ones included, after which it is given up.

    Gradients of states, errors and stiffness flow through the accepted steps, whose lengths are constants: all stages
    are kept, some ten times the memory of f for each step; `solve_adjoint` keeps none of them. The host waits for the
    device once a step, to hear whether it is accepted.

    Raises:
        InputError: times, tolerances or an f that cannot be integrated.
        Diverged: f is not finite, or steps that become too small or too many: when, and what may be the cause.
    """
    where = _instants(times)
    slope = _first_slope(f, where[0], y, relative=relative, absolute=absolute)
    t, end, evaluations = where[0], where[-1], 1
    if first is None:
        choice = starting_length(f, t, y, slope, end=end, method=method, relative=relative, absolute=absolute)
        first, evaluations = float(choice), 2
        if not math.isfinite(first):  # f is not finite here, which the steps will tell, or where this looked ahead
            first = 1e-6 * abs(end - t)
    if not 0 < first < math.inf:
        raise InputError(f"expected a first step above zero, got {first:g}: leave it out")
    length, previous, accepted, rejected, again = first, 1e-4, 0, 0, False
    states, errors, stiffness, starts, lengths = [y], [], [], [], []
    while t != end:
        # a last step that would be a hundredth is not worth its evaluations
        whole = 1.01 * length >= abs(end - t)
        h = end - t if whole else math.copysign(length, end - t)
        step = runge_kutta_step(f, method, t=t, y=y, slope=slope, length=h)
        error = step.scaled_error(relative=relative, absolute=absolute)
        q = float(error.detach())
        evaluations += method.evaluations
        if q <= 1.0:
            if watch is not None:
                watch(t, y.detach(), h)
            after = end if whole else t + h
            while len(states) < len(where) and (where[len(states)] - after) * (end - t) <= 0:
                states.append(step.at(1.0 if where[len(states)] == after else (where[len(states)] - t) / h))
            starts.append(t)
            lengths.append(h)
            errors.append(error)
            stiffness.append(step.stiffness())
            t, y, slope = after, step.end, step.slopes[-1]
            factor = control.after_success(q, previous=previous, order=method.order)
            length, previous, again = abs(h) * (min(factor, 1.0) if again else factor), q, False
            accepted += 1
        else:
            length, again = abs(h) * control.after_rejection(q, order=method.order), True
            rejected += 1
        lost = length <= max(_SHORTEST * abs(end - where[0]), 4 * math.ulp(t)) or accepted + rejected >= attempts
        if lost and t != end:
            raise Diverged(_given_up(step, t, q, length))
    return OdeSolution(
        times=torch.tensor(where, dtype=torch.float64),
        states=torch.stack(states),
        starts=torch.tensor(starts, dtype=y.dtype.to_real(), device=y.device),
        lengths=torch.tensor(lengths, dtype=y.dtype.to_real(), device=y.device),
        errors=torch.stack(errors),
        stiffness=torch.stack(stiffness) if method.pair else None,
        evaluations=evaluations,
        accepted=accepted,
        rejected=rejected,
    )


def solve_adjoint(
    f: nn.Module,
    y: Tensor,
    times: Sequence[float] | Tensor,
    *,
    relative: float = 1e-6,
    absolute: float = 1e-8,
    watch: Watch | None = None,
) -> OdeSolution:
    """`solve_ivp` by torchdiffeq's Dormand-Prince method and continuous adjoint: memory of the states asked for alone.

    Gradients come from an integration backward in time, which never sees the stages: the solution has neither errors
    nor stiffness, and its regulariser is a local one (`unbiased_local_error`, `biased_local_error`). R. T. Q. Chen et
    al., Neural Ordinary Differential Equations, 2018, arXiv 1806.07366.

    Raises:
        InputError: times, tolerances or an f that cannot be integrated.
        Diverged: f is not finite or steps become too small.
    """
    from torchdiffeq import odeint_adjoint

    where = _instants(times)
    if not isinstance(f, nn.Module):
        raise InputError(
            f"the adjoint needs an nn.Module whose parameters it can list, got {type(f).__name__}: solve_ivp"
        )
    watched = _Watched(f, watch)
    with torch.no_grad():
        _first_slope(f, where[0], y, relative=relative, absolute=absolute)
    # float64: torchdiffeq chooses its steps in the dtype of the times
    t = torch.tensor(where, dtype=torch.float64, device=y.device)
    try:
        states = odeint_adjoint(watched, y, t, rtol=relative, atol=absolute, method="dopri5")
    except AssertionError as error:
        at = float(watched.starts[-1]) if watched.starts else where[0]
        reason = " ".join(str(error).split())[:150]  # with all of a state
        raise Diverged(f"the integration cannot go on from t = {at:.6g}: {reason}; solve_ivp says more") from error
    assert isinstance(states, Tensor)
    sign = math.copysign(1.0, where[-1] - where[0])
    real = y.dtype.to_real()
    return OdeSolution(
        times=torch.tensor(where, dtype=torch.float64),
        states=states,
        starts=torch.stack(watched.starts).to(real),
        lengths=sign * torch.stack(watched.lengths).to(real).abs(),
        errors=None,
        stiffness=None,
        evaluations=watched.evaluations,
        accepted=len(watched.starts),
        rejected=watched.rejected,
    )


class _Watched(nn.Module):
    """f with an ear for torchdiffeq's callbacks, whose names are theirs."""

    def __init__(self, f: nn.Module, watch: Watch | None) -> None:
        super().__init__()
        self.f, self.watch = f, watch
        self.evaluations, self.rejected = 0, 0
        self.starts: list[Tensor] = []
        self.lengths: list[Tensor] = []

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.evaluations += 1
        return self.f(t, y)

    def callback_accept_step(self, t: Tensor, y: Tensor, length: Tensor) -> None:
        self.starts.append(t.detach())
        self.lengths.append(length.detach())
        if self.watch is not None:
            self.watch(t.detach(), y.detach(), length.detach())

    def callback_reject_step(self, *_: Any) -> None:
        self.rejected += 1


def _instants(times: Sequence[float] | Tensor) -> list[float]:
    values: list[float] = times.detach().double().tolist() if isinstance(times, Tensor) else [float(t) for t in times]
    differences = [b - a for a, b in pairwise(values)]
    same = all(d > 0 for d in differences) or all(d < 0 for d in differences)
    if len(values) < 2 or not same or not all(map(math.isfinite, values)):
        shown = ", ".join(f"{t:g}" for t in values[:6]) + (", ..." if len(values) > 6 else "")
        raise InputError(f"expected at least two times that all ascend or all descend, got [{shown}]: sort them")
    return values


def _first_slope(f: Rate, t: float, y: Tensor, *, relative: float, absolute: float) -> Tensor:
    """f(t, y), once it is known that this can be integrated."""
    if not (y.is_floating_point() or y.is_complex()) or y.numel() == 0:
        raise InputError(
            f"expected a state of real or complex numbers, got {y.dtype} of shape {tuple(y.shape)}: y.double()"
        )
    if not (0 <= relative < 1 and 0 < absolute < math.inf):
        raise InputError(
            f"expected tolerances above zero, got relative {relative:g}, absolute {absolute:g}: 1e-6, 1e-8"
        )
    slope = f(instant(t, y), y)
    expected, came = ((tuple(x.shape), x.dtype, x.device) for x in (y, slope))
    if expected != came:
        raise InputError(
            f"f(t, y) must be like y, {_words(*expected)}, and is {_words(*came)}: return the slope of every entry of y"
        )
    return slope


def _words(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> str:
    return f"{list(shape)} {str(dtype).removeprefix('torch.')} on {device}"


def _not_finite(t: float, where: str = "at ") -> str:
    return (
        f"the right-hand side is not finite {where}t = {t:.6g}: look at f(t, y) there, and at the state it starts from"
    )


def _given_up(step: Step, t: float, q: float, length: float) -> str:
    """Why steps do not lead on from t."""
    if not math.isfinite(q):
        return _not_finite(t) if not bool(step.slopes[0].isfinite().all()) else _not_finite(t, "just after ")
    stiffness = step.stiffness()
    product = 0.0 if stiffness is None else abs(step.length) * float(stiffness.detach())
    if product > 0.5 * step.method.radius:
        cause = f"h s = {product:.2g} is at the bound of stability: stiff, take an implicit method or wider tolerances"
    else:
        cause = "does the solution exist that long, and are the tolerances above rounding?"
    return f"the integration ends at t = {t:.6g} with steps of {length:.2g}; {cause}"
