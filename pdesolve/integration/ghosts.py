"""Ghost cells: what lies beyond the ends of an axis, by periodicity, conditions or outflow."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pdesolve.condition import BoundaryCondition, evaluate
from pdesolve.fields import Coordinates, Field, Vector
from pdesolve.geometry import Grid, GridAxis
from pdesolve.problem import Problem, Value

LAYERS = 2  # of ghost cells at either end: linear reconstruction looks at one beside the neighbour


class _Side:
    """One end of one axis: ghost = mirror * (the cell as far inside) + edge * (the last cell) + load * value.

    A condition alpha u + beta du/dn = value at the wall halfway between a ghost and its mirror image gives `mirror` and
    `load`: a zero Dirichlet value turns the image's sign, a zero slope repeats it, and both together, for the momentum
    into a wall and for all else, are a wall that reflects. Without a condition everything flows out: the last cell is
    repeated.
    """

    def __init__(
        self, conditions: Mapping[int, BoundaryCondition], scalars: int, spacing: float, face: Coordinates, dim: int
    ) -> None:
        self.conditions, self.face = conditions, face
        mirror, edge, load = (torch.zeros(scalars, LAYERS, dtype=torch.float64) for _ in range(3))
        edge += 1.0
        for row, condition in conditions.items():
            alpha, beta = condition.coefficients
            for layer in range(LAYERS):  # from the wall outwards
                slope = beta / ((2 * layer + 1) * spacing)
                mirror[row, layer] = (slope - 0.5 * alpha) / (slope + 0.5 * alpha)
                load[row, layer] = 1.0 / (slope + 0.5 * alpha)
                edge[row, layer] = 0.0
        space = len(face.axes)
        shape = [scalars, *[LAYERS if i == space + dim else 1 for i in range(space)]]
        self.mirror, self.edge, self.load = (
            part.reshape(shape).to(dtype=face.dtype, device=face.device) for part in (mirror, edge, load)
        )
        # what never changes: parameters, values of single conditions, and those of all
        self.parameters: dict[str, Field] | None = None
        self.steady: dict[int, Tensor] = {}
        self.given: Tensor | None = None


class Ghosts:
    """Cells beyond the ends of each axis, as the conditions of a problem have them."""

    def __init__(
        self, problem: Problem, grid: Grid, scalars: tuple[str, ...], values: Mapping[str, Value] | None,
        *, dtype: torch.dtype, device: torch.device | str,
    ) -> None:  # fmt: skip
        self.problem, self.grid, self.values, self.scalars = problem, grid, values, scalars
        held: dict[str, dict[int, BoundaryCondition]] = {}
        for condition in problem.conditions:
            if isinstance(condition, BoundaryCondition):
                for part in condition.parts(problem):
                    for scalar in problem.unknown(condition.unknown).scalars:
                        held.setdefault(part, {})[scalars.index(scalar)] = condition
        self.sides: dict[str, _Side] = {}
        for i, member in enumerate(grid.members):
            axis = member.axis
            for name, at in (
                () if axis.periodic else ((f"{axis.name}_min", axis.lower), (f"{axis.name}_max", axis.upper))
            ):
                where = GridAxis.at(axis, [at])
                places = Grid(tuple(where if m is member else m for m in grid.members), grid.accuracy)
                face = Coordinates(places, dtype=dtype, device=device)
                spacing = axis.length / member.size
                self.sides[name] = _Side(held.get(name, {}), len(scalars), spacing, face, i - len(grid.members))
                self._settle(self.sides[name])

    def extend(self, y: Tensor, dim: int, t: Tensor) -> Tensor:
        """y (*sample, scalar, *grid) with the ghost cells at both ends of one axis (dim counts from the end)."""
        member = self.grid.members[dim]
        first, last = y.narrow(dim, 0, LAYERS), y.narrow(dim, member.size - LAYERS, LAYERS)
        if member.axis.periodic:
            return torch.cat([last, y, first], dim)
        lower = self._beyond(f"{member.axis.name}_min", first, y.narrow(dim, 0, 1), t).flip(dim)
        upper = self._beyond(f"{member.axis.name}_max", last.flip(dim), y.narrow(dim, member.size - 1, 1), t)
        return torch.cat([lower, y, upper], dim)

    def reflect(self, values: Tensor, dim: int) -> Tensor:
        """Parameters (*sample, *grid) with their mirror images, or their periodic ones, as ghost cells."""
        member = self.grid.members[dim]
        if values.shape[dim] == 1 < member.size:
            return values
        first, last = values.narrow(dim, 0, LAYERS), values.narrow(dim, member.size - LAYERS, LAYERS)
        if not member.axis.periodic:
            first, last = last.flip(dim), first.flip(dim)
        return torch.cat([last, values, first], dim)

    def _beyond(self, name: str, mirrored: Tensor, edge: Tensor, t: Tensor) -> Tensor:
        """The layers beyond one end, from the wall outwards."""
        side = self.sides[name]
        if not side.conditions:
            return edge.expand_as(mirrored)
        return (
            side.mirror * mirrored
            + side.edge * edge
            + side.load * (self._given(side, t) if side.given is None else side.given)
        )

    def _value(self, side: _Side, row: int, t: Tensor) -> Tensor:
        """What the condition of one scalar gives (*sample, *face) at an instant."""
        x, condition = side.face.at_instant(t), side.conditions[row]
        p = self.problem.bind(x, self.values) if side.parameters is None else side.parameters
        value = evaluate(condition.value, p, x)
        if isinstance(value, Vector):
            unknown = self.problem.unknown(condition.unknown)
            value = value[unknown.components[unknown.scalars.index(self.scalars[row])]]
        return x.expand(value).values

    def _settle(self, side: _Side) -> None:
        """Keep the parameters and the values of conditions that are the same at all times."""
        assert self.problem.time is not None
        a, b = self.problem.time.lower, self.problem.time.upper
        first, *later = [torch.tensor(t, dtype=side.face.dtype, device=side.face.device) for t in instants(a, b)]

        def bound(t: Tensor) -> dict[str, Field]:
            return self.problem.bind(side.face.at_instant(t), self.values)

        if all(torch.equal(f.values, bound(t)[n].values) for t in later for n, f in bound(first).items()):
            side.parameters = bound(first)
        for row in side.conditions:
            value = self._value(side, row, first)
            if all(torch.equal(value, self._value(side, row, t)) for t in later):
                side.steady[row] = value
        if len(side.steady) == len(side.conditions):
            side.given = self._given(side, first)

    def _given(self, side: _Side, t: Tensor) -> Tensor:
        """The values of the conditions (*sample, scalar, *face), zero where there is none."""
        rows = [torch.zeros(side.face.discretisation.shape, dtype=side.face.dtype, device=side.face.device)]
        rows *= len(self.scalars)
        for row in side.conditions:
            rows[row] = side.steady[row] if row in side.steady else self._value(side, row, t)
        return torch.stack(torch.broadcast_tensors(*rows), -len(side.face.axes) - 1)


def instants(start: float, end: float) -> tuple[float, float, float]:
    """Where data are looked at to see whether they change in time."""
    return start, start + 0.31 * (end - start), end
