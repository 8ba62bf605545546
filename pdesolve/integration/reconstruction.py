"""Values at the faces between cells from averages over the cells: limited slopes, and fields whose slopes are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields import GridField, Quantity
from pdesolve.fields.point import derivative_unit
from pdesolve.geometry import Grid

Limiter = Literal["van_leer", "minmod", "none"]


class SlopedField(GridField):
    """A grid field that is given its first derivatives, since its values alone do not tell them.

    `slopes` maps axes to derivatives that broadcast against the values. What is computed from it has none: the flux of
    an equation may use derivatives of unknowns and parameters, not of their products.
    """

    def __init__(self, values: Tensor, grid: Grid, quantity: Quantity, slopes: Mapping[str, Tensor] | None = None):
        super().__init__(values, grid, quantity)
        self.slopes = slopes

    def like(self, values: Tensor, quantity: Quantity) -> SlopedField:
        return SlopedField(values, self.grid, quantity)

    def differentiate(self, axis: str, order: int) -> SlopedField:
        self.axes.index(axis)
        if order != 1 or self.slopes is None or axis not in self.slopes:
            raise InputError(
                f"finite volumes know the first derivatives of unknowns and parameters alone, not "
                f"d{order}({self.name}): write the flux or the source in these, or take another scheme"
            )
        unit = derivative_unit(self.unit, self.axes, axis, 1)
        return self.like(self.slopes[axis], Quantity(f"d{self.name}/d{axis}", unit))


def face_values(cells: Tensor, dim: int, limiter: Limiter) -> tuple[Tensor, Tensor]:
    """Values on both sides, lower and upper, of the n + 1 faces of n cells that have two ghost cells at either end.

    Linear in each cell, with a slope that `limiter` takes from the differences to both neighbours (MUSCL): values at
    faces stay between those of the cells beside them. B. van Leer, J. Comput. Phys. 32 (1979) 101.
    """
    size = cells.shape[dim]
    steps = cells.narrow(dim, 1, size - 1) - cells.narrow(dim, 0, size - 1)
    half = 0.5 * _LIMITERS[limiter](steps.narrow(dim, 0, size - 2), steps.narrow(dim, 1, size - 2))
    inner = cells.narrow(dim, 1, size - 2)
    count = size - 3
    return (inner + half).narrow(dim, 0, count), (inner - half).narrow(dim, 1, count)


def _van_leer(a: Tensor, b: Tensor) -> Tensor:
    """The harmonic mean 2 a b / (a + b) of differences of one sign, else zero."""
    product = (a * b).clamp_min(0.0)
    return 2.0 * product / torch.where(product > 0, a + b, 1.0)


def _minmod(a: Tensor, b: Tensor) -> Tensor:
    """The smaller of two differences of one sign, else zero."""
    return torch.where(a * b > 0, torch.where(a.abs() < b.abs(), a, b), 0.0)


def _centred(a: Tensor, b: Tensor) -> Tensor:
    return 0.5 * (a + b)


_LIMITERS: dict[Limiter, Callable[[Tensor, Tensor], Tensor]] = {
    "van_leer": _van_leer,
    "minmod": _minmod,
    "none": _centred,
}
