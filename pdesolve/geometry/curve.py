"""Straight and round curves of the plane, and chains of them: the boundaries of plane domains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pdesolve.geometry.domain import Boundary

Point = tuple[float, float]
Keep = Callable[[Tensor, Tensor], Tensor]  # points and outward normals to whether they belong to a part

_SAMPLES = 1024  # of a curve that is cut: pieces shorter than this fraction of it are not seen
_CLOSE = 1e-8  # of a curve's length: how well an arc must fit the curve it stands for

_DEPTH = 12  # halvings of a curve that is fitted


@dataclass(frozen=True)
class Segment(Boundary):
    """The straight line from `start` to `end`; the domain lies to its left for `side` +1, to its right for -1."""

    name: str
    start: Point
    end: Point
    side: int = 1

    @property
    def dimension(self) -> int:
        return 1

    @property
    def measure(self) -> float:
        return math.dist(self.start, self.end)

    def place(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        start, end = unit.new_tensor(self.start), unit.new_tensor(self.end)
        along = (end - start) / self.measure
        normal = self.side * torch.stack([along[1], -along[0]])
        # both products, so that the ends are met exactly
        return (1 - unit) * start + unit * end, normal.expand(len(unit), 2)

    def distance(self, x: Tensor) -> Tensor:
        start, end = x.new_tensor(self.start), x.new_tensor(self.end)
        along = end - start
        s = ((x - start) @ along / along.square().sum()).clamp(0, 1)
        return torch.linalg.vector_norm(x - start - s[:, None] * along, dim=1)


@dataclass(frozen=True)
class Arc(Boundary):
    """The arc of a circle from the angle `first` on by `angle` > 0 counterclockwise, in radians; 2 pi is all of it.

    The outward normal points away from `centre` for `side` +1 (a disk) and towards it for -1 (a hole).
    """

    name: str
    centre: Point
    radius: float
    first: float = 0.0
    angle: float = 2 * math.pi
    side: int = 1

    @property
    def dimension(self) -> int:
        return 1

    @property
    def measure(self) -> float:
        return self.radius * self.angle

    def place(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        angle = self.first + self.angle * unit[:, 0]
        radial = torch.stack([angle.cos(), angle.sin()], 1)
        return unit.new_tensor(self.centre) + self.radius * radial, self.side * radial

    def distance(self, x: Tensor) -> Tensor:
        relative = x - x.new_tensor(self.centre)
        to_circle = (torch.linalg.vector_norm(relative, dim=1) - self.radius).abs()
        if self.angle >= 2 * math.pi * (1 - 1e-12):
            return to_circle
        with torch.no_grad():  # which case a point is in; distances are continuous across
            middle = self.first + self.angle / 2
            turned = torch.atan2(relative[:, 1], relative[:, 0]) - middle
            beside = (torch.remainder(turned + math.pi, 2 * math.pi) - math.pi).abs() <= self.angle / 2
        ends = self.place(x.new_tensor([[0.0], [1.0]]))[0]
        to_ends = torch.stack([torch.linalg.vector_norm(x - end, dim=1) for end in ends]).amin(0)
        return torch.where(beside, to_circle, to_ends)


@dataclass(frozen=True)
class Chain(Boundary):
    """Several curves that are one part of a boundary, not necessarily connected."""

    name: str
    curves: tuple[Boundary, ...]

    @property
    def dimension(self) -> int:
        return 1

    @property
    def measure(self) -> float:
        return math.fsum(curve.measure for curve in self.curves)

    def place(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        lengths = unit.new_tensor([curve.measure for curve in self.curves])
        ends = lengths.cumsum(0)
        along = unit[:, 0] * ends[-1]
        which = torch.searchsorted(ends, along.contiguous(), right=True).clamp(max=len(self.curves) - 1)
        x, normals = unit.new_empty(len(unit), 2), unit.new_empty(len(unit), 2)
        for i, curve in enumerate(self.curves):
            here = which == i
            local = ((along[here] - ends[i] + lengths[i]) / lengths[i]).clamp(0, 1)
            x[here], normals[here] = curve.place(local[:, None])
        return x, normals

    def distance(self, x: Tensor) -> Tensor:
        return torch.stack([curve.distance(x) for curve in self.curves]).amin(0)


def joined(name: str, curves: Sequence[Boundary]) -> Boundary:
    """The curves as one part; a single curve of that name is that part itself."""
    return curves[0] if len(curves) == 1 and curves[0].name == name else Chain(name, tuple(curves))


def cut(part: Boundary, keep: Keep, *, side: int = 1, drop: Keep | None = None) -> list[Boundary]:
    """The pieces of a part of a plane boundary where `keep` holds, as segments and arcs; `side` -1 turns the normals.

    Where `drop` holds along a piece, it is none. Ends are found to rounding: where `keep` ends, `drop` does not count,
    which may hold near a point only, such as one where two boundaries touch. A curve that is neither straight nor round
    is fitted by arcs to 1e-8 of its length.
    """
    curves: Sequence[Boundary] = getattr(part, "curves", ())  # of chains and of the boundaries of meshes
    if curves:
        return [piece for curve in curves for piece in cut(curve, keep, side=side, drop=drop)]

    def holds(s: Tensor) -> Tensor:
        x, normals = part.place(s[:, None])
        return keep(x, side * normals)

    def kept(s: Tensor, strict: Tensor | None = None) -> Tensor:
        if drop is None:
            return holds(s)
        x, normals = part.place(s[:, None])
        dropped = drop(x, side * normals)
        return holds(s) & ~(dropped if strict is None else dropped & strict)

    s = (torch.arange(_SAMPLES, dtype=torch.float64) + 0.5) / _SAMPLES
    flags = kept(s)
    if isinstance(part, Arc) and part.angle >= 2 * math.pi * (1 - 1e-12) and flags[0] != flags[-1]:
        # a change beside the place where a circle begins and ends would not be seen: let it begin far from any
        runs = torch.cat([flags.new_zeros(1), flags[1:] != flags[:-1]]).cumsum(0)
        longest = (runs == torch.bincount(runs).argmax()).nonzero()[:, 0]
        begin = float(s[longest[len(longest) // 2]])
        part = replace(part, first=part.first + begin * part.angle)
        flags = kept(s)
    change = (flags[1:] != flags[:-1]).nonzero()[:, 0]
    low, high = s[change], s[change + 1]
    strict = holds(low) == holds(high)  # it is `drop` that changes
    for _ in range(50 if len(change) else 0):
        middle = (low + high) / 2
        same = kept(middle, strict) == flags[change]
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    knots = [0.0, *((low + high) / 2).tolist(), 1.0]
    states = [bool(flags[0]), *flags[change + 1].tolist()]
    pieces = []
    for first, last, state in zip(knots[:-1], knots[1:], states, strict=True):
        if state:
            pieces += _fit(part, first, last, side, _CLOSE * part.measure)
    return pieces


def _fit(part: Boundary, first: float, last: float, side: int, close: float, depth: int = 0) -> list[Boundary]:
    """Segments and arcs that follow a curve between two values of its unit coordinate."""
    if isinstance(part, Arc):
        return [Arc(part.name, part.centre, part.radius, part.first + first * part.angle, (last - first) * part.angle,
                    part.side * side)]  # fmt: skip
    unit = torch.linspace(first, last, 5, dtype=torch.float64)[:, None]
    x, normals = part.place(unit)
    start, middle, end = x[0], x[2], x[4]
    along = end - start
    right = torch.stack([along[1], -along[0]])
    turn = 1 if float(right @ normals[2]) * side > 0 else -1
    points = (float(start[0]), float(start[1])), (float(end[0]), float(end[1]))
    length = float(torch.linalg.vector_norm(along))
    if length <= close and depth < _DEPTH:  # a closed curve
        half = (first + last) / 2
        return [c for a, b in ((first, half), (half, last)) for c in _fit(part, a, b, side, close, depth + 1)]
    chord = (start + end) / 2
    sagitta = float((middle - chord) @ right) / length
    curve: Boundary = Segment(part.name, *points, turn)
    if abs(sagitta) > close:
        # the circle through all three points: its centre lies at this height over the chord
        height = (float((middle - chord).square().sum()) - length**2 / 4) / (2 * sagitta)
        radius = math.hypot(length / 2, height)
        centre = chord + height * right / length
        ends = (start, end) if sagitta > 0 else (end, start)  # counterclockwise
        angles = [float(torch.atan2(p[1] - centre[1], p[0] - centre[0])) for p in ends]
        outward = 1 if float((middle - centre) @ normals[2]) * side > 0 else -1
        curve = Arc(
            part.name, (float(centre[0]), float(centre[1])), radius, angles[0],
            (angles[1] - angles[0]) % (2 * math.pi), outward,
        )  # fmt: skip
    if depth == _DEPTH or float(curve.distance(x).max()) <= close:
        return [curve]
    half = (first + last) / 2
    return [c for a, b in ((first, half), (half, last)) for c in _fit(part, a, b, side, close, depth + 1)]
