"""Settings and procedure of implicit neural spatial representations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pdesolve.equation import flatten, velocity_name
from pdesolve.errors import Diverged, InputError
from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud, sample, sample_boundary
from pdesolve.marching.initial_fit import Fit, fit_initial
from pdesolve.marching.instant import Instant
from pdesolve.marching.march import March
from pdesolve.marching.trajectory import MarchedSolution, Trajectory, columns_of
from pdesolve.method import Solution, Solver
from pdesolve.nn.features import Beside
from pdesolve.physics.equations.hyperelasticity import Hyperelasticity
from pdesolve.physics.equations.navier_stokes import NavierStokes
from pdesolve.physics.solvers.insr.characteristics import SemiLagrangian, carrier
from pdesolve.physics.solvers.insr.checks import SchemeName, check, check_points, chosen_scheme
from pdesolve.physics.solvers.insr.dynamics import Evolving
from pdesolve.physics.solvers.insr.elastic import Incremental
from pdesolve.physics.solvers.insr.first_pressure import STAGE, FirstPressure
from pdesolve.physics.solvers.insr.fitting import FirstOrder, Fitting, Rows, SecondOrder
from pdesolve.physics.solvers.insr.flow import Flow, Momentum, Splitting
from pdesolve.physics.solvers.insr.network import NetworkName, instant_network
from pdesolve.physics.solvers.insr.places import Medium, Points, stacked
from pdesolve.physics.solvers.insr.resolution import resolution
from pdesolve.physics.solvers.insr.schemes import TABLEAUX, Fitted, Implicit, RungeKutta
from pdesolve.physics.solvers.insr.walls import walls
from pdesolve.problem import Problem, Value
from pdesolve.training.run import Run

_ROWS = 4  # for each parameter, where points are not given
_VELOCITY = 0.6  # part of the time of first fits that a flow's velocity may take, half of it at fewer points
_MANY = 1000  # parameters from which on a step at all points is dear enough for a stage at fewer
_WALLS = 4  # points on walls, as a part of those inside: one of so many


@dataclass(frozen=True)
class Insr(Solver):
    """Implicit neural spatial representations: classical steps in time, each fitted by a network of one instant.

    Attributes:
        scheme: euler, rk4, implicit_euler, midpoint or trapezoidal for first-order evolutions; semi_lagrangian for
            Advection and Transport; rk4, euler or splitting (the paper's) for NavierStokes; midpoint or implicit_euler
            for Hyperelasticity. auto takes the most accurate: semi_lagrangian, rk4, midpoint, else trapezoidal.
        time_steps: equal steps from the initial to the final time (20 to 1000); `--steps` stops after fewer.
        fit: levenberg_marquardt at fixed points, or adam, the paper's recipe: fresh random points each iteration, a
            rate that falls to a tenth after 500 iterations without progress.
        network: siren (sines), or tanh.
        width: units in each hidden layer, of a flow's velocity and of its pressure each (12 to 40); none: from 12 to 32
            by the modes that the initial state consists of.
        depth: hidden layers (2 to 5).
        frequency: the factor in a siren's sines (4 to 30); none: 30 for adam, as in the paper, and for
            levenberg_marquardt by the shortest waves of the initial state.
        points: points of a fit; none: four rows for each parameter and three points for each wave of the initial state
            along every axis, or 5000 in each iteration of adam.
        damping: the largest λ with which a fit by levenberg_marquardt begins (1e-12 to 1e-6).
        repetitions: the most steps of levenberg_marquardt in a fit (20 to 60): most take 2 to 5, but one fit that is
            left half done is what all later ones inherit.
        tolerance: residual at which such a fit is good enough, as a part of the initial fit's (0.03 to 0.5).
        iterations: the most iterations of adam in a fit (the paper's 20 000; 500 is a quick look).
        learning_rate: of adam at the start of each fit (1e-4 is the paper's).
        adam_steps: steps of Adam with which the initial fit begins, for levenberg_marquardt.
        fit_steps: the most steps of Levenberg-Marquardt in it; of adam at least so many.
        fit_share: part of the budget that the initial fit may take.
        fit_tolerance: relative L2 at unseen points that the initial fit must reach for the march to begin.
    """

    scheme: SchemeName = "auto"
    time_steps: int = 50
    fit: Literal["levenberg_marquardt", "adam"] = "levenberg_marquardt"
    network: NetworkName = "siren"
    width: int | None = None
    depth: int = 3
    frequency: float | None = None
    points: int | None = None
    damping: float = 1e-8
    repetitions: int = 40
    tolerance: float = 0.3
    iterations: int = 20_000
    learning_rate: float = 1e-4
    adam_steps: int = 300
    fit_steps: int = 2000
    fit_share: float = 0.4
    fit_tolerance: float = 1e-2

    def solve(
        self, problem: Problem, run: Run, *, values: Mapping[str, Value] | None = None, learn: Sequence[str] = ()
    ) -> Solution:
        check(self, problem, values, learn)
        values = dict(values or {})
        return self.resolved(problem, values)._marched(problem, run, values)

    def resolved(self, problem: Problem, values: Mapping[str, Value]) -> Insr:
        """These settings with the width, the frequency and the least points that the initial state asks for."""
        _initial(problem, values)  # what is not finite is said
        asked = resolution(problem, values)
        frequency = 30.0 if self.fit == "adam" else asked.frequency
        width = self.width or (asked.width if self.fit != "adam" else 32 if len(problem.domain.axes) > 1 else 20)
        return replace(self, width=width, frequency=self.frequency or frequency)

    def _marched(self, problem: Problem, run: Run, values: Mapping[str, Value]) -> Solution:
        solution = self._new(problem, values, _sizes(problem, values), run.generator, run.device, run.dtype)
        fitting = self._fitting(problem, solution, values, run)
        stepper = self._stepper(problem, solution, values, fitting, run)
        medium = stepper.medium
        generator = torch.Generator().manual_seed(run.seed)
        others = sample(problem.domain, self.points or 2000, generator=generator, sampler="sobol")

        def instant(cloud: PointCloud) -> Instant:
            module = _evolving(solution.trajectory.module)
            return Instant(medium.problem, module, medium.lift, cloud, values, dtype=run.dtype, device=run.device)

        unseen, share = instant(others), self.fit_share * run.budget.left
        if not isinstance(fitting, SecondOrder):
            march = March(stepper, solution, unseen)
            if run.checkpoint.enter(run, {"march": march}, seconds=run.budget.left) is not None:
                return march.ended(run)
            if not march.begun:
                fit = self._descended(stepper, unseen, run)
                self._press(problem, solution, stepper, run)
                march.begin(asdict(fit))
            march.go_on(run)
            return march.ended(run)
        own = instant(fitting.points.inside)
        march = March(stepper, solution, own)
        fit = self._fitted(problem, own, unseen, instant, run, share=share)
        if isinstance(stepper, RungeKutta | Splitting) and isinstance(stepper.dynamics, Flow):
            fit = self._pressed(problem, solution, stepper.dynamics, fitting, run, fit=fit, share=share)
        if run.checkpoint.enter(run, {"march": march}, seconds=run.budget.left) is not None:
            return march.ended(run)
        if not march.begun:
            assert fit is not None
            fitting.tolerance = self.tolerance * fit.residual
            march.begin(asdict(fit))
        march.go_on(run)
        return march.ended(run)

    def _fitted(
        self, problem: Problem, own: Instant, unseen: Instant, instant: Callable[[PointCloud], Instant], run: Run,
        *, share: float,
    ) -> Fit | None:  # fmt: skip
        """The fit of the initial state; of a flow, whose points are many for the pressure's sake, at fewer first."""
        left, stages = share, [own]
        if isinstance(unseen.equation, Momentum):
            left = _VELOCITY * share
            parameters = sum(p.numel() for p in own.module.parameters())
            if parameters >= _MANY:
                stages = [instant(_inside(problem, parameters * _ROWS // len(unseen.scalars), run)), own]
        fit = None
        for k, stage in enumerate(stages):
            fit = fit_initial(
                stage, unseen, run, adam_steps=self.adam_steps if k == 0 else 0, steps=self.fit_steps,
                seconds=left / (len(stages) - k), tolerance=self.fit_tolerance if stage is own else float("inf"),
            )  # fmt: skip
            left -= 0.0 if fit is None else min(left / 2, fit.seconds)  # one from the cache may have had more
        return fit

    def _pressed(
        self, problem: Problem, solution: MarchedSolution, flow: Flow, fitting: SecondOrder, run: Run,
        *, fit: Fit | None, share: float,
    ) -> Fit | None:  # fmt: skip
        """Fit the first pressure of a flow; how the fit of the velocity ended, known here where a run goes on."""
        assert problem.time is not None
        whole = solution.trajectory.module
        if fit is not None:
            _copy_features(flow.part(whole), flow.second(whole))
        first = FirstPressure(whole, flow.second(whole), steps=self.fit_steps, fit=fit)
        seconds = share if fit is None else max(share - fit.seconds, (1 - _VELOCITY) * share)
        if run.checkpoint.enter(run, {STAGE: first}, seconds=seconds) is not None:
            return first.fit
        rows = flow.rows_of_pressure(whole, problem.time.lower, problem.time.length / self.time_steps)
        first.go_on(rows(fitting.points), run, seconds=seconds)
        run.checkpoint.leave()
        run.say(f"pressure at first: relative residual {first.residual:.1e} after {len(first.losses)} steps")
        return first.fit

    def operation_size(self, problem: Problem) -> int:
        return (self.points or 4096) * (self.width or 16)

    def restore(
        self, problem: Problem, folder: Path, *, values: Mapping[str, Value] | None = None, device: str = "cpu"
    ) -> Solution:
        scales = dict.fromkeys(problem.equation.scalars, 1.0)  # buffers of the network, so that any will do
        generator = torch.Generator().manual_seed(0)
        values, known = dict(values or {}), self.resolved(problem, values or {})
        solution = known._new(problem, values, scales, generator, torch.device(device), torch.float64)
        solution.take(folder)
        return solution

    def _new(
        self, problem: Problem, values: Mapping[str, Value], scales: Mapping[str, float], generator: torch.Generator,
        device: torch.device, dtype: torch.dtype,
    ) -> MarchedSolution:  # fmt: skip
        width, frequency = self.width, self.frequency
        assert width is not None and frequency is not None, "settings are to be resolved first"

        def network(scalars: Sequence[str]) -> nn.Module:
            return instant_network(
                problem.domain.axes, [scales[name] for name in scalars], kind=self.network, width=width,
                depth=self.depth, frequency=frequency, generator=generator,
            )  # fmt: skip

        unknowns = problem.equation.unknowns
        parts = [
            network([s for u in unknowns if u.algebraic is kind for s in u.scalars])
            for kind in (False, True)
            if any(u.algebraic is kind for u in unknowns)
        ]
        module = Beside(*parts) if len(parts) == 2 else parts[0]
        trajectory = Trajectory(module.to(device=device, dtype=dtype))
        return MarchedSolution(
            problem, trajectory, walls(problem), values, columns=columns_of(problem), dtype=dtype, device=device
        )

    def _fitting(self, problem: Problem, solution: MarchedSolution, values: Mapping[str, Value], run: Run) -> Fitting:
        """The optimiser of all fits, with its points."""
        periodic = all(axis.periodic for axis in problem.domain.axes)
        if self.fit == "adam":

            def draw() -> Points:
                count = self.points or 5000
                inside = sample(problem.domain, count, generator=run.generator, sampler="uniform")
                return Points(inside, None if periodic else _walls(problem, count // 100, run.generator))

            return FirstOrder(
                draw, rate=self.learning_rate, cap=self.iterations, first_cap=max(self.iterations, self.fit_steps)
            )
        module = solution.trajectory.module
        parameters = sum(p.numel() for p in _evolving(module).parameters())
        evolving = sum(len(u.scalars) for u in problem.equation.unknowns if not u.algebraic)
        pressed = isinstance(module, Beside)
        rows = 1 if pressed else evolving
        points = self.points or max(-(-_ROWS * parameters // rows), resolution(problem, values).points)
        inside = _inside(problem, points, run)
        check_points(len(inside.x) * rows, parameters)
        on_walls = None if periodic or not pressed else _walls(problem, points // _WALLS, run.generator)
        return SecondOrder(
            Points(inside, on_walls), repetitions=self.repetitions, damping=self.damping, first_steps=self.fit_steps
        )

    def _stepper(
        self, problem: Problem, solution: MarchedSolution, values: Mapping[str, Value], fitting: Fitting, run: Run
    ) -> Fitted:
        assert problem.time is not None
        module, kind = solution.trajectory.module, {"dtype": run.dtype, "device": run.device}
        name, length = chosen_scheme(self.scheme, problem, self.fit), problem.time.length / self.time_steps
        equation = problem.equation
        if isinstance(equation, Hyperelasticity):
            points = fitting.points if isinstance(fitting, SecondOrder) else None
            medium = Medium(problem, solution.lift, values, {"strains": equation.strains}, **kind)
            return Incremental(module, fitting, medium, points, name=name, length=length)
        if isinstance(equation, NavierStokes):
            flow = Flow(problem, values, _root_mean_square(problem, values), fitting, **kind)
            if name == "splitting":
                return Splitting(module, fitting, flow, length=length, viscous=_viscous(problem, values))
            return RungeKutta(module, fitting, flow, name, length=length)
        medium = Medium(problem, solution.lift, values, {"rate": problem.evolution().rate}, **kind)
        dynamics = Evolving(medium, _root_mean_square(problem, values))
        if name == "semi_lagrangian":
            return SemiLagrangian(module, fitting, dynamics, carrier(problem, values, kind), length=length)
        return (RungeKutta if name in TABLEAUX else Implicit)(module, fitting, dynamics, name, length=length)

    def _descended(self, stepper: Fitted, unseen: Instant, run: Run) -> Fit:
        """The fit of the initial state by Adam.

        Raises:
            InputError: a relative L2 above the tolerance.
        """
        fitting, began = stepper.fitting, run.budget.spent
        assert isinstance(fitting, FirstOrder)
        rows = _initial_rows(stepper.medium, unseen.module, unseen.start)
        residual = fitting.begin("initial", unseen.module, rows)
        found = unseen.distance(unseen.initial, unseen.start)
        run.say(f"initial fit: relative L2 {found:.1e} after {fitting.iterations} iterations of Adam")
        if not found <= self.fit_tolerance:
            raise InputError(
                f"Adam fits the initial state to {found:.1e}, not to {self.fit_tolerance:g}: give more "
                "--method.iterations, another --method.learning_rate or a larger --method.fit_tolerance"
            )
        return Fit(residual, found, fitting.iterations, run.budget.spent - began)

    def _press(self, problem: Problem, solution: MarchedSolution, stepper: Fitted, run: Run) -> None:
        """Fit the first pressure of a flow by Adam."""
        if isinstance(stepper, RungeKutta | Splitting) and isinstance(stepper.dynamics, Flow):
            assert problem.time is not None
            flow, whole = stepper.dynamics, solution.trajectory.module
            rows = flow.rows_of_pressure(whole, problem.time.lower, problem.time.length / self.time_steps)
            assert isinstance(stepper.fitting, FirstOrder)
            left = stepper.fitting.begin("pressure", flow.second(whole), rows)
            run.say(f"pressure at first: relative residual {left:.1e}")


def _inside(problem: Problem, count: int, run: Run) -> PointCloud:
    """About so many weighted points: equally spaced on periodic boxes, else Gauss-Legendre."""
    periodic = all(axis.periodic for axis in problem.domain.axes)
    return sample(problem.domain, count, generator=run.generator, sampler="regular" if periodic else "gauss_legendre")


def _evolving(module: nn.Module) -> nn.Module:
    """The network of what evolves, beside which may stand that of a pressure."""
    return module.first if isinstance(module, Beside) else module


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


def _walls(problem: Problem, count: int, generator: torch.Generator) -> PointCloud:
    """Points of all walls with normals, about so many."""
    parts = list(problem.domain.boundaries.values())
    each = max(1, count // len(parts))
    clouds = [sample_boundary(part, problem.domain.axes, each, generator=generator) for part in parts]
    return PointCloud(
        clouds[0].axes,
        torch.cat([cloud.x for cloud in clouds]),
        torch.cat([cloud.weights for cloud in clouds if cloud.weights is not None]),
        torch.cat([cloud.normals for cloud in clouds if cloud.normals is not None]),
    )


def _initial(problem: Problem, values: Mapping[str, Value]) -> dict[str, torch.Tensor]:
    """What is given of the initial state, at some points; rates under the names `velocity_name`."""
    cloud = sample(problem.domain, 2048, generator=torch.Generator().manual_seed(0))
    state = flatten(problem.initial_state(Coordinates(cloud, gradients=False), values))
    found = {name: field.values.detach() for name, field in state.items()}
    if not all(bool(torch.isfinite(part).all()) for part in found.values()):
        raise Diverged(f"{problem.name}: the initial state is not finite at some points of the domain")
    return found


def _root_mean_square(problem: Problem, values: Mapping[str, Value]) -> float:
    """The root mean square of the initial state over its scalars; one where it is zero."""
    return sum(float(part.square().mean()) for part in _initial(problem, values).values()) ** 0.5 or 1.0


def _sizes(problem: Problem, values: Mapping[str, Value]) -> dict[str, float]:
    """The largest initial value of each scalar: of a body at rest its path at the initial rate, of pressures v²."""
    given = {name: float(part.abs().max()) for name, part in _initial(problem, values).items()}
    equation, sizes = problem.evolution(), {}
    assert problem.time is not None
    for unknown in equation.unknowns:
        rates = [given.get(f"{velocity_name(unknown.name)}_{c}", 0.0) for c in unknown.components]
        for scalar in unknown.scalars:
            sizes[scalar] = given.get(scalar, 0.0) or 0.1 * problem.time.length * max(rates, default=0.0)
    fastest = max(sizes.values()) or 1.0
    for unknown in equation.unknowns:
        for scalar in unknown.scalars:
            sizes[scalar] = fastest**2 if unknown.algebraic else sizes[scalar] or fastest
    return sizes


def _viscous(problem: Problem, values: Mapping[str, Value]) -> bool:
    """Whether a flow has any viscosity."""
    cloud = sample(problem.domain, 8, generator=torch.Generator().manual_seed(0))
    viscosity = problem.bind(Coordinates(cloud, gradients=False), values)["viscosity"].values
    return bool((viscosity != 0).any())
