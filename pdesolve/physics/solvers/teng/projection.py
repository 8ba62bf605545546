"""Projection of a target onto what a network can be: Gauss-Newton steps in function space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.least_squares import LevenbergMarquardt
from pdesolve.least_squares.chord import Chord, chord
from pdesolve.least_squares.factor import factorise
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.objective import Objective
from pdesolve.least_squares.step import State
from pdesolve.least_squares.subset import Subset
from pdesolve.marching.instant import Instant
from pdesolve.physics.solvers.teng.projector import Projector
from pdesolve.physics.solvers.teng.solves import Solve, solve

_SLOW = 0.9  # factor of the squared residual above which a repetition has not lowered it
_STRAIGHT = 2.0  # factor of the squared residual that J predicts, up to which the network was as good as linear
_DAMPED = 0.1  # λ|d|² over the squared residual, above which the damping keeps the residual up
_LESS = 0.03  # factor of a damping that does
_LEAST = 1e-12  # smallest damping: below it steps get long, and a residual that they leave is nonlinear
_QUICK = 0.1  # factor of the squared residual below which a step from kept factors is worth another one


class Projection(Projector):
    """θ ← θ + argmin |J d + r|², damped or cut off as the solve has it, until r = u_θ − target falls no more.

    r are the rows at the quadrature points, so that |r| is the relative distance in L2. λ is between 1e-12 and
    `damping` at first and follows how well J predicts the fall; a step that raises the residual is taken back, and
    tried with more of it. Factors of J are kept while steps from them lower the residual tenfold: their cost is that
    of the evaluation.

    subset: how many parameters move in the first repetition and in the later ones, drawn anew by the generator each
    time; empty for all in each.
    """

    def __init__(
        self, instant: Instant, *, damping: float, repetitions: int, tolerance: float = 1e-13,
        by: Solve | None = None, subset: Sequence[int] = (), generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        self.instant = self._seen = instant
        self.damping, self.repetitions, self.tolerance = damping, repetitions, tolerance
        self.by, self.subset, self.generator = by or solve("automatic", cutoff=1e-10), tuple(subset), generator
        self.solves = self.quick = self.stalls = 0
        self._now = damping
        self._pointwise: bool | None = None
        self._chord: Chord | None = None
        self._origin: tuple[Tensor, float, float] | None = None  # parameters, instant and damping of the kept factors

    def onto(self, target: Tensor, time: float) -> float:
        if not bool(torch.isfinite(target).all()):
            raise Diverged(f"the state at t = {time:.6g} is not finite: give more --method.time_steps")
        objective = Modular(self.instant.module, lambda: self.instant.terms(target, time))
        objective.pointwise = self._pointwise
        if self._seen is not self.instant:  # the factors are those of other points
            self._seen, self._chord, self._origin = self.instant, None, None
        elif self._origin is not None and self._chord is None:
            self._rebuild(objective, *self._origin)
        theta, square = self._quickly(objective, objective.theta())
        before, enough = float("inf"), self.tolerance**2
        for k in range(self.repetitions):
            # another subset may do what this one could not
            if square <= enough or (square > _SLOW * before and not self.subset):
                break
            (theta, square), before = self._solved(objective, theta, time, first=k == 0), square
            if square > enough:
                theta, square = self._quickly(objective, theta)
        objective.put(theta)
        self._pointwise = objective.pointwise
        return square**0.5

    def _quickly(self, objective: Objective, theta: Tensor) -> tuple[Tensor, float]:
        """Steps from kept factors for as long as they are worth it; parameters and squared residual."""
        r = objective.values(theta)
        square = float(r @ r)
        while self._chord is not None and square > self.tolerance**2:
            end = theta + self._chord.direction(r)
            rows = objective.values(end)
            new = float(rows @ rows)
            self.quick += 1
            worth = new <= _QUICK * square
            if new < square:
                theta, r, square = end, rows, new
            if not worth:
                break
        return theta, square

    def _solved(self, objective: Objective, theta: Tensor, time: float, *, first: bool) -> tuple[Tensor, float]:
        """One step with a linearisation of its own; parameters and squared residual."""
        self._chord = self._origin = None
        self.solves += 1
        count = self.subset[0 if first else -1] if self.subset else len(theta)
        if count >= len(theta):
            found = self._step(objective, theta)
            if self._chord is not None:
                self._origin = (theta, time, float(self._chord.damping))
            return found
        index = torch.randperm(len(theta), generator=self.generator)[:count].to(theta.device)
        part = Subset(objective, theta, index)
        end, square = self._step(part, theta[index])
        self._chord = None
        return part.full(end), square

    def _step(self, objective: Objective, theta: Tensor) -> tuple[Tensor, float]:
        method = self.by.method
        if not isinstance(method, LevenbergMarquardt):
            form = self.by.form(len(objective.values(theta)), len(theta))
            step = method.step(objective, theta, method.start(theta), form=form)
            return step.theta, 2 * float(step.loss)
        here = objective.linearise(theta)
        r = here.rows("a projection")
        factor = factorise(here.jacobian, r, self.by.form(len(r), len(theta)))
        state: State = {
            "damping": theta.new_tensor(min(max(self._now, _LEAST), self.damping)), "growth": theta.new_tensor(2.0),
        }  # fmt: skip
        step = method.descend(objective, theta, state, here, factor)
        square = 2 * float(step.loss)
        if not bool(step.moved):
            self.stalls += 1
            self._now = self.damping
            return step.theta, square
        assert factor.damping is not None
        self._chord = chord(here.jacobian, factor)
        d = -factor.solve(factor.damping)  # before it was bent
        straight = square <= _STRAIGHT * float((r + here.jacobian.times(d)).square().sum())
        damped = float(factor.damping) * float(d @ d) > _DAMPED * square
        # where J says all, only λ can stand between the network and its tangent space
        self._now = float(step.state["damping"]) * (_LESS if straight and damped else 1.0)
        return step.theta, square

    def _rebuild(self, objective: Modular, theta: Tensor, time: float, damping: float) -> None:
        """The kept factors again, where a run goes on; the damping as it was."""
        now = objective.theta()
        before = Modular(self.instant.module, lambda: self.instant.terms(self.instant.initial, time))
        before.pointwise = self._pointwise
        here = before.linearise(theta.to(now))
        r = here.rows("a projection")
        factor = factorise(here.jacobian, r, self.by.form(len(r), len(theta)))
        self._chord = Chord(here.jacobian, factor, now.new_tensor(damping))
        objective.put(now)

    @property
    def notes(self) -> dict[str, Any]:
        return {"solves": self.solves, "steps from kept factors": self.quick, "stalled projections": self.stalls}

    def state_dict(self) -> dict[str, Any]:
        """The damping, the tolerance, the counts, and where the kept factors are from."""
        return {
            "damping": self._now, "tolerance": self.tolerance, "solves": self.solves, "quick": self.quick,
            "stalls": self.stalls, "origin": self._origin,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was."""
        self._now, self.tolerance = state["damping"], state["tolerance"]
        self.solves, self.quick, self.stalls = state["solves"], state["quick"], state["stalls"]
        self._origin, self._chord = state["origin"], None
