"""Projection of a target onto what a network can be: Gauss-Newton steps in function space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(eq=False)
class _Kept:
    """What the solves of one kind of rows leave for later ones."""

    damping: float
    chord: Chord | None = None
    origin: tuple[Tensor, float, float, float] | None = None  # parameters, instant, `ahead` and damping of the chord


class Projection(Projector):
    """θ ← θ + argmin |J d + r|², damped or cut off as the solve has it, until r falls no more.

    r = u_θ − ahead L u_θ − target, the stage of an implicit scheme, or u_θ − target where `ahead` is zero; factors and
    dampings of these two kinds are kept apart.

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
        self._all = {"state": _Kept(damping), "implicit": _Kept(damping)}
        self._kept = self._all["state"]
        self._pointwise: bool | None = None

    def onto(self, target: Tensor, time: float, *, ahead: float = 0.0) -> float:
        if not bool(torch.isfinite(target).all()):
            raise Diverged(f"the state at t = {time:.6g} is not finite: give more --method.time_steps")
        objective = self._objective(target, time, ahead)
        if self._seen is not self.instant:  # the factors are those of other points
            self._seen = self.instant
            for kept in self._all.values():
                kept.chord = kept.origin = None
        self._kept = self._all["implicit" if ahead else "state"]
        if self._kept.origin is not None and self._kept.chord is None:
            self._rebuild(*self._kept.origin)
        theta, square = self._quickly(objective, objective.theta())
        before, enough = float("inf"), self.tolerance**2
        for k in range(self.repetitions):
            # another subset may do what this one could not
            if square <= enough or (square > _SLOW * before and not self.subset):
                break
            (theta, square), before = self._solved(objective, theta, (time, ahead), first=k == 0), square
            if square > enough:
                theta, square = self._quickly(objective, theta)
        objective.put(theta)
        self._pointwise = objective.pointwise
        return square**0.5

    def _quickly(self, objective: Objective, theta: Tensor) -> tuple[Tensor, float]:
        """Steps from kept factors for as long as they are worth it; parameters and squared residual."""
        r = objective.values(theta)
        square = float(r @ r)
        while self._kept.chord is not None and square > self.tolerance**2:
            end = theta + self._kept.chord.direction(r)
            rows = objective.values(end)
            new = float(rows @ rows)
            self.quick += 1
            worth = new <= _QUICK * square
            if new < square:
                theta, r, square = end, rows, new
            if not worth:
                break
        return theta, square

    def _objective(self, target: Tensor, time: float, ahead: float) -> Modular:
        objective = Modular(self.instant.module, lambda: self.instant.terms(target, time, ahead=ahead))
        objective.pointwise = self._pointwise
        return objective

    def _solved(
        self, objective: Objective, theta: Tensor, at: tuple[float, float], *, first: bool
    ) -> tuple[Tensor, float]:
        """One step with a linearisation of its own, rows at an instant and with an `ahead`; as `_quickly`."""
        kept = self._kept
        kept.chord = kept.origin = None
        self.solves += 1
        count = self.subset[0 if first else -1] if self.subset else len(theta)
        if count >= len(theta):
            found = self._step(objective, theta)
            if kept.chord is not None:
                kept.origin = (theta, *at, float(kept.chord.damping))
            return found
        index = torch.randperm(len(theta), generator=self.generator)[:count].to(theta.device)
        part = Subset(objective, theta, index)
        end, square = self._step(part, theta[index])
        kept.chord = None
        return part.full(end), square

    def _step(self, objective: Objective, theta: Tensor) -> tuple[Tensor, float]:
        method, kept = self.by.method, self._kept
        if not isinstance(method, LevenbergMarquardt):
            form = self.by.form(len(objective.values(theta)), len(theta))
            step = method.step(objective, theta, method.start(theta), form=form)
            return step.theta, 2 * float(step.loss)
        here = objective.linearise(theta)
        r = here.rows("a projection")
        factor = factorise(here.jacobian, r, self.by.form(len(r), len(theta)))
        state: State = {
            "damping": theta.new_tensor(min(max(kept.damping, _LEAST), self.damping)), "growth": theta.new_tensor(2.0),
        }  # fmt: skip
        step = method.descend(objective, theta, state, here, factor)
        square = 2 * float(step.loss)
        if not bool(step.moved):
            self.stalls += 1
            kept.damping = self.damping
            return step.theta, square
        assert factor.damping is not None
        kept.chord = chord(here.jacobian, factor)
        d = -factor.solve(factor.damping)  # before it was bent
        straight = square <= _STRAIGHT * float((r + here.jacobian.times(d)).square().sum())
        damped = float(factor.damping) * float(d @ d) > _DAMPED * square
        # where J says all, only λ can stand between the network and its tangent space
        kept.damping = float(step.state["damping"]) * (_LESS if straight and damped else 1.0)
        return step.theta, square

    def _rebuild(self, theta: Tensor, time: float, ahead: float, damping: float) -> None:
        """The kept factors again, where a run goes on; the damping as it was."""
        objective = self._objective(self.instant.initial, time, ahead)
        now = objective.theta()
        here = objective.linearise(theta.to(now))
        r = here.rows("a projection")
        factor = factorise(here.jacobian, r, self.by.form(len(r), len(theta)))
        self._kept.chord = Chord(here.jacobian, factor, now.new_tensor(damping))
        objective.put(now)

    @property
    def notes(self) -> dict[str, Any]:
        return {"solves": self.solves, "steps from kept factors": self.quick, "stalled projections": self.stalls}

    def state_dict(self) -> dict[str, Any]:
        """The dampings, the tolerance, the counts, and where the kept factors are from."""
        return {
            "kept": {kind: {"damping": kept.damping, "origin": kept.origin} for kind, kept in self._all.items()},
            "tolerance": self.tolerance, "solves": self.solves, "quick": self.quick, "stalls": self.stalls,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was."""
        self._all = {kind: _Kept(kept["damping"], origin=kept["origin"]) for kind, kept in state["kept"].items()}
        self._kept, self.tolerance = self._all["state"], state["tolerance"]
        self.solves, self.quick, self.stalls = state["solves"], state["quick"], state["stalls"]
