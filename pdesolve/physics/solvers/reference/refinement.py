"""Refinement in space and time until solutions agree, and the error that they then have."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from pdesolve.metrics import relative_l2
from pdesolve.physics.solvers.reference.solution import StoredSolution
from pdesolve.training.run import Run

Intervals = Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Refined:
    """The finest solution, where it stands on the ladders, and the estimate of its error."""

    solution: StoredSolution
    intervals: Intervals
    steps: int
    estimate: float
    stopped: str


class Refinement:
    """Solutions on two ladders, ever finer grids and ever more time steps, climbed one at a time.

    Time first, on the coarsest grid; then space; then, since finer grids may want more steps, time once more on the
    finest. The estimate is the relative L2 difference on the evaluation set between the last solution and the one with
    half the resolution, plus that to the one with half the steps: more than the error itself. The last `reserve` of the
    intervals and of the steps are dear: they are taken only while the difference is above the tolerance and every
    doubling halves it at least.

    compute: the solution for intervals and steps, and whether a finer grid would change nothing.
    """

    def __init__(
        self,
        compute: Callable[[Intervals, int], tuple[StoredSolution, bool]],
        intervals: Sequence[Intervals],
        steps: Sequence[int],
        *,
        goal: float,
        run: Run,
        stage: str,
        tolerance: float = 0.0,
        reserve: tuple[int, int] = (0, 0),
    ) -> None:
        self.compute, self.intervals, self.steps = compute, intervals, steps
        self.goal, self.run, self.stage, self.tolerance = goal, run, stage, tolerance
        self.last = len(intervals) - 1 - reserve[0], len(steps) - 1 - reserve[1]
        self._cost = 0.0
        self._changes = [math.inf, math.inf]

    def climb(self) -> Refined:
        """Refine until the differences are below the goal, the ladders end or the budget does."""
        i = j = 0
        best, resolved = self._solve(i, j)
        in_time = math.inf if len(self.steps) > 1 else 0.0
        in_space = math.inf if len(self.intervals) > 1 and not resolved else 0.0
        stopped = "finest"

        while j + 1 < len(self.steps) and self._worth(1, j, in_time):
            if not self._affordable(2):
                stopped = "budget"
                break
            finer, resolved = self._solve(i, j + 1)
            in_time, best, j = difference(best, finer), finer, j + 1
            self._tell(best, in_time, j)
        in_space = 0.0 if resolved else in_space

        while i + 1 < len(self.intervals) and self._worth(0, i, in_space) and not resolved:
            if not self._affordable(2 ** len(self.intervals[0])):
                stopped = "budget"
                break
            finer, resolved = self._solve(i + 1, j)
            if not finite(finer) and j + 1 < len(self.steps):
                j += 1
                continue
            in_space, best, i = difference(best, finer), finer, i + 1
            self._tell(best, in_space, j)

        if i and j and stopped != "budget" and self._affordable(1):
            in_time = difference(self._solve(i, j - 1)[0], best)
            while in_time > in_space and self._worth(1, j, in_time) and j + 1 < len(self.steps) and self._affordable(2):
                finer, _ = self._solve(i, j + 1)
                in_time, best, j = difference(best, finer), finer, j + 1
                self._tell(best, in_time, j)
        estimate = in_time + in_space
        if estimate <= 2 * self.goal:
            stopped = "tolerance"
        return Refined(best, self.intervals[i], self.steps[j], estimate, stopped)

    def _worth(self, ladder: int, position: int, change: float) -> bool:
        """Whether to climb on from a rung of the intervals (0) or the steps (1) that brought a change."""
        before, self._changes[ladder] = self._changes[ladder], change
        if position < self.last[ladder] or change <= self.goal:
            return change > self.goal
        return change > self.tolerance and not change > 0.5 * before

    def _solve(self, i: int, j: int) -> tuple[StoredSolution, bool]:
        start = time.process_time()
        result = self.compute(self.intervals[i], self.steps[j])
        self._cost = time.process_time() - start
        return result

    def _affordable(self, factor: int) -> bool:
        return self._cost * factor <= self.run.budget.left

    def _tell(self, solution: StoredSolution, change: float, j: int) -> None:
        self.run.watch(solution, stage=self.stage, step=self.steps[j], losses={"change": change})


def difference(coarse: StoredSolution, fine: StoredSolution) -> float:
    """The relative L2 difference on the evaluation set, the largest of all scalars; infinite if it is not finite."""
    with torch.no_grad():
        a, b = (solution.problem.judged(solution.on()) for solution in (coarse, fine))
        worst = max(relative_l2(a[name], b[name]) for name in a)
    return worst if math.isfinite(worst) else math.inf


def finite(solution: StoredSolution) -> bool:
    """Whether all values on the evaluation set are."""
    return all(bool(torch.isfinite(values).all()) for values in solution.on().values())
