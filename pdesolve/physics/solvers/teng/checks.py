"""What time-evolving natural gradient refuses before any time is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pdesolve.condition import BoundaryCondition
from pdesolve.errors import InputError
from pdesolve.marching.checks import check_march
from pdesolve.physics.solvers.teng.schemes import is_implicit
from pdesolve.problem import Problem, Value
from pdesolve.refusals import at_least, positive

if TYPE_CHECKING:
    from pdesolve.physics.solvers.teng.method import Teng


def check(teng: Teng, problem: Problem, values: Mapping[str, Value] | None, learn: Sequence[str]) -> None:
    """Refuse settings, equations and conditions that cannot be.

    Raises:
        InputError: one line.
    """
    equation, name = check_march("teng", teng, problem, values, learn=learn), problem.name
    if problem.domain.dimension > 3:
        raise InputError(f"{name}: teng marches in one to three dimensions, got {problem.domain.dimension}: take pinn")
    algebraic = {unknown.name for unknown in equation.unknowns if unknown.algebraic}
    if algebraic and problem.domain.boundaries:
        raise InputError(
            f"{name}: teng finds {', '.join(sorted(algebraic))} on periodic boxes, this domain has walls: take pinn"
        )
    if algebraic and is_implicit(teng.scheme):
        raise InputError(
            f"{name}: teng finds {', '.join(sorted(algebraic))} for a state that is known, the stages of {teng.scheme} "
            "are not: write --method.scheme rk4"
        )
    at_least(teng, ("wall_points",))
    positive(teng, ("fit_goal", "wall_weight"))


def check_walls(teng: Teng, problem: Problem, soft: Mapping[str, BoundaryCondition]) -> None:
    """Refuse velocities of parameters where conditions are rows of values.

    Raises:
        InputError: naming the conditions.
    """
    if soft and teng.variant == "tdvp":
        raise InputError(
            f"{problem.name}: tdvp projects rates and keeps what lifts hold, it has no rows for {', '.join(soft)}: "
            "write --method.variant teng"
        )
