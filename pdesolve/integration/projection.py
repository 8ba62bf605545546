"""Algebraic unknowns on periodic grids: what keeps a linear constraint, wave number by wave number."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.integration.blocks import linear_blocks, multiply, product

_ROUNDING = 1e-12


class Projection:
    """v_t = r(v) + B q with C v = 0 for the coefficients v of evolving scalars and q of algebraic ones (a pressure).

    Then C r + C B q = 0 at all times, so that q = -(C B)^-1 C r and v_t = P r, P = 1 - B (C B)^-1 C. For an
    incompressible flow B is the gradient, C the divergence and P the projection of Leray. Waves on which C B vanishes
    (the mean of a pressure, which is free) have q = 0.

    push (*sample, scalar, algebraic, *wave): B. constraint (*sample, algebraic, scalar, *wave): C.
    """

    def __init__(self, push: Tensor, constraint: Tensor, dimension: int) -> None:
        self.dimension = dimension
        both = product(constraint, push, dimension)
        matrices = _last(both, dimension)
        sizes = matrices.abs().amax((-2, -1))
        free = sizes <= _ROUNDING * sizes.max()
        identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
        inverse = torch.linalg.inv(torch.where(free[..., None, None], identity, matrices))
        inverse = _first(torch.where(free[..., None, None], torch.zeros_like(inverse), inverse), dimension)
        self.recovery = -product(inverse, constraint, dimension)
        self.matrix = product(push, self.recovery, dimension)
        scalars = self.matrix.shape[-dimension - 1]
        unit = torch.eye(scalars, dtype=self.matrix.dtype, device=self.matrix.device)
        self.matrix = self.matrix + unit.reshape(scalars, scalars, *[1] * dimension)

    @staticmethod
    def of(
        rate: Callable[[Tensor, Tensor], Tensor],
        constraint: Callable[[Tensor, Tensor], Tensor],
        v: Tensor,
        q: Tensor,
        dimension: int,
    ) -> Projection:
        """Read B and C off a rate and a constraint, functions of (v, q), and try them out on the state v, q.

        Raises:
            InputError: algebraic unknowns that enter other than linearly, or a constraint that does not hold v alone,
            with constant coefficients.
        """
        zero_v, zero_q = torch.zeros_like(v), torch.zeros_like(q)
        push = linear_blocks(lambda q: rate(zero_v, q), zero_q, dimension)
        held = linear_blocks(lambda v: constraint(v, zero_q), zero_v, dimension)
        pushed, kept = multiply(push, q, dimension), multiply(held, v, dimension)
        gaps = (
            (rate(v, q) - rate(v, zero_q) - pushed, pushed),
            (constraint(v, q) - kept, kept),
        )
        if not all(bool(gap.abs().max() <= 1e-9 * size.abs().max()) for gap, size in gaps):
            raise InputError("its algebraic unknowns do not keep a linear constraint on the others, as a pressure does")
        return Projection(push, held, dimension)

    def commutes(self, blocks: Tensor) -> bool:
        """Whether blocks L keep the constraint by themselves, P L = L P."""
        left, right = product(self.matrix, blocks, self.dimension), product(blocks, self.matrix, self.dimension)
        return bool((left - right).abs().max() <= _ROUNDING * blocks.abs().max())

    def given(self, matrix: Tensor) -> Projection:
        """This projection with another matrix P."""
        other = copy(self)
        other.matrix = matrix
        return other

    def __call__(self, r: Tensor) -> Tensor:
        """P r."""
        return multiply(self.matrix, r, self.dimension)

    def recover(self, r: Tensor) -> Tensor:
        """q from the rate r (*sample, scalar, *wave) without it."""
        return multiply(self.recovery, r, self.dimension)


def _last(blocks: Tensor, dimension: int) -> Tensor:
    return blocks.movedim((-dimension - 2, -dimension - 1), (-2, -1))


def _first(matrices: Tensor, dimension: int) -> Tensor:
    return matrices.movedim((-2, -1), (-dimension - 2, -dimension - 1))
