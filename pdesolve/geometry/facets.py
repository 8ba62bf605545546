"""Facets of simplices: their numbers, which side is outside, and whether cells fit together at them."""

from __future__ import annotations

import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from pdesolve.errors import InputError

KINDS = {1: "intervals", 2: "triangles", 3: "tetrahedra"}

# the facets of a positively oriented simplex, each opposite one of its vertices and outward
_FACETS = {
    1: ((1,), (0,)),
    2: ((1, 2), (2, 0), (0, 1)),
    3: ((1, 2, 3), (0, 3, 2), (0, 1, 3), (0, 2, 1)),
}


def cell_facets(cells: Tensor) -> Tensor:
    """The facets of all cells (cell * (d + 1), d), outward; facet i of a cell is opposite its vertex i."""
    d = cells.shape[1] - 1
    return cells[:, torch.tensor(_FACETS[d])].reshape(-1, d)


def facet_numbers(facets: Tensor, points: int) -> Tensor:
    """Numbers (facet,) from 0, equal where facets (facet, d) have the same points in any order; of `points` points."""
    rows = facets.sort(1).values
    if points ** rows.shape[1] < 2**62:  # one number a facet sorts ten times as fast as rows do
        key = rows[:, 0]
        for column in rows.unbind(1)[1:]:
            key = key * points + column
        return torch.unique(key, return_inverse=True)[1]
    return torch.unique(rows, dim=0, return_inverse=True)[1]


def outward(points: Tensor, facets: Tensor) -> Tensor:
    """The outward normals (facet, axis) of facets that are stored outward, as long as the facets are large."""
    corners = points[facets]
    if corners.shape[1] == 1:
        middle = (points.amin(0) + points.amax(0)) / 2
        return (corners[:, 0] - middle).sign()
    along = corners[:, 1] - corners[:, 0]
    if corners.shape[1] == 2:
        return torch.stack([along[:, 1], -along[:, 0]], 1)
    return torch.linalg.cross(along, corners[:, 2] - corners[:, 0]) / 2


def check_tiling(points: Tensor, cells: Tensor) -> None:
    """Refuse positively oriented cells that lie over one another at a facet, hang together nowhere, or miss a point.

    Raises:
        InputError: naming the first offender and how many there are.
    """
    facets = cell_facets(cells)
    number = facet_numbers(facets, len(points))
    count = torch.bincount(number)
    if int(count.max()) > 2:
        facet = facets[(count[number] > 2).nonzero()[0, 0]].tolist()
        raise InputError(
            f"{int(count.max())} cells of the mesh share the facet with points {facet}, expected at most two: "
            "is a cell listed twice, or is it a surface that branches?"
        )
    order = torch.argsort(number, stable=True)
    first = (count[number[order]] == 2).nonzero()[:, 0][::2]
    pairs = torch.stack([order[first], order[first + 1]])
    cell = pairs // cells.shape[1]
    folded = _same_side(points, cells, pairs)
    if folded.any():
        k = int(folded.nonzero()[0])
        raise InputError(
            f"{int(folded.sum())} pairs of cells lie on the same side of the facet that they share, the first are the "
            f"cells {int(cell[0, k])} and {int(cell[1, k])} at the points {facets[pairs[0, k]].tolist()}: the mesh is "
            "folded, move the point that lies on the wrong side"
        )
    used = torch.zeros(len(points), dtype=torch.bool)
    used[cells.reshape(-1)] = True
    if not used.all():
        raise InputError(
            f"{int((~used).sum())} points of the mesh are in no cell, the first is point {int((~used).nonzero()[0])}: "
            "leave them out and number the others anew"
        )
    graph = coo_array((torch.ones(pairs.shape[1]).numpy(), tuple(cell.numpy())), shape=(len(cells), len(cells)))
    pieces, label = connected_components(graph, directed=False)
    if pieces > 1:
        sizes = sorted(torch.bincount(torch.from_numpy(label)).tolist(), reverse=True)
        listed = ", ".join(map(str, sizes[:4])) + (", ..." if pieces > 4 else "")
        raise InputError(
            f"the mesh is in {pieces} pieces that share no facet, of {listed} cells: are points along an interface "
            "doubled? Merge them, or make a mesh of each piece"
        )


def _same_side(points: Tensor, cells: Tensor, pairs: Tensor) -> Tensor:
    """Which pairs of facets that are the same have their cells on the same side."""
    normals = outward(points, cell_facets(cells)) if cells.shape[1] > 2 else None
    if normals is None:  # the outward sides of the two ends of an interval are their places in it
        return pairs[0] % 2 == pairs[1] % 2
    return (normals[pairs[0]] * normals[pairs[1]]).sum(1) > 0
