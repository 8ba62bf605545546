"""Linear operators with constant coefficients in Fourier space: one block of numbers for each wave number."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def linear_blocks(f: Callable[[Tensor], Tensor], zero: Tensor, dimension: int) -> Tensor:
    """Blocks (*sample, row, column, *wave) of the linear part of f about zero, for each wave number.

    One Jacobian-vector product for each scalar, in the direction of a unit impulse: all its coefficients are one.
    """
    columns = []
    for j in range(zero.shape[0]):
        impulse = zero.clone()
        impulse[j] = 1.0
        columns.append(torch.func.jvp(f, (zero,), (impulse,))[1])
    return torch.stack(columns, -dimension - 1)


def multiply(matrix: Tensor, v: Tensor, dimension: int) -> Tensor:
    """Blocks (*sample, row, column, *wave), one a wave number, times coefficients (*sample, column, *wave)."""
    return (matrix * v.unsqueeze(-dimension - 2)).sum(-dimension - 1)


def product(a: Tensor, b: Tensor, dimension: int) -> Tensor:
    """Blocks (*sample, row, column, *wave) times blocks."""
    return (a.unsqueeze(-dimension - 1) * b.unsqueeze(-dimension - 3)).sum(-dimension - 2)
