"""Uniform refinement of meshes."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.errors import unknown_name
from pdesolve.geometry.domain import Boundary, Domain
from pdesolve.geometry.mesh import Mesh

_STEPS = 5  # of Newton's method towards a curve: one is enough for circles
_ON = 1e-13  # of the mesh's longest edge: points this close are on the curve

# the parts of a simplex by the numbers of its vertices, and then of its edges in the order of `Mesh.edges`
_PARTS = {
    1: ((0, 2), (2, 1)),
    2: ((0, 3, 4), (3, 1, 5), (4, 5, 2), (3, 5, 4)),
    3: (
        (0, 4, 5, 6), (4, 1, 7, 8), (5, 7, 2, 9), (6, 8, 9, 3),
        # the octahedron between, cut along the diagonal from the edge (0, 2) to the edge (1, 3)
        (4, 5, 6, 8), (4, 7, 5, 8), (5, 9, 6, 8), (5, 7, 9, 8),
    ),
}  # fmt: skip
_FACETS = {1: ((0,),), 2: ((0, 2), (2, 1)), 3: ((0, 3, 4), (3, 1, 5), (4, 5, 2), (3, 5, 4))}


def refine(mesh: Mesh, domain: Domain | None = None) -> Mesh:
    """Each interval halved, each triangle cut into 4 and each tetrahedron into 8 at the middles of its edges.

    Angles of triangles stay as they are. Tetrahedra are cut as by J. Bey, Computing 55 (1995) 355-378, but for one
    choice of diagonals. The new points of the boundary move to the curved boundary of `domain` where one is given,
    part by part: its parts are then those of the mesh by name.

    Raises:
        InputError: parts of the boundary that the domain has not; a curve so far away that cells would turn over.
    """
    edges, of_cell = mesh.edges
    n = len(mesh.points)
    middles = mesh.points[edges].mean(1)
    rows = torch.cat([mesh.cells, n + of_cell], 1)
    cells = rows[:, torch.tensor(_PARTS[mesh.dimension])].reshape(-1, mesh.dimension + 1)
    boundaries = {}
    for name, facets in mesh.boundaries.items():
        between = torch.zeros(len(facets), 0, dtype=torch.int64)
        if mesh.dimension > 1:
            pairs = torch.combinations(torch.arange(mesh.dimension), 2)
            ends = facets[:, pairs].sort(2).values
            between = torch.searchsorted(edges[:, 0] * n + edges[:, 1], ends[..., 0] * n + ends[..., 1])
            if domain is not None:
                if name not in domain.boundaries:
                    raise unknown_name("boundary of the domain", name, domain.boundaries)
                chosen = between.unique()
                middles[chosen] = onto(domain.boundaries[name], middles[chosen], mesh.size)
        parts = torch.tensor(_FACETS[mesh.dimension])
        boundaries[name] = torch.cat([facets, n + between], 1)[:, parts].reshape(-1, mesh.dimension)
    return Mesh.of(torch.cat([mesh.points, middles]), cells, boundaries, axes=mesh.axes)


def onto(part: Boundary, x: Tensor, size: float) -> Tensor:
    """The points moved against the gradient of their distance from a part until they are on it."""
    for _ in range(_STEPS):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            distance = part.distance(x)
            total = distance.sum()
        if float(distance.detach().max()) <= _ON * size:
            break
        (slope,) = torch.autograd.grad(total, x)
        length = slope.square().sum(1, keepdim=True)
        # on the part itself the distance has no slope, or none that counts
        step = torch.where((length > 0.5) & (distance > _ON * size)[:, None], distance[:, None] * slope / length, 0.0)
        x = x - step
    return x.detach()
