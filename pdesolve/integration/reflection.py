"""Homogeneous walls as symmetries of a doubled periodic box: zero values reflect oddly, zero slopes evenly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.condition import BoundaryCondition
from pdesolve.fields import Coordinates, Field, GridField
from pdesolve.geometry import Axis, Grid, GridAxis
from pdesolve.problem import Problem, Value

Parity = Mapping[str, int]  # for each axis with walls: -1 odd (zero values), +1 even (zero slopes)


@dataclass(frozen=True)
class Reflection:
    """How the scalars of a state continue beyond the walls of a box. Without walls nothing is done.

    `grid` holds the nodes between the walls, ends included; `doubled` the periodic grid of twice the length.
    """

    grid: Grid
    parities: Mapping[str, Parity]

    @property
    def walls(self) -> tuple[str, ...]:
        """The axes that are reflected."""
        return tuple(member.axis.name for member in self.grid.members if not member.axis.periodic)

    @property
    def doubled(self) -> Grid:
        """The periodic grid."""
        members = []
        for member in self.grid.members:
            axis = member.axis
            if not axis.periodic:
                wide = Axis(axis.name, axis.lower, axis.lower + 2 * axis.length, axis.unit, periodic=True)
                member = GridAxis(wide, "periodic", 2 * (member.size - 1))
            members.append(member)
        return Grid(tuple(members), self.grid.accuracy)

    def extend(self, values: Tensor, parity: Parity) -> Tensor:
        """Values (..., *doubled) of values (..., *grid); odd ones vanish on the walls."""
        for i, member in enumerate(self.grid.members):
            if member.axis.name in parity and not member.axis.periodic:
                dim, sign = values.ndim - len(self.grid.members) + i, parity[member.axis.name]
                inner = values.narrow(dim, 1, member.size - 2)
                first, last = values.narrow(dim, 0, 1), values.narrow(dim, member.size - 1, 1)
                if sign < 0:
                    first, last = torch.zeros_like(first), torch.zeros_like(last)
                values = torch.cat([first, inner, last, sign * inner.flip(dim)], dim)
        return values

    def restrict(self, values: Tensor) -> Tensor:
        """Values (..., *grid) of values (..., *doubled)."""
        for i, member in enumerate(self.grid.members):
            values = values.narrow(values.ndim - len(self.grid.members) + i, 0, member.size)
        return values

    def bind(self, problem: Problem, x: Coordinates, values: Mapping[str, Value] | None) -> dict[str, Field]:
        """The parameters on the doubled grid of x: those that vary in space continue evenly."""
        if not self.walls:
            return problem.bind(x, values)
        half = Coordinates(self.grid, dtype=x.dtype, device=x.device)
        if "t" in x.fields:
            half = half.at_instant(x["t"].values)
        even = dict.fromkeys(self.walls, 1)
        bound = problem.bind(half, values)
        for name, field in bound.items():
            if isinstance(field, GridField):
                whole = field.values.expand(*field.sample_shape, *self.grid.shape)
                bound[name] = x.field(self.extend(whole, even), field.name, field.unit)
        return bound


def homogeneous(
    problem: Problem, grid: Grid, values: Mapping[str, Value] | None, instants: Sequence[float | None]
) -> dict[str, Parity] | None:
    """For each scalar the parity at the walls of each axis; None where a wall has no homogeneous condition."""
    walls = [member.axis.name for member in grid.members if not member.axis.periodic]
    parities: dict[str, Parity] = {}
    for unknown in problem.equation.unknowns:
        kinds: dict[str, tuple[float, float]] = {}
        for condition in problem.conditions:
            if isinstance(condition, BoundaryCondition) and condition.unknown == unknown.name:
                kinds.update(dict.fromkeys(condition.parts(problem), condition.coefficients))
        parity: dict[str, int] = {}
        for axis in walls:
            lower, upper = kinds.get(f"{axis}_min"), kinds.get(f"{axis}_max")
            if lower is None or upper is None or bool(lower[0]) != bool(upper[0]):
                return None
            if (lower[0] and lower[1]) or (upper[0] and upper[1]):
                return None  # Robin
            parity[axis] = -1 if lower[0] else 1
        for instant in instants if walls else ():
            edges = problem.edges(unknown.name, grid, values=values, time=instant)
            if any(bool((torch.as_tensor(edge.value) != 0).any()) for edge in edges.values()):
                return None
        parities.update(dict.fromkeys(unknown.scalars, parity))
    return parities
