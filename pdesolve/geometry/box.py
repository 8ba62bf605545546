"""Intervals and boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry.axis import Axes, Axis
from pdesolve.geometry.domain import Boundary, Domain


@dataclass(frozen=True)
class Face(Boundary):
    """The side of a box where one coordinate has its least (`side` -1) or greatest (`side` +1) value."""

    axes: Axes
    axis: str
    side: int

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.axis}_{'min' if self.side < 0 else 'max'}"

    @property
    def coordinate(self) -> float:
        """The value of the fixed coordinate."""
        return self.axes[self.axis].lower if self.side < 0 else self.axes[self.axis].upper

    @property
    def dimension(self) -> int:
        return len(self.axes) - 1

    @property
    def measure(self) -> float:
        return math.prod(axis.length for axis in self.axes if axis.name != self.axis)

    def place(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        free = iter(unit.unbind(1))
        columns = [
            torch.full_like(unit[:, 0] if unit.shape[1] else unit.new_empty(len(unit)), self.coordinate)
            if axis.name == self.axis
            else axis.lower + axis.length * next(free)
            for axis in self.axes
        ]
        normals = unit.new_zeros(len(unit), len(self.axes))
        normals[:, self.axes.index(self.axis)] = self.side
        return torch.stack(columns, 1), normals

    def distance(self, x: Tensor) -> Tensor:
        square = torch.zeros_like(x[:, 0])
        for column, axis in zip(x.unbind(1), self.axes, strict=True):
            if axis.name == self.axis:
                square = square + (column - self.coordinate) ** 2
            else:
                square = square + (column - column.clamp(axis.lower, axis.upper)) ** 2
        return square.sqrt()


@dataclass(frozen=True)
class Box(Domain):
    """A box, the product of its axes. Sides are called `x_min`, `x_max`, `y_min`, ...; periodic axes have none."""

    axes: Axes

    def __init__(self, *axes: Axis) -> None:
        if not axes:
            raise InputError("a box needs at least one axis: write Box(Axis('x', 0, 1), Axis('y', 0, 1))")
        object.__setattr__(self, "axes", Axes(tuple(axes)))
        if self.axes.time:
            raise InputError("a box is a region of space: give the time axis to Problem(time=Axis('t', 0, 1))")

    @property
    def measure(self) -> float:
        return math.prod(axis.length for axis in self.axes)

    @cached_property
    def boundaries(self) -> Mapping[str, Face]:  # type: ignore[override]
        faces = [Face(self.axes, axis.name, side) for axis in self.axes if not axis.periodic for side in (-1, 1)]
        return {face.name: face for face in faces}

    def inside(self, x: Tensor) -> Tensor:
        lower = x.new_tensor([axis.lower for axis in self.axes])
        upper = x.new_tensor([axis.upper for axis in self.axes])
        return ((x >= lower) & (x <= upper)).all(1)

    @property
    def is_box(self) -> bool:
        return True


def Interval(name: str, lower: float, upper: float, *, unit: str | None = None, periodic: bool = False) -> Box:
    """The interval lower <= x <= upper: a box of one axis. Ends are called `x_min` and `x_max`."""
    return Box(Axis(name, lower, upper, unit=unit, periodic=periodic))
