"""Damped linear least squares: one preparation of J, then solves for any damping.

Dense forms work on J itself by orthogonal factors. The normal equations would square its condition number: they stop at
an error of about 1e-16 cond(J)², that is 1e-7 and worse for networks, where orthogonal factors go on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise

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
    damping: that of the last solve; another one with the same costs products with J only.
    """

    note: str = ""
    damping: Tensor | None = None

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
        case "normal":
            return Normal(jacobian, r)
        case "matrix_free":
            return Iterative(jacobian, r, form)


class Orthogonal(Factor):
    """QR of J, or of Jᵀ where rows are fewer, then of the small triangle over √λ I for each λ."""

    def __init__(self, jacobian: Jacobian, r: Tensor) -> None:
        self._jacobian = jacobian
        self._small, self._r, self._basis = reduced(jacobian, r)
        self._kept: tuple[Tensor, Tensor] | None = None
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
        triangle, c = self._damped(damping)
        d = torch.linalg.solve_triangular(triangle, c[..., None], upper=True)[..., 0]
        return d if self._basis is None else (self._basis @ d[..., None])[..., 0]

    def normal(self, g: Tensor, damping: Tensor) -> Tensor:
        inside = g if self._basis is None else (self._basis.mT @ g[..., None])[..., 0]
        triangle, _ = self._damped(damping)
        half = torch.linalg.solve_triangular(triangle.mT, inside[..., None], upper=False)
        d = torch.linalg.solve_triangular(triangle, half, upper=True)
        if self._basis is None:
            return d[..., 0]
        outside = g - (self._basis @ inside[..., None])[..., 0]
        return (self._basis @ d)[..., 0] + outside / damping[..., None]

    def _damped(self, damping: Tensor) -> tuple[Tensor, Tensor]:
        """The triangle of the small system over √λ I and its right-hand side, kept for the next solve."""
        if self._kept is None or self.damping is None or not torch.equal(self.damping, damping):
            self._kept, self.damping = over_damping(self._small, self._r, damping), damping
        return self._kept


class Normal(Factor):
    """Cholesky of JᵀJ + λ: d = (JᵀJ + λ)⁻¹ Jᵀr, refined twice by products with J.

    For more rows than parameters; rounding raises λ to about 1e-16 parameters times the mean square of J's columns.
    """

    def __init__(self, jacobian: Jacobian, r: Tensor) -> None:
        self._jacobian, self._r = jacobian, r
        self._gram = symmetric_product(jacobian.dense())
        self._kept: tuple[Tensor, Tensor] | None = None

    def solve(self, damping: Tensor, r: Tensor | None = None) -> Tensor:
        right = self._r if r is None else r
        factor, used = self._cholesky(damping)
        d = torch.cholesky_solve(self._jacobian.transposed(right)[..., None], factor)[..., 0]
        for _ in range(2):  # the residual by J itself gives back what the square of its condition number has taken
            left = self._jacobian.transposed(right - self._jacobian.times(d)) - used[..., None] * d
            d = d + torch.cholesky_solve(left[..., None], factor)[..., 0]
        return d

    def normal(self, g: Tensor, damping: Tensor) -> Tensor:
        factor, used = self._cholesky(damping)
        d = torch.cholesky_solve(g[..., None], factor)[..., 0]
        left = g - self._jacobian.transposed(self._jacobian.times(d)) - used[..., None] * d
        return d + torch.cholesky_solve(left[..., None], factor)[..., 0]

    def _cholesky(self, damping: Tensor) -> tuple[Tensor, Tensor]:
        if self._kept is None or self.damping is None or not torch.equal(self.damping, damping):
            self._kept, self.damping = damped_cholesky(self._gram, damping, "J^T J"), damping
        return self._kept


class Kernel(Factor):
    """Cholesky of J Jᵀ + λ: d = Jᵀ (J Jᵀ + λ)⁻¹ r, with one step of refinement by products with J."""

    def __init__(self, jacobian: Jacobian, r: Tensor) -> None:
        self._jacobian, self._r, self._gram = jacobian, r, jacobian.gram()
        self._kept: tuple[Tensor, Tensor] | None = None

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
        if self._kept is not None and self.damping is not None and torch.equal(self.damping, damping):
            return self._kept
        factor, used = self._kept = damped_cholesky(self._gram, damping, "J J^T")
        self.damping = damping
        # what a row adds to those before it, λ included; 4: a repeated row adds 2 λ or less
        squares = factor.diagonal(dim1=-2, dim2=-1).square()
        above = int((squares > 4 * used[..., None]).sum(-1).min())
        few = above < squares.shape[-1]
        self.note = f"{above} of {squares.shape[-1]} rows determine more than the damping" if few else ""
        return factor, used


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
    small, c = over_damping(matrix, r, damping)
    return torch.linalg.solve_triangular(small, c[..., None], upper=True)[..., 0]


def over_damping(matrix: Tensor, r: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    """R and Qᵀ(r, 0) of A over √λ I = QR."""
    p = matrix.shape[-1]
    identity = torch.eye(p, dtype=matrix.dtype, device=matrix.device)
    below = (damping.sqrt()[..., None, None] * identity).expand(*matrix.shape[:-2], p, p)
    return compress(torch.cat([matrix, below], -2), torch.cat([r, r.new_zeros(*r.shape[:-1], p)], -1))


def damped_cholesky(gram: Tensor, damping: Tensor, what: str) -> tuple[Tensor, Tensor]:
    """The Cholesky factor of a Gram matrix + λ, and λ: raised to what rounding of the matrix asks for where it is less.

    Raises:
        Diverged: entries that are not finite.
    """
    diagonal = gram.diagonal(dim1=-2, dim2=-1).mean(-1)
    floor = torch.finfo(damping.dtype).eps * gram.shape[-1] * diagonal
    used = torch.maximum(damping, floor.clamp_min(torch.finfo(damping.dtype).tiny))
    while True:
        damped = gram.clone()
        damped.diagonal(dim1=-2, dim2=-1).add_(used[..., None])
        factor, failed = torch.linalg.cholesky_ex(damped)
        if not bool(failed.any()):
            return factor, used
        used = torch.where(failed > 0, 10 * used, used)
        if not bool(torch.isfinite(used).all()):  # no damping helps: rows were finite, their derivatives are not
            raise Diverged(f"{what} has entries that are not finite: take smaller steps or float64")


def symmetric_product(matrix: Tensor, parts: int = 4) -> Tensor:
    """AᵀA (*batch, column, column) from its blocks on and above the diagonal: three fifths of the work of a product."""
    p = matrix.shape[-1]
    out = matrix.new_empty(*matrix.shape[:-2], p, p)
    bounds = [p * k // parts for k in range(parts + 1)]
    for start, stop in pairwise(bounds):
        block = matrix[..., start:stop].mT @ matrix[..., start:]
        out[..., start:stop, start:] = block
        out[..., start:, start:stop] = block.mT
    return out
