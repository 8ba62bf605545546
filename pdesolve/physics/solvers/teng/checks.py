"""What time-evolving natural gradient refuses before any time is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from pdesolve.condition import BoundaryCondition, Observed
from pdesolve.errors import InputError
from pdesolve.problem import Problem, Value

if TYPE_CHECKING:
    from pdesolve.physics.solvers.teng.method import Teng


def check(teng: Teng, problem: Problem, values: Mapping[str, Value] | None, learn: Sequence[str]) -> None:
    """Refuse settings, equations and conditions that cannot be.

    Raises:
        InputError: one line.
    """
    equation, name = problem.evolution(), problem.name
    if learn:
        raise InputError(f"teng takes parameters as given, it cannot learn {', '.join(learn)}: take --method pinn")
    if "point" not in equation.kinds:
        raise InputError(f"teng needs an equation on point fields, {type(equation).__name__} has none: take reference")
    if problem.domain.dimension > 3:
        raise InputError(f"{name}: teng marches in one to three dimensions, got {problem.domain.dimension}: take pinn")
    for kind, condition in problem.named_conditions.items():
        if isinstance(condition, Observed):
            raise InputError(f"{name}: teng marches from the start and fits no {kind!r}: leave it out, or take pinn")
    algebraic = {unknown.name for unknown in equation.unknowns if unknown.algebraic}
    if algebraic and problem.domain.boundaries:
        raise InputError(
            f"{name}: teng finds {', '.join(sorted(algebraic))} on periodic boxes, this domain has walls: take pinn"
        )
    for parameter, value in (values or {}).items():
        if isinstance(value, torch.Tensor) and value.ndim:
            raise InputError(f"teng solves one problem at a time, {parameter} has {len(value)} values: take reference")
    for setting in ("time_steps", "repetitions", "fit_steps", "wall_points"):
        if getattr(teng, setting) < 1:
            raise InputError(f"{setting} must be at least 1, got {getattr(teng, setting)}")
    if teng.adam_steps < 0:
        raise InputError(f"adam_steps must be zero or more, got {teng.adam_steps}")
    for setting in ("damping", "tolerance", "fit_goal", "wall_weight"):
        if not getattr(teng, setting) > 0:
            raise InputError(f"{setting} must be more than zero, as 1e-9, got {getattr(teng, setting)}")
    if not 0 < teng.fit_share < 1:
        raise InputError(f"fit_share is a part between 0 and 1, got {teng.fit_share}")
    if not teng.fit_tolerance > 0:
        raise InputError(f"fit_tolerance is a positive relative L2 error such as 1e-3, got {teng.fit_tolerance}")


def check_points(rows: int, parameters: int) -> None:
    """Refuse a projection that interpolates its points.

    Raises:
        InputError: fewer rows than parameters.
    """
    if rows < parameters:
        raise InputError(
            f"{rows} rows at the quadrature points cannot determine {parameters} parameters: give at least "
            f"--method.points {4 * parameters}, or a smaller network"
        )


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
