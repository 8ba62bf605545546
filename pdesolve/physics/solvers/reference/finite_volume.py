"""Finite volumes on boxes, for balance laws whose solutions jump."""

from __future__ import annotations

from collections.abc import Mapping

from pdesolve.errors import InputError
from pdesolve.integration.finite_volume import FiniteVolumes, march
from pdesolve.physics.solvers.reference.scheme import Scheme, on_grid, unfit
from pdesolve.physics.solvers.reference.solution import GridSolution
from pdesolve.physics.solvers.reference.task import Task


class FiniteVolume(Scheme):
    """Shocks, contacts and bores where they belong: of second order where u is smooth, of first where it jumps."""

    name = "finite_volume"
    intervals = ((128, 2048), (32, 256), (16, 64))
    snapshots = (100, 20, 10)

    def refusal(self, task: Task) -> str | None:
        reason = unfit(task.problem, evolution=True)
        if reason is not None:
            return reason
        try:
            self._system(task, dict.fromkeys(task.problem.domain.axes.names, 8))
        except InputError as error:
            return str(error)
        return None

    def suits(self, task: Task) -> bool:
        """Whether nothing keeps the solution smooth: it has waves and does not diffuse."""
        f = self._system(task, dict.fromkeys(task.problem.domain.axes.names, 8))
        x = f.x.at_instant(task.problem.time.lower if task.problem.time else 0.0)
        u = task.problem.initial_state(x, task.values)
        return not f.diffusive and bool(f.equation.wave_speed(u, task.problem.bind(x, task.values), x))

    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[GridSolution, bool]:
        f = self._system(task, intervals)
        states = march(f, task.times)
        d = len(f.grid.members)
        fields = dict(zip(f.scalars, states.movedim(0, -d - 1).unbind(-d - 2), strict=True))
        return on_grid(task, f.grid, fields, degree=1), False

    def _system(self, task: Task, intervals: Mapping[str, int]) -> FiniteVolumes:
        grid = task.problem.grid(dict(intervals), bounded="cells", accuracy=task.accuracy)
        return FiniteVolumes(task.problem, grid, values=task.values, limiter=task.limiter, device=task.device)
