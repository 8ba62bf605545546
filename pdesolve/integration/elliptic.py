"""Stationary problems on boxes: Fourier and sine transforms where they fit, sparse Newton solves elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.equation import assemble, flatten
from pdesolve.errors import Diverged, InputError
from pdesolve.fields import Coordinates, GridField
from pdesolve.geometry import Grid
from pdesolve.integration.factors import Solve, factorise
from pdesolve.integration.fourier import FourierBasis
from pdesolve.integration.jacobian import sparse_jacobian
from pdesolve.integration.reflection import Reflection
from pdesolve.integration.spectral import linear_blocks, multiply, spectral_parts, spectral_state
from pdesolve.problem import Problem, Value

Values = Mapping[str, Value]


def transformed(
    problem: Problem,
    reflection: Reflection,
    *,
    values: Values | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Tensor | None:
    """u (*sample, scalar, *grid) of residual(u) = L u + r with constant coefficients, wave number by wave number.

    Zero values at walls make it a sine transform, zero slopes a cosine transform, periodic axes a Fourier transform.
    None where the residual is not of that form. Where L vanishes (the mean of a periodic potential) u has mean zero.

    Raises:
        InputError: a right-hand side that is not orthogonal to the modes on which L vanishes: there is no solution.
    """
    equation, grid = problem.equation, reflection.grid
    basis = FourierBasis(reflection.doubled, dtype=dtype, device=device, dealiasing="none")
    x, half = Coordinates(basis.grid, dtype=dtype, device=device), Coordinates(grid, dtype=dtype, device=device)
    p = reflection.bind(problem, x, values)
    scalars, d = equation.scalars, basis.dimension

    def residual(v: Tensor) -> Tensor:
        return spectral_parts(basis, equation.residual(spectral_state(basis, equation.unknowns, v), p, x), scalars, v)

    zero = torch.zeros(len(scalars), *basis.shape, dtype=dtype.to_complex(), device=device)
    blocks = linear_blocks(residual, zero, d)
    if not _constant(residual, blocks, reflection, basis, scalars):
        return None
    # the residual of zero is taken between the walls and continued like the unknown: a source need not be even
    nothing = problem.state({name: torch.zeros(grid.shape, dtype=dtype, device=device) for name in scalars}, half)
    rows = flatten(equation.residual(nothing, problem.bind(half, values), half))
    sources = [reflection.extend(half.expand(rows[name]).values, reflection.parities[name]) for name in scalars]
    right = -basis.forward(torch.stack(torch.broadcast_tensors(*sources), -d - 1))
    v = _solve_modes(problem, blocks, right, d)
    return reflection.restrict(basis.backward(v))


def _constant(
    residual: Any, blocks: Tensor, reflection: Reflection, basis: FourierBasis, scalars: tuple[str, ...]
) -> bool:
    """Whether residual(v) - residual(0) = L v on two random states of the right symmetry, so that L is all there is."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        offset = None
        for scale in (0.0, 1.0, 3.0):
            parts = []
            for name in scalars:
                noise = torch.randn(reflection.grid.shape, generator=generator, dtype=basis.dtype).to(basis.device)
                parts.append(reflection.extend(scale * noise, reflection.parities[name]))
            v = basis.forward(torch.stack(parts))
            result = residual(v)
            if offset is None:
                offset = result
                continue
            product = multiply(blocks, v, basis.dimension)
            if not bool((result - offset - product).abs().max() <= 1e-9 * product.abs().max()):
                return False
    return True


def _solve_modes(problem: Problem, blocks: Tensor, right: Tensor, d: int) -> Tensor:
    last = (*range(blocks.ndim - d - 2), *range(blocks.ndim - d, blocks.ndim), blocks.ndim - d - 2, blocks.ndim - d - 1)
    matrices = blocks.permute(*last)
    size = torch.linalg.matrix_norm(matrices.detach())
    singular = torch.linalg.det(matrices.detach()).abs() <= 1e-13 * size.amax() ** blocks.shape[-d - 1]
    excess = right.detach().abs().amax(-d - 1) * singular
    if bool(excess.max() > 1e-9 * right.detach().abs().max()):
        raise InputError(
            f"{problem.name}: the equation has a mode without a restoring term and the source drives it, so that no "
            "solution exists: make the source's mean zero, change the wave number or fix the values on a wall"
        )
    identity = torch.eye(blocks.shape[-d - 1], dtype=matrices.dtype, device=matrices.device)
    matrices = torch.where(singular[..., None, None], identity, matrices)
    vectors = right.movedim(-d - 1, -1) * ~singular[..., None]
    return torch.linalg.solve(matrices, vectors).movedim(-1, -d - 1)


