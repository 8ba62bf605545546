"""Sparse factors (SuperLU) and solves with them that gradients flow through."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from scipy.linalg import LinAlgWarning, lu_factor, lu_solve
from scipy.sparse import csc_array, csc_matrix, diags_array
from scipy.sparse.linalg import splu
from torch import Tensor

from pdesolve.errors import InputError

_ROUNDED = 1e-7  # of what elimination puts there: what zeros on the diagonal are raised by
_FULL = 0.05  # the share of entries above which factors fill up anyway


class Solve(torch.autograd.Function):
    """x = A^-1 b for a factorised A; backwards g -> A^-T g. b: (n,) or (n, columns)."""

    @staticmethod
    def forward(ctx: Any, right: Tensor, factors: Any) -> Tensor:
        ctx.factors = factors
        solved = factors.solve(right.detach().cpu().numpy().astype(float))
        return torch.as_tensor(solved, dtype=right.dtype, device=right.device)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        g = gradients[0]
        back = ctx.factors.solve(g.detach().cpu().numpy().astype(float), trans="T")
        return torch.as_tensor(back, dtype=g.dtype, device=g.device), None


class Reordered:
    """Factors of a matrix whose rows and columns were put into another order first, p: the order of those of another.

    Matrices of one pattern share the search for an order that keeps the factors sparse.
    """

    def __init__(self, matrix: csc_matrix, p: np.ndarray) -> None:
        self.p = p
        self.factors = splu(
            matrix[p][:, p], permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )

    def solve(self, right: np.ndarray, trans: str = "N") -> np.ndarray:
        """A^-1 b; A^-T b where trans is "T"."""
        solved = np.empty_like(right)
        solved[self.p] = self.factors.solve(right[self.p], trans=trans)
        return solved


class Dense:
    """Factors of a matrix with few zeros, as Chebyshev points give them: LAPACK is ten times as fast there."""

    def __init__(self, matrix: csc_matrix) -> None:
        self.factors, self.pivots = lu_factor(matrix.toarray())

    def solve(self, right: np.ndarray, trans: str = "N") -> np.ndarray:
        """A^-1 b; A^-T b where trans is "T"."""
        return lu_solve((self.factors, self.pivots), right, trans=1 if trans == "T" else 0)


def symmetric_factors(matrix: csc_matrix) -> Any:
    """Factors of a symmetric definite matrix, without a search for pivots.

    Raises:
        RuntimeError: a singular matrix.
    """
    return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def factorise(matrix: csc_matrix, name: str) -> Any:
    """Factors of any square matrix of the problem `name`.

    Raises:
        InputError: a singular matrix.
    """
    singular = InputError(
        f"{name}: the linear system is singular, since nothing fixes the solution (a constant may be added): give a "
        "Dirichlet or Robin condition"
    )
    if not np.isfinite(matrix.data).all():
        raise InputError(
            f"{name}: the equation is not finite somewhere on the grid: does a logarithm, a root or a quotient in it "
            "leave its range?"
        )
    if matrix.nnz > _FULL * math.prod(matrix.get_shape()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LinAlgWarning)  # the pivots say it
            factors = Dense(matrix)
        pivots = np.abs(np.diagonal(factors.factors))
    else:
        try:
            factors = splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A")
        except RuntimeError as error:
            raise singular from error
        pivots = np.abs(factors.U.diagonal())
    if pivots.min() < 1e-13 * pivots.max():  # rounding fills in the zero that exact arithmetic would find
        raise singular
    return factors


def saddle_factors(matrix: Any) -> Any:
    """Factors of a matrix whose pattern is symmetric, like those of elements.

    Pivots stay on the diagonal, which keeps a fifth of the fill of elements (6 million entries become 1 million for
    18,000 nodes). Rows of algebraic unknowns have zeros there: these are raised by a ten-millionth of what the
    elimination of the others would put in their place, so that a solution is right to about as many digits, and a step
    of refinement makes it exact. R. J. Vanderbei, SIAM J. Optim. 5 (1995) 100.

    Raises:
        RuntimeError: a matrix that is exactly singular.
    """
    matrix = csc_array(matrix)
    diagonal = matrix.diagonal()
    size = np.abs(matrix).max(axis=1).toarray().ravel()
    zero = np.abs(diagonal) <= 1e-14 * size
    raised = np.zeros_like(diagonal)
    while (zero & (raised == 0)).any():  # once for algebraic rows, once more for multipliers of these
        known = np.where(zero, raised, np.abs(diagonal))
        weight = diags_array(np.where(known > 0, 1 / np.where(known > 0, known, 1.0), 0.0))
        schur = (np.abs(matrix) @ weight).multiply(np.abs(matrix).T).sum(axis=1)
        found = np.where(zero & (raised == 0), schur, 0.0)
        if not found.any():
            break
        raised += found
    if zero.any():
        matrix = matrix + diags_array(_ROUNDED * raised)
    options = {"SymmetricMode": True}
    return splu(csc_array(matrix), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
