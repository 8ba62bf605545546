"""The contract of the schemes that the reference solver chooses from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor

from pdesolve.condition import Traction
from pdesolve.equation import Evolution
from pdesolve.geometry import Grid
from pdesolve.physics.solvers.reference.solution import GridSolution, StoredSolution
from pdesolve.physics.solvers.reference.task import Task
from pdesolve.problem import Problem


class Scheme(ABC):
    """A classical scheme: which problems it can solve, and their solution at one resolution.

    `intervals` are the first and the finest number of intervals on each axis, in one, two and three dimensions.
    `snapshots` is the least number of intervals of time between snapshots, by dimension; None for stationary problems.
    `doublings` of the time steps are tried, from one between two snapshots on; none where a scheme takes its own.
    `reserve` is how many more doublings of the intervals and of the steps are tried where the tolerance is not met yet,
    in one, two and three dimensions.
    """

    name: ClassVar[str]
    intervals: ClassVar[Sequence[tuple[int, int]]]
    snapshots: ClassVar[tuple[int, int, int] | None] = None
    doublings: ClassVar[int] = 0
    reserve: ClassVar[Sequence[tuple[int, int]]] = ((0, 0), (0, 0), (0, 0))

    @abstractmethod
    def refusal(self, task: Task) -> str | None:
        """Why it cannot solve the problem, as the end of a sentence; None where it can."""

    def suits(self, task: Task) -> bool:
        """Whether it is a good choice for a problem that it does not refuse."""
        return True

    def range(self, problem: Problem) -> tuple[int, int]:
        """The first and the finest number of intervals on each axis for a problem."""
        return self.intervals[min(problem.domain.dimension, 3) - 1]

    @abstractmethod
    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[StoredSolution, bool]:
        """The solution with so many intervals and time steps, and whether a finer grid would change nothing."""


def misplaced(problem: Problem, *, evolution: bool) -> str | None:
    """Why a scheme for evolutions, or for stationary problems, on tensor-product grids does not fit."""
    if not problem.domain.is_box:
        return "its domain is no box"
    if isinstance(problem.equation, Evolution) != evolution:
        return "it is stationary" if evolution else "it evolves in time"
    if any(isinstance(condition, Traction) for condition in problem.conditions):
        return "tractions pull at its boundary, which elements hold"
    return None


def unfit(problem: Problem, *, evolution: bool) -> str | None:
    """The same for a scheme that does not know what to do with algebraic unknowns."""
    algebraic = [unknown.name for unknown in problem.equation.unknowns if unknown.algebraic]
    held = f"it has the algebraic unknown {algebraic[0]!r}" if algebraic else None
    return misplaced(problem, evolution=evolution) or held


def on_grid(task: Task, grid: Grid, fields: Mapping[str, Tensor], *, degree: int = 7) -> GridSolution:
    """The solution from fields (*sample, *time, *space) of each scalar on a grid of space, and how to interpolate."""
    if task.problem.time is not None:
        grid = grid.with_times(task.problem.time, task.times)
    return GridSolution(task.problem, grid, fields, task.values, degree=degree)
