"""Meshes that are finer towards corners, where solutions have singularities."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry.domain import Domain
from pdesolve.geometry.mesh import Mesh
from pdesolve.geometry.refinement import onto, refine


def corner_angles(mesh: Mesh, domain: Domain | None = None) -> tuple[Tensor, Tensor]:
    """The points (corner,) of the boundary of a plane mesh, and the angle (corner,) inside the domain at each, radians.

    Curved sides of `domain` count as curved: the angle on a smooth boundary is pi but for O(h^2).
    """
    if mesh.dimension != 2:
        raise InputError(f"corners have angles in the plane, got a mesh in {mesh.dimension} dimensions")
    n = len(mesh.points)
    places = refine(mesh, domain).points
    facets = mesh.boundary_facets
    edges = mesh.edges[0]
    ends = facets.sort(1).values
    middle = places[n + torch.searchsorted(edges[:, 0] * n + edges[:, 1], ends[:, 0] * n + ends[:, 1])]
    start, end = mesh.points[facets[:, 0]], mesh.points[facets[:, 1]]
    leaving, arriving = 4 * middle - 3 * start - end, 4 * middle - 3 * end - start
    out, back = torch.zeros_like(mesh.points), torch.zeros_like(mesh.points)
    out[facets[:, 0]], back[facets[:, 1]] = leaving, arriving
    corners = facets[:, 0].unique()
    a, b = out[corners], back[corners]
    # the domain lies to the left of its boundary
    angle = torch.atan2(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(1))
    return corners, torch.remainder(angle, 2 * math.pi)


def grade(mesh: Mesh, corners: Tensor, domain: Domain | None = None, *, layers: int = 1) -> Mesh:
    """The mesh with the cells at some of its points cut in halves towards them, `layers` times.

    A triangle (c, a, b) at the corner c becomes one of half its size and the two that are left over, so that nothing
    else is cut and angles stay bounded. New points on the boundary lie on that of `domain`. A layer with each uniform
    refinement or more makes cells that grow with the distance from the corner like r^(1 - m), m small, and gives
    singular solutions the order of smooth ones: I. Babuska, R. B. Kellogg, J. Pitkaranta, Numer. Math. 33 (1979) 447.
    Points keep their numbers.

    Raises:
        InputError: two of the corners in one cell.
    """
    if not len(corners) or layers < 1:
        return mesh
    if mesh.dimension != 2:
        raise InputError(f"meshes are graded in the plane, got one in {mesh.dimension} dimensions")
    if bool((torch.isin(mesh.cells, corners).sum(1) > 1).any()):
        raise InputError("two corners share a cell of the mesh: make the mesh finer before it is graded")
    points, cells, boundaries = mesh.points, mesh.cells, dict(mesh.boundaries)
    for _ in range(layers):
        n = len(points)
        at = torch.isin(cells, corners)
        near = at.any(1)
        place = at[near].int().argmax(1)
        c, a, b = cells[near].gather(1, (place[:, None] + torch.arange(3)) % 3).unbind(1)
        # each edge that ends at a corner has its middle
        key, number = torch.unique(torch.cat([c * n + a, c * n + b]), return_inverse=True)
        p, q = (n + number).split(len(c))
        middles = (points[key // n] + points[key % n]) / 2
        for name, facets in boundaries.items():
            split = torch.isin(facets, corners).any(1)
            first, last = facets[split].unbind(1)
            own = torch.where(torch.isin(first, corners), first * n + last, last * n + first)
            between = torch.searchsorted(key, own)
            if domain is not None and len(between):
                middles[between] = onto(domain.boundaries[name], middles[between], mesh.size)
            pieces = [torch.stack([first, n + between], 1), torch.stack([n + between, last], 1)]
            boundaries[name] = torch.cat([facets[~split], *pieces])
        parts = [torch.stack(part, 1) for part in ((c, p, q), (p, a, b), (p, b, q))]
        points, cells = torch.cat([points, middles]), torch.cat([cells[~near], *parts])
    return Mesh.of(points, cells, boundaries, axes=mesh.axes)
