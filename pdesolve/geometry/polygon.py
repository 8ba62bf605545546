"""Polygons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry.axis import Axes, Axis
from pdesolve.geometry.curve import Point, Segment, joined
from pdesolve.geometry.domain import Boundary, Domain

_ROUNDING = 1e-12  # of the greatest extent: closer points are one


@dataclass(frozen=True)
class Polygon(Domain):
    """A simple polygon, given by its corners in order, either way round, the first not repeated at the end.

    Edge i runs from corner i to the next and is called `edge_i`; `edges` names them otherwise, one name an edge, and
    edges of the same name are one part: edges=("inlet", "wall", "outlet", "wall").

    Raises:
        InputError: fewer than three corners, corners that coincide, edges that cross or touch, names that are missing.
    """

    vertices: tuple[Point, ...]
    edges: tuple[str, ...] = ()
    axis_names: tuple[str, str] = field(default=("x", "y"), kw_only=True)
    unit: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        points = []
        for vertex in self.vertices:
            if len(vertex) != 2 or not all(math.isfinite(c) for c in vertex):
                raise InputError(f"a corner of a polygon is two finite numbers (x, y), got {tuple(vertex)}")
            points.append((float(vertex[0]), float(vertex[1])))
        object.__setattr__(self, "vertices", tuple(points))
        n = len(points)
        if n > 1 and points[0] == points[-1]:
            raise InputError(f"the last corner of a polygon repeats the first, {points[0]}: leave it out")
        if n < 3:
            raise InputError(f"a polygon needs at least 3 corners, got {n}")
        object.__setattr__(self, "edges", tuple(self.edges) or tuple(f"edge_{i}" for i in range(n)))
        if len(self.edges) != n:
            raise InputError(f"a polygon of {n} corners has {n} edges, got {len(self.edges)} names: name each")
        if "t" in self.axis_names:
            raise InputError("a polygon is a region of space: give the time axis to Problem(time=Axis('t', 0, 1))")
        _check_simple(self.vertices)
        _ = self.axes

    @cached_property
    def axes(self) -> Axes:  # type: ignore[override]
        columns = zip(self.axis_names, zip(*self.vertices, strict=True), strict=True)
        return Axes(tuple(Axis(name, min(values), max(values), unit=self.unit) for name, values in columns))

    @cached_property
    def signed_area(self) -> float:
        """Positive where the corners go counterclockwise: sum of (x_i y_i+1 - x_i+1 y_i) / 2."""
        return _signed_area(self.vertices)

    @property
    def measure(self) -> float:
        return abs(self.signed_area)

    @cached_property
    def boundaries(self) -> Mapping[str, Boundary]:  # type: ignore[override]
        side = 1 if self.signed_area > 0 else -1
        parts: dict[str, list[Boundary]] = {}
        for name, (start, end) in zip(self.edges, _edges(self.vertices), strict=True):
            parts.setdefault(name, []).append(Segment(name, start, end, side))
        return {name: joined(name, segments) for name, segments in parts.items()}

    def inside(self, x: Tensor) -> Tensor:
        corners = x.new_tensor(self.vertices)
        after = corners.roll(-1, 0)
        px, py = x[:, :1], x[:, 1:]
        # a ray to the right crosses an odd number of edges; each edge has its lower end and not its upper one
        spans = (corners[:, 1] > py) != (after[:, 1] > py)
        rise = after[:, 1] - corners[:, 1]
        at = corners[:, 0] + (py - corners[:, 1]) * (after[:, 0] - corners[:, 0]) / torch.where(rise == 0, 1.0, rise)
        odd = (spans & (px < at)).sum(1) % 2 == 1
        slack = 16 * torch.finfo(x.dtype).eps * float(corners.abs().max())
        along = after - corners
        s = (((x[:, None] - corners) * along).sum(2) / along.square().sum(1)).clamp(0, 1)
        gap = torch.linalg.vector_norm(x[:, None] - corners - s[..., None] * along, dim=2).amin(1)
        return odd | (gap <= slack)


def _edges(vertices: tuple[Point, ...]) -> list[tuple[Point, Point]]:
    return list(zip(vertices, (*vertices[1:], vertices[0]), strict=True))


def _signed_area(vertices: tuple[Point, ...]) -> float:
    # from the first corner, so that a polygon far from the origin loses no digits
    x, y = vertices[0]
    return math.fsum((a[0] - x) * (b[1] - y) - (b[0] - x) * (a[1] - y) for a, b in _edges(vertices)) / 2


def _check_simple(vertices: tuple[Point, ...]) -> None:
    """Refuse corners that coincide and edges that cross, touch or turn back on one another."""
    extent = max(math.dist(vertices[0], v) for v in vertices[1:])
    edges = _edges(vertices)
    for i, (start, end) in enumerate(edges):
        if math.dist(start, end) <= _ROUNDING * extent:
            raise InputError(f"corners {i} and {(i + 1) % len(edges)} of the polygon coincide at {start}: drop one")
    for i, first in enumerate(edges):
        for j in range(i + 1, len(edges)):
            second = edges[j]
            neighbours = j == i + 1 or (i == 0 and j == len(edges) - 1)
            if neighbours:
                a, b = (first, second) if j == i + 1 else (second, first)
                meet = _gap(b[1], a) <= _ROUNDING * extent or _gap(a[0], b) <= _ROUNDING * extent
            else:
                ends = (_gap(p, second) for p in first), (_gap(p, first) for p in second)
                meet = _crosses(first, second) or min(g for side in ends for g in side) <= _ROUNDING * extent
            if meet:
                raise InputError(
                    f"the polygon crosses itself: the edge from {first[0]} to {first[1]} meets that from "
                    f"{second[0]} to {second[1]}; are corners in the wrong order?"
                )


def _gap(point: Point, edge: tuple[Point, Point]) -> float:
    (ax, ay), (bx, by) = edge
    dx, dy = bx - ax, by - ay
    s = min(1.0, max(0.0, ((point[0] - ax) * dx + (point[1] - ay) * dy) / (dx * dx + dy * dy)))
    return math.hypot(point[0] - ax - s * dx, point[1] - ay - s * dy)


def _crosses(first: tuple[Point, Point], second: tuple[Point, Point]) -> bool:
    def turn(a: Point, b: Point, c: Point) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    return (
        turn(*first, second[0]) * turn(*first, second[1]) < 0 and turn(*second, first[0]) * turn(*second, first[1]) < 0
    )
