"""What time-evolving natural gradient refuses before any time is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from pdesolve.condition import Dirichlet, InitialValue, Periodic
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
    if equation.order != 1:
        raise InputError(f"{name}: teng marches equations of first order in time, this one is of second: take pinn")
    if any(unknown.algebraic for unknown in equation.unknowns):
        raise InputError(f"{name}: teng marches unknowns that have a rate, a pressure has none: take --method pinn")
    if "point" not in equation.kinds:
        raise InputError(f"teng needs an equation on point fields, {type(equation).__name__} has none: take reference")
    if not problem.domain.is_box:
        raise InputError(f"{name}: teng needs a box or an interval, the domain is none: take --method pinn")
    for kind, condition in problem.named_conditions.items():
        if not isinstance(condition, InitialValue | Dirichlet | Periodic):
            raise InputError(f"{name}: teng holds initial, periodic and Dirichlet conditions, not {kind!r}: take pinn")
    for parameter, value in (values or {}).items():
        if isinstance(value, torch.Tensor) and value.ndim:
            raise InputError(f"teng solves one problem at a time, {parameter} has {len(value)} values: take reference")
    for setting in ("time_steps", "repetitions", "fit_steps"):
        if getattr(teng, setting) < 1:
            raise InputError(f"{setting} must be at least 1, got {getattr(teng, setting)}")
    if teng.adam_steps < 0:
        raise InputError(f"adam_steps must be zero or more, got {teng.adam_steps}")
    for setting in ("damping", "tolerance"):
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
