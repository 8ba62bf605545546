"""Levenberg-Marquardt: Gauss-Newton steps, shortened by a damping that follows how well the model predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from pdesolve.errors import InputError, unknown_name
from pdesolve.least_squares.factor import Factor, factorise
from pdesolve.least_squares.form import Form
from pdesolve.least_squares.jacobian import mean_square_column
from pdesolve.least_squares.objective import Linearisation, Objective
from pdesolve.least_squares.step import Method, State, Step, keep

Update = Literal["nielsen", "marquardt"]


@dataclass(frozen=True)
class LevenbergMarquardt(Method):
    """d = −(JᵀJ + λ)⁻¹ g, taken where the loss falls, λ by the gain ratio ρ.

        ρ = (loss(θ) − loss(θ + d)) / (dᵀ(λ d − g) / 2)

    nielsen: λ ← λ max(1/3, 1 − (2ρ − 1)³) after a step, λ ← ν λ, ν ← 2 ν after a rejection. marquardt: λ/3 and 4 λ.
    A rejected trial keeps J and its factors; up to `trials` of them make one step. Each step is bent along the curve
    that the residual's second derivative r″ in its direction gives (geodesic acceleration):

        a = −(JᵀJ + λ)⁻¹ Jᵀ r″,   θ ← θ + d + a/2,   rejected where 2|a| > acceleration |d|

    One more evaluation and solve a trial. On small tanh networks fitted to sines 300 steps end 10 to 500 times lower.

    Attributes:
        damping: first λ over the mean square of J's columns (1e-6 near the solution to 1).
        update: nielsen or marquardt.
        trials: dampings tried from one Jacobian.
        acceleration: how far steps may bend (0.75); 0: straight steps.

    Transtrum and Sethna (2012, arXiv 1201.5885);
    Nielsen, "Damping parameter in Marquardt's method", report IMM-REP-1999-05, Technical University of Denmark.
    """

    damping: float = 1e-3
    update: Update = "nielsen"
    trials: int = 12
    acceleration: float = 0.75

    def __post_init__(self) -> None:
        if self.update not in get_args(Update):
            raise unknown_name("update", self.update, get_args(Update))
        if not self.damping > 0 or self.trials < 1 or not self.acceleration >= 0:
            raise InputError(
                "damping must be more than zero, trials at least 1 and acceleration zero or more, got "
                f"{self.damping}, {self.trials} and {self.acceleration}"
            )

    def start(self, theta: Tensor) -> State:
        one = torch.ones_like(theta[..., 0])
        return {"damping": -one, "growth": 2 * one}  # a negative damping: not yet known

    def step(self, objective: Objective, theta: Tensor, state: State, *, form: Form) -> Step:
        here = objective.linearise(theta)
        factor = factorise(here.jacobian, here.rows("LevenbergMarquardt"), form)
        return self.descend(objective, theta, state, here, factor)

    def descend(self, objective: Objective, theta: Tensor, state: State, here: Linearisation, factor: Factor) -> Step:
        """One step from a linearisation at theta and its factors, which the caller may have use for afterwards."""
        r = here.rows("LevenbergMarquardt")
        damping, growth = state["damping"], state["growth"]
        if bool((damping < 0).any()):
            first = self.damping * mean_square_column(here.jacobian, r)
            damping = torch.where(damping < 0, first, damping)
        tiny = torch.finfo(r.dtype).tiny ** 0.5  # a Jacobian of zeros is solved too
        damping = damping.clamp_min(tiny)
        loss, moved = here.loss, torch.zeros_like(here.loss, dtype=torch.bool)
        new = theta
        for _ in range(self.trials):
            d = -factor.solve(damping)
            bend = self._bend(objective, theta, d, here, factor, damping)
            small = 2 * bend.norm(dim=-1) <= self.acceleration * d.norm(dim=-1)
            end = theta + d + bend / 2
            trial = objective.loss(end)
            predicted = (d * (damping[..., None] * d - here.gradient)).sum(-1) / 2
            gain = (here.loss - trial) / predicted
            better = ~moved & small & (trial < here.loss)
            new, loss = keep(better, end, new), torch.where(better, trial, loss)
            less, more, next_growth = self._update(gain, growth)
            damping = torch.where(moved, damping, torch.where(better, damping * less, damping * more))
            damping = damping.clamp_min(tiny)
            growth = torch.where(moved, growth, torch.where(better, 2.0, next_growth))
            moved = moved | better
            if bool(moved.all()):
                break
        # a damping at which nothing moves is forgotten: on other points it would still let nothing move
        kept = {"damping": torch.where(moved, damping, -1.0), "growth": torch.where(moved, growth, 2.0)}
        return Step(new, kept, loss, moved, here.slope, factor.note)

    def _bend(
        self, objective: Objective, theta: Tensor, d: Tensor, here: Linearisation, factor: Factor, damping: Tensor
    ) -> Tensor:
        """The acceleration a (*batch, parameter); r″ by a difference over a tenth of the step."""
        if not self.acceleration:
            return torch.zeros_like(d)
        r, h = here.rows("LevenbergMarquardt"), 0.1
        second = ((objective.values(theta + h * d) - r) / h - here.jacobian.times(d)) * (2 / h)
        # where that is not finite the step is too long: no bend is small enough
        finite = torch.isfinite(second).all(-1)
        a = -factor.solve(damping, keep(finite, second, torch.zeros_like(second)))
        return keep(finite, a, torch.full_like(a, torch.inf))

    def _update(self, gain: Tensor, growth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Factors of the damping after a step and after a rejection, and the next growth."""
        if self.update == "marquardt":
            return torch.full_like(gain, 1 / 3), torch.full_like(gain, 4.0), growth
        # a gain above one says that the model was too careful: as good as one
        gain = torch.where(torch.isfinite(gain), gain.clamp(0.0, 1.0), 0.0)
        return (1 - (2 * gain - 1) ** 3).clamp_min(1 / 3), growth, 2 * growth
