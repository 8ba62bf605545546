"""Energies: losses that are no sums of squares, with the metric that natural gradients ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp

from pdesolve.least_squares.functional import FunctionJacobian
from pdesolve.least_squares.objective import Linearisation, Objective, Terms, check_finite, no_rows, stack


class Energy(Objective):
    """A loss E(theta) (*batch) with the metric MᵀM, M the Jacobian of `metric(theta) -> {name: (*batch, ...)}`.

    For E(u) = ∫ |∇u|²/2 − f u the second derivative of E on tangent functions is ∫ ∇v·∇w, so that the metric's rows are
    √weight ∇u at the quadrature points. GaussNewton on an Energy is the energy natural gradient (Müller and
    Zeinhofer 2023, arXiv 2302.13163).
    """

    def __init__(
        self, energy: Callable[..., Tensor], metric: Callable[..., Terms], context: tuple[Any, ...] = ()
    ) -> None:
        self.energy, self.metric, self.context = energy, metric, context

    def values(self, theta: Tensor) -> Tensor:
        raise no_rows("this method")

    def loss(self, theta: Tensor) -> Tensor:
        with torch.no_grad():
            energy = self.energy(theta, *self.context)
        return torch.where(torch.isfinite(energy), energy, torch.inf)

    def linearise(self, theta: Tensor) -> Linearisation:
        theta = theta.detach()
        energy, pull, *_ = vjp(lambda t: self.energy(t, *self.context), theta)
        check_finite({"energy": energy.detach()})
        jacobian = FunctionJacobian(lambda t: stack(self.metric(t, *self.context), batch=theta.ndim - 1), theta)
        return Linearisation(energy.detach(), pull(torch.ones_like(energy))[0].detach(), jacobian)
