"""Compact differences of order 4 for a lap u + c u = f with numbers a and c, and u = 0 on the walls of a box.

With the second differences D_i along axis i of spacing h_i,

    a (sum_i D_i + sum_(i<j) (h_i^2 + h_j^2) / 12 D_i D_j) u + c M u = M f,   M = 1 + sum_i h_i^2 / 12 D_i,

which sine transforms solve for a batch at once. Near corners where f is not zero u is like r^2 log r, so that the
largest error is of order 2 and that in L2 of order 3. L. Collatz, The Numerical Treatment of Differential Equations
(1960), chapter 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.dataset import Dataset
from pdesolve.errors import InputError
from pdesolve.family import Simulator
from pdesolve.fields import Coordinates, GridField, Quantity
from pdesolve.geometry import Grid
from pdesolve.integration.reflection import homogeneous
from pdesolve.integration.sine import SineBasis
from pdesolve.problem import Problem
from pdesolve.simulation import simulated


@dataclass(frozen=True)
class CompactSimulator(Simulator):
    """The scheme on the nodes of the evaluation set."""

    def simulate(self, problem: Problem, *, device: str = "cpu") -> Dataset:
        (name,) = problem.equation.scalars
        scheme = _Scheme(problem, device)
        coefficients = scheme.basis.transform(scheme.right)
        u = torch.nn.functional.pad(scheme.basis.transform(coefficients / scheme.symbol), (1, 1) * scheme.dimension)
        return simulated(problem, {name: u if u.ndim > scheme.dimension else u[None]})

    def defect(self, problem: Problem, data: Dataset, *, device: str = "cpu") -> np.ndarray:
        """The size of the correction that the residual of the differences asks for, relative to u."""
        (name,) = problem.equation.scalars
        scheme = _Scheme(problem, device)
        u = torch.as_tensor(data.read(name), dtype=torch.float64, device=device)
        correction = scheme.basis.transform(scheme.left(u) - scheme.right) / scheme.symbol
        walls = u - torch.nn.functional.pad(scheme.inner(u), (1, 1) * scheme.dimension)
        change, off, whole = (part.flatten(-scheme.dimension).norm(dim=-1) for part in (correction, walls, u))
        return ((change + off) / whole).cpu().numpy()


class _Scheme:
    """The differences, their symbol and the right-hand side M f of a problem on its evaluation set."""

    def __init__(self, problem: Problem, device: str) -> None:
        grid = problem.evaluation_set
        assert isinstance(grid, Grid)
        parities = homogeneous(problem, grid, None, (None,))
        (name,) = problem.equation.scalars
        if (
            parities is None
            or any(sign > 0 for sign in parities[name].values())
            or len(parities[name]) < len(grid.axes)
        ):
            raise InputError(f"{problem.name}: compact differences need {name} = 0 on all walls of a box")
        self.dimension = len(grid.members)
        self.spacing = [m.axis.length / (m.size - 1) for m in grid.members]
        self.a, self.c, f = _operator(problem, grid, device)
        lengths = [m.axis.length for m in grid.members]
        self.basis = SineBasis([m.size - 1 for m in grid.members], lengths, device=device)
        self.right = self._mean(f)
        s = [-values for values in self.basis.eigenvalues]
        mean = 1.0 + sum((h**2 / 12 * v for h, v in zip(self.spacing, s, strict=True)), torch.zeros(()))
        self.symbol = self.a * (sum(s, torch.zeros(())) + self._crossed(s)) + self.c * mean
        largest = self.symbol.abs().amax()
        if bool((self.symbol.abs() < 1e-12 * largest).any()):
            raise InputError(
                f"{problem.name}: the equation has a mode without a restoring term: change the wave number"
            )

    def _crossed(self, s: list[Tensor]) -> Tensor:
        pairs = [(i, j) for j in range(self.dimension) for i in range(j)]
        weights = {(i, j): (self.spacing[i] ** 2 + self.spacing[j] ** 2) / 12 for i, j in pairs}
        return sum((w * s[i] * s[j] for (i, j), w in weights.items()), torch.zeros(()))

    def left(self, u: Tensor) -> Tensor:
        """The left-hand side at the nodes between the walls."""
        first = [self._second(u, i) for i in range(self.dimension)]
        total = sum((self._trimmed(part, i) for i, part in enumerate(first)), torch.zeros(()))
        for j in range(self.dimension):
            for i in range(j):
                weight = (self.spacing[i] ** 2 + self.spacing[j] ** 2) / 12
                total = total + weight * self._trimmed(self._second(first[i], j), i, j)
        return self.a * total + self.c * self._mean(u)

    def inner(self, u: Tensor) -> Tensor:
        """u without the nodes on walls."""
        return self._trimmed(u)

    def _mean(self, f: Tensor) -> Tensor:
        parts = [h**2 / 12 * self._trimmed(self._second(f, i), i) for i, h in enumerate(self.spacing)]
        return self._trimmed(f) + sum(parts, torch.zeros(()))

    def _second(self, u: Tensor, i: int) -> Tensor:
        """D_i u, two nodes shorter along axis i."""
        return u.diff(n=2, dim=i - self.dimension) / self.spacing[i] ** 2

    def _trimmed(self, u: Tensor, *done: int) -> Tensor:
        """u without its ends along the axes that are not done."""
        for i in range(self.dimension):
            if i not in done:
                u = u.narrow(i - self.dimension, 1, u.shape[i - self.dimension] - 2)
        return u


class _Probe(GridField):
    """A state of one value everywhere, one of whose partials is one everywhere."""

    def __init__(self, values: Tensor, grid: Grid, quantity: Quantity, partial: tuple[str, int] | None) -> None:
        super().__init__(values, grid, quantity)
        self.partial = partial

    def differentiate(self, axis: str, order: int) -> GridField:
        known = 1.0 if (axis, order) == self.partial else 0.0
        return GridField(torch.full_like(self.values, known), self.grid, self.quantity)


def _operator(problem: Problem, grid: Grid, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """a and c (*sample, 1, ...) and f (*sample, *nodes) of an equation a lap u + c u - f, read off from states.

    Raises:
        InputError: another equation, or no equation of one unknown.
    """
    equation, x = problem.equation, Coordinates(grid, device=device)
    p, (name,) = problem.bind(x), problem.equation.scalars
    unknown = InputError(f"{problem.name}: {type(equation).__name__} is not a lap u + c u = f with numbers a and c")

    def residual(value: float, partial: tuple[str, int] | None = None) -> Tensor:
        state = _Probe(x.constant(value, name).values, grid, problem.quantity(name), partial)
        return x.expand(equation.residual({name: state}, p, x)[name]).values

    nothing = residual(0.0)
    c = residual(1.0) - nothing
    second = [residual(0.0, (axis, 2)) - nothing for axis in grid.axes.names]
    others = [residual(0.0, (axis, order)) - nothing for axis in grid.axes.names for order in (1, 3, 4)]
    others += [residual(3.0) - nothing - 3.0 * c, *[part - second[0] for part in second]]
    first = (..., *[slice(0, 1)] * len(grid.members))
    others += [part - part[first] for part in (c, second[0])]
    scale = max(float(part.abs().max()) for part in (c, nothing, *second))
    if any(float(part.abs().max()) > 1e-9 * scale for part in others) or float(second[0].abs().min()) == 0.0:
        raise unknown
    return second[0][first], c[first], -nothing
