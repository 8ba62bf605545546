"""Sine transforms of values between zero walls, by matrices: what diagonalises second differences there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SineBasis:
    """Values (..., *inner) on the nodes of a box with u = 0 on its walls, walls left out.

    intervals and lengths: of each axis. Along an axis of n intervals the transform is the symmetric orthogonal matrix
    (2 / n)^(1/2) sin(pi i j / n), 0 < i, j < n. Products of matrices are batched, run on any device, and up to about
    500 intervals are not slower than fast transforms. R. E. Lynch, J. R. Rice, D. H. Thomas, Numer. Math. 6 (1964) 185.
    """

    intervals: Sequence[int]
    lengths: Sequence[float]
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"

    @cached_property
    def matrices(self) -> tuple[Tensor, ...]:
        """The transform of each axis."""
        found = []
        for n in self.intervals:
            i = torch.arange(1, n, device=self.device)
            # whole numbers below 2 n, so that the sines of large products are as exact as those of small ones
            angles = (i[:, None] * i % (2 * n)).to(self.dtype) * (math.pi / n)
            found.append(math.sqrt(2.0 / n) * torch.sin(angles))
        return tuple(found)

    @cached_property
    def eigenvalues(self) -> tuple[Tensor, ...]:
        """Those of -(u_(i-1) - 2 u_i + u_(i+1)) / h^2 along each axis, in its place among the axes."""
        found, d = [], len(self.intervals)
        for axis, (n, length) in enumerate(zip(self.intervals, self.lengths, strict=True)):
            i = torch.arange(1, n, dtype=self.dtype, device=self.device)
            values = (2.0 * n / length * torch.sin(math.pi * i / (2 * n))) ** 2
            found.append(values.reshape([-1 if j == axis else 1 for j in range(d)]))
        return tuple(found)

    def transform(self, values: Tensor) -> Tensor:
        """Coefficients of values, and values of coefficients: the transform is its own inverse."""
        values = values @ self.matrices[-1]
        for i, matrix in enumerate(self.matrices[:-1]):
            axis = i - len(self.intervals)
            # the axis next to last is a product from the left, those before it are moved there
            if axis == -2:
                values = matrix @ values
            else:
                values = (matrix @ values.movedim(axis, -2).contiguous()).movedim(-2, axis)
        return values
