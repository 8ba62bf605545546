"""Thermodynamic natural gradient: the flow towards the natural gradient, stopped early."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.least_squares.form import Form
from pdesolve.least_squares.jacobian import Jacobian, mean_square_column
from pdesolve.least_squares.objective import Linearisation, Objective
from pdesolve.least_squares.spectrum import spectrum
from pdesolve.least_squares.step import Method, State, Step, keep


@dataclass(frozen=True)
class Thermodynamic(Method):
    """θ ← θ − η x(τ), where dx/dt = −(A x − g), A = JᵀJ + λ, from the x of the step before: the mean

        x(τ) = e^(−Aτ) x(0) + (1 − e^(−Aτ)) A⁻¹ g

    τ → 0 is (scaled) gradient descent, τ → ∞ the natural gradient; x(0) is a momentum. Early stopping damps like
    λ = 1/τ: a regulariser, which does not reach small singular values. Noise of the analogue device is left out. Exact
    by singular values; without them (matrix-free) by Richardson steps x ← x − h (A x − g) with h below 1/|A|.

    Attributes:
        time: τ, in units of 1/mean square of J's columns.
        damping: λ over that mean square.
        rate: η.

    Donatella et al. (2024, arXiv 2405.13817).
    """

    time: float = 1e3
    damping: float = 1e-6
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not (self.time > 0 and self.damping > 0 and self.rate > 0):
            raise InputError(
                f"time, damping and rate must be more than zero, got {self.time}, {self.damping} and {self.rate}"
            )

    def start(self, theta: Tensor) -> State:
        return {"direction": torch.zeros_like(theta)}

    def step(self, objective: Objective, theta: Tensor, state: State, *, form: Form) -> Step:
        here = objective.linearise(theta)
        x = self._flow(here, state["direction"], form)
        new = theta - self.rate * x
        loss = objective.loss(new)
        moved = torch.isfinite(loss)
        kept = {"direction": keep(moved, x, torch.zeros_like(x))}
        return Step(keep(moved, new, theta), kept, torch.where(moved, loss, here.loss), moved, here.slope)

    def _flow(self, here: Linearisation, x: Tensor, form: Form) -> Tensor:
        jacobian, r, g = here.jacobian, here.rows("Thermodynamic"), here.gradient
        unit = mean_square_column(jacobian, r).clamp_min(torch.finfo(r.dtype).tiny)[..., None]
        time, damping = self.time / unit, self.damping * unit
        if form.kind == "matrix_free":
            return _richardson(jacobian, g, x, damping, time, form.iterations)
        values = spectrum(jacobian, r, form, cut=0.0)
        a = values.values.square() + damping
        # in the range of Jᵀ every direction has its own rate; outside g is zero and x decays with λ
        within = values.inside(x)
        decay = torch.exp(-a * time)
        flowed = decay * within - torch.expm1(-a * time) / a * values.values * values.coefficients
        return values.outward(flowed) + torch.exp(-damping * time) * (x - values.outward(within))


def _richardson(jacobian: Jacobian, g: Tensor, x: Tensor, damping: Tensor, time: Tensor, most: int) -> Tensor:
    """τ/h explicit Euler steps of the flow, at most `most`; h at 1/|A| by 20 power iterations from g."""
    v = g
    for _ in range(20):
        v = jacobian.transposed(jacobian.times(v / v.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(g.dtype).tiny)))
    largest = 1.1 * v.norm(dim=-1, keepdim=True) + damping
    count = int((time * largest).ceil().max().clamp(1, most))
    h = torch.minimum(time / count, 1 / largest)
    for _ in range(count):
        x = x - h * (jacobian.transposed(jacobian.times(x)) + damping * x - g)
    return x
