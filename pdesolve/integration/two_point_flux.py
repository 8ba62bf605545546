"""Finite volumes for stationary flow down a gradient, -div(a grad u) + c u = f, with coefficients that may jump.

Unknowns live on the nodes of a box; the volume of a node reaches half way to its neighbours. a, c and f are constant in
the halves of intervals, h/2 wide, so that they may jump at nodes and half way between. The flow between two nodes runs
through two halves one after the other and through the halves beside them in parallel,

    F = -(u_2 - u_1) sum over the parallel halves of |face| / (h/2 (1/a_1 + 1/a_2)),

the harmonic mean along the flow and the arithmetic mean across. R. Eymard, T. Gallouet, R. Herbin, Finite volume
methods, Handbook of Numerical Analysis 7 (2000) 713.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csc_matrix
from torch import Tensor

from pdesolve.equation import FluxForm
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Edge, Field, GridField, Quantity
from pdesolve.geometry import Axis, Grid, GridAxis
from pdesolve.integration.factors import Reordered, Solve, factorise, symmetric_factors
from pdesolve.problem import Problem, Value


@dataclass(frozen=True, eq=False)
class Coefficients:
    """a for each axis of space, c and f (*sample, *halves), twice as many halves as intervals on each axis.

    `walls` has the a of the normal direction on each side, one entry thick.
    """

    conductivity: tuple[Tensor, ...]
    reaction: Tensor
    source: Tensor
    walls: Mapping[str, Tensor]


def coefficients(
    problem: Problem, intervals: Mapping[str, int], *, values: Mapping[str, Value] | None, device: torch.device
) -> Coefficients:
    """What the flux and the source of the problem amount to, read off from states of which they are known.

    The flux of u = x_i is -a e_i; of other states it must follow.

    Raises:
        InputError: another kind of equation, as the end of a sentence.
    """
    equation = problem.equation
    if not isinstance(equation, FluxForm) or len(equation.scalars) != 1:
        raise InputError("it is no balance law of one unknown")
    (name,) = equation.scalars
    halves = Grid(tuple(_halves(axis, intervals[axis.name]) for axis in problem.domain.axes))
    x, p = _surroundings(problem, halves, values, device)

    def source(u: float) -> Tensor:
        found = equation.source({name: x.constant(u, name)}, p, x).get(name)
        return torch.zeros(halves.shape, dtype=x.dtype, device=device) if found is None else x.expand(found).values

    nothing, one, three = source(0.0), source(1.0), source(3.0)
    if bool((three - 3.0 * one + 2.0 * nothing).detach().abs().max() > 1e-9 * (1.0 + three.detach().abs().max())):
        raise InputError("its source is not linear in the unknown")
    conductivity = tuple(_conductivity(equation, axis, p, x) for axis in halves.axes.names)
    walls = {}
    for side in problem.domain.boundaries:
        axis, end = side.rsplit("_", 1)
        at = halves.axes[axis].lower if end == "min" else halves.axes[axis].upper
        face = Grid(tuple(GridAxis.at(m.axis, [at]) if m.axis.name == axis else m for m in halves.members))
        there, given = _surroundings(problem, face, values, device)
        walls[side] = _conductivity(equation, axis, given, there)
    return Coefficients(conductivity, nothing - one, nothing, walls)


class _Tilted(GridField):
    """A state of one value and one slope everywhere: a flux is a function of both."""

    def __init__(self, values: Tensor, grid: Grid, quantity: Quantity, axis: str, slope: float) -> None:
        super().__init__(values, grid, quantity)
        self.axis, self.slope = axis, slope

    def differentiate(self, axis: str, order: int) -> GridField:
        slope = self.slope if axis == self.axis and order == 1 else 0.0
        return self.like(torch.full_like(self.values, slope), self.quantity)


def _surroundings(
    problem: Problem, grid: Grid, values: Mapping[str, Value] | None, device: torch.device
) -> tuple[Coordinates, dict[str, Field]]:
    x = Coordinates(grid, device=device)
    return x, {n: _pieces(f, problem, values, n, grid) for n, f in problem.bind(x, values).items()}


def _conductivity(equation: FluxForm, axis: str, p: Mapping[str, Field], x: Coordinates) -> Tensor:
    """a of a flux -a du/dx_i along an axis."""
    (name,) = equation.scalars

    grid = x.discretisation
    assert isinstance(grid, Grid)

    def flux(u: float, slope: float) -> dict[str, Tensor]:
        tilted = _Tilted(x.constant(u, name).values, grid, Quantity(name), axis, slope)
        return {n: x.expand(f).values for n, f in equation.flux({name: tilted}, p, x)[name].components.items()}

    found, other = flux(0.0, 1.0), flux(3.0, 2.0)
    # the other would not be twice as large, were there a term in u
    gaps = [other[n] - 2.0 * found[n] for n in found] + [found[n] for n in found if n != axis]
    if any(bool(gap.detach().abs().max() > 1e-9 * found[axis].detach().abs().max()) for gap in gaps):
        raise InputError("its flux is not -a grad u with a that is known beforehand")
    if bool((found[axis].detach() >= 0).any()):
        raise InputError("its flux -a grad u needs a that is positive everywhere")
    return -found[axis]


def _halves(axis: Axis, intervals: int) -> GridAxis:
    # a periodic axis has halves too: their coordinates are listed, since cells are for axes with ends
    cells = axis.lower + axis.length * (np.arange(2 * intervals) + 0.5) / (2 * intervals)
    return GridAxis.at(axis, cells.tolist()) if axis.periodic else GridAxis(axis, "cells", 2 * intervals)


def _pieces(field: Field, problem: Problem, values: Mapping[str, Value] | None, name: str, halves: Grid) -> Field:
    """A parameter in the halves of intervals; given on the scheme's own nodes or cells it is that of the nearest.

    On another grid it is interpolated, within the bounds of its values: polynomials overshoot at jumps.
    """
    given = {**problem.values, **(values or {})}.get(name)
    if not isinstance(given, GridField) or not isinstance(field, GridField):
        return field
    own, d = given.values.expand(*given.sample_shape, *given.grid.shape), len(halves.members)
    if given.grid.axes.names == halves.axes.names:
        nearest = [_nearest(member, half) for member, half in zip(given.grid.members, halves.members, strict=True)]
        if all(places is not None for places in nearest):
            for i, places in enumerate(nearest):
                assert places is not None
                own = own.index_select(own.ndim - d + i, places.to(own.device))
            return GridField(own, halves, field.quantity)
    everywhere = tuple(range(-len(given.grid.members), 0))
    low, high = own.amin(everywhere), own.amax(everywhere)
    low, high = (bound.reshape(*bound.shape, *[1] * d) for bound in (low, high))
    return field.like(torch.minimum(torch.maximum(field.values, low), high), field.quantity)


def _nearest(member: GridAxis, half: GridAxis) -> Tensor | None:
    """The index of the point nearest to each half, where the points are the scheme's nodes or cells."""
    if half.size == 1 and member.placement in ("nodes", "cells"):  # a wall
        return torch.tensor([0 if half.listed[0] == half.axis.lower else member.size - 1])
    numbers = torch.arange(half.size)
    if member.placement == "cells" and 2 * member.size == half.size:
        return numbers // 2
    if member.placement == "nodes" and 2 * (member.size - 1) == half.size:
        return (numbers + 1) // 2
    if member.placement == "periodic" and 2 * member.size == half.size:
        return (numbers + 1) // 2 % member.size
    return None


