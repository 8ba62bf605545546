"""Grid fields: values on a tensor-product grid, differentiated by Fourier, Chebyshev or finite differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from pdesolve.fields.field import Field, Quantity
from pdesolve.fields.point import derivative_unit
from pdesolve.fields.stencils import (
    apply_matrix,
    apply_stencil,
    chebyshev_matrix,
    differentiate_bounded,
    differentiate_periodic,
    fornberg,
    stencil,
)
from pdesolve.geometry import Axes, Grid, GridAxis


@dataclass(frozen=True, eq=False)
class Edge:
    """What a field obeys at one side of a grid: alpha f + beta df/dn = value, n the outward normal.

    `value` is a number or a tensor that broadcasts against the field's values with that axis reduced to one entry.
    """

    alpha: float
    beta: float
    value: Tensor | float


class GridField(Field):
    """Values (*sample, *grid.shape). Gradients flow through every operation.

    `edges` maps sides ("x_min") to what the field obeys there, and derivatives then use boundary values that do;
    without an entry one-sided stencils of the same order use the stored values alone. Results of arithmetic and
    derivatives obey nothing.
    """

    def __init__(self, values: Tensor, grid: Grid, quantity: Quantity, edges: Mapping[str, Edge] | None = None) -> None:
        super().__init__(values, quantity)
        self.grid = grid
        self.edges = edges

    @property
    def axes(self) -> Axes:
        return self.grid.axes

    @property
    def place_dimensions(self) -> int:
        return len(self.grid.members)

    def like(self, values: Tensor, quantity: Quantity) -> GridField:
        return GridField(values, self.grid, quantity)

    def same_places(self, other: Field) -> bool:
        return isinstance(other, GridField) and other.grid == self.grid

    def differentiate(self, axis: str, order: int) -> GridField:
        key = (axis, order)
        if key not in self._partials:
            unit = derivative_unit(self.unit, self.axes, axis, order)
            name = f"d{order if order > 1 else ''}({self.name[:60]})/d{axis}{order if order > 1 else ''}"
            self._partials[key] = self.like(self._derivative(axis, order), Quantity(name, unit))
        partial = self._partials[key]
        assert isinstance(partial, GridField)
        return partial

    def _derivative(self, axis: str, order: int) -> Tensor:
        member, dim = self.grid[axis], self.dimension_of(axis)
        if self.values.shape[dim] == 1 < member.size:  # constant along this axis: a coordinate, or a profile
            return torch.zeros_like(self.values)
        if member.placement == "periodic":
            return differentiate_periodic(self.values, dim, member, order)
        sides = self._sides(axis)
        if not any(sides):
            return differentiate_bounded(self.values, dim, member, order, self.grid.accuracy)
        points, values = bounded_values(self.values, dim, member, sides, self.grid.accuracy)
        if member.placement == "chebyshev":
            matrix = chebyshev_matrix(member.size, member.axis.length, order).to(values)
            return apply_matrix(values, dim, matrix)
        indices, weights = stencil(points, tuple(member.points.tolist()), order, self.grid.accuracy)
        return apply_stencil(values, dim, indices, weights)

    def obeying(self) -> GridField:
        """This field with its values on the boundary replaced by those that obey its edges."""
        values = self.values
        for member in self.grid.members:
            sides = self._sides(member.axis.name)
            if any(sides):
                dim = self.dimension_of(member.axis.name)
                points, extended = bounded_values(values, dim, member, sides, self.grid.accuracy)
                first = 1 if points[0] < member.points[0] else 0
                values = extended.narrow(dim, first, member.size)
        return GridField(values, self.grid, self.quantity, self.edges)

    def dimension_of(self, axis: str) -> int:
        """The dimension of `values` along the axis, counted from the end: edges may bring samples in front."""
        return self.axes.index(axis) - self.place_dimensions

    def _sides(self, axis: str) -> tuple[Edge | None, Edge | None]:
        edges = self.edges or {}
        return edges.get(f"{axis}_min"), edges.get(f"{axis}_max")


def bounded_values(
    values: Tensor, dim: int, member: GridAxis, sides: tuple[Edge | None, Edge | None], accuracy: int
) -> tuple[tuple[float, ...], Tensor]:
    """Points and values along one axis with boundary values that obey the edges, replaced or (for cells) added.

    The normal derivative at an end is one-sided, sum_j w_j f_j, so that alpha f_b + beta df/dn = value is a linear
    equation for the boundary value f_b; the two ends are solved together, since a Chebyshev row couples them.
    """
    points = member.points.tolist()
    first, last = 0, member.size  # the stored values that stay
    if sides[0] is not None:
        if points[0] - member.axis.lower <= 1e-12 * member.axis.length:
            first = 1
        else:
            points = [member.axis.lower, *points]
    if sides[1] is not None:
        if member.axis.upper - points[-1] <= 1e-12 * member.axis.length:
            last -= 1
        else:
            points = [*points, member.axis.upper]
    inner = values.narrow(dim, first, last - first)
    active = [side for side in (0, 1) if sides[side] is not None]
    before = 0 if sides[0] is None else 1  # boundary values in front of the inner ones
    rows: dict[int, tuple[float, ...]] = {}
    right: dict[int, Tensor] = {}
    for side in active:
        edge = sides[side]
        assert edge is not None
        rows[side] = row = _edge_row(tuple(points), member.placement, side, edge.alpha, edge.beta, accuracy)
        value = edge.value.to(values) if isinstance(edge.value, Tensor) else values.new_tensor(edge.value)
        weights = row[before : before + last - first]
        held = [k for k, weight in enumerate(weights) if weight]
        if len(held) > accuracy + 2:  # a Chebyshev row
            full = torch.tensor(weights, dtype=values.dtype, device=values.device)
            shape = [-1 if i == values.ndim + dim else 1 for i in range(values.ndim)]
            value = value - (inner * full.reshape(shape)).sum(dim, keepdim=True)
        else:
            for k in held:
                value = value - weights[k] * inner.narrow(dim, k, 1)
        right[side] = value
    solved: dict[int, Tensor] = {}
    if len(active) == 1:
        (side,) = active
        solved[side] = right[side] / rows[side][-side]
    else:
        (a, b), (c, e) = [(rows[side][0], rows[side][-1]) for side in (0, 1)]
        determinant = a * e - b * c
        solved[0] = (e * right[0] - b * right[1]) / determinant
        solved[1] = (a * right[1] - c * right[0]) / determinant
    # a value for each sample of the conditions, where the field has none of its own
    missing = max(value.ndim for value in solved.values()) - inner.ndim
    if missing > 0:
        widest = max(solved.values(), key=lambda value: value.ndim)
        inner = inner.expand(*widest.shape[:missing], *inner.shape)
    slot = inner.narrow(dim, 0, 1)
    parts = [solved[0].expand_as(slot)] if 0 in solved else []
    parts.append(inner)
    parts += [solved[1].expand_as(slot)] if 1 in solved else []
    return tuple(points), torch.cat(parts, dim)


@lru_cache(maxsize=256)
def _edge_row(
    points: tuple[float, ...], placement: str, side: int, alpha: float, beta: float, accuracy: int
) -> tuple[float, ...]:
    """The weights of alpha f + beta df/dn at the first (side 0) or last point."""
    n = len(points)
    row = np.zeros(n)
    if beta:
        if placement == "chebyshev":
            row = chebyshev_matrix(n, points[-1] - points[0], 1)[-side].numpy().copy()
        else:
            width = min(accuracy + 2, n)  # one more than the accuracy: a second derivative divides by h twice
            start = 0 if side == 0 else n - width
            row[start : start + width] = fornberg(points[-side], np.asarray(points[start : start + width]), 1)
        row *= beta * (-1.0 if side == 0 else 1.0)
    row[-side] += alpha
    return tuple(row.tolist())
