"""Chebyshev points between walls: spectral accuracy for data that are smooth up to the walls and fit at the corners."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pdesolve.equation import Evolution
from pdesolve.errors import Diverged
from pdesolve.geometry import Grid, GridAxis
from pdesolve.physics.solvers.reference.lines import follow
from pdesolve.physics.solvers.reference.refinement import difference
from pdesolve.physics.solvers.reference.scheme import Scheme, unfit
from pdesolve.physics.solvers.reference.solution import GridSolution
from pdesolve.physics.solvers.reference.sparse import balance
from pdesolve.physics.solvers.reference.task import Task

_SMOOTH = 1e-5  # how close 12 and 16 intervals must be for polynomials to be a good choice
_TAIL = 1e-12


class Chebyshev(Scheme):
    """Every node is coupled with those of its lines: Newton's method for stationary problems, lines for evolutions."""

    name = "chebyshev"
    intervals = ((16, 256), (16, 64), (6, 12))
    snapshots = (50, 25, 10)

    def refusal(self, task: Task) -> str | None:
        problem = task.problem
        reason = unfit(problem, evolution=isinstance(problem.equation, Evolution))
        if reason is None and all(axis.periodic for axis in problem.domain.axes):
            return "it has no walls"
        return reason

    def suits(self, task: Task) -> bool:
        """Whether solutions on 12 and 16 intervals agree, as only smooth ones do, in one or two dimensions.

        Evolutions take it when asked for: data that do not fit where the initial state meets a wall are common there,
        and finite differences bear them.
        """
        names = task.problem.domain.axes.names
        if len(names) > 2 or isinstance(task.problem.equation, Evolution):
            return False
        with torch.no_grad():
            try:
                coarse, fine = (self.compute(task, dict.fromkeys(names, n), 0)[0] for n in (12, 16))
            except Diverged:
                return False
        return difference(coarse, fine) <= _SMOOTH

    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[GridSolution, bool]:
        grid = _grid(task, intervals)
        solution = follow(task, grid) if isinstance(task.problem.equation, Evolution) else balance(task, grid)
        fields = torch.stack([field.values for field in solution.fields.values()])
        return solution, _resolved(grid, fields)


def _grid(task: Task, intervals: Mapping[str, int]) -> Grid:
    """Gauss-Lobatto points on axes with ends, equal spacing on periodic ones."""
    members = [
        GridAxis(a, "periodic", intervals[a.name]) if a.periodic else GridAxis(a, "chebyshev", intervals[a.name] + 1)
        for a in task.problem.domain.axes
    ]
    return Grid(tuple(members), task.accuracy)


def _resolved(grid: Grid, values: torch.Tensor) -> bool:
    """Whether the last Chebyshev coefficients are as small as rounding; not where an axis is periodic."""
    d, largest = len(grid.members), values.detach().abs().amax()
    for i, member in enumerate(grid.members):
        if member.placement != "chebyshev":
            return False
        n, dim = member.size - 1, i - d
        # they are the spectrum of the even reflection
        whole = torch.cat([values, values.narrow(dim, 1, n - 1).flip(dim)], dim)
        sizes = (torch.fft.rfft(whole, dim=dim).abs() / n).narrow(dim, n - 2, 3)
        if bool(sizes.amax() > _TAIL * largest):
            return False
    return True
