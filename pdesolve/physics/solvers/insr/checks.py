"""What implicit neural spatial representations refuse before any time is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pdesolve.condition import Dirichlet, Impermeable, InitialRate, InitialValue, Periodic
from pdesolve.equation import Evolution
from pdesolve.errors import InputError
from pdesolve.marching.checks import check_march
from pdesolve.physics.equations.hyperelasticity import Hyperelasticity
from pdesolve.physics.equations.navier_stokes import NavierStokes
from pdesolve.physics.solvers.insr.characteristics import carried
from pdesolve.problem import Problem, Value
from pdesolve.refusals import at_least, positive

if TYPE_CHECKING:
    from pdesolve.physics.solvers.insr.method import Insr

SchemeName = Literal[
    "auto", "euler", "rk4", "implicit_euler", "midpoint", "trapezoidal", "semi_lagrangian", "splitting"
]


def fitting_schemes(problem: Problem, fit: str = "levenberg_marquardt") -> tuple[str, ...]:
    """The schemes that fit an equation, the default first. At fresh points no velocities are kept, as midpoint needs.

    Raises:
        InputError: none does.
    """
    equation = problem.evolution()
    if isinstance(equation, NavierStokes):
        return ("rk4", "euler", "splitting")
    if isinstance(equation, Hyperelasticity):
        return ("implicit_euler",) if fit == "adam" else ("midpoint", "implicit_euler")
    name = type(equation).__name__
    if any(unknown.algebraic for unknown in equation.unknowns):
        raise InputError(f"{problem.name}: insr splits NavierStokes alone of the equations with a pressure, not {name}")
    if equation.order != 1:
        raise InputError(
            f"{problem.name}: insr minimises the energy of Hyperelasticity alone of the equations of second order in "
            f"time, not that of {name}: take --method pinn"
        )
    plain = ("trapezoidal", "midpoint", "implicit_euler", "rk4", "euler")
    return ("semi_lagrangian", *plain) if carried(problem) else plain


def chosen_scheme(name: str, problem: Problem, fit: str) -> str:
    """The scheme of that name, or the equation's own for auto.

    Raises:
        InputError: one that does not fit; with those that do.
    """
    known = fitting_schemes(problem, fit)
    if name == "auto":
        return known[0]
    if name not in known:
        raise InputError(
            f"{problem.name}: the scheme {name} does not fit {type(problem.equation).__name__} by {fit}, these do: "
            f"{', '.join(known)}"
        )
    return name


def check(insr: Insr, problem: Problem, values: Mapping[str, Value] | None, learn: Sequence[str]) -> None:
    """Refuse settings, equations and conditions that cannot be.

    Raises:
        InputError: one line.
    """
    equation, name = check_march("insr", insr, problem, values, learn=learn), problem.name
    chosen_scheme(insr.scheme, problem, insr.fit)
    if not problem.domain.is_box:
        raise InputError(f"{name}: insr needs a box or an interval, the domain is none: take --method pinn")
    for kind, condition in problem.named_conditions.items():
        if not isinstance(condition, InitialValue | InitialRate | Dirichlet | Periodic | Impermeable):
            raise InputError(f"{name}: insr holds initial, periodic, Dirichlet and impermeable ones, not {kind!r}")
    _check_walls(problem, equation)
    at_least(insr, ("iterations",))
    positive(insr, ("learning_rate", "fit_goal"))


def _check_walls(problem: Problem, equation: Evolution) -> None:
    flow = isinstance(equation, NavierStokes)
    for kind, condition in problem.named_conditions.items():
        if flow and isinstance(condition, Dirichlet):
            raise InputError(
                f"{problem.name}: insr's flows have periodic axes and impermeable walls, not {kind!r}: take pinn"
            )
        if isinstance(condition, Impermeable) and not flow:
            raise InputError(f"{problem.name}: insr holds {kind!r} for NavierStokes alone: take pinn")
