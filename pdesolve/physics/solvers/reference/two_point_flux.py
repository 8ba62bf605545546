"""Finite volumes for stationary flow down a gradient, whose coefficient may jump."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pdesolve.errors import InputError
from pdesolve.integration.two_point_flux import Coefficients, Volumes, balanced, coefficients
from pdesolve.physics.solvers.reference.scheme import Scheme, on_grid, unfit
from pdesolve.physics.solvers.reference.solution import GridSolution
from pdesolve.physics.solvers.reference.task import Task

_COARSE = 32
_STEEP = 0.4  # a change by half within half an interval: a field that was given on a grid may not jump any more


class TwoPointFlux(Scheme):
    """Harmonic means of the coefficient: order 2 where it is smooth, exact through layers along the grid."""

    name = "two_point_flux"
    intervals = ((64, 8192), (32, 512), (8, 32))

    def refusal(self, task: Task) -> str | None:
        reason = unfit(task.problem, evolution=False)
        if reason is not None:
            return reason
        try:
            with torch.no_grad():
                self._coefficients(task, dict.fromkeys(task.problem.domain.axes.names, 4))
        except InputError as error:
            return str(error)
        return None

    def suits(self, task: Task) -> bool:
        """Whether the coefficient jumps: its steps are high, or as high on a grid twice as fine.

        Finite differences of higher order are better where it does not.
        """
        heights = []
        with torch.no_grad():
            for n in (_COARSE, 2 * _COARSE):
                found = self._coefficients(task, dict.fromkeys(task.problem.domain.axes.names, n)).conductivity
                d = task.problem.domain.dimension
                steps = [a.log().diff(dim=i - d).abs().max() for i in range(d) for a in found]
                heights.append(float(torch.stack(steps).max()))
        return heights[1] > _STEEP or (heights[0] > 1e-9 and heights[1] > 0.8 * heights[0])

    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[GridSolution, bool]:
        problem, grid = task.problem, task.grid(intervals)
        (name,) = problem.equation.scalars
        edges = problem.edges(name, grid, values=task.values, device=task.device)
        found = self._coefficients(task, intervals)
        return on_grid(task, grid, {name: balanced(Volumes(problem, grid, found, edges, task.device))}, degree=1), False

    def _coefficients(self, task: Task, intervals: Mapping[str, int]) -> Coefficients:
        return coefficients(task.problem, intervals, values=task.values, device=task.device)
