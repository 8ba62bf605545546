"""Residuals that are a function of one point: per-sample Jacobians by vmap(jacrev)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from pdesolve.least_squares.functional import Products
from pdesolve.least_squares.jacobian import CHUNK_BYTES, Jacobian
from pdesolve.least_squares.objective import Linearisation, Objective, check_finite, half_squares, of_rows, scaled

Row = Callable[[Tensor, Tensor], Tensor]


class Pointwise(Objective):
    """|r|²/2 of rows `f(theta, point)` at points (point, ...), for each term a function and its points.

    theta (parameter,), f gives a number. Any function that torch.func maps and differentiates, whatever its layers:
    the general way, where `LeastSquares` with its tape is the fast one. weights: of each term's sum of squares.
    sizes: of the parameter tensors that theta joins, so that the kernel form takes one at a time.
    """

    def __init__(
        self,
        terms: Mapping[str, tuple[Row, Tensor]],
        *,
        weights: Mapping[str, float] | None = None,
        sizes: Sequence[int] | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.terms, self.weights, self.sizes = dict(terms), dict(weights or {}), sizes
        self.chunk_bytes = chunk_bytes

    def rows(self, theta: Tensor) -> Tensor:
        """The weighted rows (row,), differentiable."""
        return torch.cat(list(self._terms(theta).values()))

    @torch.no_grad()
    def values(self, theta: Tensor) -> Tensor:
        return self.rows(theta)

    def loss(self, theta: Tensor) -> Tensor:
        return half_squares(self.values(theta))

    def linearise(self, theta: Tensor) -> Linearisation:
        theta = theta.detach()
        jacobian = PointJacobian(self, theta)
        if not bool(torch.isfinite(jacobian.value).all()):
            with torch.no_grad():  # once more by name
                check_finite(self._terms(theta))
        return of_rows(jacobian.value, jacobian)

    def _terms(self, theta: Tensor) -> dict[str, Tensor]:
        return {
            name: scaled(vmap(f, (None, 0))(theta, x), self.weights.get(name, 1.0))
            for name, (f, x) in self.terms.items()
        }


class PointJacobian(Jacobian):
    """Rows by rows: each point's gradient is a backward pass over that point alone."""

    def __init__(self, objective: Pointwise, theta: Tensor) -> None:
        self._objective, self._theta, self._products = objective, theta, Products(objective.rows, theta)
        self.value = self._products.value
        self.rows, self.parameters = len(self.value), len(theta)

    def times(self, v: Tensor) -> Tensor:
        return self._products.times(v)

    def transposed(self, w: Tensor) -> Tensor:
        return self._products.transposed(w)

    def dense(self) -> Tensor:
        return self._block(slice(0, self.parameters))

    def gram(self) -> Tensor:
        gram = self.value.new_zeros(self.rows, self.rows)
        for columns in self._slices():
            block = self._block(columns)
            gram.addmm_(block, block.mT)
            del block  # before the next one is made
        return gram

    def _slices(self) -> Iterator[slice]:
        """Parameter tensors, split where a block of them would not fit a chunk."""
        most = max(1, self._objective.chunk_bytes // (self.value.element_size() * self.rows))
        for start, stop in pairwise([0, *accumulate(self._objective.sizes or [self.parameters])]):
            yield from (slice(k, min(k + most, stop)) for k in range(start, stop, most))

    def _block(self, columns: slice) -> Tensor:
        """The columns of some parameters, as many points at once as a chunk holds."""
        before, after = self._theta[: columns.start], self._theta[columns.stop :]
        width = columns.stop - columns.start
        some = max(1, self._objective.chunk_bytes // (self._theta.element_size() * width))
        parts = []
        for name, (f, x) in self._objective.terms.items():

            def at(part: Tensor, point: Tensor, f: Row = f) -> Tensor:
                return f(torch.cat([before, part, after]), point)

            gradients = vmap(jacrev(at), (None, 0), chunk_size=some)(self._theta[columns], x)
            parts.append(scaled(gradients.detach(), self._objective.weights.get(name, 1.0)))
        return torch.cat(parts)
