"""Values on a grid, taken at other places: products of Lagrange polynomials, each axis for itself."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.fields.interpolation import lagrange_weights
from pdesolve.fields.stencils import apply_matrix
from pdesolve.nn.places import GridPlaces, Places


class Interpolation:
    """From the points of one grid to any places, by polynomials of one degree through the nearest points.

    Exact on the points of the grid, of order degree + 1 between them. Periodic axes go round; on others the outermost
    polynomial goes on beyond the outermost point (half a cell, where points are centres of cells).

    degree: 1 for functions that jump, which it never overshoots between points; 3 for smooth ones. It is lowered where
    an axis has too few points.
    """

    def __init__(self, grid: GridPlaces, *, degree: int = 1) -> None:
        self.grid, self.degree = grid, degree
        self._lines = [
            _line(points, degree, periodic=axis.periodic) for axis, points in zip(grid.axes, grid.points, strict=True)
        ]
        self._last: GridPlaces | None = None
        self._matrices: list[Tensor | None] = []

    def to(self, values: Tensor, wanted: Places) -> Tensor:
        """Values (sample or 1, channel, *grid) at wanted places, (sample, channel, *wanted.shape).

        Differentiable in the values, and in the coordinates where places are points.
        """
        if not isinstance(wanted, GridPlaces):
            return self.at(values, wanted.columns())
        for i, matrix in enumerate(self.matrices(wanted)):
            if matrix is None:
                continue
            dim, some = i + 2, not matrix.is_floating_point()
            values = values.index_select(dim, matrix) if some else apply_matrix(values, dim, matrix)
        return values

    def same(self, wanted: Places) -> bool:
        """Whether places are the points of the grid."""
        return isinstance(wanted, GridPlaces) and all(matrix is None for matrix in self.matrices(wanted))

    def matrices(self, wanted: GridPlaces) -> list[Tensor | None]:
        """The matrix (wanted, points) of each axis. Those of the last wanted places are kept.

        Numbers (wanted,) of points where only some of these are wanted; None where all are.
        """
        if wanted is not self._last:
            lines = zip(self.grid.points, self._lines, wanted.points, strict=True)
            self._last, self._matrices = wanted, [_matrix(points, line, targets) for points, line, targets in lines]
        return self._matrices

    def at(self, values: Tensor, columns: Tensor) -> Tensor:
        """At points (sample or 1, point, axis): (sample, channel, point)."""
        samples, count, _ = columns.shape
        flat = columns.reshape(samples * count, -1)
        places = torch.zeros(len(flat), 1, dtype=torch.long, device=flat.device)
        weights = flat.new_ones(len(flat), 1)
        for i, line in enumerate(self._lines):
            indices, own = _stencil(line, flat[:, i])
            places = (places[:, :, None] * len(self.grid.points[i]) + indices[:, None]).flatten(1)
            weights = (weights[:, :, None] * own[:, None]).flatten(1)
        places, weights = places.reshape(samples, count, -1), weights.reshape(samples, 1, count, -1)
        rows = values.flatten(2)
        if samples == 1:
            block = rows[:, :, places[0]]
        elif len(rows) == 1:
            block = rows[0][:, places].movedim(0, 1)
        else:
            block = rows.gather(2, places.reshape(samples, 1, -1).expand(-1, rows.shape[1], -1))
            block = block.unflatten(2, (count, -1))
        return (block * weights.to(block)).sum(-1)


_SAME = 1e-6  # of an axis: points of one grid in float32 and in float64
_Line = tuple[
    Tensor, Tensor, int, bool
]  # points, their numbers, points a polynomial takes, whether the axis goes round


def _line(points: Tensor, degree: int, *, periodic: bool) -> _Line:
    numbers = torch.arange(len(points), device=points.device)
    if not periodic:
        return points, numbers, min(degree + 1, len(points)), False
    if len(points) > 1 and float(points[-1] - points[0]) > 1 - _SAME:  # an end that repeats the start
        points, numbers = points[:-1], numbers[:-1]
    width = min(degree + 1, len(points))
    turns = range(-1, 2)
    return torch.cat([points + turn for turn in turns]), numbers.repeat(3), width, True


def _matrix(points: Tensor, line: _Line, targets: Tensor) -> Tensor | None:
    points = points.to(targets)
    near = (points - targets[:, None]).abs().min(1)
    if bool((near.values < _SAME).all()):
        numbers = torch.arange(len(points), device=points.device)
        return None if torch.equal(near.indices, numbers) else near.indices
    indices, weights = _stencil(line, targets)
    return weights.new_zeros(len(targets), len(points)).scatter_add_(1, indices, weights)


def _stencil(line: _Line, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers and weights (target, width) of the points nearest to targets (target,)."""
    points, numbers, width, periodic = line
    points = points.to(targets)
    if periodic:
        first = points[len(numbers) // 3]
        targets = first + torch.remainder(targets - first, 1.0)
    start = torch.searchsorted(points, targets.detach().contiguous()) - width // 2
    chosen = start.clamp(0, len(points) - width)[:, None] + torch.arange(width, device=points.device)
    return numbers[chosen], lagrange_weights(points[chosen], targets)
