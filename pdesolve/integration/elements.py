"""Lagrange elements of degree 1 and 2 on meshes of simplices, with curved sides where the domain has them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Domain, Locator, Mesh, MeshDomain, Quadrature, simplex_rule
from pdesolve.geometry.facets import cell_facets, facet_numbers
from pdesolve.geometry.refinement import refine

_NEWTON = 6  # steps that find a point in a curved cell
_CURVED = 1e-12  # of the mesh size: middles of edges that are off by more make a cell curved


@dataclass(frozen=True, eq=False)
class Table:
    """Shape functions at quadrature points: of all cells, or of the cells at a part of the boundary.

    cells: (cell,). functions: by degree (cell, point, 1 + axis, node), the values and then the slopes.
    """

    quadrature: Quadrature
    cells: Tensor
    functions: dict[int, Tensor]


class Elements:
    """Functions on a mesh that are continuous, and polynomials of degree 1 or 2 on each cell.

    They are known by their values at nodes: the points of the mesh, then for degree 2 the middles of its edges.
    `places` are the nodes of the highest degree. Where middles are off, cells are curved (`Elements.on` puts those of
    edges on the boundary onto that of a domain, so that errors in L2 are of order 3 on round domains too): I.
    Ergatoudis, B. M. Irons, O. C. Zienkiewicz, Int. J. Solids Struct. 4 (1968) 31.
    """

    def __init__(self, mesh: Mesh, places: Tensor, *, degree: int = 2) -> None:
        if degree not in (1, 2):
            raise InputError(f"elements are of degree 1 or 2, got {degree}")
        self.mesh, self.places, self.degree = mesh, places, degree

    @staticmethod
    def on(mesh: Mesh, domain: Domain | None = None, *, degree: int = 2) -> Elements:
        """Elements on a mesh, with curved sides for degree 2 where those of the domain are."""
        curved = None if isinstance(domain, MeshDomain) else domain
        return Elements(mesh, mesh.points if degree == 1 else refine(mesh, curved).points, degree=degree)

    def nodes(self, degree: int) -> Tensor:
        """The coordinates of the nodes (node, axis)."""
        return self.places[: self.count(degree)]

    def count(self, degree: int) -> int:
        """How many nodes there are."""
        return len(self.mesh.points) + (len(self.mesh.edges[0]) if degree == 2 else 0)

    def cell_nodes(self, degree: int) -> Tensor:
        """The nodes of each cell (cell, node)."""
        if degree == 1:
            return self.mesh.cells
        return torch.cat([self.mesh.cells, len(self.mesh.points) + self.mesh.edges[1]], 1)

    def boundary_nodes(self, part: str, degree: int) -> Tensor:
        """The nodes on a part of the boundary, ascending."""
        cells, opposite = self._facets(part)
        d = self.mesh.dimension
        vertices = torch.arange(d + 1) != opposite[:, None]
        on = vertices
        if degree == 2:
            ends = torch.combinations(torch.arange(d + 1), 2)
            on = torch.cat([vertices, vertices[:, ends[:, 0]] & vertices[:, ends[:, 1]]], 1)
        return self.cell_nodes(degree)[cells][on].unique()

    @cached_property
    def inside(self) -> Table:
        """The shape functions at the quadrature points of all cells."""
        return self._within(*simplex_rule(self.mesh.dimension))

    @cached_property
    def at_nodes(self) -> Table:
        """The shape functions at the nodes of the highest degree of all cells, in the order of `cell_nodes`."""
        d = self.mesh.dimension
        places = torch.eye(d + 1, dtype=torch.float64)
        if self.degree == 2:
            places = torch.cat([places, places[torch.combinations(torch.arange(d + 1), 2)].mean(1)])
        return self._within(places, torch.full((len(places),), 1.0 / len(places), dtype=torch.float64))

    def _within(self, places: Tensor, weights: Tensor) -> Table:
        """The shape functions at the same barycentric coordinates of all cells."""
        cells = torch.arange(len(self.mesh.cells))
        at = places.expand(len(cells), *places.shape)
        x, jacobian = self._map(cells, at)
        size = torch.linalg.det(jacobian) / math.factorial(self.mesh.dimension)
        return self._table(cells, at, Quadrature(self.mesh.axes, x, size * weights), jacobian)

    def boundary(self, part: str) -> Table:
        """The shape functions of the cells at a part of the boundary, at the quadrature points of its facets."""
        cells, opposite = self._facets(part)
        d = self.mesh.dimension
        on_facet, weights = simplex_rule(d - 1)
        at = torch.zeros(len(cells), len(weights), d + 1, dtype=torch.float64)
        others = (torch.arange(d + 1) != opposite[:, None]).nonzero()[:, 1].reshape(-1, d)
        at.scatter_(2, others[:, None].expand(-1, len(weights), -1), on_facet.expand(len(cells), *on_facet.shape))
        x, jacobian = self._map(cells, at)
        # the coordinate of the vertex opposite falls outward; its gradient measures the facet against the cell
        references = torch.cat([-torch.ones(1, d), torch.eye(d)]).double()[opposite]
        inward = torch.einsum("fqia,fa->fqi", torch.linalg.inv(jacobian), references)
        normals = -inward * (torch.linalg.det(jacobian) / math.factorial(d - 1))[..., None]
        size = torch.linalg.vector_norm(normals, dim=-1)
        quadrature = Quadrature(self.mesh.axes, x, size * weights, normals / size[..., None])
        return self._table(cells, at, quadrature, jacobian)

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The cell (n,) of each point x (n, axis) and its coordinates (n, d + 1) there, differentiable in x.

        Points outside, as roundings or curved sides leave them, belong to the cell with the nearest centre.
        """
        with torch.no_grad():
            cells, at = self._locator.locate(x)
            lost = (cells < 0).nonzero()[:, 0]
            if len(lost):
                near = self._nearest(x.detach().cpu().double()[lost])
                cells[lost] = near
                at[lost] = self._straight(x.detach().cpu().double()[lost], near)
        cells, at = cells.to(x.device), at.to(x)
        if self.degree == 2:
            with torch.no_grad():
                bent = self._curved.to(x.device)[cells].nonzero()[:, 0]
                for _ in range(_NEWTON if len(bent) else 0):
                    at[bent] = self._corrected(x[bent], cells[bent], at[bent])
        # twice, so that second derivatives are right as well
        return cells, self._corrected(x, cells, self._corrected(x, cells, at)) if x.requires_grad else at

    def shapes(self, at: Tensor, degree: int) -> Tensor:
        """The shape functions (..., node) at barycentric coordinates (..., vertex)."""
        if degree == 1:
            return at
        i, j = torch.combinations(torch.arange(at.shape[-1], device=at.device), 2).unbind(1)
        return torch.cat([at * (2 * at - 1), 4 * at[..., i] * at[..., j]], -1)

    def _slopes(self, at: Tensor, degree: int) -> Tensor:
        """Derivatives (..., reference axis, node) along the edges from the first vertex."""
        n = at.shape[-1]
        along = torch.cat([-torch.ones(n - 1, 1), torch.eye(n - 1)], 1).to(at)
        if degree == 1:
            return along.expand(*at.shape[:-1], n - 1, n)
        i, j = torch.combinations(torch.arange(n, device=at.device), 2).unbind(1)
        at = at.unsqueeze(-2)
        return torch.cat([along * (4 * at - 1), 4 * (at[..., i] * along[:, j] + at[..., j] * along[:, i])], -1)

    def _map(self, cells: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """Points (cell, ..., axis) of barycentric coordinates, and dx_i/dxi_a as (cell, ..., reference axis a, i)."""
        corners = self.places.to(at)[self.cell_nodes(self.degree).to(at.device)[cells]]
        corners = corners.reshape(len(cells), *[1] * (at.ndim - 2), *corners.shape[1:])
        x = (self.shapes(at, self.degree).unsqueeze(-2) @ corners).squeeze(-2)
        return x, self._slopes(at, self.degree) @ corners

    def _table(self, cells: Tensor, at: Tensor, quadrature: Quadrature, jacobian: Tensor) -> Table:
        if not bool((torch.linalg.det(jacobian) > 0).all()):
            raise InputError("a cell of the mesh turns over where its side follows the boundary: make the mesh finer")
        inverse = torch.linalg.inv(jacobian)
        functions = {
            k: torch.cat([self.shapes(at, k).unsqueeze(-2), inverse @ self._slopes(at, k)], -2)
            for k in range(1, self.degree + 1)
        }
        return Table(quadrature, cells, functions)

    def _facets(self, part: str) -> tuple[Tensor, Tensor]:
        """The cell of each facet of a part, and which of its vertices lies opposite."""
        wanted, known = self.mesh.part(part), cell_facets(self.mesh.cells)
        numbers = facet_numbers(torch.cat([known, wanted]), len(self.mesh.points))
        place = torch.zeros(int(numbers.max()) + 1, dtype=torch.int64)
        place[numbers[: len(known)]] = torch.arange(len(known))
        found = place[numbers[len(known) :]]
        return found // (self.mesh.dimension + 1), found % (self.mesh.dimension + 1)

    @cached_property
    def _locator(self) -> Locator:
        return Locator(self.mesh)

    @cached_property
    def _curved(self) -> Tensor:
        """Which cells have a side that is not straight (cell,)."""
        middles = self.mesh.points[self.mesh.edges[0]].mean(1)
        off = torch.linalg.vector_norm(self.places[len(self.mesh.points) :] - middles, dim=1)
        return (off > _CURVED * self.mesh.size)[self.mesh.edges[1]].any(1)

    def _straight(self, x: Tensor, cells: Tensor) -> Tensor:
        """Barycentric coordinates in the straight cells."""
        from_first = x - self.mesh.points[self.mesh.cells[cells, 0]]
        at = torch.einsum("nva,na->nv", self.mesh.gradients[cells], from_first)
        return at + torch.eye(at.shape[1])[0].to(at)

    def _nearest(self, x: Tensor) -> Tensor:
        """Of the cells at the boundary the one whose side is nearest: the least negative distance from any side."""
        cells = torch.cat([self._facets(name)[0] for name in self.mesh.boundaries]).unique()
        heights = 1 / torch.linalg.vector_norm(self.mesh.gradients[cells], dim=2)
        found = []
        for part in x.split(max(1, 2**22 // len(cells))):
            from_first = part[:, None] - self.mesh.points[self.mesh.cells[cells, 0]]
            at = torch.einsum("cva,nca->ncv", self.mesh.gradients[cells], from_first)
            at[..., 0] += 1
            found.append(cells[(at * heights).amin(2).argmax(1)])
        return torch.cat(found)

    def _corrected(self, x: Tensor, cells: Tensor, at: Tensor) -> Tensor:
        """One step of Newton's method for the coordinates of points in their cells."""
        reached, jacobian = self._map(cells, at[:, None])
        step = torch.linalg.solve(jacobian[:, 0].transpose(1, 2), x - reached[:, 0])
        return at + torch.cat([-step.sum(1, keepdim=True), step], 1)
