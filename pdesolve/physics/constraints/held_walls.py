"""What holds the values on walls at every instant of a march: a lift, and what is left to rows."""

from __future__ import annotations

from collections.abc import Mapping

from pdesolve.condition import BoundaryCondition, Dirichlet
from pdesolve.physics.constraints.box import BoxLift
from pdesolve.physics.constraints.exactness import lift
from pdesolve.problem import Problem, Value


def walls(
    problem: Problem, values: Mapping[str, Value] | None = None
) -> tuple[BoxLift | None, dict[str, BoundaryCondition]]:
    """u = g + D N with the Dirichlet values of all times, None where there are none to hold; the other conditions.

    A lift holds the Dirichlet values on a box that are smooth and agree with one another. Slopes, mixed conditions and
    values on other domains are left to rows.
    """
    found = {name: c for name, c in problem.named_conditions.items() if isinstance(c, BoundaryCondition)}
    held: tuple[str, ...] = ()
    if problem.domain.is_box and any(isinstance(c, Dirichlet) for c in found.values()):
        exact = lift(problem, values).exact
        held = tuple(name for name, c in found.items() if isinstance(c, Dirichlet) and name in exact)
    made = BoxLift(problem, held, {}, {}, {}) if held else None
    return made, {name: c for name, c in found.items() if name not in held}


def of_problem(held: BoxLift, problem: Problem) -> BoxLift:
    """What of a lift of a first-order system is about the problem it was made of."""
    names = tuple(name for name in held.exact if name in problem.named_conditions)
    return BoxLift(problem, names, {}, {}, {})
