"""Disks, and balls in any dimension from two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from scipy.special import betaincinv
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry.axis import Axes, Axis
from pdesolve.geometry.curve import Arc
from pdesolve.geometry.domain import Boundary, Domain

SLACK = 16  # multiples of the rounding unit by which points of a boundary may miss it and still be inside


@dataclass(frozen=True)
class Sphere(Boundary):
    """The points at distance `radius` from `centre` in d >= 2 dimensions; its outward normal is radial."""

    name: str
    centre: tuple[float, ...]
    radius: float

    @property
    def dimension(self) -> int:
        return len(self.centre) - 1

    @property
    def measure(self) -> float:
        d = len(self.centre)
        return 2 * math.pi ** (d / 2) / math.gamma(d / 2) * self.radius ** (d - 1)

    def place(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """One coordinate t after the other: in m dimensions (1 + t)/2 of a uniform point of the unit sphere has the
        distribution Beta((m - 1)/2, (m - 1)/2), and the others lie on a sphere of radius sqrt(1 - t^2)."""
        columns: list[Tensor] = []
        rest = torch.ones_like(unit[:, 0])
        for i, m in enumerate(range(len(self.centre), 2, -1)):
            share = torch.as_tensor(betaincinv((m - 1) / 2, (m - 1) / 2, unit[:, i].cpu().numpy())).to(unit)
            columns.append(rest * (2 * share - 1))
            rest = rest * 2 * (share * (1 - share)).sqrt()
        angle = 2 * math.pi * unit[:, -1]
        radial = torch.stack([*columns, rest * angle.cos(), rest * angle.sin()], 1)
        return unit.new_tensor(self.centre) + self.radius * radial, radial

    def distance(self, x: Tensor) -> Tensor:
        return (torch.linalg.vector_norm(x - x.new_tensor(self.centre), dim=1) - self.radius).abs()


@dataclass(frozen=True)
class Ball(Domain):
    """The points at most `radius` from `centre`, in as many dimensions d >= 2 as the centre has coordinates.

    `axis_names` are x, y, z up to three dimensions and x1, x2, ... beyond unless given; `unit` is that of all axes.
    The boundary is one part, called `boundary`. Points inside are drawn from the bounding box, of which the ball is
    the share 0.79 for d = 2, 0.52 for 3, 2.5e-3 for 10 and 2.5e-8 for 20: beyond 12 or so they become hard to find.

    Raises:
        InputError: a radius that is not positive, fewer than two coordinates, names that do not match the centre.
    """

    centre: tuple[float, ...]
    radius: float
    axis_names: tuple[str, ...] = field(default=(), kw_only=True)
    unit: str | None = field(default=None, kw_only=True)
    boundary: str = field(default="sphere", kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", tuple(float(c) for c in self.centre))
        d = len(self.centre)
        names = tuple(self.axis_names) or (("x", "y", "z")[:d] if d <= 3 else tuple(f"x{i + 1}" for i in range(d)))
        object.__setattr__(self, "axis_names", names)
        if d < 2:
            raise InputError(f"a ball needs a centre of at least 2 coordinates, got {d}: or write Interval('x', 0, 1)")
        if len(names) != d:
            raise InputError(f"a ball in {d} dimensions needs {d} axis names, got {len(names)}: {', '.join(names)}")
        if not (math.isfinite(self.radius) and self.radius > 0):
            raise InputError(f"the radius of a {'disk' if d == 2 else 'ball'} must be positive, got {self.radius}")
        if not all(map(math.isfinite, self.centre)):
            raise InputError(f"the centre of a ball must be finite, got {self.centre}")
        if "t" in names:
            raise InputError("a ball is a region of space: give the time axis to Problem(time=Axis('t', 0, 1))")
        _ = self.axes

    @cached_property
    def axes(self) -> Axes:  # type: ignore[override]
        bounds = [(c - self.radius, c + self.radius) for c in self.centre]
        return Axes(tuple(Axis(n, *b, unit=self.unit) for n, b in zip(self.axis_names, bounds, strict=True)))

    @property
    def measure(self) -> float:
        d = len(self.centre)
        return math.pi ** (d / 2) / math.gamma(d / 2 + 1) * self.radius**d

    @cached_property
    def boundaries(self) -> Mapping[str, Boundary]:  # type: ignore[override]
        if len(self.centre) == 2:
            return {self.boundary: Arc(self.boundary, (self.centre[0], self.centre[1]), self.radius)}
        return {self.boundary: Sphere(self.boundary, self.centre, self.radius)}

    def inside(self, x: Tensor) -> Tensor:
        slack = SLACK * torch.finfo(x.dtype).eps * max(self.radius, *map(abs, self.centre))
        return torch.linalg.vector_norm(x - x.new_tensor(self.centre), dim=1) <= self.radius + slack


def Disk(
    centre: Sequence[float] = (0.0, 0.0),
    radius: float = 1.0,
    *,
    axis_names: tuple[str, str] = ("x", "y"),
    unit: str | None = None,
    boundary: str = "circle",
) -> Ball:
    """The points of the plane at most `radius` from `centre`: a ball in two dimensions, its boundary called `circle`.

    Raises:
        InputError: a radius that is not positive, a centre that has not two coordinates.
    """
    if len(centre) != 2:
        raise InputError(f"the centre of a disk has 2 coordinates, got {len(centre)}: elsewhere write Ball(...)")
    return Ball(tuple(centre), radius, axis_names=axis_names, unit=unit, boundary=boundary)
