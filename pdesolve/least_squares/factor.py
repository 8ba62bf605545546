"""Damped linear least squares: one preparation of J, then solves for any damping.

Dense forms work on J itself by orthogonal factors. The normal equations would square its condition number: they stop at
an error of about 1e-16 cond(J)², that is 1e-7 and worse for networks, where orthogonal factors go on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.least_squares.form import Form
from pdesolve.least_squares.jacobian import Jacobian, compress
from pdesolve.least_squares.krylov import damped_conjugate_gradients
from pdesolve.least_squares.sketch import nystrom


class Factor(ABC):
    """A Jacobian and a right-hand side r, prepared for solves with many dampings λ (*batch).

    note: what a solve found out by the way about directions that J leaves undetermined, in a line; empty for none.
    """

    note: str = ""

    @abstractmethod
    def solve(self, damping: Tensor, r: Tensor | None = None) -> Tensor:
        """d (*batch, parameter) that minimises |J d − r|² + λ |d|², λ > 0; for another r than the one prepared too."""

    @abstractmethod
    def normal(self, g: Tensor, damping: Tensor) -> Tensor:
        """(JᵀJ + λ)⁻¹ g for any g (*batch, parameter), λ > 0."""


def factorise(jacobian: Jacobian, r: Tensor, form: Form) -> Factor:
    """J and r prepared in that form."""
    match form.kind:
        case "dense":
            return Orthogonal(jacobian, r)
        case "kernel":
            return Kernel(jacobian, r)
        case "matrix_free":
            return Iterative(jacobian, r, form)


class Orthogonal(Factor):
    """QR of J, or of Jᵀ where rows are fewer, then of the small triangle over √λ I for each λ."""

    def __init__(self, jacobian: Jacobian, r: Tensor) -> None:
        self._jacobian = jacobian
        self._small, self._r, self._basis = reduced(jacobian, r)
        n, p = jacobian.rows, jacobian.parameters
        if n != p:  # else no triangle
            # a column that depends on those before it leaves rounding on the diagonal
            diagonal = self._small.diagonal(dim1=-2, dim2=-1).abs()
            sizes = self._small.norm(dim=-1 if n < p else -2)
            rank = int((diagonal > max(n, p) * torch.finfo(r.dtype).eps * sizes).sum(-1).min())
            if rank < min(n, p):
                self.note = f"J is rank-deficient, {rank} of {min(n, p)} directions or fewer are above rounding: damped"

    def solve(self, damping: Tensor, r: Tensor | None = None) -> Tensor:
        if r is not None:  # Q is not kept; the normal equations of the triangle will do for a correction
            return self.normal(self._jacobian.transposed(r), damping)
        d = augmented(self._small, self._r, damping)
        return d if self._basis is None else (self._basis @ d[..., None])[..., 0]

    def normal(self, g: Tensor, damping: Tensor) -> Tensor:
        inside = g if self._basis is None else (self._basis.mT @ g[..., None])[..., 0]
        triangle = torch.linalg.qr(_over_damping(self._small, damping), mode="r").R
        half = torch.linalg.solve_triangular(triangle.mT, inside[..., None], upper=False)
        d = torch.linalg.solve_triangular(triangle, half, upper=True)
        if self._basis is None:
            return d[..., 0]
        outside = g - (self._basis @ inside[..., None])[..., 0]
        return (self._basis @ d)[..., 0] + outside / damping[..., None]


class Kernel(Factor):
    """Cholesky of J Jᵀ + λ: d = Jᵀ (J Jᵀ + λ)⁻¹ r, with one step of refinement by products with J."""

    def __init__(self, jacobian: Jacobian, r: Tensor) -> None:
        self._jacobian, self._r, self._gram = jacobian, r, jacobian.gram()

    def solve(self, damping: Tensor, r: Tensor | None = None) -> Tensor:
        right = self._r if r is None else r
        factor, used = self._cholesky(damping)
        y = torch.cholesky_solve(right[..., None], factor)[..., 0]
        d = self._jacobian.transposed(y)
        left_over = right - self._jacobian.times(d) - used[..., None] * y
        return d + self._jacobian.transposed(torch.cholesky_solve(left_over[..., None], factor)[..., 0])

    def normal(self, g: Tensor, damping: Tensor) -> Tensor:
        factor, used = self._cholesky(damping)
        inside = torch.cholesky_solve(self._jacobian.times(g)[..., None], factor)[..., 0]
        return (g - self._jacobian.transposed(inside)) / used[..., None]

    def _cholesky(self, damping: Tensor) -> tuple[Tensor, Tensor]:
        """The factor, and the damping: raised to what rounding of J Jᵀ asks for where it is less."""
        diagonal = self._gram.diagonal(dim1=-2, dim2=-1).mean(-1)
        floor = torch.finfo(damping.dtype).eps * self._gram.shape[-1] * diagonal
        used = torch.maximum(damping, floor.clamp_min(torch.finfo(damping.dtype).tiny))
        while True:
            damped = self._gram.clone()
            damped.diagonal(dim1=-2, dim2=-1).add_(used[..., None])
            factor, failed = torch.linalg.cholesky_ex(damped)
            if not bool(failed.any()):
                # what a row adds to those before it, λ included; 4: a repeated row adds 2 λ or less
                squares = factor.diagonal(dim1=-2, dim2=-1).square()
                above = int((squares > 4 * used[..., None]).sum(-1).min())
                few = above < squares.shape[-1]
                self.note = f"{above} of {squares.shape[-1]} rows determine more than the damping" if few else ""
                return factor, used
            used = torch.where(failed > 0, 10 * used, used)
            if not bool(torch.isfinite(used).all()):  # no damping helps: rows were finite, their derivatives are not
                raise Diverged("J J^T has entries that are not finite: take smaller steps or float64")


class Iterative(Factor):
    """Conjugate gradients on the damped normal equations, by products with J and Jᵀ alone."""

    def __init__(self, jacobian: Jacobian, r: Tensor, form: Form) -> None:
        self._jacobian, self._r, self._form = jacobian, r, form
        self._sketch = nystrom(jacobian, form.sketch, r) if form.sketch else None

    def solve(self, damping: Tensor, r: Tensor | None = None) -> Tensor:
        return self._iterate(damping, self._r if r is None else r, None)

    def normal(self, g: Tensor, damping: Tensor) -> Tensor:
        return self._iterate(damping, None, g)

    def _iterate(self, damping: Tensor, r: Tensor | None, g: Tensor | None) -> Tensor:
        sketch = self._sketch
        precondition = None if sketch is None else lambda v: sketch.inverse(v, damping)
        return damped_conjugate_gradients(
            self._jacobian, damping, r=r, g=g, precondition=precondition,
            tolerance=self._form.tolerance, iterations=self._form.iterations,
        )  # fmt: skip


def reduced(jacobian: Jacobian, r: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """A small system (A, c) and an orthonormal basis Q (parameter, k), or None: d = Q y, y minimises |A y − c|."""
    matrix, c = jacobian.compressed(r)
    if matrix.shape[-2] >= matrix.shape[-1]:
        return matrix, c, None
    basis, triangle = torch.linalg.qr(matrix.mT)  # J = RᵀQᵀ
    return triangle.mT, c, basis


def augmented(matrix: Tensor, r: Tensor, damping: Tensor) -> Tensor:
    """The minimiser of |A d − r|² + λ |d|² by QR of A over √λ I, which keeps A's own condition number."""
    small, c = compress(
        _over_damping(matrix, damping), torch.cat([r, r.new_zeros(*r.shape[:-1], matrix.shape[-1])], -1)
    )
    return torch.linalg.solve_triangular(small, c[..., None], upper=True)[..., 0]


def _over_damping(matrix: Tensor, damping: Tensor) -> Tensor:
    p = matrix.shape[-1]
    identity = torch.eye(p, dtype=matrix.dtype, device=matrix.device)
    below = damping.sqrt()[..., None, None] * identity
    return torch.cat([matrix, below.expand(*matrix.shape[:-2], p, p)], -2)
