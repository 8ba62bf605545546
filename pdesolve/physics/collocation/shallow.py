"""Tasks that need no training: the conditions say the solution already, or one wide layer solves a linear problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from pdesolve.errors import InputError
from pdesolve.method import Solution
from pdesolve.nn import NetworkSolution
from pdesolve.physics.collocation.linear import MANY, SOLVED, Kind, Oscillation, Trials, Wide
from pdesolve.physics.collocation.model import Residuals
from pdesolve.physics.collocation.output_layer import is_linear, residual_root
from pdesolve.physics.collocation.task import Task


@dataclass(frozen=True)
class Shallow:
    """What was found without training.

    objective: the best network, if any. reason: why nothing is left to train ("converged", or "features" where these
    were asked for); empty where a deep network is to be trained. linear: whether the problem is, where that was looked
    at. oscillation: waves that the deep network should be given, without a lift.
    """

    objective: Residuals | None = None
    reason: str = ""
    linear: bool = False
    oscillation: Oscillation | None = None


def without_training(task: Task) -> Shallow:
    """Solve a task without training, as far as that goes.

    Raises:
        InputError: output_layer was asked for and cannot be.
    """
    settings, problem, run = task.settings, task.problem, task.run
    if settings.condition_weight == 0 and task.soft:
        run.say(f"{', '.join(task.soft)} of weight zero: whatever obeys the equation is as good as the solution")
        return Shallow()
    free, linear = bool(settings.kinds), False
    if settings.optimiser in ("auto", "output_layer") and not task.learn:
        first = _drawn(task, Wide(16, "tanh", (1.0,) * len(problem.axes)))
        if free and residual_root(first, task.clouds(first, 256, 0)) < SOLVED:
            run.say("what the conditions alone say solves the equation already: nothing is left to train")
            return Shallow(first, "converged")
        linear = is_linear(first, task.clouds(first, 16, 0))
    only = settings.optimiser == "output_layer"
    if only and not free:
        raise InputError(
            "output_layer finds a layer of its own: leave out width, depth, architecture and features, or take "
            "--method.optimiser levenberg_marquardt"
        )
    if only and not linear:
        raise InputError(
            f"output_layer solves linear problems without learned values, {problem.name} is none: take "
            "--method.optimiser auto"
        )
    if not (linear and free):
        return Shallow(linear=linear)
    axes = len(problem.axes)
    kinds: tuple[Kind, ...] = settings.kinds if axes <= MANY else (*settings.kinds, "additive")
    trials = Trials(lambda layer: _drawn(task, layer), task.clouds, axes, kinds)
    found = trials.solve(run, f"features{task.part}")
    objective, solved = found or (None, False)
    reason = "converged" if solved else "features" if only and found else ""
    waves = None if reason else trials.oscillation(run, f"waves{task.part}")
    return Shallow(objective, reason, linear=True, oscillation=waves)


def better(shallow: Shallow, objective: Residuals, task: Task) -> bool:
    """Whether what was found without training leaves less than a trained network, at points that neither has seen."""
    if shallow.objective is None:
        return False
    left, trained = (residual_root(each, task.clouds(each, 1000, 2)) for each in (shallow.objective, objective))
    if left < trained:
        task.run.say(f"random features leave a residual of {left:.1e} elsewhere, training {trained:.1e}")
    return left < trained


def ended(
    objective: Residuals | None, task: Task, whole: Callable[[Solution], Solution], reason: str
) -> NetworkSolution:
    """The solution of an objective that needs no training, watched once."""
    assert objective is not None
    solution = objective.solution
    solution.converged = reason == "converged"
    solution.notes["stopped by"] = reason
    batch = {name: objective.coordinates(name, cloud) for name, cloud in task.clouds(objective, 256, 2).items()}
    losses = {name: float(term.detach()) for name, term in objective(batch).items()}
    task.run.watch(whole(solution), stage="output_layer", step=1, losses=losses)
    return solution


def _drawn(task: Task, layer: Wide) -> Residuals:
    """The objective of a layer, its draws always the same."""
    return task.objective(layer, torch.Generator().manual_seed(task.run.seed))
