"""Stationary problems on elements by Newton's method with sparse factors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy.sparse import bmat
from torch import Tensor

from pdesolve.errors import Diverged, InputError
from pdesolve.integration.factors import saddle_factors
from pdesolve.integration.weak import WeakForm

_UNBALANCED = 1e-2  # of the flow: coarse meshes of curved walls leave less


class Fixed:
    """Linear systems for the nodal values that no Dirichlet condition holds.

    An algebraic unknown without any condition (a pressure) has mean zero: a multiplier of its own sees to that, and
    takes up what the data of an incompressible flow lack in balance by discretisation (`check_balance`: by that only).
    """

    def __init__(self, form: WeakForm) -> None:
        self.form = form
        self.free = np.flatnonzero(~form.held)
        conditioned = {name for _, name in form.conditions}
        unknowns = form.equation.unknowns
        self.algebraic = any(u.algebraic for u in unknowns)
        loose = [name for u in unknowns if u.algebraic for name in u.scalars if name not in conditioned]
        columns = [form.integrals(name).numpy()[self.free] for name in loose]
        self.means = np.stack(columns, 1) if columns else np.zeros((len(self.free), 0))

    def factors(self, matrix: Any) -> Any:
        """The factors of the free rows and columns of a matrix, with the multipliers.

        Raises:
            InputError: a singular matrix.
        """
        inner = matrix[self.free][:, self.free]
        if self.means.shape[1]:
            inner = bmat([[inner, self.means], [self.means.T, None]])
        singular = InputError(
            f"{self.form.problem.name}: the linear system is singular, since nothing fixes the solution (a constant "
            "may be added): give a Dirichlet or Robin condition"
        )
        try:
            factors = saddle_factors(inner)
        except RuntimeError as error:
            raise singular from error
        pivots = np.abs(factors.U.diagonal())
        # those of algebraic rows are small by themselves
        if not self.algebraic and not pivots.min() > 1e-14 * pivots.max():
            raise singular
        return factors

    def solve(self, factors: Any, right: np.ndarray) -> np.ndarray:
        """The vector (node of each block,) with zero at held nodes."""
        extra = np.zeros(self.means.shape[1])
        solved = np.zeros_like(right)
        solved[self.free] = factors.solve(np.append(right[self.free], extra))[: len(self.free)]
        return solved

    def check_balance(self, rows: np.ndarray, y: np.ndarray) -> None:
        """Refuse a state whose multipliers take up more than discretisation leaves.

        Raises:
            InputError: a flow into a closed domain that is not one out of it.
        """
        free, extent = rows[self.free], max(axis.length for axis in self.form.problem.domain.axes)
        for mean in self.means.T:
            excess = abs(float(free @ mean) / float(mean @ mean)) * extent / max(float(np.abs(y).max()), 1e-300)
            if excess > _UNBALANCED:
                raise InputError(
                    f"{self.form.problem.name}: about {100 * excess:.2g} percent of the flow through the boundary is "
                    "not balanced, which an incompressible flow must be: change the velocity there, or give a pressure"
                )

    def norm(self, rows: np.ndarray) -> float:
        """The size of the free rows, less what the multipliers take up."""
        free = rows[self.free]
        for mean in self.means.T:
            free = free - mean * (free @ mean) / (mean @ mean)
        return float(np.linalg.norm(free))


def newton(form: WeakForm, *, steps: int = 50) -> Tensor:
    """y with R(y) = 0 at the free nodes and the Dirichlet values at the others.

    Steps that do not lower the residual are halved; a linear problem takes one and one of refinement. It starts from
    zero; where the equation has no slope there (a p-Laplacian), from the solution of a Poisson equation.

    Raises:
        InputError: a singular linear problem.
        Diverged: no convergence within `steps`.
    """
    name, fixed = form.problem.name, Fixed(form)
    y = form.boundary_values().cpu().numpy()

    def rows(y: np.ndarray) -> np.ndarray:
        return form.residual(_tensor(y, form)).cpu().numpy()

    def factors_at(y: np.ndarray) -> Any:
        return fixed.factors(form.jacobian(_tensor(y, form))[0])

    try:
        factors = factors_at(y)
    except InputError:
        y = membrane(form, fixed, y)
        factors = factors_at(y)
    r, smallest, change = rows(y), math.inf, math.nan
    for _ in range(steps):
        if factors is None:
            factors = factors_at(y)
        step, length = -fixed.solve(factors, r), 1.0
        while True:
            trial = y + length * step
            after = rows(trial)
            if fixed.norm(after) <= fixed.norm(r) or length < 1e-3:
                break
            length /= 2
        change = length * float(np.abs(step).max()) / max(float(np.abs(trial).max()), 1e-300)
        if not math.isfinite(change):
            raise Diverged(f"{name}: Newton's method met a value that is not finite")
        # rounding stops a refinement from getting any smaller
        if change <= 1e-12 or (change <= 1e-8 and change >= 0.5 * smallest):
            fixed.check_balance(after, trial)
            return _tensor(trial, form)
        if fixed.norm(after) > 1e-3 * fixed.norm(r):
            factors = None  # elsewhere the old factors are good enough: a linear problem is factorised once
        y, r, smallest = trial, after, min(smallest, change)
    raise Diverged(f"{name}: Newton's method did not converge in {steps} steps (last change {change:.1e})")


def membrane(form: WeakForm, fixed: Fixed, y: np.ndarray) -> np.ndarray:
    """The solution of -lap u = 1 for each scalar, with the Dirichlet values of y."""
    stiffness = form.stiffness()
    load = np.sum([form.integrals(block.name).numpy() for block in form.blocks], axis=0)
    return y + fixed.solve(fixed.factors(stiffness), load - stiffness @ y)


def _tensor(y: np.ndarray, form: WeakForm) -> Tensor:
    return torch.as_tensor(y, dtype=torch.float64, device=form.device)
