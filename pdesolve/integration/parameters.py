"""Parameters of an equation on the cells and the faces of a grid of finite volumes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pdesolve.fields import Coordinates, Field
from pdesolve.geometry import Grid, GridAxis
from pdesolve.integration.ghosts import LAYERS, instants
from pdesolve.integration.reconstruction import SlopedField
from pdesolve.problem import Problem, Value


def spacing(member: GridAxis) -> float:
    """The width of the cells along an axis."""
    return member.axis.length / member.size


def face_axis(member: GridAxis) -> GridAxis:
    """The faces of the cells along an axis, the outermost at its ends (of a periodic one half a cell before them)."""
    start = member.points[0] - 0.5 * spacing(member)
    return GridAxis.at(member.axis, (start + spacing(member) * np.arange(member.size + 1)).tolist())


def _wider(member: GridAxis) -> GridAxis:
    """The cells along an axis with the ghost cells at both ends."""
    cells = np.arange(-LAYERS, member.size + LAYERS)
    return GridAxis.at(member.axis, (member.points[0] + spacing(member) * cells).tolist())


class CellParameters:
    """The parameters on cells and faces, from their values at the corners of cells.

    Those that vary in space are averages over the corners, and their slopes differences of faces: then water at rest
    over an uneven bed stays at rest, since the force of the bed is the difference of the pressures on the faces.
    `cells`, `faces` and `around`, with ghost cells, are the coordinates; the latter two for each axis.
    """

    def __init__(
        self,
        problem: Problem,
        grid: Grid,
        values: Mapping[str, Value] | None,
        *,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        assert problem.time is not None
        self.problem, self.grid, self.values = problem, grid, values
        corners = tuple(face_axis(member) for member in grid.members)
        self.corners = Coordinates(Grid(corners, grid.accuracy), dtype=dtype, device=device)
        self.faces = tuple(
            Coordinates(
                Grid((*grid.members[:i], corners[i], *grid.members[i + 1 :]), grid.accuracy), dtype=dtype, device=device
            )
            for i in range(len(corners))
        )
        self.cells = Coordinates(grid, dtype=dtype, device=device)
        self.around = tuple(
            Coordinates(
                Grid((*grid.members[:i], _wider(grid.members[i]), *grid.members[i + 1 :])), dtype=dtype, device=device
            )
            for i in range(len(corners))
        )
        self._steady: dict[str, Field] | None = None
        a, b = problem.time.lower, problem.time.upper
        first, *later = [self._at_corners(torch.tensor(t, dtype=dtype, device=device)) for t in instants(a, b)]
        if all(torch.equal(first[name].values, other[name].values) for other in later for name in first):
            self._steady = first

    def on_cells(self, t: Tensor) -> dict[str, Field]:
        """With slopes along every axis."""
        return {name: self._on_cells(field) for name, field in self._bound(t).items()}

    def on_faces(self, t: Tensor, dim: int) -> dict[str, Field]:
        """On the faces across one axis (dim counts from the end)."""
        return {name: self._on_faces(field, dim) for name, field in self._bound(t).items()}

    def _bound(self, t: Tensor) -> dict[str, Field]:
        return self._at_corners(t) if self._steady is None else self._steady

    def _at_corners(self, t: Tensor) -> dict[str, Field]:
        return self.problem.bind(self.corners.at_instant(t), self.values)

    def _on_cells(self, field: Field) -> Field:
        if not len(field.axes):
            return field
        dims = range(-len(self.grid.members), 0)
        slopes = {}
        for dim, member in zip(dims, self.grid.members, strict=True):
            across = field.values
            for other in dims:
                across = across if other == dim else _between(across, other)
            slopes[member.axis.name] = _steps(across, dim) / spacing(member)
        values = field.values
        for dim in dims:
            values = _between(values, dim)
        return SlopedField(values, self.grid, field.quantity, slopes)

    def _on_faces(self, field: Field, dim: int) -> Field:
        if not len(field.axes):
            return field
        values = field.values
        for other in range(-len(self.grid.members), 0):
            values = values if other == dim else _between(values, other)
        grid = self.faces[dim].discretisation
        assert isinstance(grid, Grid)
        return SlopedField(values, grid, field.quantity)


def _between(values: Tensor, dim: int) -> Tensor:
    """Means of neighbours; what does not vary along the axis stays."""
    n = values.shape[dim] - 1
    return 0.5 * (values.narrow(dim, 0, n) + values.narrow(dim, 1, n)) if n else values


def _steps(values: Tensor, dim: int) -> Tensor:
    n = values.shape[dim] - 1
    return values.narrow(dim, 1, n) - values.narrow(dim, 0, n) if n else torch.zeros_like(values)
