"""The method of lines on boxes: finite differences in space, adaptive steps in time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import torch

from pdesolve.errors import Diverged
from pdesolve.geometry import Grid
from pdesolve.integration.additive import Additive, Implicit
from pdesolve.integration.lines import Lines, explicit, spectral_radius
from pdesolve.physics.solvers.reference.scheme import Scheme, on_grid, unfit
from pdesolve.physics.solvers.reference.solution import GridSolution
from pdesolve.physics.solvers.reference.task import Task, differentiable, one, samples

_STIFF = 2000.0  # spectral radius times duration above which implicit steps are the cheaper ones


class LinesScheme(Scheme):
    """Explicit steps or, where those would be too many, steps whose stiff part is implicit."""

    name = "lines"
    intervals = ((64, 512), (16, 64), (8, 16))
    snapshots = (50, 25, 10)
    reserve = ((1, 0), (1, 0), (0, 0))

    def refusal(self, task: Task) -> str | None:
        return unfit(task.problem, evolution=True)

    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[GridSolution, bool]:
        return follow(task, task.grid(intervals)), False


def follow(task: Task, grid: Grid) -> GridSolution:
    """The evolution on a grid of space at the snapshots, with steps of the kind that is the cheaper."""
    problem = task.problem
    assert problem.time is not None
    f = Lines(problem, grid, values=task.values, device=task.device)
    tolerance = 1e-3 * task.tolerance
    states = None
    if differentiable(task):
        states = explicit(f, task.times, tolerance=tolerance)
    elif spectral_radius(f, problem.time.lower, f.start()) * problem.time.length <= _STIFF:
        with suppress(Diverged):  # its first step may be far too long where the rate grows with the state
            states = explicit(f, task.times, tolerance=tolerance)
    if states is None:
        count = samples(task)
        each = [f]
        if count is not None:
            each = [Lines(problem, grid, values=one(task, i).values, device=task.device) for i in range(count)]
        try:
            states = Additive(f, each, tolerance=tolerance).run(task.times)
        except Diverged:  # what is stiff is not nearly linear
            states = Implicit(f, each, tolerance=tolerance).run(task.times)
    d, n = len(grid.members), len(f.scalars)
    states = states.narrow(-d - 1, 0, n)
    values = torch.stack([f.obeying(t, y) for t, y in zip(task.times, states, strict=True)]).movedim(0, -d - 1)
    return on_grid(task, grid, dict(zip(f.scalars, values.unbind(-d - 2), strict=True)))
