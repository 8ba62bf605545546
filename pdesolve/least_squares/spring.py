"""SPRING: natural gradient steps that remember, for points that are redrawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.least_squares.factor import factorise
from pdesolve.least_squares.form import Form
from pdesolve.least_squares.objective import Objective
from pdesolve.least_squares.step import Method, State, Step, keep


@dataclass(frozen=True)
class Spring(Method):
    """φ minimises |J φ + r|² + λ |φ − μ φ_before|², and θ moves along it:

        ζ = −r − μ J φ,   φ ← μ φ + Jᵀ(J Jᵀ + λ)⁻¹ ζ,   θ ← θ + min(η, √C/|φ|) φ

    μ = 0 is the damped natural gradient. The loss may rise; a step to a value that is not finite is not taken.

    Attributes:
        damping: λ (1e-3 with redrawn points, 1e-8 and less with fixed ones).
        momentum: μ; with small λ and redrawn points 0.99 diverges now and then.
        rate: η.
        norm: C, the most |step|² may be; 1e-3 is meant for Monte Carlo and slows the end of a fit, inf lifts it.

    Goldshlager, Abrahamsen, Lin (2024, arXiv 2401.10190); for residuals: Guzman-Cordero, Dangel, Goldshlager,
    Zeinhofer (2025, arXiv 2505.12149).
    """

    damping: float = 1e-3
    momentum: float = 0.99
    rate: float = 1.0
    norm: float = 1e-3

    def __post_init__(self) -> None:
        if not (self.damping > 0 and 0 <= self.momentum < 1 and self.rate > 0 and self.norm > 0):
            raise InputError(
                "SPRING needs damping, rate and norm above zero and momentum from 0 to below 1, got "
                f"{self.damping}, {self.rate}, {self.norm} and {self.momentum}"
            )

    def start(self, theta: Tensor) -> State:
        return {"direction": torch.zeros_like(theta)}

    def step(self, objective: Objective, theta: Tensor, state: State, *, form: Form) -> Step:
        here = objective.linearise(theta)
        r, before = here.rows("Spring"), self.momentum * state["direction"]
        right = -r - here.jacobian.times(before)
        factor = factorise(here.jacobian, right, form)
        phi = before + factor.solve(torch.full_like(here.loss, self.damping))
        length = (self.norm**0.5 / phi.norm(dim=-1)).clamp_max(self.rate)
        new = theta + length[..., None] * phi
        loss = objective.loss(new)
        moved = torch.isfinite(loss)
        # a direction that led nowhere is forgotten
        kept = {"direction": keep(moved, phi, torch.zeros_like(phi))}
        loss = torch.where(moved, loss, here.loss)
        return Step(keep(moved, new, theta), kept, loss, moved, here.slope, factor.note)
