"""Settings and procedure of the reference solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from pdesolve.equation import Evolution
from pdesolve.errors import Diverged, InputError, unknown_name
from pdesolve.fields import GridField
from pdesolve.integration.fourier import Dealiasing
from pdesolve.method import Solution, Solver
from pdesolve.metrics import relative_l2
from pdesolve.physics.solvers.reference import cache, cole_hopf, schemes
from pdesolve.physics.solvers.reference.refinement import Refinement, difference
from pdesolve.physics.solvers.reference.solution import FILE, FormulaSolution, GridSolution, fetch
from pdesolve.problem import Problem, Value
from pdesolve.training.run import Run

Scheme = Literal["auto", "exact", "cole_hopf", "series", "etdrk4", "lines", "fft", "sparse"]
_SCHEMES: dict[str, Callable[[schemes.Task, Mapping[str, int], int], schemes.Snapshots]] = {
    "series": schemes.spectral, "etdrk4": schemes.spectral, "lines": schemes.lines,
    "fft": schemes.fft, "sparse": schemes.sparse,
}  # fmt: skip
# first and finest number of intervals on each axis, in one, two and three dimensions
_INTERVALS = {
    "series": ((256, 4096), (64, 512), (16, 64)),
    "etdrk4": ((256, 4096), (64, 256), (16, 64)),
    "lines": ((64, 512), (16, 64), (8, 16)),
    "fft": ((256, 16384), (64, 1024), (16, 128)),
    "sparse": ((64, 2048), (32, 256), (8, 24)),
}
# at least so many intervals between snapshots, in one, two and three dimensions; adaptive steps stop at every one
_SNAPSHOTS = {"series": (200, 100, 20), "etdrk4": (200, 100, 20), "lines": (50, 25, 10)}
_DOUBLINGS = 4  # of the time steps, from one between two snapshots on


@dataclass(frozen=True)
class Reference(Solver):
    """Classical solvers that refine until they agree with themselves, always in float64.

    Attributes:
        scheme: auto picks by the problem. exact: its formula. cole_hopf: the closed form for Burgers. series: exact
            exponentials for linear evolutions, periodic or between walls with zero values or slopes. etdrk4: the same
            boxes, nonlinear. lines: evolutions on any box. fft, sparse: stationary problems.
        resolution: intervals on every axis of space; none: doubled from a coarse grid on.
        steps: time steps of etdrk4 in all; none: doubled from one between two snapshots on. lines takes its own.
        tolerance: the estimated error that counts as converged. Refinement goes on to a thousandth of it, or to the
            finest grid and steps.
        dealiasing: two_thirds leaves out of products the waves that a grid would confuse; none keeps them, as some
            published data do.
        accuracy: order of the finite differences of lines and sparse: 2, 4 or 6. Between walls waves need 4 or less:
            one-sided differences of order 6 let them grow.
        cache: disk keeps solutions on grids for the next time; none computes always.
    """

    scheme: Scheme = "auto"
    resolution: int | None = None
    steps: int | None = None
    tolerance: float = 1e-6
    dealiasing: Dealiasing = "two_thirds"
    accuracy: Literal[2, 4, 6] = 4
    cache: Literal["disk", "none"] = "disk"

    def solve(
        self, problem: Problem, run: Run, *, values: Mapping[str, Value] | None = None, learn: Sequence[str] = ()
    ) -> Solution:
        self._check(problem, learn)
        values = {k: _moved(v, run) for k, v in (values or {}).items()}
        formula = self._formula(problem, values, run.device)
        if formula is not None:
            return formula
        task = schemes.Task(problem, values, (), run.device, self.dealiasing, self.accuracy, self.tolerance)
        schemes.samples(task)
        scheme = self.scheme if self.scheme != "auto" else _chosen(task)
        task = replace(task, times=_snapshots(problem, scheme))
        differentiable = schemes.differentiable(task)
        key = ""
        if self.cache == "disk" and not differentiable:
            settings = {**asdict(self), "scheme": scheme, "run steps": run.steps}
            key = cache.fingerprint(problem, values, settings=settings)
            known = cache.load(key, problem, values, run.device)
            if known is not None:
                known.notes["cached"] = True
                return known

        def compute(intervals: Mapping[str, int], steps: int) -> tuple[GridSolution, bool]:
            snapshots = _SCHEMES[scheme](task, intervals, steps)
            solution = _solution(task, snapshots)
            solution.notes = {
                "scheme": scheme,
                "resolution": {m.axis.name: m.size for m in snapshots.grid.members},
                "steps": steps if scheme == "etdrk4" else None,
                "snapshots": len(task.times) or None,
            }
            return solution, snapshots.resolved and self.resolution is None

        ladders = self._intervals(problem, scheme), self._steps(scheme, task, run)
        with torch.no_grad():
            refined = Refinement(compute, *ladders, goal=1e-3 * self.tolerance, run=run, stage=scheme).climb()
        solution = refined.solution
        if differentiable:
            solution, _ = compute(refined.intervals, refined.steps)
        if not all(bool(torch.isfinite(field.values).all()) for field in solution.fields.values()):
            raise Diverged(f"{problem.name}: {scheme} met a value that is not finite: give more --method.steps")
        solution.converged = refined.estimate <= self.tolerance
        solution.notes |= {
            "estimated_error": refined.estimate if math.isfinite(refined.estimate) else None,
            "stopped": refined.stopped,
        }
        if key and refined.stopped != "budget":
            cache.save(key, solution)
        return solution

    def restore(
        self, problem: Problem, folder: Path, *, values: Mapping[str, Value] | None = None, device: str = "cpu"
    ) -> Solution:
        if (folder / FILE).exists():
            return fetch(folder / FILE, problem, values=values, device=device)
        formula = self._formula(problem, dict(values or {}), torch.device(device))
        if formula is None:
            raise InputError(f"{folder} holds no {FILE}: solve {problem.name} again, or name a finished run")
        return formula

    def _check(self, problem: Problem, learn: Sequence[str]) -> None:
        if learn:
            raise InputError(f"the reference takes parameters as given, it cannot learn {', '.join(learn)}: take pinn")
        if self.scheme not in get_args(Scheme):
            raise unknown_name("scheme", self.scheme, get_args(Scheme))
        if self.resolution is not None and self.resolution < 8:
            raise InputError(f"a resolution is at least 8 intervals on each axis, got {self.resolution}")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"at least one time step is needed, got {self.steps}")
        if not self.tolerance > 0:
            raise InputError(f"a tolerance is a positive relative error such as 1e-6, got {self.tolerance}")
        if self.scheme == "exact" and problem.exact is None:
            raise InputError(f"{problem.name} has no exact formula: take --method.scheme auto")
        if problem.exact is not None and self.scheme in ("auto", "exact"):
            return
        if not problem.domain.is_box:
            raise InputError(f"{problem.name}: without an exact formula the reference needs a box, its domain is none")
        for unknown in problem.equation.unknowns:
            if unknown.algebraic:
                raise InputError(
                    f"{problem.name}: the reference cannot solve for the algebraic unknown {unknown.name!r}"
                )
        evolution = isinstance(problem.equation, Evolution)
        if self.scheme in ("fft", "sparse") and evolution:
            raise InputError(f"{problem.name} evolves in time: scheme {self.scheme!r} is for stationary problems")
        if self.scheme in ("cole_hopf", "series", "etdrk4", "lines") and not evolution:
            raise InputError(f"{problem.name} is stationary: scheme {self.scheme!r} is for evolutions")

    def _formula(self, problem: Problem, values: Mapping[str, Value], device: torch.device) -> FormulaSolution | None:
        """The solution in closed form where there is one, and the scheme asks for it."""
        if problem.exact is not None and self.scheme in ("auto", "exact"):
            solution = FormulaSolution(problem, problem.exact.formula, values, device=device)
            solution.notes = {"scheme": "exact", "source": problem.exact.source, "estimated_error": 0.0}
            return solution
        if self.scheme not in ("auto", "cole_hopf"):
            return None
        if not cole_hopf.applies(problem, values):
            if self.scheme == "cole_hopf":
                raise InputError(
                    f"{problem.name}: Cole-Hopf is for the Burgers equation on a periodic interval or one with zero "
                    "values at both ends: take --method.scheme auto"
                )
            return None
        try:
            formula = cole_hopf.ColeHopf(problem, values=values, device=device)
        except InputError:
            if self.scheme == "cole_hopf":
                raise
            return None
        solution = FormulaSolution(problem, formula, values, device=device)
        solution.notes = {"scheme": "cole_hopf", "nodes": len(formula.nodes), "estimated_error": _node_error(solution)}
        return solution

    def _intervals(self, problem: Problem, scheme: str) -> list[dict[str, int]]:
        """Ever more intervals on each axis, those of the evaluation set among them where their transforms are fast."""
        names = problem.domain.axes.names
        if self.resolution is not None:
            return [dict.fromkeys(names, max(4, self.resolution // 2)), dict.fromkeys(names, self.resolution)]
        least, most = _INTERVALS[scheme][min(problem.domain.dimension, 3) - 1]
        points, first = problem.evaluation.points, {}
        for axis in problem.domain.axes:
            size = points if isinstance(points, int) else points[axis.name]
            size = size if axis.periodic else size - 1
            while size >= 2 * least and size % 2 == 0:
                size //= 2
            while 0 < size < least:
                size *= 2
            first[axis.name] = size if 0 < size < 2 * least and _smooth(size) else least
        return [{k: n * 2**i for k, n in first.items()} for i in range(math.ceil(math.log2(most / least)) + 1)]

    def _steps(self, scheme: str, task: schemes.Task, run: Run) -> list[int]:
        """Ever more time steps, for the scheme that takes as many as it is told."""
        if scheme != "etdrk4":
            return [1]
        given = self.steps or run.steps
        if given:
            return [max(1, given // 2), given]
        return [(len(task.times) - 1) * 2**i for i in range(_DOUBLINGS + 1)]


def _chosen(task: schemes.Task) -> str:
    """The scheme that fits a problem without a closed form."""
    problem = task.problem
    small = dict.fromkeys(problem.domain.axes.names, 16)
    with torch.no_grad():
        if not isinstance(problem.equation, Evolution):
            return "fft" if _transforms_well(task) else "sparse"
        try:
            _, system = schemes.spectral_system(task, small)
        except InputError:
            return "lines"
        return "series" if system.affine else "etdrk4"


def _transforms_well(task: schemes.Task) -> bool:
    """Whether fast transforms apply, and their series converges fast.

    Between walls it does only where the source continues smoothly beyond them: a source that does not vanish on a cold
    wall leaves errors like n^-2, and finite differences are better.
    """
    axes = task.problem.domain.axes
    try:
        coarse, fine = (_solution(task, schemes.fft(task, dict.fromkeys(axes.names, n), 0)) for n in (24, 48))
    except InputError:
        return False
    return all(axis.periodic for axis in axes) or difference(coarse, fine) <= 1e-6


def _snapshots(problem: Problem, scheme: str) -> tuple[float, ...]:
    """The evaluation times, both ends of time, and enough between them for the interpolant in time."""
    if problem.time is None:
        return ()
    span = problem.time
    base = sorted({span.lower, *problem.evaluation.times, span.upper})
    base = [t for i, t in enumerate(base) if i == 0 or t - base[i - 1] > 1e-9 * span.length]
    longest = span.length / _SNAPSHOTS[scheme][min(problem.domain.dimension, 3) - 1]
    times = [base[0]]
    for start, end in pairwise(base):
        pieces = max(1, math.ceil((end - start) / longest - 1e-6))
        times += [start + (end - start) * i / pieces for i in range(1, pieces)] + [end]
    return tuple(times)


def _solution(task: schemes.Task, snapshots: schemes.Snapshots) -> GridSolution:
    grid = snapshots.grid
    if task.problem.time is not None:
        grid = grid.with_times(task.problem.time, task.times)
    return GridSolution(task.problem, grid, snapshots.fields, task.values)


def _node_error(solution: FormulaSolution) -> float:
    """How far twice as many quadrature nodes move a Cole-Hopf solution, on a part of the evaluation set."""
    problem = solution.problem
    times = problem.evaluation.times
    thin = problem.grid(33, times[:: max(1, len(times) // 16)])
    finer = cole_hopf.ColeHopf(problem, values=solution.values, device=solution.device, refinement=2.0)
    twice = FormulaSolution(problem, finer, solution.values, device=solution.device)
    return relative_l2(solution.on(thin)["u"], twice.on(thin)["u"])


def _moved(value: Value, run: Run) -> Value:
    if isinstance(value, Tensor):
        return value.to(device=run.device, dtype=torch.float64)
    if isinstance(value, GridField):
        return GridField(value.values.to(run.device), value.grid, value.quantity, value.edges)
    return value


def _smooth(n: int) -> bool:
    for factor in (2, 3, 5, 7):
        while n % factor == 0:
            n //= factor
    return n == 1
