"""How often an equation differentiates its unknowns across each part of the boundary, and so what it needs there."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn

from pdesolve.condition import BoundaryCondition
from pdesolve.equation import assemble
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates
from pdesolve.geometry import Face

if TYPE_CHECKING:
    from pdesolve.problem import Problem


def check_boundary_counts(problem: Problem) -> None:
    """Of an equation of order 2 n at most n conditions at a place, a value and a slope; fewer are warned of.

    Raises:
        InputError: more, or two of a kind.
    """
    places: dict[tuple[str, str], list[BoundaryCondition]] = {}
    for condition in problem.conditions:
        if isinstance(condition, BoundaryCondition):
            for part in condition.parts(problem):
                places.setdefault((condition.unknown, part), []).append(condition)
    orders = normal_orders(problem) if places else {}
    few: dict[tuple[str, int, int], list[str]] = {}
    for (unknown, part), conditions in places.items():
        order, count = orders.get((unknown, part), 2), len(conditions)
        most = max(1, (order + 1) // 2)
        if count > most:
            raise InputError(
                f"{problem.name}: {count} conditions for {unknown} at {part}, expected at most "
                f"{'one: drop all but one (Robin joins a value and a slope)' if most == 1 else most}"
            )
        if len({bool(condition.coefficients[1]) for condition in conditions}) < count:
            raise InputError(
                f"{problem.name}: {count} conditions for {unknown} at {part} of the same kind, expected a value and a "
                "slope: write u = 0 and dn(u) = 0"
            )
        if count < order // 2:
            few.setdefault((unknown, order, count), []).append(part)
    for (unknown, order, count), parts in few.items():
        warnings.warn(
            f"{problem.name}: the equation has derivatives of order {order} of {unknown} across {', '.join(parts)} and "
            f"{count} condition{'' if count == 1 else 's'} there, expected {order // 2}: its solution is "
            f"not unique, give a slope too: {_slope_too(problem, unknown)}",
            stacklevel=5,
        )


def _slope_too(problem: Problem, unknown: str) -> str:
    both = f"boundary: {{all: [{unknown} = 0, dn({unknown}) = 0]}}"
    return both if problem.file else f"Neumann({unknown!r}, 'all', 0.0) beside Dirichlet({unknown!r}, 'all', 0.0)"


def normal_orders(problem: Problem) -> dict[tuple[str, str], int]:
    """The highest order of derivatives of each unknown along the normal of each part of the boundary.

    Of a side of a box the normal is an axis, so that dxxxx(u) is of order 4 at x_min and of order 0 at y_min; of other
    parts it is any direction of space. Empty where the equation is none of fields at points: nobody knows.
    """
    equation = problem.equation
    if "point" not in equation.kinds:
        return {}
    quantities = [problem.quantity(name) for name in equation.scalars]

    def residual(x: Coordinates) -> object:
        state = assemble(equation.unknowns, x.outputs(nn.Identity(), quantities))
        return equation.residual(state, problem.bind(x), x)

    wanted = Coordinates.wanted_by(residual, problem.sample(3, "sobol", torch.Generator().manual_seed(0)))
    names, space = problem.axes.names, problem.domain.axes.names
    found: dict[tuple[str, str], int] = {}
    for part, side in problem.domain.boundaries.items():
        along = [names.index(name) for name in ([side.axis] if isinstance(side, Face) else space)]
        for unknown in equation.unknowns:
            asked = [index for scalar in unknown.scalars for index in wanted.get(scalar, ())]
            found[unknown.name, part] = max((sum(index[i] for i in along) for index in asked), default=0)
    return found
