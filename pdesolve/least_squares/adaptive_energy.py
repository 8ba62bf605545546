"""Adaptive gradient descent with energy: step lengths that no choice of rate makes unstable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from pdesolve.errors import InputError, unknown_name
from pdesolve.least_squares.factor import factorise
from pdesolve.least_squares.form import Form
from pdesolve.least_squares.jacobian import mean_square_column
from pdesolve.least_squares.objective import Linearisation, Objective
from pdesolve.least_squares.step import Method, State, Step, keep

Metric = Literal["identity", "gauss_newton"]


@dataclass(frozen=True)
class AdaptiveEnergy(Method):
    """With f + c > 0, R = √(f + c) at the start, and a metric A (identity or JᵀJ + λ):

        v = ∇f/(2√(f + c)),   R ← R/(1 + 2η vᵀA⁻¹v),   θ ← θ − 2η R A⁻¹v

    so that R² falls by |θ_new − θ|²_A/η + (R_new − R)² for every η > 0. That is a law of R, not of f: a safeguard for
    energies without a line search (stochastic ones), no accelerator. Where R falls below a tenth of √(f + c), it has
    collapsed and starts again from there.

    Attributes:
        rate: η.
        offset: c.
        metric: identity, or gauss_newton for JᵀJ + λ (of an Energy: its metric).
        damping: λ over the mean square of J's columns.

    Liu and Tian, "AEGD: adaptive gradient descent with energy" (2020, arXiv 2010.05109), preconditioned.
    """

    rate: float = 0.1
    offset: float = 1.0
    metric: Metric = "gauss_newton"
    damping: float = 1e-3

    def __post_init__(self) -> None:
        if self.metric not in get_args(Metric):
            raise unknown_name("metric", self.metric, get_args(Metric))
        if not (self.rate > 0 and self.damping > 0):
            raise InputError(f"rate and damping must be more than zero, got {self.rate} and {self.damping}")

    def start(self, theta: Tensor) -> State:
        return {"energy": torch.zeros_like(theta[..., 0])}  # R; zero: not yet known

    def step(self, objective: Objective, theta: Tensor, state: State, *, form: Form) -> Step:
        here = objective.linearise(theta)
        if bool((here.loss + self.offset <= 0).any()):
            raise InputError(
                f"the loss is {float(here.loss.min()):.3g}, offset {self.offset} must keep their sum above zero: "
                "raise offset"
            )
        root = (here.loss + self.offset).sqrt()
        energy = torch.where(state["energy"] < 0.1 * root, root, state["energy"])
        v = here.gradient / (2 * root[..., None])
        w = self._solve(here, v, form)
        energy = energy / (1 + 2 * self.rate * (v * w).sum(-1))
        new = theta - 2 * self.rate * energy[..., None] * w
        loss = objective.loss(new)
        moved = torch.isfinite(loss)
        energy = torch.where(moved, energy, 0.0)
        return Step(keep(moved, new, theta), {"energy": energy}, torch.where(moved, loss, here.loss), moved, here.slope)

    def _solve(self, here: Linearisation, v: Tensor, form: Form) -> Tensor:
        if self.metric == "identity":
            return v
        like = v.new_zeros(*v.shape[:-1], here.jacobian.rows)
        damping = self.damping * mean_square_column(here.jacobian, like)
        return factorise(here.jacobian, like, form).normal(v, damping.clamp_min(torch.finfo(v.dtype).tiny))
