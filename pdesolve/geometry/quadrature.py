"""Quadrature on simplices: the points and weights at which fields on meshes are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry.axis import Axes
from pdesolve.geometry.discretisation import Discretisation
from pdesolve.geometry.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Quadrature(Discretisation):
    """The quadrature points of the cells of a mesh, or of the facets of its boundary with their outward normals.

    x: (cell, point, axis). weights: (cell, point), so that sum(weights * f) is the integral of f. normals: (cell,
    point, axis), unit length, or None inside.
    """

    axes: Axes
    x: Tensor
    weights: Tensor
    normals: Tensor | None = None

    @staticmethod
    def of(mesh: Mesh) -> Quadrature:
        """The points of a rule of degree 5 on each straight cell of a mesh."""
        places, weights = simplex_rule(mesh.dimension)
        x = torch.einsum("qv,cva->cqa", places, mesh.points[mesh.cells])
        return Quadrature(mesh.axes, x, mesh.measures[:, None] * weights)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.weights.shape)

    def columns(self, *, dtype: torch.dtype, device: torch.device | str) -> dict[str, Tensor]:
        x = self.x.to(dtype=dtype, device=device)
        return {axis.name: x[..., i] for i, axis in enumerate(self.axes)}


@lru_cache(maxsize=4)
def simplex_rule(dimension: int) -> tuple[Tensor, Tensor]:
    """Barycentric coordinates (point, vertex) and weights (point,) that sum to 1, exact for polynomials of degree 5.

    1 point for a vertex, 3 Gauss points for an interval, 7 for a triangle (J. Radon, Monatsh. Math. 52 (1948) 286),
    15 for a tetrahedron (A. H. Stroud, Approximate Calculation of Multiple Integrals (1971), T3 5-1).
    """
    root = math.sqrt(15)
    orbits: list[tuple[tuple[float, ...], float]]
    match dimension:
        case 0:
            orbits = [((1.0,), 1.0)]
        case 1:
            orbits = [((0.5, 0.5), 4 / 9), _near_vertex(1, (1 - math.sqrt(0.6)) / 2, 5 / 18)]
        case 2:
            orbits = [((1 / 3,) * 3, 9 / 40)]
            orbits += [_near_vertex(2, (6 + s * root) / 21, (155 + s * root) / 1200) for s in (-1, 1)]
        case 3:
            orbits = [((1 / 4,) * 4, 16 / 135)]
            orbits += [_near_vertex(3, (7 + s * root) / 34, (2665 - s * 14 * root) / 37800) for s in (-1, 1)]
            edge = (10 - 2 * root) / 40
            orbits.append(((edge, edge, 0.5 - edge, 0.5 - edge), 10 / 189))
        case _:
            raise InputError(f"quadrature on simplices is there in up to 3 dimensions, got {dimension}")
    points, weights = [], []
    for place, weight in orbits:
        for arrangement in _arrangements(place):
            points.append(arrangement)
            weights.append(weight)
    return torch.tensor(points, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)


def _near_vertex(dimension: int, others: float, weight: float) -> tuple[tuple[float, ...], float]:
    return (1 - dimension * others, *[others] * dimension), weight


def _arrangements(place: tuple[float, ...]) -> list[tuple[float, ...]]:
    """All orders of coordinates that have one or two different values."""
    first = place[0]
    count = place.count(first)
    other = next((value for value in place if value != first), first)
    if count == len(place):
        return [place]
    return [
        tuple(first if i in chosen else other for i in range(len(place)))
        for chosen in combinations(range(len(place)), count)
    ]
