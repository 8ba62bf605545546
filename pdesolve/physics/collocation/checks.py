"""What solving by collocation refuses before any time is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pdesolve.catalogue import method_name
from pdesolve.condition import Observed
from pdesolve.errors import InputError, unknown_name
from pdesolve.least_squares.form import free_bytes
from pdesolve.physics.collocation.task import collocation
from pdesolve.problem import Problem, Value
from pdesolve.refusals import at_least, on_points, one_problem, positive
from pdesolve.training.processes import place
from pdesolve.training.run import Run

if TYPE_CHECKING:
    from pdesolve.physics.collocation.solver import CollocationSolver


def check(
    settings: CollocationSolver, problem: Problem, values: Mapping[str, Value] | None, learn: Sequence[str]
) -> None:
    """Refuse equations, values, settings and parameters to learn that cannot be.

    Raises:
        InputError: one line.
    """
    name = method_name(settings)
    on_points(name, problem)
    one_problem(name, values)
    _check_settings(settings)
    if settings.emphasis == "attention" and place()[1] > 1:
        raise InputError(
            "the emphasis attention keeps a weight for each point, which one process alone can: start without torchrun "
            "or take --method.emphasis causal"
        )
    if settings.windows > 1:
        problem.evolution()  # refuses a stationary one
        if learn:
            raise InputError(
                f"{', '.join(learn)} would be another number in each window: learn with --method.windows 1"
            )
    declared = [parameter.name for parameter in problem.equation.parameters]
    for name in learn:
        if name not in declared:
            raise unknown_name("parameter", name, declared)
    if learn and not any(isinstance(c, Observed) for c in problem.conditions):
        raise InputError(
            f"learning {', '.join(learn)} needs observations: add an Observed condition, or --observe data.csv"
        )


def _check_settings(settings: CollocationSolver) -> None:
    at_least(settings, ("collocation", "condition_points", "memory", "redraw", "windows"))
    positive(settings, ("learning_rate", "exponent"))
    for name, value in (("condition_weight", settings.condition_weight), ("jump_radius", settings.jump_radius)):
        if not value >= 0:
            raise InputError(f"{name} must be zero or more, got {value}")
    if not 0 <= settings.adam_share <= 1:
        raise InputError(f"adam_share is a part between 0 and 1, got {settings.adam_share}")


def check_memory(settings: CollocationSolver, run: Run) -> None:
    """Refuse what cannot fit: an equation of second order holds 18 to 50 numbers for each unit and point."""
    size = 10 * run.dtype.itemsize * collocation(settings) * settings.units
    free = free_bytes(run.device)
    if size > free:
        raise InputError(
            f"{collocation(settings)} collocation points through {settings.units} units need more than "
            f"{size / 1e9:.3g} GB, {free / 1e9:.3g} GB are free: take fewer points or a smaller network"
        )
