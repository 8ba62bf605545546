"""Residuals that are functions of flat parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp, vmap

from pdesolve.least_squares.jacobian import CHUNK_BYTES, Jacobian
from pdesolve.least_squares.objective import (
    Linearisation,
    Objective,
    Terms,
    check_finite,
    half_squares,
    of_rows,
    stack,
)

Residual = Callable[..., Terms]


class Functional(Objective):
    """|r|²/2 of `residual(theta, *context) -> {name: tensor}`, theta (*batch, parameter), tensors (*batch, ...).

    Each problem of a batch depends on its own theta only. weights: factor of each term's sum of squares.
    """

    def __init__(
        self, residual: Residual, context: tuple[Any, ...] = (), *, weights: Mapping[str, float] | None = None
    ) -> None:
        self.residual, self.context, self.weights = residual, context, dict(weights or {})

    def rows(self, theta: Tensor) -> Tensor:
        """The weighted rows (*batch, row), differentiable."""
        return stack(self.residual(theta, *self.context), self.weights, batch=theta.ndim - 1)

    @torch.no_grad()
    def values(self, theta: Tensor) -> Tensor:
        return self.rows(theta)

    def loss(self, theta: Tensor) -> Tensor:
        return half_squares(self.values(theta))

    def linearise(self, theta: Tensor) -> Linearisation:
        theta = theta.detach()
        jacobian = FunctionJacobian(self.rows, theta)
        if not bool(torch.isfinite(jacobian.value).all()):
            with torch.no_grad():  # once more by name
                check_finite(self.residual(theta, *self.context), self.weights)
        return of_rows(jacobian.value, jacobian)


class Products:
    """J v and Jᵀw of rows(theta) by torch.func, and the rows themselves."""

    def __init__(self, rows: Callable[[Tensor], Tensor], theta: Tensor) -> None:
        self._rows, self._theta = rows, theta
        value, self._pull, *_ = vjp(rows, theta)
        self._push: Callable[[Tensor], Tensor] | None = None
        self.value: Tensor = value.detach()

    def times(self, v: Tensor) -> Tensor:
        if self._push is None:
            self._push = transpose(self._rows, self._theta, self.value)
        return self._push(v).detach()

    def transposed(self, w: Tensor) -> Tensor:
        return self._pull(w)[0].detach()


class FunctionJacobian(Jacobian):
    """The Jacobian of rows(theta) by torch.func: column by column where there are fewer parameters than rows."""

    def __init__(self, rows: Callable[[Tensor], Tensor], theta: Tensor, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._theta, self._chunk_bytes, self._products = theta, chunk_bytes, Products(rows, theta)
        self.value = self._products.value
        self.rows, self.parameters = self.value.shape[-1], theta.shape[-1]

    def times(self, v: Tensor) -> Tensor:
        return self._products.times(v)

    def transposed(self, w: Tensor) -> Tensor:
        return self._products.transposed(w)

    def dense(self) -> Tensor:
        if self.parameters <= self.rows:
            return torch.cat(list(self._blocks(torch.arange(self.parameters))), -1)
        parts = []
        for index in torch.arange(self.rows).split(self._chunk(self.parameters)):
            basis = _unit_vectors(index, self.rows, self._theta)
            parts.append(vmap(lambda w: self.transposed(w.expand_as(self.value)))(basis).movedim(0, -2))
        return torch.cat(parts, -2)

    def gram(self) -> Tensor:
        total = 0.0
        for block in self._blocks(torch.arange(self.parameters)):
            total = total + block @ block.mT
        return torch.as_tensor(total)

    def columns(self, index: Tensor) -> Tensor:
        return torch.cat(list(self._blocks(index)), -1)

    def _chunk(self, length: int) -> int:
        """How many vectors of that length, for each problem, stay within the bytes of a chunk."""
        problems = self._theta[..., 0].numel()
        return max(1, self._chunk_bytes // (self._theta.element_size() * problems * length))

    def _blocks(self, index: Tensor) -> Iterator[Tensor]:
        """Columns of J (*batch, row, some), as many at once as the bytes of a chunk allow."""
        for some in index.split(self._chunk(self.rows)):
            basis = _unit_vectors(some, self.parameters, self._theta)
            yield vmap(lambda v: self.times(v.expand_as(self._theta)))(basis).movedim(0, -1)


def transpose(rows: Callable[[Tensor], Tensor], theta: Tensor, value: Tensor) -> Callable[[Tensor], Tensor]:
    """v -> J v as the derivative of w -> Jᵀw, which is linear: two reverse passes.

    Forward mode would be one, but torch takes it through Python for many operations (ten times slower on small
    problems), and some have none.
    """
    push = vjp(lambda w: vjp(rows, theta)[1](w)[0], torch.zeros_like(value))[1]
    return lambda v: push(v)[0]


def _unit_vectors(index: Tensor, length: int, like: Tensor) -> Tensor:
    """Rows `index` of the identity, (index, length)."""
    basis = torch.zeros(len(index), length, dtype=like.dtype, device=like.device)
    basis[torch.arange(len(index), device=like.device), index.to(like.device)] = 1
    return basis
