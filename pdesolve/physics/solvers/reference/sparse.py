"""Finite differences and Newton's method with sparse factors for stationary problems on boxes."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pdesolve.geometry import Grid
from pdesolve.integration.elliptic import GridEquations, sparse_newton
from pdesolve.physics.solvers.reference.scheme import Scheme, on_grid, unfit
from pdesolve.physics.solvers.reference.solution import GridSolution
from pdesolve.physics.solvers.reference.task import Task, one, samples


class Sparse(Scheme):
    """Any stationary problem on a box, sample by sample."""

    name = "sparse"
    intervals = ((64, 2048), (32, 256), (8, 24))

    def refusal(self, task: Task) -> str | None:
        return unfit(task.problem, evolution=False)

    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[GridSolution, bool]:
        return balance(task, task.grid(intervals)), False


def balance(task: Task, grid: Grid) -> GridSolution:
    """The stationary solution on a grid, by Newton's method sample by sample."""
    count = samples(task)
    tasks = [task] if count is None else [one(task, i) for i in range(count)]
    found = [sparse_newton(GridEquations(t.problem, grid, values=t.values, device=task.device)) for t in tasks]
    u = found[0] if count is None else torch.stack(found)
    parts = u.unbind(-len(grid.members) - 1)
    return on_grid(task, grid, dict(zip(task.problem.equation.scalars, parts, strict=True)))
