"""Projection of a target onto what a network can be: damped Gauss-Newton steps in function space."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.least_squares import LevenbergMarquardt
from pdesolve.least_squares.form import Form, predicted_bytes
from pdesolve.least_squares.modular import Modular
from pdesolve.marching.instant import Instant

_FALL = 0.7  # factor of the squared residual above which a repetition has not lowered it


class Projection:
    """θ ← θ + argmin |J d + r|² + λ |d|², bent along the residual's curvature, until r = u_θ − target falls no more.

    r are the rows at the quadrature points, so that |r| is the relative distance in L2. λ is at most `damping` at first
    and follows how well J predicts the fall; a step that raises the residual is taken back, and tried with more of it.
    It is the small λ of the projection before that lets one or two repetitions do where the network is nearly linear.
    """

    def __init__(self, instant: Instant, *, damping: float, repetitions: int, tolerance: float = 1e-13) -> None:
        self.instant, self.damping, self.repetitions, self.tolerance = instant, damping, repetitions, tolerance
        self.solves = self.stalls = 0
        self._method = LevenbergMarquardt()
        self._now = damping
        self._pointwise: bool | None = None

    def onto(self, target: Tensor, time: float) -> float:
        """Move the network onto a target (scalar, point) at an instant; the relative residual that is left.

        Raises:
            Diverged: a target that is not finite.
        """
        if not bool(torch.isfinite(target).all()):
            raise Diverged(f"the state at t = {time:.6g} is not finite: give more --method.time_steps")
        objective = Modular(self.instant.module, lambda: self.instant.terms(target, time))
        objective.pointwise = self._pointwise
        theta = objective.theta()
        rows, parameters = target.numel(), len(theta)
        form = Form("dense", rows, parameters, predicted_bytes("dense", rows, parameters))
        state = {"damping": theta.new_tensor(min(self._now, self.damping)), "growth": theta.new_tensor(2.0)}
        square, before = 2 * float(objective.loss(theta)), float("inf")
        for _ in range(self.repetitions):
            if square <= self.tolerance**2 or square > _FALL * before:
                break
            step = self._method.step(objective, theta, state, form=form)
            self.solves += 1
            theta, state, before, square = step.theta, step.state, square, 2 * float(step.loss)
            if not bool(step.moved):
                self.stalls += 1
                break
        objective.put(theta)
        self._pointwise = objective.pointwise
        self._now = float(state["damping"]) if state["damping"] > 0 else self.damping
        return square**0.5

    def state_dict(self) -> dict[str, Any]:
        """The damping, the tolerance, and the counts of solves and of projections that no step lowered further."""
        return {"damping": self._now, "tolerance": self.tolerance, "solves": self.solves, "stalls": self.stalls}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was."""
        self._now, self.tolerance = state["damping"], state["tolerance"]
        self.solves, self.stalls = state["solves"], state["stalls"]
