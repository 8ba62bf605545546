"""The proof of a solution: error against the reference, residual, violations, conservation, cost."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from pdesolve import metrics
from pdesolve.condition import Condition
from pdesolve.equation import Conserving, Evolution, State, flatten, velocity_name
from pdesolve.errors import InputError, unknown_name
from pdesolve.evaluating import evaluated, residual_rows
from pdesolve.fields import Coordinates, Vector, d
from pdesolve.geometry import Grid, PointCloud
from pdesolve.method import Solution
from pdesolve.metrics import root_mean_square
from pdesolve.problem import Problem

_POINTS = 2048  # held-out points for residual and violations
_INSTANTS = (0.137, 0.491, 0.823)  # parts of the time axis, where the residual is taken on grids
_BOUNDED = 3.0  # an error at most so many times as large as a part of it is of that part's size
_SEED = 20_231_117  # of those points: no solver trains on them


@dataclass(frozen=True)
class Proof:
    """What a run reached and what it cost. `json()` is what `--json` prints, `table()` what people read.

    errors: for each unknown `relative_l2` over the whole evaluation set, `max` over it, and `final`, the relative L2
    error at the last time, which is `reached` where there is one. residual: root mean square over held-out points.
    violations: root mean square of what each condition leaves over. conserved: largest departure of each integral from
    its first value, relative to the integral of its density's absolute value. reference: what the errors are against;
    None where there is no reference. reached: the time up to which there is a solution, and all figures are; None where
    that is all of it.
    """

    run: str | None
    problem: str
    method: str
    settings: Mapping[str, Any]
    parameters: int
    errors: Mapping[str, Mapping[str, float | None]]
    learned: Mapping[str, Mapping[str, float | None]]
    residual: float | None
    violations: Mapping[str, float]
    conserved: Mapping[str, float]
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    device: str
    dtype: str
    seed: int
    converged: bool
    status: str = "finished"
    reference: Mapping[str, Any] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    reached: float | None = None

    def json(self) -> dict[str, Any]:
        """A JSON object; figures that are not finite are null."""
        from pdesolve.training.run import finite

        return finite(asdict(self))

    def table(self) -> str:
        """The proof as a table of text."""
        rows: list[tuple[str, str]] = []
        last = "final" if self.reached is None else f"at t = {self.reached:.6g}"
        for name, error in self.errors.items():
            parts = [f"{_figure(error['relative_l2'])} relative L2", f"{_figure(error['max'])} max"]
            if error.get("final") is not None:
                parts.append(f"{_figure(error['final'])} {last}")
            rows.append((f"error of {name}", ", ".join(parts)))
        if self.reference and "none" in self.reference:
            rows.append(("against", f"no reference: {self.reference['none']}"))
        elif self.reference:
            text = str(self.reference.get("scheme", "reference"))
            estimate = self.reference.get("estimated_error")
            if self.learned:  # what is true is not known: the error is that of a problem with other values
                text += f" with the problem's own {', '.join(self.learned)}"
            rows.append(("against", text + (f", itself within {_figure(estimate)}" if estimate is not None else "")))
        for name, learned in self.learned.items():
            rows.append((f"learned {name}", f"{learned['value']:.6g}"))
        if self.residual is None:
            rows.append(("residual", "- (a weak solution has none at single points)"))
        else:
            rows.append(("residual", f"{_figure(self.residual)} root mean square"))
        rows += [(name, f"violated by {_figure(value)}") for name, value in self.violations.items()]
        rows += [(f"{name} conserved", f"to {_figure(value)}") for name, value in self.conserved.items()]
        fit = self.notes.get("initial fit")
        if fit is not None:
            kept = ", kept from an earlier run and counted" if self.notes.get("initial fit cached") else ""
            took = self.notes["initial fit seconds"]
            rows.append(("initial fit", f"{_figure(fit)} relative L2 at unseen points, {took:.1f} CPU s{kept}"))
            rows += self._bounded_by(fit)
        left = self.notes.get("worst projection")
        if left is not None:
            rows.append(("worst projection", f"{_figure(left)} relative L2 that a step has left"))
        rows.append(("cost", f"{self.cpu_seconds:.1f} CPU s, {self.seconds:.1f} s, {self.peak_bytes / 2**20:.0f} MiB"))
        size = f"{self.parameters} parameters, " if self.parameters else ""
        rows.append(("with", f"{size}{self.dtype} on {self.device}, seed {self.seed}"))
        stopped = self.notes.get("stopped by")
        why = self.notes.get("diverged") or (f"stopped by {stopped}" if stopped else "")
        rows.append(("ended", f"{self.status}, {why}" if why else self.status))
        if self.reached is not None:
            rows.append(("reached", f"t = {self.reached:.6g}: all figures are those up to there, later is not solved"))
        width = max(len(name) for name, _ in rows)
        head = f"{self.problem} by {self.method}"
        return "\n".join([head, "-" * len(head), *(f"{name:<{width}}  {text}" for name, text in rows)])

    def _bounded_by(self, fit: float) -> list[tuple[str, str]]:
        """A row where the fit of the initial state is most of the last error, with what makes it better."""
        last = max((error.get("final") or 0.0 for error in self.errors.values()), default=0.0)
        if not 0.0 < last <= _BOUNDED * fit:
            return []
        better, goal = "a larger --method.width or --budget", self.settings.get("fit_goal")
        if goal is not None and fit <= _BOUNDED * goal:  # it stopped there
            better = f"--method.fit_goal {goal / 100:g}"
        return [("note", f"the error is hardly more than the initial fit's: {better} may make both smaller")]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"


def as_far_as_solved(solution: Solution) -> Solution:
    """The solution of the problem that ends at the time it has come to, which is judged too; itself where it is whole.

    No later time is judged.
    """
    problem = solution.problem
    if solution.reached is None or problem.time is None:
        return solution
    slack = 1e-9 * problem.time.length
    # a march that has not begun is judged in an instant, which an axis cannot be
    upper = max(solution.reached, problem.time.lower + slack)
    times = tuple(t for t in problem.evaluation.times if t <= upper + slack)
    if not times or upper - times[-1] > 2 * slack:
        times = (*times, solution.reached)
    shortened = copy(solution)
    shortened.problem = _judged_at(problem, times, upper)
    return shortened


def _judged_at(problem: Problem, times: tuple[float, ...], upper: float) -> Problem:
    """The problem up to a time."""
    assert problem.time is not None
    evaluation = replace(problem.evaluation, times=times)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd about the problem was said of the whole
        return replace(problem, time=replace(problem.time, upper=upper), evaluation=evaluation)


@dataclass(frozen=True)
class Truth:
    """A reference, with its values (*sample, *places) on the whole evaluation set of its problem."""

    reference: Solution
    values: Mapping[str, Tensor]

    @staticmethod
    def of(reference: Solution) -> Truth:
        """A reference as what solutions are held against."""
        return Truth(reference, reference.on())

    def as_far_as(self, solution: Solution) -> dict[str, Tensor]:
        """Its values where `as_far_as_solved` judges a solution of the same problem."""
        problem, ended = solution.problem, as_far_as_solved(solution).problem
        if ended is problem:
            return dict(self.values)
        whole, times = problem.evaluation.times, ended.evaluation.times
        count = sum(t in whole for t in times)
        if isinstance(ended.evaluation_set, Grid):
            axis = -len(ended.evaluation_set.shape)
            found = {name: values.narrow(axis, 0, count) for name, values in self.values.items()}
        else:
            axis = -1
            found = {n: v.unflatten(-1, (len(whole), -1))[..., :count, :].flatten(-2) for n, v in self.values.items()}
        if count == len(times):
            return found
        last = self.reference.on(_judged_at(problem, times[count:], problem.final_time).evaluation_set)
        return {name: torch.cat([values, last[name]], axis) for name, values in found.items()}


def measured(solution: Solution, truth: Truth) -> dict[str, dict[str, Any]]:
    """The errors of a solution as far as it is one; none of a march that has not begun, where its start is not judged.

    `final` is that at the time it has come to.
    """
    problem, ended = solution.problem, as_far_as_solved(solution)
    if solution.reached is not None and problem.time is not None:
        start = problem.time.lower
        if solution.reached <= start and start not in problem.evaluation.times:
            return {}
    return errors(ended.problem, ended.on(), truth.as_far_as(solution))


def errors(problem: Problem, found: Mapping[str, Tensor], reference: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """The errors of each scalar on the evaluation set, less its mean where the problem leaves that free.

    `final` is None for stationary problems.
    """
    result: dict[str, dict[str, Any]] = {}
    found, reference = problem.judged(found), problem.judged(reference)
    for name, truth in reference.items():
        u, truth = found[name].double().cpu(), truth.double().cpu()
        last = (problem.at_last_time(u), problem.at_last_time(truth)) if problem.time else None
        result[name] = metrics.errors(u, truth, last)
    return result


def residual(solution: Solution) -> float | None:
    """The root mean square of the equation's residual at held-out points inside the domain, over all rows.

    None for a weak solution (elements, finite volumes), which has no second derivatives to speak of.
    That of an equation which lives on grids alone (nonlocal terms) is taken on grids of space at held-out instants.
    """
    problem = solution.problem
    if not solution.smooth:
        return None
    if "point" not in problem.equation.kinds:
        return _residual_on_grids(solution)
    cloud = problem.sample(_POINTS, "sobol", torch.Generator().manual_seed(_SEED))
    return _size(residual_rows(solution, cloud))


def _residual_on_grids(solution: Solution) -> float:
    """The residual of an equation on grids alone: space on a grid, time derivatives through the solution at points."""
    problem, equation = solution.problem, solution.problem.equation
    grid = problem.grid(problem.evaluation.points)
    x = solution.coordinates(grid)
    if not isinstance(equation, Evolution):
        rows = flatten(equation.residual(solution.state(x), problem.bind(x, solution.values), x))
        return float(sum(x.expand(row).values.detach().square().mean() for row in rows.values())) ** 0.5
    assert problem.time is not None
    space, squares = x.columns(), []
    for part in _INSTANTS:
        instant = problem.time.lower + part * problem.time.length
        columns = torch.cat([torch.full_like(space[:, :1], instant), space], 1)
        here, points = x.at_instant(instant), solution.coordinates(PointCloud(problem.axes, columns), gradients=True)
        state = solution.state(points)
        slopes = flatten({u.name: d(state[u.name], "t", equation.order) for u in equation.evolving})
        if equation.order == 2:
            state = {**state, **{velocity_name(n): d(f, "t") for n, f in state.items()}}

        def placed(field: Any, here: Any = here) -> Any:
            if isinstance(field, Vector):
                return field.map(placed)
            return here.field(field.values.detach().unflatten(-1, grid.shape), field.name, field.unit)

        rates = equation.rate({n: placed(f) for n, f in state.items()}, problem.bind(here, solution.values), here)
        for name, rate in flatten(rates).items():
            squares.append((placed(slopes[name]).values - here.expand(rate).values.detach()).square().mean())
    return float(sum(squares) / len(_INSTANTS)) ** 0.5


def violations(solution: Solution) -> dict[str, float]:
    """The root mean square of what each condition leaves over, at held-out points."""
    problem = solution.problem
    result = {}
    for name, condition in problem.named_conditions.items():
        cloud = condition.sample(problem, _POINTS // 4, "sobol", torch.Generator().manual_seed(_SEED))

        def rows(x: Coordinates, condition: Condition = condition) -> State:
            p = problem.bind(x, solution.values)
            return {"row": condition.residual(problem, solution.state, x, p)}

        result[name] = _size(evaluated(solution, cloud, rows))
    return result


def conserved(solution: Solution) -> dict[str, float]:
    """The drift of each conserved quantity over the evaluation times: the largest value of `drifts`."""
    return {name: float(drift.max()) for name, drift in drifts(solution).items()}


def drifts(solution: Solution) -> dict[str, Tensor]:
    """The departure (time,) of the integral of each conserved quantity from its first value at the evaluation times.

    Relative to the largest integral of the density's absolute value; the largest of all samples.

    All that the equation conserves, where every axis of space is periodic; elsewhere what `Problem.conserved` names.
    """
    problem = solution.problem
    equation = problem.equation
    if not isinstance(equation, Conserving) or not problem.domain.is_box:
        return {}
    closed = all(axis.periodic for axis in problem.domain.axes)
    if not closed and not problem.conserved:
        return {}
    grid = problem.evaluation_set
    assert isinstance(grid, Grid)
    columns = solution.coordinates(grid).columns()
    weights = solution.coordinates(grid).field(torch.ones(()), "one").values
    for i, member in enumerate(grid.members[1:], 1):
        shape = [-1 if i == j else 1 for j in range(len(grid.members))]
        weights = weights * torch.as_tensor(member.weights, dtype=columns.dtype).to(columns.device).reshape(shape)

    def formula(x: Coordinates) -> State:
        state = solution.state(x)
        if isinstance(equation, Evolution) and equation.order == 2:
            state = {**state, **{velocity_name(n): d(f, "t") for n, f in state.items()}}
        found = equation.conserved(state, problem.bind(x, solution.values), x)
        return {name: density for name, density in found.items() if closed or name in problem.conserved}

    result = {}
    for name, density in evaluated(solution, PointCloud(problem.axes, columns.detach()), formula).items():
        density = density.reshape(*density.shape[:-1], *grid.shape) * weights
        space = tuple(range(-len(grid.shape) + 1, 0))
        totals, sizes = density.sum(space), density.abs().sum(space)
        drift = (totals - totals[..., :1]).abs() / sizes.max().clamp_min(1e-300)
        result[name] = drift.reshape(-1, drift.shape[-1]).amax(0)
    return result


def _size(fields: Mapping[str, Tensor]) -> float:
    """The root mean square of all of them."""
    return root_mean_square(torch.stack(torch.broadcast_tensors(*fields.values())))


@dataclass(frozen=True)
class Requirement:
    """A bound that a proof must keep: `rel_l2`, `max`, `final`, `residual` or `violation` at most a figure."""

    name: str
    bound: float

    @staticmethod
    def parse(text: str) -> Requirement:
        """Read "rel_l2=1e-3".

        Raises:
            InputError: another form, an unknown figure or a bound that is no positive number.
        """
        name, _, bound = text.partition("=")
        known = ("rel_l2", "max", "final", "residual", "violation")
        if name not in known:
            raise unknown_name("requirement", name, known)
        try:
            value = float(bound)
        except ValueError:
            value = -1.0
        if not value > 0:
            raise InputError(f"a requirement reads rel_l2=1e-3, a name and a positive number, got {text!r}")
        return Requirement(name, value)

    def missed(self, proof: Proof) -> str | None:
        """One line that says by how much it was missed, None where it was kept. An unknown figure is missed."""
        if proof.reached is not None:
            return f"required {self.name} <= {self.bound:.3g}, but the march ended at t = {proof.reached:.4g}"
        if self.name in ("rel_l2", "max", "final"):
            key = {"rel_l2": "relative_l2"}.get(self.name, self.name)
            figures = [error.get(key) for error in proof.errors.values()]
        elif self.name == "residual":
            figures = [proof.residual]
        else:
            figures = list(proof.violations.values())
        if not figures or any(figure is None for figure in figures):
            return f"required {self.name} <= {self.bound:.3g}, but there is no such figure: no reference is known"
        worst = max(figure for figure in figures if figure is not None)
        # not (<=), so that NaN is a miss
        return None if worst <= self.bound else f"required {self.name} <= {self.bound:.3g}, reached {worst:.3g}"
