"""What a march begins from: the fit of the initial state, and of a flow's first pressure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from pdesolve.errors import InputError
from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud, sample
from pdesolve.marching.initial_fit import Fit, fit_initial
from pdesolve.marching.instant import Instant
from pdesolve.marching.trajectory import MarchedSolution
from pdesolve.physics.solvers.insr.first_pressure import STAGE, FirstPressure
from pdesolve.physics.solvers.insr.fitting import FIRST, FirstOrder, Rows, SecondOrder
from pdesolve.physics.solvers.insr.flow import Flow, Momentum, Splitting
from pdesolve.physics.solvers.insr.places import Medium, Points, stacked
from pdesolve.physics.solvers.insr.schemes import Fitted, RungeKutta
from pdesolve.problem import Problem
from pdesolve.training.run import Run

if TYPE_CHECKING:
    from pdesolve.physics.solvers.insr.method import Insr

ROWS = 4  # for each parameter, where points are not given
LEAST, MOST = 4, 40  # repetitions that a fit may take
_BESIDE = 1.5  # time of a repetition with all that goes beside it, as a part of an initial fit's step
_VELOCITY = 0.6  # part of the time of first fits that a flow's velocity may take, half of it at fewer points
_MANY = 1000  # parameters from which on a step at all points is dear enough for a stage at fewer


def inside(problem: Problem, count: int, run: Run) -> PointCloud:
    """About so many weighted points: equally spaced on periodic boxes, else Gauss-Legendre."""
    periodic = all(axis.periodic for axis in problem.domain.axes)
    return sample(problem.domain, count, generator=run.generator, sampler="regular" if periodic else "gauss_legendre")


def fitted(
    insr: Insr, problem: Problem, instant: Callable[[PointCloud], Instant], unseen: Instant, points: PointCloud,
    run: Run, *, share: float,
) -> Fit | None:  # fmt: skip
    """The fit of the initial state; of a flow, whose points are many for the pressure's sake, at fewer first."""
    stages, left = [points], share
    if isinstance(unseen.equation, Momentum):
        left = _VELOCITY * share
        parameters = sum(p.numel() for p in unseen.module.parameters())
        if parameters >= _MANY:
            stages = [inside(problem, parameters * ROWS // len(unseen.scalars), run), points]
    fit = None
    for k, cloud in enumerate(stages):
        last = k == len(stages) - 1
        fit = fit_initial(
            instant(cloud), unseen, run, adam_steps=0 if k else insr.adam_steps, steps=insr.fit_steps,
            seconds=left if last else left / 2, tolerance=insr.fit_tolerance if last else float("inf"),
            goal=insr.fit_goal,
        )  # fmt: skip
        left -= 0.0 if fit is None else min(left / 2, fit.seconds)  # one from the cache may have had more
    return fit


def pressed(
    insr: Insr, problem: Problem, solution: MarchedSolution, flow: Flow, fitting: SecondOrder, run: Run,
    *, fit: Fit | None, share: float,
) -> Fit | None:  # fmt: skip
    """Fit the first pressure of a flow; how the fit of the velocity ended, known here where a run goes on."""
    assert problem.time is not None
    whole = solution.trajectory.module
    if fit is not None:
        _copy_features(flow.part(whole), flow.second(whole))
    first = FirstPressure(whole, flow.second(whole), steps=insr.fit_steps, goal=insr.fit_goal, fit=fit)
    seconds = share if fit is None else max(share - fit.seconds, (1 - _VELOCITY) * share)
    if run.checkpoint.enter(run, {STAGE: first}, seconds=seconds) is not None:
        return first.fit
    rows = flow.rows_of_pressure(whole, problem.time.lower, problem.time.length / insr.time_steps)
    first.go_on(rows(fitting.points), run, seconds=seconds)
    run.checkpoint.leave()
    run.say(f"pressure at first: relative residual {first.residual:.1e} after {len(first.losses)} steps")
    return first.fit


def affordable(insr: Insr, stepper: Fitted, fit: Mapping[str, Any], run: Run) -> int:
    """The repetitions in each fit for which the budget that is left has time, as those of the initial fit took it."""
    fits, each = (insr.time_steps + FIRST) * stepper.fits, _BESIDE * fit["seconds"] / max(1, fit["steps"])
    needed = fits * each * LEAST
    if needed > run.budget.left:
        run.say(
            f"{insr.time_steps} steps of {stepper.fits} fits may need {needed / 60:.1f} CPU min, "
            f"{run.budget.left / 60:.1f} are left: give --budget, fewer --method.time_steps or a smaller --method.width"
        )
    return int(max(LEAST, min(MOST, run.budget.left / (fits * each or 1.0))))


def descended(
    insr: Insr, problem: Problem, solution: MarchedSolution, stepper: Fitted, unseen: Instant, run: Run
) -> Fit:
    """The fits of the initial state and of a flow's first pressure by Adam.

    Raises:
        InputError: a relative L2 above the tolerance.
    """
    fitting, began = stepper.fitting, run.budget.spent
    assert isinstance(fitting, FirstOrder) and problem.time is not None
    residual = fitting.begin("initial", unseen.module, _initial_rows(stepper.medium, unseen.module, unseen.start))
    found = unseen.distance(unseen.initial, unseen.start)
    run.say(f"initial fit: relative L2 {found:.1e} after {fitting.iterations} iterations of Adam")
    if not found <= insr.fit_tolerance:
        raise InputError(
            f"Adam fits the initial state to {found:.1e}, not to {insr.fit_tolerance:g}: give more "
            "--method.iterations, another --method.learning_rate or a larger --method.fit_tolerance"
        )
    fit = Fit(residual, found, fitting.iterations, run.budget.spent - began)
    if isinstance(stepper, RungeKutta | Splitting) and isinstance(stepper.dynamics, Flow):
        flow, whole = stepper.dynamics, solution.trajectory.module
        rows = flow.rows_of_pressure(whole, problem.time.lower, problem.time.length / insr.time_steps)
        left = fitting.begin("pressure", flow.second(whole), rows)
        run.say(f"pressure at first: relative residual {left:.1e}")
    return fit


def _copy_features(source: nn.Module, target: nn.Module) -> None:
    """Give a network the hidden layers of another one: a pressure varies where its velocity does."""
    before, after = ([m for m in module.modules() if isinstance(m, nn.Linear)] for module in (source, target))
    for old, new in zip(before[:-1], after[:-1], strict=True):
        new.load_state_dict(old.state_dict())


def _initial_rows(medium: Medium, module: nn.Module, start: float) -> Any:
    """The distance to the initial state at any points, relative to its size at them."""

    def rows(points: Points) -> Rows:
        places = medium.at(points.inside)
        x = Coordinates(points.inside, gradients=False, **medium.kind)
        given = medium.problem.initial_state(x, medium.given)
        target = stacked({u.name: given[u.name] for u in medium.equation.unknowns}, x)
        scale = places.roots / (float((target * places.roots).norm()) or 1.0)
        return lambda: {"initial state": (places.values(module, start) - target) * scale}

    return rows
