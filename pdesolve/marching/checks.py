"""What every method that marches a network in time refuses before any time is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pdesolve.condition import Observed
from pdesolve.equation import Evolution
from pdesolve.errors import InputError
from pdesolve.marching.method import Marching
from pdesolve.problem import Problem, Value
from pdesolve.refusals import at_least, on_points, one_problem, parts, positive


def check_march(
    method: str, marching: Marching, problem: Problem, values: Mapping[str, Value] | None, *, learn: Sequence[str]
) -> Evolution:
    """The evolution that a march of one network is to follow.

    Raises:
        InputError: a stationary equation or one without point fields, settings out of range, parameters to learn,
            observations, a batch of problems; one line.
    """
    equation = problem.equation
    if not isinstance(equation, Evolution):
        raise InputError(
            f"{problem.name} is stationary: {type(equation).__name__} is not an evolution in time, along which "
            f"{method} marches: take --method pinn"
        )
    if learn:
        raise InputError(f"{method} takes parameters as given, it cannot learn {', '.join(learn)}: take --method pinn")
    on_points(method, problem)
    for kind, condition in problem.named_conditions.items():
        if isinstance(condition, Observed):
            raise InputError(
                f"{problem.name}: {method} marches from the start and fits no {kind!r}: leave it out, or take pinn"
            )
    one_problem(method, values)
    at_least(marching, ("time_steps", "repetitions", "fit_steps"))
    at_least(marching, ("adam_steps",), least=0)
    positive(marching, ("damping", "tolerance", "fit_tolerance"))
    parts(marching, ("fit_share",))
    return equation


def check_points(rows: int, parameters: int) -> None:
    """Refuse a fit that interpolates its points.

    Raises:
        InputError: fewer rows than parameters.
    """
    if rows < parameters:
        raise InputError(
            f"{rows} rows at the points cannot determine {parameters} parameters: give at least --method.points "
            f"{4 * parameters}, or a smaller network"
        )