class Volumes:
    """The balance of every volume, r(u) = outflow + c u - f, for u (*sample, *nodes) on a grid of nodes.

    Raises:
        InputError: a side without a condition, or nothing that fixes the solution.
    """

    def __init__(
        self, problem: Problem, grid: Grid, found: Coefficients, edges: Mapping[str, Edge], device: torch.device
    ) -> None:
        self.problem, self.grid, self.device = problem, grid, device
        self.dimension = len(grid.members)
        self.periodic = [member.axis.periodic for member in grid.members]
        self.spacing = [m.axis.length / (m.size - (not m.axis.periodic)) for m in grid.members]
        missing = [side for side in problem.domain.boundaries if side not in edges]
        if missing:
            raise InputError(f"{problem.name}: {missing[0]} has no condition: add Dirichlet or Neumann there")
        self.conductances = [self._conductance(a, i) for i, a in enumerate(found.conductivity)]
        self.source = self._gathered(found.source)
        self.reaction = self._gathered(found.reaction)
        self.fixed = np.zeros(grid.shape, dtype=bool)
        self.held: list[tuple[int, int, Tensor]] = []  # axis, position and value of Dirichlet sides
        for i, side in self._sides(edges):
            edge, position = edges[side], 0 if side.endswith("_min") else grid.shape[i] - 1
            value = torch.as_tensor(edge.value, dtype=torch.float64, device=device)
            if not edge.beta:
                np.moveaxis(self.fixed, i, 0)[position] = True
                self.held.append((i, position, value / edge.alpha))
                continue
            # a du/dn = a (value - alpha u) / beta flows in
            face = self._gathered(found.walls[side], without=i) / edge.beta
            self.reaction = self._added(self.reaction, edge.alpha * face, i, position)
            self.source = self._added(self.source, value * face, i, position)
        self.definite = bool((self.reaction.detach() >= 0).all())
        if not self.held and not bool((self.reaction.detach() != 0).any()):
            raise InputError(
                f"{problem.name}: nothing fixes the solution (a constant may be added): give a Dirichlet or Robin "
                "condition"
            )

    def obeying(self, u: Tensor) -> Tensor:
        """u with the values that Dirichlet conditions give."""
        for i, position, value in self.held:
            dim = i - self.dimension
            lead = torch.broadcast_shapes(
                u.shape[: -self.dimension], value.shape[: max(0, value.ndim - self.dimension)]
            )
            u = u.expand(*lead, *u.shape[-self.dimension :])
            slot = value.expand(*lead, *[1 if j == i else n for j, n in enumerate(self.grid.shape)])
            parts = [u.narrow(dim, 0, position), slot, u.narrow(dim, position + 1, u.shape[dim] - position - 1)]
            u = torch.cat(parts, dim)
        return u

    def residual(self, u: Tensor) -> Tensor:
        """r(u) (*sample, *nodes); that of nodes which a condition holds means nothing."""
        total = self.reaction * u - self.source
        for i, g in enumerate(self.conductances):
            dim = i - self.dimension
            if self.periodic[i]:
                flow = g * (u - u.roll(-1, dim))
                total = total + flow - flow.roll(1, dim)
                continue
            flow = g * (u.narrow(dim, 0, u.shape[dim] - 1) - u.narrow(dim, 1, u.shape[dim] - 1))
            nothing = torch.zeros_like(flow.narrow(dim, 0, 1))
            total = total + torch.cat([flow, nothing], dim) - torch.cat([nothing, flow], dim)
        return total

    def matrix(self, sample: int) -> csc_matrix:
        """dr/du of one sample on the nodes that no condition holds: symmetric."""
        number = np.full(self.grid.shape, -1)
        number[~self.fixed] = np.arange(np.count_nonzero(~self.fixed))
        diagonal = np.broadcast_to(self._one(self.reaction, sample), self.grid.shape).copy()
        rows, columns, entries = [], [], []
        for i, conductance in enumerate(self.conductances):
            g = self._one(conductance, sample)
            nodes = np.arange(self.grid.shape[i])
            first, second = nodes[: g.shape[i]], np.roll(nodes, -1)[: g.shape[i]]
            for ends in (first, second):
                np.add.at(np.moveaxis(diagonal, i, 0), ends, np.moveaxis(g, i, 0))
            a, b = number.take(first, i), number.take(second, i)
            inner = (a >= 0) & (b >= 0)
            rows += [a[inner], b[inner]]
            columns += [b[inner], a[inner]]
            entries += [-g[inner], -g[inner]]
        own = number[~self.fixed]
        parts = (np.concatenate([own, *rows]), np.concatenate([own, *columns]))
        return csc_matrix((np.concatenate([diagonal[~self.fixed], *entries]), parts), shape=(len(own), len(own)))

    def _one(self, values: Tensor, sample: int) -> np.ndarray:
        values = values.detach()
        return (values[sample] if values.ndim > self.dimension else values).cpu().numpy()

    def _sides(self, edges: Mapping[str, Edge]) -> list[tuple[int, str]]:
        names = self.grid.axes.names
        return [(names.index(side.rsplit("_", 1)[0]), side) for side in edges]

    def _conductance(self, a: Tensor, i: int) -> Tensor:
        """The factor of u_1 - u_2 in the flow along axis i: intervals of that axis, nodes of the others."""
        resistance = (1.0 / a).unflatten(i - self.dimension, (-1, 2)).sum(i - self.dimension) * (0.5 * self.spacing[i])
        return self._gathered(1.0 / resistance, without=i)

    def _gathered(self, values: Tensor, without: int | None = None) -> Tensor:
        """The integral over the part of each volume along all axes but one: the halves on both sides of a node."""
        for i in range(self.dimension):
            if i == without:
                continue
            dim = i - self.dimension
            if self.periodic[i]:
                values = values.roll(1, dim)
            else:
                nothing = torch.zeros_like(values.narrow(dim, 0, 1))
                values = torch.cat([nothing, values, nothing], dim)
            values = values.unflatten(dim, (-1, 2)).sum(dim) * (0.5 * self.spacing[i])
        return values

    def _added(self, total: Tensor, part: Tensor, i: int, position: int) -> Tensor:
        dim, size = i - self.dimension, self.grid.shape[i]
        at = torch.zeros(size, dtype=part.dtype, device=part.device)
        at[position] = 1.0
        return total + part * at.reshape(-1, *[1] * (-dim - 1))


