"""Fast transforms for stationary problems with constant coefficients."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pdesolve.errors import InputError
from pdesolve.integration.elliptic import transformed
from pdesolve.integration.reflection import Reflection
from pdesolve.physics.solvers.reference.refinement import difference
from pdesolve.physics.solvers.reference.scheme import Scheme, on_grid, unfit
from pdesolve.physics.solvers.reference.solution import GridSolution
from pdesolve.physics.solvers.reference.spectral import parities
from pdesolve.physics.solvers.reference.task import Task


class FFT(Scheme):
    """Fourier, sine or cosine transforms on periodic boxes and between walls with zero values or slopes."""

    name = "fft"
    intervals = ((256, 16384), (64, 1024), (16, 128))

    def refusal(self, task: Task) -> str | None:
        reason = unfit(task.problem, evolution=False)
        if reason is not None:
            return reason
        try:
            with torch.no_grad():
                self.compute(task, dict.fromkeys(task.problem.domain.axes.names, 16), 0)
        except InputError as error:
            return str(error)
        return None

    def suits(self, task: Task) -> bool:
        """Whether its series converges fast.

        Between walls it does only where the source continues smoothly beyond them: a source that does not vanish on a
        cold wall leaves errors like n^-2, and finite differences are better.
        """
        axes = task.problem.domain.axes
        if all(axis.periodic for axis in axes):
            return True
        with torch.no_grad():
            coarse, fine = (self.compute(task, dict.fromkeys(axes.names, n), 0)[0] for n in (24, 48))
        return difference(coarse, fine) <= 1e-6

    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[GridSolution, bool]:
        found, problem = parities(task), task.problem
        reflection = Reflection(task.grid(intervals), found or {})
        u = None
        if found is not None:
            u = transformed(problem, reflection, values=task.values, device=task.device)
        if u is None:
            raise InputError(
                "fast transforms need a linear equation with constant coefficients and zero values or slopes at walls"
            )
        parts = u.unbind(-len(reflection.grid.members) - 1)
        return on_grid(task, reflection.grid, dict(zip(problem.equation.scalars, parts, strict=True))), False
