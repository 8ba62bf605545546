"""Axes: the named coordinate directions of a problem, time first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pdesolve.errors import InputError, unknown_name
from pdesolve.unit import Unit

TIME = "t"


@dataclass(frozen=True)
class Axis:
    """One coordinate direction, lower <= coordinate <= upper.

    The axis called `t` is time. A periodic axis identifies `upper` with `lower`. `unit` is a UDUNITS-like
    product ("m", "s", "m s-1"); None says that nothing is known (a nondimensional problem).

    Raises:
        InputError: a name that is not a word, bounds that are not finite or that enclose nothing.
    """

    name: str
    lower: float
    upper: float
    unit: str | None = None
    periodic: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise InputError(f"an axis name must be a word such as 'x', got {self.name!r}")
        if not (math.isfinite(self.lower) and math.isfinite(self.upper)):
            raise InputError(f"axis {self.name!r} needs finite bounds, got [{self.lower}, {self.upper}]")
        if self.lower >= self.upper:
            raise InputError(
                f"axis {self.name!r} has size zero or less: expected lower < upper, got [{self.lower}, {self.upper}]; "
                "are the bounds swapped or equal?"
            )
        if self.periodic and self.name == TIME:
            raise InputError("time cannot be periodic: write Axis('t', lower, upper)")
        Unit.parse(self.unit)

    @property
    def length(self) -> float:
        return self.upper - self.lower


@dataclass(frozen=True)
class Axes:
    """Axes in order, time first. Iterates over `Axis`; `axes["x"]` is one of them."""

    members: tuple[Axis, ...]

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            raise InputError(f"axes must have different names, got {', '.join(names)}")
        if TIME in names[1:]:
            raise InputError(f"time comes first among the axes, got the order {', '.join(names)}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.members)

    @property
    def time(self) -> Axis | None:
        return self.members[0] if self.members and self.members[0].name == TIME else None

    @property
    def space(self) -> Axes:
        return Axes(self.members[1:]) if self.time else self

    def index(self, name: str) -> int:
        """The position of the axis `name`."""
        if name not in self.names:
            raise unknown_name("axis", name, self.names)
        return self.names.index(name)

    def without(self, *names: str) -> Axes:
        """These axes less the named ones."""
        for name in names:
            self.index(name)
        return Axes(tuple(axis for axis in self.members if axis.name not in names))

    def __getitem__(self, name: str) -> Axis:
        return self.members[self.index(name)]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[Axis]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __str__(self) -> str:
        return f"({', '.join(self.names)})"
