"""Least squares on discrete equations from a guess, and on trajectories until time is resolved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.finetuning.discrete import DiscreteEquations, TrajectoryEquations
from pdesolve.finetuning.window import Window
from pdesolve.least_squares import Form, Functional, LevenbergMarquardt, minimise
from pdesolve.least_squares.form import available_bytes, predicted_bytes
from pdesolve.least_squares.jacobian import Jacobian
from pdesolve.least_squares.objective import Linearisation

_ITERATIONS = 300  # of conjugate gradients in a step
_FORCING = (1e-3, 0.1)  # how far a step's linear problem is solved: steps gain about as much
_MOST = 384  # points in time
# the preconditioned Jacobian is near the identity: damping only where a full step goes astray
_METHOD = LevenbergMarquardt(damping=1e-10, acceleration=0.0)


@dataclass(frozen=True, eq=False)
class Outcome:
    """Where least squares from a guess ended, for each sample.

    u (sample, [time,] scalar, *space). before, after: |M^-1 r| / |u|, about the relative error against the solution of
    the discrete equations. rows_before, rows_after: |r| over that of u = 0. steps: of Levenberg and Marquardt.
    products: with the Jacobian or its transpose, of the whole batch. described: of the discretisation. unresolved: what
    twice the points in time would still change, relative; 0 of stationary equations.
    """

    u: Tensor
    before: Tensor
    after: Tensor
    rows_before: Tensor
    rows_after: Tensor
    steps: Tensor
    products: int
    described: str
    unresolved: float = 0.0


def solved(equations: DiscreteEquations, guess: Tensor, *, iterations: int, tolerance: float) -> Outcome:
    """The field that makes the residual least, from a guess (sample, [time,] scalar, *space), in float64.

    iterations: steps at most. tolerance: of `after`, at which a sample is left as it is.

    Raises:
        InputError: a residual that is not finite at the guess; more memory than there is.
    """
    theta = equations.unknowns(guess)
    objective = _Counted(lambda theta: {"equation": equations.error(theta)})
    n = theta.shape[-1]
    size = theta.shape[0] * predicted_bytes("matrix_free", n, n, theta.element_size())
    if size > available_bytes(theta.device):
        raise InputError(f"{n} unknowns of {len(theta)} samples need {size / 1e9:.3g} GB: fine-tune fewer samples")
    rows = equations.residual(theta)
    bad = ~torch.isfinite(rows).all(-1)
    if bool(bad.any()):
        raise InputError(
            f"the residual of sample {int(bad.nonzero()[0])} of {len(bad)} is not finite at the prediction: are there "
            "infinite coefficients, or does a logarithm, a root or a quotient leave its range?"
        )
    first = objective.values(theta)
    scale = torch.maximum(theta.norm(dim=-1), first.norm(dim=-1))
    scale = torch.where(scale > 0, scale, 1.0)
    wanted = 0.3 * tolerance / max(float((first.norm(dim=-1) / scale).max()), tolerance)
    forcing = min(max(wanted, _FORCING[0]), _FORCING[1])
    form = Form("matrix_free", n, n, size, iterations=_ITERATIONS, tolerance=forcing)
    found = minimise(
        objective, theta, _METHOD, steps=iterations, tolerance=0.0, form=form, target=(tolerance * scale).square() / 2
    )
    last = objective.values(found.theta)
    before = rows.norm(dim=-1)
    zero, after = (equations.residual(t).norm(dim=-1) for t in (torch.zeros_like(theta), found.theta))
    zero = torch.where(zero > 0, zero, 1.0)
    return Outcome(
        equations.fields(found.theta), first.norm(dim=-1) / scale, last.norm(dim=-1) / scale, before / zero,
        after / zero, found.steps, objective.products, equations.described,
    )  # fmt: skip


def solved_in_time(
    discretised: Callable[[Window, Tensor], TrajectoryEquations], times: tuple[float, ...], frames: Tensor, *,
    iterations: int, tolerance: float,
) -> Outcome:  # fmt: skip
    """Frames (sample, frame, scalar, *space) of a trajectory whose first one is known, from guesses of the others.

    The points in time are doubled until that changes less than the tolerance.
    """
    window = Window(times, 12 + 2 * len(times))
    u = window.of_frames(frames, 1)
    u = torch.cat([frames[:, :1], u[:, 1:]], 1)
    equations = discretised(window, u)
    first: Outcome | None = None
    found, unresolved = solved(equations, u, iterations=iterations, tolerance=tolerance), torch.inf
    while True:
        first = found if first is None else replace(
            found, before=first.before, rows_before=first.rows_before, steps=first.steps + found.steps,
            products=first.products + found.products,
        )  # fmt: skip
        finer = Window(times, 2 * window.count)
        last, u = unresolved, equations.at(found.u, finer.axis.points.tolist())
        try:
            refined = discretised(finer, u)
        except InputError:  # of memory: as fine as it gets
            break
        theta = refined.unknowns(u)
        unresolved = float((refined.error(theta).detach().norm(dim=-1) / theta.norm(dim=-1)).max())
        if unresolved <= tolerance or unresolved > 0.5 * last or finer.count > _MOST:
            break
        window, equations = finer, refined
        found = solved(equations, u, iterations=iterations, tolerance=tolerance)
    return replace(first, u=equations.at(found.u, times), unresolved=unresolved)


class _Counted(Functional):
    """A functional that counts products with its Jacobian and the transpose."""

    products = 0

    def linearise(self, theta: Tensor) -> Linearisation:
        here = super().linearise(theta)
        return replace(here, jacobian=_Counting(here.jacobian, self))


class _Counting(Jacobian):
    def __init__(self, jacobian: Jacobian, counter: _Counted) -> None:
        self._jacobian, self._counter = jacobian, counter
        self.rows, self.parameters = jacobian.rows, jacobian.parameters

    def times(self, v: Tensor) -> Tensor:
        self._counter.products += 1
        return self._jacobian.times(v)

    def transposed(self, w: Tensor) -> Tensor:
        self._counter.products += 1
        return self._jacobian.transposed(w)

    def dense(self) -> Tensor:
        return self._jacobian.dense()

    def gram(self) -> Tensor:
        return self._jacobian.gram()