def balanced(volumes: Volumes) -> Tensor:
    """u (*sample, *nodes) with r(u) = 0, sample by sample, differentiable in everything given.

    Raises:
        InputError: a singular system.
    """
    free = torch.from_numpy(np.flatnonzero(~volumes.fixed)).to(volumes.device)
    zero = torch.zeros(volumes.grid.shape, dtype=torch.float64, device=volumes.device)
    with torch.no_grad():
        u = volumes.obeying(zero)
        r = volumes.residual(u)
        u = u.expand_as(r)
    lead = r.shape[: r.ndim - volumes.dimension]
    count = lead[0] if lead else 1
    factors: list[Any] = []
    order: np.ndarray | None = None
    for sample in range(count):
        matrix = volumes.matrix(sample)
        if not volumes.definite:
            factors.append(factorise(matrix, volumes.problem.name))
        elif order is not None:
            factors.append(Reordered(matrix, order))
        else:
            factors.append(symmetric_factors(matrix))
            order = np.argsort(factors[0].perm_c)

    def corrected(u: Tensor) -> Tensor:
        flat, r = u.reshape(count, -1), volumes.residual(u).reshape(count, -1)
        steps = torch.stack([Solve.apply(r[k, free], factors[k]) for k in range(count)])
        return flat.index_add(1, free, -steps).reshape(*lead, *volumes.grid.shape)

    with torch.no_grad():
        u = corrected(u)
    # the second step removes what rounding left and carries the graph
    return corrected(volumes.obeying(u))
