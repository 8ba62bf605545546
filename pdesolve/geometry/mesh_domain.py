"""Domains that are meshes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry.axis import Axes
from pdesolve.geometry.curve import Segment
from pdesolve.geometry.domain import Boundary, Domain
from pdesolve.geometry.location import Locator
from pdesolve.geometry.mesh import Mesh

_PAIRS = 2**21  # points times facets whose distances are taken at once


@dataclass(frozen=True, eq=False)
class MeshBoundary(Boundary):
    """A named part of the boundary of a mesh: end points, edges or triangles."""

    name: str
    mesh: Mesh

    @property
    def dimension(self) -> int:
        return self.mesh.dimension - 1

    @cached_property
    def corners(self) -> Tensor:
        """The points of each facet (facet, vertex, axis)."""
        return self.mesh.points[self.mesh.part(self.name)]

    @cached_property
    def shares(self) -> Tensor:
        """The measure of each facet and of all before it (facet,)."""
        return self.mesh.facet_measures(self.name).cumsum(0)

    @cached_property
    def normals(self) -> Tensor:
        """The outward unit normal of each facet (facet, axis)."""
        return self.mesh.facet_normals(self.name)

    @property
    def measure(self) -> float:
        return float(self.shares[-1])

    @cached_property
    def curves(self) -> tuple[Segment, ...]:
        """The edges of a part in the plane, with the domain to their left: what combining domains cuts."""
        pairs = self.corners.tolist() if self.dimension == 1 else []
        return tuple(Segment(self.name, (a[0], a[1]), (b[0], b[1])) for a, b in pairs)

    def place(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """The first coordinate runs through the facets by their measure, and on through the one that it falls into."""
        if self.dimension == 0:
            facet = torch.zeros(len(unit), dtype=torch.int64, device=unit.device)
            weights = unit.new_ones(len(unit), 1)
        else:
            ends = self.shares.to(unit)
            along = unit[:, 0] * ends[-1]
            facet = torch.searchsorted(ends, along.contiguous(), right=True).clamp(max=len(ends) - 1)
            before = torch.cat([ends.new_zeros(1), ends])[facet]
            s = ((along - before) / (ends[facet] - before)).clamp(0, 1)
            if self.dimension == 1:
                weights = torch.stack([1 - s, s], 1)
            else:  # the root makes uniform points of the square uniform in the triangle
                root, t = s.sqrt(), unit[:, 1]
                weights = torch.stack([1 - root, root * (1 - t), root * t], 1)
        x = (weights[..., None] * self.corners.to(unit)[facet]).sum(1)
        return x, self.normals.to(unit)[facet]

    def distance(self, x: Tensor) -> Tensor:
        corners = self.corners.to(x)
        with torch.no_grad():  # which facet is nearest; distances are continuous where it changes
            chunks = x.split(max(1, _PAIRS // len(corners)))
            nearest = [_distance(part[:, None], corners[None]).argmin(1) for part in chunks]
        return _distance(x, corners[torch.cat(nearest)])


@dataclass(frozen=True)
class MeshDomain(Domain):
    """The region that the cells of a mesh fill; its boundary parts are the mesh's.

    Curved sides are what the mesh makes of them: polygons. Points that the domain is sampled at are drawn from
    its bounding box.

    Raises:
        InputError: a name for both ends of a mesh in one dimension.
    """

    mesh: Mesh

    def __post_init__(self) -> None:
        if not isinstance(self.mesh, Mesh):
            raise InputError(f"a mesh domain needs a Mesh, got {type(self.mesh).__name__}: write read_mesh(path)")
        for name, facets in self.mesh.boundaries.items():
            if self.mesh.dimension == 1 and len(facets) > 1:
                raise InputError(f"both ends of the mesh are called {name!r}: a domain needs a name for each")

    @property
    def axes(self) -> Axes:  # type: ignore[override]
        return self.mesh.axes

    @property
    def measure(self) -> float:
        return self.mesh.measure

    @cached_property
    def boundaries(self) -> Mapping[str, Boundary]:  # type: ignore[override]
        return {name: MeshBoundary(name, self.mesh) for name in self.mesh.boundaries}

    @cached_property
    def locator(self) -> Locator:
        return Locator(self.mesh)

    def inside(self, x: Tensor) -> Tensor:
        return (self.locator.locate(x)[0] >= 0).to(x.device)


def _distance(x: Tensor, corners: Tensor) -> Tensor:
    """Distances of points (..., axis) from simplices (..., vertex, axis) of one to three vertices."""
    if corners.shape[-2] == 1:
        return _length(x - corners[..., 0, :])
    if corners.shape[-2] == 2:
        return _from_edge(x, corners[..., 0, :], corners[..., 1, :])
    a, b, c = corners.unbind(-2)
    normal = torch.linalg.cross(b - a, c - a)
    # inside the prism over the triangle: left of all edges
    sides = [
        (torch.linalg.cross(q - p, x - p, dim=-1) * normal).sum(-1) >= 0
        for p, q in ((a, b), (b, c), (c, a))
    ]  # fmt: skip
    over = sides[0] & sides[1] & sides[2]
    height = ((x - a) * normal).sum(-1).abs() / _length(normal)
    edges = torch.stack([_from_edge(x, p, q) for p, q in ((a, b), (b, c), (c, a))]).amin(0)
    return torch.where(over, height, edges)


def _from_edge(x: Tensor, start: Tensor, end: Tensor) -> Tensor:
    along = end - start
    s = (((x - start) * along).sum(-1) / along.square().sum(-1)).clamp(0, 1)
    return _length(x - start - s[..., None] * along)


def _length(vector: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vector, dim=-1)
