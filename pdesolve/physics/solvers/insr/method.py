"""Settings and procedure of implicit neural spatial representations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, Self

import torch
from torch import nn

from pdesolve.constraint import Lift
from pdesolve.equation import flatten, velocity_name
from pdesolve.errors import Diverged
from pdesolve.fields import Coordinates
from pdesolve.geometry import Axes, PointCloud, sample, sample_boundary
from pdesolve.marching.checks import check_points
from pdesolve.marching.instant import Instant
from pdesolve.marching.joined import evolving, instant_size
from pdesolve.marching.march import March
from pdesolve.marching.method import Marching
from pdesolve.marching.trajectory import MarchedSolution
from pdesolve.method import Solution
from pdesolve.nn.features import Beside
from pdesolve.physics.equations.hyperelasticity import Hyperelasticity
from pdesolve.physics.equations.navier_stokes import NavierStokes
from pdesolve.physics.solvers.insr.beginning import MOST, ROWS, affordable, descended, fitted, inside, pressed
from pdesolve.physics.solvers.insr.characteristics import SemiLagrangian, carrier
from pdesolve.physics.solvers.insr.checks import SchemeName, check, chosen_scheme
from pdesolve.physics.solvers.insr.dynamics import Evolving
from pdesolve.physics.solvers.insr.elastic import Incremental
from pdesolve.physics.solvers.insr.fitting import FirstOrder, Fitting, SecondOrder
from pdesolve.physics.solvers.insr.flow import Flow, Splitting
from pdesolve.physics.solvers.insr.network import NetworkName, instant_network
from pdesolve.physics.solvers.insr.places import Medium, Points
from pdesolve.physics.solvers.insr.resolution import resolution
from pdesolve.physics.solvers.insr.schemes import TABLEAUX, Fitted, Implicit, RungeKutta
from pdesolve.physics.solvers.insr.walls import walls
from pdesolve.problem import Problem, Value
from pdesolve.training.run import Run

_WALLS = 4  # points on walls, as a part of those inside: one of so many


@dataclass(frozen=True)
class Insr(Marching):
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
        depth: hidden layers (2 to 5); three for flows that are to be followed closely.
        frequency: the factor in a siren's sines (4 to 30); none: 30 for adam, as in the paper, and for
            levenberg_marquardt by the shortest waves of the initial state.
        points: points of a fit; none: four rows for each parameter and three points for each wave of the initial state
            along every axis, or 5000 in each iteration of adam.
        damping: the largest λ with which a fit by levenberg_marquardt begins (1e-12 to 1e-6).
        repetitions: the most steps of levenberg_marquardt in a fit (4 to 40); none: as many as the budget has time for
            in all steps. Most take 2 to 5, but what one fit has left all later ones inherit.
        tolerance: residual at which such a fit is good enough, as a part of the initial fit's (0.03 to 0.5).
        iterations: the most iterations of adam in a fit (the paper's 20 000; 500 is a quick look).
        learning_rate: of adam at the start of each fit (1e-4 is the paper's).
        adam_steps: steps of Adam with which the initial fit begins, for levenberg_marquardt.
        fit_steps: the most steps of Levenberg-Marquardt in it; of adam at least so many.
        fit_share: part of the budget that the initial fit may take.
        fit_tolerance: relative L2 at unseen points that the initial fit must reach for the march to begin.
        fit_goal: relative L2 at which the initial fit, and that of a flow's first pressure, has nothing more to do
            (1e-9 to 1e-4): all fits of the march are held to a part of it, and tight ones take long.
    """

    scheme: SchemeName = "auto"
    time_steps: int = 50
    fit: Literal["levenberg_marquardt", "adam"] = "levenberg_marquardt"
    network: NetworkName = "siren"
    width: int | None = None
    depth: int = 2
    frequency: float | None = None
    points: int | None = None
    damping: float = 1e-8
    repetitions: int | None = None
    tolerance: float = 0.3
    iterations: int = 20_000
    learning_rate: float = 1e-4
    adam_steps: int = 300
    fit_steps: int = 2000
    fit_share: float = 0.3
    fit_tolerance: float = 1e-2
    fit_goal: float = 1e-5

    def solve(
        self, problem: Problem, run: Run, *, values: Mapping[str, Value] | None = None, learn: Sequence[str] = ()
    ) -> Solution:
        check(self, problem, values, learn)
        values = dict(values or {})
        return self.resolved(problem, values)._marched(problem, run, values)

    def _marched(self, problem: Problem, run: Run, values: Mapping[str, Value]) -> Solution:
        kind = {"dtype": run.dtype, "device": run.device}
        solution = self.unfitted(problem, values, _sizes(problem, values), generator=run.generator, **kind)
        fitting = self._fitting(problem, solution, values, run)
        stepper = self._stepper(problem, solution, values, fitting, run)
        medium = stepper.medium
        others = sample(
            problem.domain, self.points or 2000, generator=torch.Generator().manual_seed(run.seed), sampler="sobol"
        )

        def instant(cloud: PointCloud) -> Instant:
            return Instant(medium.problem, evolving(solution.trajectory.module), medium.lift, cloud, values, **kind)

        unseen, share = instant(others), self.fit_share * run.budget.left
        march = March(stepper, solution, instant(fitting.points.inside) if isinstance(fitting, SecondOrder) else unseen)
        fit = None
        if isinstance(fitting, SecondOrder):
            fit = fitted(self, problem, instant, unseen, fitting.points.inside, run, share=share)
            if isinstance(stepper, RungeKutta | Splitting) and isinstance(stepper.dynamics, Flow):
                fit = pressed(self, problem, solution, stepper.dynamics, fitting, run, fit=fit, share=share)
        if run.checkpoint.enter(run, {"march": march}, seconds=run.budget.left) is not None:
            return march.ended(run)
        if not march.begun:
            if isinstance(fitting, SecondOrder):
                assert fit is not None
                fitting.tolerance = self.tolerance * fit.residual
            else:
                fit = descended(self, problem, solution, stepper, unseen, run)
            march.begin(asdict(fit))
        if isinstance(fitting, SecondOrder) and self.repetitions is None:
            fitting.repetitions = run.choose("repetitions", lambda: affordable(self, stepper, march.fit, run))
        march.go_on(run)
        return march.ended(run)

    def resolved(self, problem: Problem, values: Mapping[str, Value]) -> Self:
        _initial(problem, values)  # what is not finite is said
        asked = resolution(problem, values)
        papers = 32 if len(problem.domain.axes) > 1 else 20
        width, frequency = (papers, 30.0) if self.fit == "adam" else (asked.width, asked.frequency)
        return replace(self, width=self.width or width, frequency=self.frequency or frequency)

    def system(self, problem: Problem) -> Problem:
        return problem

    def new_network(self, axes: Axes, scales: Sequence[float], generator: torch.Generator) -> nn.Module:
        assert self.width is not None and self.frequency is not None, "settings are to be resolved first"
        return instant_network(
            axes, scales, kind=self.network, width=self.width, depth=self.depth, frequency=self.frequency,
            generator=generator,
        )  # fmt: skip

    def lift(self, problem: Problem, values: Mapping[str, Value]) -> Lift | None:
        return walls(problem)

    def operation_size(self, problem: Problem) -> int:
        return (self.points or 4096) * (self.width or 16)

    def _fitting(self, problem: Problem, solution: MarchedSolution, values: Mapping[str, Value], run: Run) -> Fitting:
        """The optimiser of all fits, with its points."""
        periodic = all(axis.periodic for axis in problem.domain.axes)
        if self.fit == "adam":

            def draw() -> Points:
                count = self.points or 5000
                cloud = sample(problem.domain, count, generator=run.generator, sampler="uniform")
                return Points(cloud, None if periodic else _walls(problem, count // 100, run.generator))

            return FirstOrder(
                draw, rate=self.learning_rate, cap=self.iterations, first_cap=max(self.iterations, self.fit_steps)
            )
        module = solution.trajectory.module
        scalars, parameters = instant_size(problem, module)
        pressed = isinstance(module, Beside)
        rows = 1 if pressed else scalars
        points = self.points or max(-(-ROWS * parameters // rows), resolution(problem, values).points)
        cloud = inside(problem, points, run)
        check_points(len(cloud.x) * rows, parameters)
        on_walls = None if periodic or not pressed else _walls(problem, points // _WALLS, run.generator)
        return SecondOrder(Points(cloud, on_walls), repetitions=self.repetitions or MOST, damping=self.damping)

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
