"""Balances of volumes between walls, the discretisation of Darcy data: unknowns are sine coefficients."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from pdesolve.finetuning.discrete import DiscreteEquations
from pdesolve.geometry import Grid
from pdesolve.integration.flow import FlowSystem
from pdesolve.problem import Problem, Value


class FlowBalance(DiscreteEquations):
    """A u = b of two-point fluxes in the norm of the energy: with L = S E S that of a = 1 and c a mean of a,

        theta = E^(1/2) S u,   rows = E^(-1/2) S (A u - b) / c,

    whose Jacobian has singular values between the least and the largest a / c, on every grid.

    Raises:
        InputError: another kind of equation, walls without values of u, other grids than nodes with the walls.
    """

    described = "finite volumes between nodes, harmonic means of coefficients"

    def __init__(
        self, problem: Problem, grid: Grid, *, values: Mapping[str, Value], device: torch.device | str = "cpu"
    ) -> None:
        self.system = FlowSystem(problem, device, grid=grid, values=values)
        self.dimension, self.inner = self.system.dimension, self.system.inner
        self.scale = self.system.eigenvalues.sqrt()
        self.shape = tuple(n - 2 for n in grid.shape)
        volumes = self.system.volumes
        one = math.prod(volumes.spacing)
        a = [g * h**2 / one for g, h in zip(volumes.conductances, volumes.spacing, strict=True)]
        means = [g[self.inner].log().mean(tuple(range(-self.dimension, 0)), keepdim=True) for g in a]
        # geometric
        self.mean = torch.stack(means).mean(0).exp()

    def unknowns(self, u: Tensor) -> Tensor:
        return (self.scale * self.system.basis.transform(u[..., 0, *self.inner[1:]])).flatten(-self.dimension)

    def fields(self, theta: Tensor) -> Tensor:
        inside = self.system.basis.transform(theta.unflatten(-1, self.shape) / self.scale)
        padded = torch.nn.functional.pad(inside, [1, 1] * self.dimension)
        return self.system.volumes.obeying(padded).unsqueeze(-self.dimension - 1)

    def residual(self, theta: Tensor) -> Tensor:
        return self._balance(theta).flatten(-self.dimension)

    def error(self, theta: Tensor) -> Tensor:
        return (self.system.basis.transform(self._balance(theta)) / (self.mean * self.scale)).flatten(-self.dimension)

    def _balance(self, theta: Tensor) -> Tensor:
        u = self.fields(theta).squeeze(-self.dimension - 1)
        return self.system.volumes.residual(u)[self.inner]
