"""An evolution as a system of first order in time: what a network of one instant is marched by."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from pdesolve.condition import (
    BoundaryCondition,
    Condition,
    Dirichlet,
    Given,
    InitialRate,
    InitialValue,
    Neumann,
    Observed,
    Robin,
    evaluate,
)
from pdesolve.equation import Evolution, FieldKind, Parameter, State, Unknown, Values, velocity_name
from pdesolve.fields import Coordinates, Vector, d
from pdesolve.geometry import TIME, PointCloud
from pdesolve.problem import Problem


@dataclass(frozen=True)
class FirstOrder(Evolution):
    """u_t = v,  v_t = rate(u, v) of an evolution of second order; v is called `velocity_name(u)`."""

    inner: Evolution
    unknowns: tuple[Unknown, ...]  # type: ignore[misc]
    parameters: tuple[Parameter, ...]  # type: ignore[misc]
    kinds: tuple[FieldKind, ...]  # type: ignore[misc]

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        slopes = self.inner.rate(u, p, x)
        names = [unknown.name for unknown in self.inner.evolving]
        return {n: u[velocity_name(n)] for n in names} | {velocity_name(n): slopes[n] for n in names}

    def constraint(self, u: State, p: Values, x: Coordinates) -> State:
        return self.inner.constraint(u, p, x)


def first_order(problem: Problem) -> Problem:
    """The problem itself where it is of first order in time, else that of u and u_t.

    What holds of u on walls at all times holds of u_t in its derivative in time; the initial rate is u_t's initial
    value.

    Raises:
        InputError: the equation is stationary.
    """
    inner = problem.evolution()
    if inner.order == 1:
        return problem
    velocities = tuple(replace(u, name=velocity_name(u.name), unit=None, long_name="") for u in inner.evolving)
    algebraic = tuple(u for u in inner.unknowns if u.algebraic)
    unknowns = (*inner.evolving, *velocities, *algebraic)
    equation = FirstOrder(inner, unknowns, tuple(inner.parameters), tuple(inner.kinds))
    conditions = [made for condition in problem.conditions for made in _of_system(condition)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd about the problem was said of the problem itself
        return replace(problem, equation=equation, conditions=conditions, exact=None, conserved=())


def at_time(problem: Problem, x: Coordinates, time: float, *, column: bool) -> Coordinates:
    """Coordinates of points of space at an instant: the time as a constant or, to differentiate in it, as a column.

    x may have a column of another time already.
    """
    if not column:
        return x.at_instant(time)
    cloud = x.discretisation
    assert isinstance(cloud, PointCloud)
    space = cloud.x if cloud.axes == problem.domain.axes else cloud.x[:, 1:]
    columns = torch.cat([torch.full_like(space[:, :1], time), space], 1)
    return x.at(PointCloud(problem.axes, columns, cloud.weights, cloud.normals))


def _of_system(condition: Condition) -> Sequence[Condition]:
    """What a condition of u says of u and u_t."""
    if isinstance(condition, InitialRate):
        return [InitialValue(velocity_name(condition.unknown), condition.value)]
    if isinstance(condition, BoundaryCondition):
        name, value = velocity_name(condition.unknown), _rate(condition.value)
        if isinstance(condition, Robin):
            return [condition, Robin(name, condition.alpha, condition.beta, condition.boundary, value)]
        kind = Dirichlet if isinstance(condition, Dirichlet) else Neumann
        return [condition, kind(name, condition.boundary, value)]
    return [] if isinstance(condition, Observed) else [condition]


def _rate(value: Given) -> Given:
    """The derivative in time of what is given, at coordinates of space and time."""
    if isinstance(value, (int, float)):
        return 0.0

    def slope(p: Values, x: Coordinates) -> Any:
        found = evaluate(value, p, x)
        return (
            found.map(lambda part: d(x.expand(part), TIME)) if isinstance(found, Vector) else d(x.expand(found), TIME)
        )

    return slope
