"""Meshes of simplices: intervals, triangles or tetrahedra, with named parts of the boundary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry.axis import Axes, Axis
from pdesolve.geometry.discretisation import Discretisation
from pdesolve.geometry.facets import KINDS, cell_facets, check_tiling, facet_numbers, outward

_FLAT = 1e-12  # of the cube (square, ...) of its longest edge: what a cell's measure must exceed
_ROUNDING = 1e-9  # of an axis: how far its bounds may be from the points'
REST = "boundary"  # the name of the boundary facets that have none


@dataclass(frozen=True, eq=False)
class Mesh(Discretisation):
    """A conforming mesh of simplices in as many dimensions d as it has axes, d = 1, 2 or 3.

    axes: the space axes; their bounds are the bounding box (`Mesh.of` makes them). points: (point, d), float64.
    cells: (cell, d + 1), point numbers, positively oriented: ascending intervals, counterclockwise triangles,
    tetrahedra with det(x1 - x0, x2 - x0, x3 - x0) > 0. boundaries: name -> facets (facet, d), the point numbers of end
    points, edges or triangles of the boundary. Facets are stored with the outward side on the right of an edge, or
    counterclockwise seen from outside. Those of no part are the part `boundary`, in one dimension `x_min` or `x_max`
    for an axis x, so that each boundary facet is in one part.

    Values of a field that lives here are those at the points. Everything is float64 on the CPU.

    Raises:
        InputError: cells of another shape, inverted, flat or folded over one another, in pieces that share no facet,
            points of no cell, facets that are in two parts or not on the boundary.
    """

    axes: Axes
    points: Tensor
    cells: Tensor
    boundaries: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", torch.as_tensor(self.points, dtype=torch.float64, device="cpu"))
        object.__setattr__(self, "cells", _numbers(self.cells, "the cells of a mesh"))
        self._check_shapes()
        self._check_orientation()
        check_tiling(self.points, self.cells)
        object.__setattr__(self, "boundaries", self._complete())

    @staticmethod
    def of(
        points: Any,
        cells: Any,
        boundaries: Mapping[str, Any] | None = None,
        *,
        axes: Axes | Sequence[str] = ("x", "y", "z"),
    ) -> Mesh:
        """A mesh on axes that are bounded by its points, with the names (and units) of the first of the given axes."""
        points = torch.as_tensor(points, dtype=torch.float64, device="cpu")
        given = [axis if isinstance(axis, Axis) else Axis(axis, 0.0, 1.0) for axis in axes]
        if points.ndim != 2 or not 1 <= points.shape[1] <= min(3, len(given)) or not len(points):
            raise InputError(
                f"the points of a mesh need the shape (point, 1 to 3 axes), got {tuple(points.shape)} for the axes "
                f"{', '.join(axis.name for axis in given)}"
            )
        bounds = zip(given, points.amin(0).tolist(), points.amax(0).tolist(), strict=False)
        found = Axes(tuple(Axis(axis.name, *b, unit=axis.unit, periodic=axis.periodic) for axis, *b in bounds))
        return Mesh(found, points, cells, boundaries or {})

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.points),)

    @property
    def dimension(self) -> int:
        return len(self.axes)

    def columns(self, *, dtype: torch.dtype, device: torch.device | str) -> dict[str, Tensor]:
        points = self.points.to(dtype=dtype, device=device)
        return {axis.name: points[:, i] for i, axis in enumerate(self.axes)}

    @cached_property
    def measures(self) -> Tensor:
        """Length, area or volume of each cell (cell,)."""
        edges = self.points[self.cells[:, 1:]] - self.points[self.cells[:, :1]]
        return torch.linalg.det(edges) / math.factorial(self.dimension)

    @cached_property
    def measure(self) -> float:
        """Length, area or volume of all."""
        return math.fsum(self.measures.tolist())

    @cached_property
    def gradients(self) -> Tensor:
        """The constant gradients of the P1 shape functions on each cell (cell, vertex, axis).

        Shape functions are the barycentric coordinates l_i: 1 at vertex i, 0 at the others, linear between.
        """
        edges = self.points[self.cells[:, 1:]] - self.points[self.cells[:, :1]]
        # x - x0 = E^T (l_1, ..., l_d) with the edges as rows of E, so that the gradients are the columns of E^-1
        others = torch.linalg.inv(edges).transpose(1, 2)
        return torch.cat([-others.sum(1, keepdim=True), others], 1)

    @cached_property
    def weights(self) -> Tensor:
        """Quadrature weights of the points (point,): integrals of the P1 shape functions, of order 2."""
        share = (self.measures / (self.dimension + 1))[:, None].expand(self.cells.shape)
        return torch.zeros(len(self.points), dtype=torch.float64).index_add(
            0, self.cells.reshape(-1), share.reshape(-1)
        )

    @cached_property
    def boundary_facets(self) -> Tensor:
        """All facets of the boundary (facet, d), outward."""
        facets = cell_facets(self.cells)
        number = facet_numbers(facets, len(self.points))
        return facets[torch.bincount(number)[number] == 1]

    @cached_property
    def edges(self) -> tuple[Tensor, Tensor]:
        """The edges (edge, 2), lower point number first, and the number of each cell's edges (cell, edge of the cell).

        The edges of a cell join its vertices (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), as far as there are.
        """
        pairs = torch.combinations(torch.arange(self.dimension + 1), 2)
        ends = self.cells[:, pairs].sort(2).values
        edges, number = torch.unique(ends.reshape(-1, 2), dim=0, return_inverse=True)
        return edges, number.reshape(len(self.cells), len(pairs))

    @cached_property
    def size(self) -> float:
        """The length of the longest edge."""
        start, end = self.points[self.edges[0]].unbind(1)
        return float(torch.linalg.vector_norm(end - start, dim=1).max())

    def part(self, name: str) -> Tensor:
        """The facets (facet, d) of a named part of the boundary."""
        if name not in self.boundaries:
            raise unknown_name("boundary of the mesh", name, self.boundaries)
        return self.boundaries[name]

    def facet_measures(self, name: str) -> Tensor:
        """Length or area of each facet of a part (facet,); 1 for end points."""
        return torch.linalg.vector_norm(outward(self.points, self.part(name)), dim=1)

    def facet_normals(self, name: str) -> Tensor:
        """The outward unit normal of each facet of a part (facet, axis)."""
        normals = outward(self.points, self.part(name))
        return normals / torch.linalg.vector_norm(normals, dim=1, keepdim=True)

    def _check_shapes(self) -> None:
        d = len(self.axes)
        if not 1 <= d <= 3 or self.axes.time:
            raise InputError(f"a mesh has 1 to 3 axes of space, got {self.axes}: leave time to Problem(time=...)")
        if any(axis.periodic for axis in self.axes):
            raise InputError("a mesh has no periodic axes: write Axis(name, lower, upper) and conditions on its sides")
        if self.points.ndim != 2 or self.points.shape[1] != d or not len(self.points):
            raise InputError(
                f"the points of a mesh on {self.axes} need the shape (point, {d}), got {tuple(self.points.shape)}"
            )
        if not torch.isfinite(self.points).all():
            raise InputError(
                f"point {int((~torch.isfinite(self.points)).any(1).nonzero()[0])} of the mesh isn't finite"
            )
        if self.cells.ndim != 2 or self.cells.shape[1] != d + 1 or not len(self.cells):
            raise InputError(
                f"a mesh in {d} dimensions has cells of {d + 1} points ({KINDS[d]}), got the shape "
                f"{tuple(self.cells.shape)}: split other cells into {KINDS[d]} first"
            )
        if int(self.cells.min()) < 0 or int(self.cells.max()) >= len(self.points):
            raise InputError(
                f"cells hold the point numbers {int(self.cells.min())} to {int(self.cells.max())}, and the mesh has "
                f"the points 0 to {len(self.points) - 1}: do the numbers start at 1?"
            )
        bounds = torch.stack([self.points.amin(0), self.points.amax(0)], 1).tolist()
        for axis, (lower, upper) in zip(self.axes, bounds, strict=True):
            if max(abs(axis.lower - lower), abs(axis.upper - upper)) > _ROUNDING * axis.length:
                raise InputError(
                    f"the points of the mesh reach from {lower:.6g} to {upper:.6g} along {axis.name!r}, and the axis "
                    f"from {axis.lower:.6g} to {axis.upper:.6g}: write Mesh.of(points, cells), which finds the bounds"
                )

    def _check_orientation(self) -> None:
        corners = self.points[self.cells]
        longest = torch.cdist(corners, corners).flatten(1).amax(1)
        bad = self.measures <= _FLAT * longest**self.dimension
        if bad.any():
            i = int(bad.nonzero()[0])
            raise InputError(
                f"{int(bad.sum())} of {len(self.cells)} cells are inverted or flat, the first is cell {i} with points "
                f"{self.cells[i].tolist()} and measure {float(self.measures[i]):.3g}: list its points the other way "
                "round, or move the point that lies on the wrong side"
            )

    def _complete(self) -> dict[str, Tensor]:
        """The parts with their facets outward, and the rest under a name of its own."""
        outer = self.boundary_facets
        given = {name: _numbers(facets, f"the facets of {name!r}") for name, facets in self.boundaries.items()}
        for name, facets in given.items():
            if facets.ndim != 2 or facets.shape[1] != self.dimension or not len(facets):
                raise InputError(
                    f"the boundary {name!r} of a mesh in {self.dimension} dimensions needs facets of "
                    f"{self.dimension} points, got the shape {tuple(facets.shape)}"
                )
            if int(facets.min()) < 0 or int(facets.max()) >= len(self.points):
                raise InputError(f"the boundary {name!r} holds point numbers that the mesh has not: start them at 0")
        number = facet_numbers(torch.cat([outer, *given.values()]), len(self.points))
        row = torch.full((int(number.max()) + 1,), -1)
        row[number[: len(outer)]] = torch.arange(len(outer))
        rows = dict(zip(given, row[number[len(outer) :]].split([len(f) for f in given.values()]), strict=True))
        owner = torch.full((len(outer),), -1)
        for i, (name, found) in enumerate(rows.items()):
            if (found < 0).any():
                k = int((found < 0).nonzero()[0])
                raise InputError(
                    f"{int((found < 0).sum())} of {len(found)} facets of {name!r} are not on the boundary of the mesh, "
                    f"the first has the points {given[name][k].tolist()}: leave out facets inside"
                )
            taken = owner[found]
            if (taken >= 0).any():
                other = list(rows)[int(taken[taken >= 0][0])]
                raise InputError(
                    f"{int((taken >= 0).sum())} facets are in both {other!r} and {name!r}: each belongs to one part of "
                    "the boundary"
                )
            owner[found] = i
        parts = {name: outer[owner == i] for i, name in enumerate(rows)}
        for name, facets in self._unnamed(outer[owner < 0]).items():
            if name in parts:
                raise InputError(
                    f"{len(facets)} facets of the boundary are in no part, and the name they would get, {name!r}, is "
                    "taken: name them, or call that part otherwise"
                )
            parts[name] = facets
        return parts

    def _unnamed(self, facets: Tensor) -> dict[str, Tensor]:
        if self.dimension > 1:
            return {REST: facets} if len(facets) else {}
        axis = self.axes.members[0].name
        sides = outward(self.points, facets)[:, 0].tolist()
        return {f"{axis}_{'max' if s > 0 else 'min'}": facets[i : i + 1] for i, s in enumerate(sides)}


def _numbers(values: Any, what: str) -> Tensor:
    tensor = torch.as_tensor(values, device="cpu")
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise InputError(f"{what} are whole numbers of points, got {str(tensor.dtype).removeprefix('torch.')}")
    return tensor.to(torch.int64)
