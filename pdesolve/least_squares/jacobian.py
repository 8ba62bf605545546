"""Jacobians as what they do: products, blocks of columns, the Gram matrix J Jᵀ."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

CHUNK_BYTES = 2**26  # what one block of a Jacobian may take: 64 MiB


class Jacobian(ABC):
    """J = dr/dtheta (*batch, row, parameter) at one theta, as a linear map."""

    rows: int
    parameters: int

    @abstractmethod
    def times(self, v: Tensor) -> Tensor:
        """J v: (*batch, parameter) -> (*batch, row)."""

    @abstractmethod
    def transposed(self, w: Tensor) -> Tensor:
        """Jᵀ w: (*batch, row) -> (*batch, parameter)."""

    @abstractmethod
    def dense(self) -> Tensor:
        """J itself (*batch, row, parameter)."""

    @abstractmethod
    def gram(self) -> Tensor:
        """J Jᵀ (*batch, row, row), without more than a block of J in memory. Its condition number is J's squared."""

    def columns(self, index: Tensor) -> Tensor:
        """The columns of some parameters (*batch, row, index)."""
        return self.dense()[..., index]

    def compressed(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """A and c with |A d − c|² = |J d − r|² + constant, by QR of J and as many rows as parameters at most."""
        return compress(self.dense(), r)


def compress(matrix: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """R and Qᵀr of J = QR (*batch, row, parameter) where J has more rows than parameters, else J and r as they are."""
    n, p = matrix.shape[-2:]
    if n <= p:
        return matrix, r
    # r as a last column: its part of the triangle is Qᵀr, and Q is never formed
    triangle = torch.linalg.qr(torch.cat([matrix, r[..., None]], -1), mode="r").R
    return triangle[..., :p, :p], triangle[..., :p, p]


class Dense(Jacobian):
    """A Jacobian that is a matrix (*batch, row, parameter)."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        self.rows, self.parameters = matrix.shape[-2:]

    def times(self, v: Tensor) -> Tensor:
        return (self.matrix @ v[..., None])[..., 0]

    def transposed(self, w: Tensor) -> Tensor:
        return (self.matrix.mT @ w[..., None])[..., 0]

    def dense(self) -> Tensor:
        return self.matrix

    def gram(self) -> Tensor:
        return self.matrix @ self.matrix.mT


def mean_square_column(jacobian: Jacobian, like: Tensor) -> Tensor:
    """|J|²/parameters, the mean diagonal entry of JᵀJ, (*batch), estimated by four fixed random products.

    Hutchinson's estimator E|J v|² = |J|² with signs v, whatever the order of the rows; `like` (*batch, row) gives
    batch, dtype and device.
    """
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(like.shape[:-1], dtype=like.dtype, device=like.device)
    for _ in range(4):
        signs = torch.randint(0, 2, (jacobian.parameters,), generator=generator).to(like) * 2 - 1
        total = total + jacobian.times(signs.expand(*like.shape[:-1], -1)).square().sum(-1)
    return total / (4 * jacobian.parameters)