class GridEquations:
    """The residual of a stationary problem of one sample as a function of grid values y (scalar, *grid).

    Boundary values are those that the conditions give, so that the unknowns are the values elsewhere: the indices
    `free` of the flattened y.
    """

    def __init__(
        self,
        problem: Problem,
        grid: Grid,
        *,
        values: Values | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.problem, self.grid, self.equation = problem, grid, problem.equation
        self.x = Coordinates(grid, dtype=dtype, device=device)
        self.p = problem.bind(self.x, values)
        self.edges = {
            unknown.name: problem.edges(unknown.name, grid, values=values, dtype=dtype, device=device)
            for unknown in self.equation.unknowns
        }
        self.scalars = self.equation.scalars
        mask = np.ones((len(self.scalars), *grid.shape), dtype=bool)
        row = 0
        for unknown in self.equation.unknowns:
            for _ in unknown.scalars:
                for i, member in enumerate(grid.members):
                    for side, position in (("min", 0), ("max", member.size - 1)):
                        held = f"{member.axis.name}_{side}" in self.edges[unknown.name]
                        if held and member.placement in ("nodes", "chebyshev"):
                            np.moveaxis(mask[row], i, 0)[position] = False
                row += 1
        self.free = np.flatnonzero(mask)

    def obeying(self, y: Tensor) -> Tensor:
        """y with the boundary values that the conditions give."""
        return torch.stack([field.values for field in self._fields(y).values()], -len(self.grid.members) - 1)

    def residual(self, y: Tensor) -> Tensor:
        """The rows (*colour, scalar, *grid)."""
        rows = flatten(self.equation.residual(assemble(self.equation.unknowns, self._fields(y)), self.p, self.x))
        parts = torch.broadcast_tensors(*[self.x.expand(rows[name]).values for name in self.scalars])
        return torch.stack(parts, -len(self.grid.members) - 1)

    def _fields(self, y: Tensor) -> dict[str, GridField]:
        fields: dict[str, GridField] = {}
        parts = iter(y.unbind(-len(self.grid.members) - 1))
        for unknown in self.equation.unknowns:
            for name in unknown.scalars:
                quantity = self.problem.quantity(name)
                fields[name] = GridField(next(parts), self.grid, quantity, self.edges[unknown.name]).obeying()
        return fields


def _factors(equations: GridEquations, y: Tensor) -> Any:
    matrix = sparse_jacobian(equations.residual, y, equations.grid)[equations.free][:, equations.free]
    return factorise(matrix, equations.problem.name)


def sparse_newton(equations: GridEquations, *, steps: int = 50) -> Tensor:
    """y (scalar, *grid) with residual(y) = 0 at the free nodes, by Newton's method with sparse factors.

    A linear problem takes one step and one of refinement. A step that does not lower the residual is halved. The last
    step carries the graph, so that y can be differentiated in the parameters (the implicit function theorem).

    Raises:
        InputError: a singular linear problem (nothing fixes the solution's mean).
        Diverged: no convergence within `steps`.
    """
    free = torch.from_numpy(equations.free)
    name, x = equations.problem.name, equations.x
    y = torch.zeros(len(equations.scalars), *equations.grid.shape, dtype=x.dtype, device=x.device)
    free = free.to(x.device)

    def rows(y: Tensor) -> Tensor:
        return equations.residual(y).reshape(-1)[free]

    def moved(y: Tensor, by: Tensor, length: float = 1.0) -> Tensor:
        return y.reshape(-1).index_add(0, free, by, alpha=length).reshape(y.shape)

    factors, change = None, math.nan
    with torch.no_grad():
        r, smallest = rows(y), math.inf
        if not bool(torch.isfinite(r).all()):
            raise InputError(
                f"{name}: the equation is not finite for u = 0 somewhere on the grid: does a logarithm, a root or a "
                "quotient in it leave its range?"
            )
        for _ in range(steps):
            if factors is None:
                factors = _factors(equations, y)
            step, length = -Solve.apply(r, factors), 1.0
            while True:
                trial = moved(y, step, length)
                after = rows(trial)
                if not bool(after.norm() > r.norm()) or length < 1e-3:
                    break
                length /= 2
            change = float(length * step.abs().max()) / max(float(trial.abs().max()), 1e-300)
            if not math.isfinite(change):
                raise Diverged(f"{name}: Newton's method met a value that is not finite")
            # rounding stops a refinement from getting any smaller
            if change <= 1e-13 or (change <= 1e-8 and change >= 0.5 * smallest):
                break
            if bool(after.norm() > 1e-3 * r.norm()):
                factors = None  # elsewhere the old factors are good enough: a linear problem is factorised once
            y, r, smallest = trial, after, min(smallest, change)
        else:
            raise Diverged(f"{name}: Newton's method did not converge in {steps} steps (last change {change:.1e})")
    r = rows(y)
    if r.requires_grad:  # gradients are as exact as the factors
        factors = _factors(equations, y)
    y = moved(y, -Solve.apply(r, factors))
    return equations.obeying(y)
