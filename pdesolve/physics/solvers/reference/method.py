"""Settings and procedure of the reference solver."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from pdesolve.condition import BoundaryCondition, Impermeable
from pdesolve.errors import Diverged, InputError, unknown_name
from pdesolve.fields import GridField
from pdesolve.integration.fourier import Dealiasing
from pdesolve.integration.reconstruction import Limiter
from pdesolve.method import Solution, Solver
from pdesolve.metrics import relative_l2
from pdesolve.orders import normal_orders
from pdesolve.physics.solvers.reference import cache, cole_hopf
from pdesolve.physics.solvers.reference.chebyshev import Chebyshev
from pdesolve.physics.solvers.reference.elements import ElementScheme
from pdesolve.physics.solvers.reference.fft import FFT
from pdesolve.physics.solvers.reference.finite_volume import FiniteVolume
from pdesolve.physics.solvers.reference.lines import LinesScheme
from pdesolve.physics.solvers.reference.refinement import Refinement, finite
from pdesolve.physics.solvers.reference.scheme import Scheme
from pdesolve.physics.solvers.reference.solution import FILE, FormulaSolution, StoredSolution
from pdesolve.physics.solvers.reference.sparse import Sparse
from pdesolve.physics.solvers.reference.spectral import ETDRK4, Series
from pdesolve.physics.solvers.reference.storage import fetch
from pdesolve.physics.solvers.reference.stream_function import StreamFunction
from pdesolve.physics.solvers.reference.task import Task, differentiable, samples
from pdesolve.physics.solvers.reference.two_point_flux import TwoPointFlux
from pdesolve.problem import Problem, Value
from pdesolve.training.run import Run

SchemeName = Literal[
    "auto", "exact", "cole_hopf", "series", "finite_volume", "etdrk4", "lines", "fft", "two_point_flux", "chebyshev",
    "sparse", "stream_function", "elements",
]  # fmt: skip
# in order of preference: auto takes the first that fits
_SCHEMES: tuple[Scheme, ...] = (
    Series(), FiniteVolume(), ETDRK4(), LinesScheme(), FFT(), TwoPointFlux(), Chebyshev(), Sparse(), StreamFunction(),
    ElementScheme(),
)  # fmt: skip


@dataclass(frozen=True)
class Reference(Solver):
    """Classical solvers that refine until they agree with themselves, always in float64.

    Attributes:
        scheme: auto picks by the problem. exact: its formula. cole_hopf: the closed form for Burgers. series: exact
            exponentials for linear evolutions, periodic or between walls with zero values or slopes. etdrk4: the same
            boxes, nonlinear. finite_volume: balance laws on any box, also where solutions jump. lines: evolutions on
            any box. fft, two_point_flux, sparse: stationary problems on boxes; two_point_flux takes coefficients that
            jump. chebyshev: both kinds between walls, for smooth data. stream_function: steady incompressible flow
            between four walls. elements: any domain that a mesh fills.
        resolution: intervals on every axis of space; none: doubled from a coarse grid on.
        steps: time steps of etdrk4 in all; none: doubled from one between two snapshots on. lines takes its own.
        tolerance: the estimated error that counts as converged. Refinement goes on to a thousandth of it, or to the
            finest grid and steps.
        dealiasing: two_thirds leaves out of products the waves that a grid would confuse; none keeps them, as some
            published data do.
        accuracy: order of the finite differences of lines and sparse: 2, 4 or 6. Between walls waves need 4 or less:
            one-sided differences of order 6 let them grow.
        limiter: of the slopes in the cells of finite_volume. van_leer is the sharper one, minmod the calmer one; none
            is for smooth solutions alone.
        cache: disk keeps solutions on grids for the next time; none computes always.
    """

    scheme: SchemeName = "auto"
    resolution: int | None = None
    steps: int | None = None
    tolerance: float = 1e-6
    dealiasing: Dealiasing = "two_thirds"
    accuracy: Literal[2, 4, 6] = 4
    limiter: Limiter = "van_leer"
    cache: Literal["disk", "none"] = "disk"

    def solve(
        self, problem: Problem, run: Run, *, values: Mapping[str, Value] | None = None, learn: Sequence[str] = ()
    ) -> Solution:
        self._check(problem, learn)
        values = {k: _moved(v, run) for k, v in (values or {}).items()}
        formula = self._formula(problem, values, run.device)
        if formula is not None:
            return formula
        _one_condition_each(problem)
        task = Task(problem, values, (), run.device, self.dealiasing, self.accuracy, self.tolerance, self.limiter)
        samples(task)
        scheme = self._scheme(task)
        task = replace(task, times=_snapshots(problem, scheme))
        graph = differentiable(task)
        key = limited = ""
        if self.cache == "disk" and not graph:
            settings = {**asdict(self), "scheme": scheme.name, "run steps": run.steps}
            key = cache.fingerprint(problem, values, settings=settings)
            limited = cache.limited(key, run.budget.cpu_seconds)
            for name in (key, limited):
                known = cache.load(name, problem, values, run.device)
                if known is not None:
                    known.notes["cached"] = True
                    return known

        def compute(intervals: Mapping[str, int], steps: int) -> tuple[StoredSolution, bool]:
            solution, resolved = scheme.compute(task, intervals, steps)
            solution.notes |= {
                "scheme": scheme.name,
                "resolution": dict(intervals),
                "steps": steps if scheme.doublings else None,
                "snapshots": len(task.times) or None,
            }
            return solution, resolved and self.resolution is None

        began = time.process_time()
        ladders = self._intervals(problem, scheme), self._steps(scheme, task, run)
        with torch.no_grad():
            refined = Refinement(
                compute, *ladders, goal=1e-3 * self.tolerance, run=run, stage=scheme.name, tolerance=self.tolerance,
                reserve=self._reserve(problem, scheme, run),
            ).climb()  # fmt: skip
        solution = refined.solution
        if graph:
            solution, _ = compute(refined.intervals, refined.steps)
        if not finite(solution):
            raise Diverged(f"{problem.name}: {scheme.name} met a value that is not finite: give more --method.steps")
        solution.converged = refined.estimate <= self.tolerance
        solution.notes |= {
            "cpu_seconds": time.process_time() - began,
            "estimated_error": refined.estimate if math.isfinite(refined.estimate) else None,
            "stopped": refined.stopped,
        }
        if key:
            cache.save(limited if refined.stopped == "budget" else key, solution)
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
        if self.scheme not in get_args(SchemeName):
            raise unknown_name("scheme", self.scheme, get_args(SchemeName))
        if self.resolution is not None and self.resolution < 8:
            raise InputError(f"a resolution is at least 8 intervals on each axis, got {self.resolution}")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"at least one time step is needed, got {self.steps}")
        if not self.tolerance > 0:
            raise InputError(f"a tolerance is a positive relative error such as 1e-6, got {self.tolerance}")
        if self.scheme == "exact" and problem.exact is None:
            raise InputError(f"{problem.name} has no exact formula: take --method.scheme auto")

    def _scheme(self, task: Task) -> Scheme:
        """The scheme that was asked for, or the first that fits."""
        name, reasons = task.problem.name, []
        for scheme in _SCHEMES:
            if self.scheme not in ("auto", scheme.name):
                continue
            reason = scheme.refusal(task)
            if self.scheme == scheme.name and reason is not None:
                raise InputError(f"{name}: {reason}, so that {scheme.name} does not fit: take --method.scheme auto")
            if reason is None and (self.scheme == scheme.name or scheme.suits(task)):
                return scheme
            reasons += [reason] if reason is not None and reason not in reasons else []
        raise InputError(f"{name}: no scheme of the reference fits, for {'; '.join(reasons)}")

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

    def _intervals(self, problem: Problem, scheme: Scheme) -> list[dict[str, int]]:
        """Ever more intervals on each axis, those of the evaluation set among them where their transforms are fast."""
        names = problem.domain.axes.names
        if self.resolution is not None:
            return [dict.fromkeys(names, max(4, self.resolution // 2)), dict.fromkeys(names, self.resolution)]
        least, most = scheme.range(problem)
        points, first = problem.evaluation.points, {}
        for axis in problem.domain.axes:
            size = points if isinstance(points, int) else points[axis.name]
            size = size if axis.periodic else size - 1
            while size >= 2 * least and size % 2 == 0:
                size //= 2
            while 0 < size < least:
                size *= 2
            first[axis.name] = size if 0 < size < 2 * least and _smooth(size) else least
        count = math.ceil(math.log2(most / least)) + 1 + scheme.reserve[min(problem.domain.dimension, 3) - 1][0]
        return [{k: n * 2**i for k, n in first.items()} for i in range(count)]

    def _steps(self, scheme: Scheme, task: Task, run: Run) -> list[int]:
        """Ever more time steps, for the scheme that takes as many as it is told."""
        if not scheme.doublings:
            return [1]
        given = self.steps or run.steps
        if given:
            return [max(1, given // 2), given]
        more = scheme.reserve[min(task.problem.domain.dimension, 3) - 1][1]
        return [(len(task.times) - 1) * 2**i for i in range(scheme.doublings + 1 + more)]

    def _reserve(self, problem: Problem, scheme: Scheme, run: Run) -> tuple[int, int]:
        """How many of the last intervals and steps are tried only where the tolerance is not met."""
        intervals, steps = scheme.reserve[min(problem.domain.dimension, 3) - 1]
        return 0 if self.resolution else intervals, 0 if self.steps or run.steps else steps


def _snapshots(problem: Problem, scheme: Scheme) -> tuple[float, ...]:
    """The evaluation times, both ends of time, and enough between them for the interpolant in time."""
    if problem.time is None or scheme.snapshots is None:
        return ()
    span = problem.time
    base = sorted({span.lower, *problem.evaluation.times, span.upper})
    base = [t for i, t in enumerate(base) if i == 0 or t - base[i - 1] > 1e-9 * span.length]
    longest = span.length / scheme.snapshots[min(problem.domain.dimension, 3) - 1]
    times = [base[0]]
    for start, end in pairwise(base):
        pieces = max(1, math.ceil((end - start) / longest - 1e-6))
        times += [start + (end - start) * i / pieces for i in range(1, pieces)] + [end]
    return tuple(times)


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


def _one_condition_each(problem: Problem) -> None:
    """Refuse what needs several conditions at a place, or one of a component: values on a grid or a mesh obey one."""
    for name, condition in problem.named_conditions.items():
        if isinstance(condition, Impermeable):
            raise InputError(
                f"{problem.name}: no scheme of the reference holds {name}: give the problem an exact formula, or "
                "reflect it to a periodic box"
            )
    for (unknown, part), order in normal_orders(problem).items():
        if order >= 4 and any(
            isinstance(c, BoundaryCondition) and c.unknown == unknown and part in c.parts(problem)
            for c in problem.conditions
        ):
            raise InputError(
                f"{problem.name}: the equation is of order {order} in {unknown} across {part} and needs "
                f"{order // 2} conditions there, the reference's schemes hold one: take --method pinn, or give the "
                "problem an exact formula"
            )
