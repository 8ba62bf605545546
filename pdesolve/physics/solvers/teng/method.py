"""Settings and procedure of time-evolving natural gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from pdesolve.condition import BoundaryCondition
from pdesolve.constraint import Lift
from pdesolve.equation import Unknown
from pdesolve.geometry import PointCloud, sample
from pdesolve.marching.initial_fit import fit_initial
from pdesolve.marching.instant import Instant, quadrature
from pdesolve.marching.joined import instant_size, joined
from pdesolve.marching.march import March
from pdesolve.marching.sizes import sizes
from pdesolve.marching.system import first_order
from pdesolve.marching.trajectory import MarchedSolution, Trajectory
from pdesolve.method import Solution, Solver
from pdesolve.physics.constraints import of_problem, walls
from pdesolve.physics.solvers.teng.checks import check, check_points
from pdesolve.physics.solvers.teng.embedding import instant_network
from pdesolve.physics.solvers.teng.projection import Projection
from pdesolve.physics.solvers.teng.schemes import SchemeName, scheme
from pdesolve.physics.solvers.teng.stepper import Projected
from pdesolve.problem import Problem, Value
from pdesolve.training.run import Run

_ROWS = 4  # for each parameter, where points are not given


@dataclass(frozen=True)
class Teng(Solver):
    """Time-evolving natural gradient: a network of one instant, marched by projections onto its tangent space.

    Attributes:
        scheme: euler, heun or rk4, of the orders 1, 2 and 4; 1, 2 and 4 projections a step.
        time_steps: equal steps from the initial to the final time (20 to 1000); `--steps` stops after fewer. Explicit
            schemes need D k^2 dt < 2 for the highest wavenumber k that the network carries.
        units: learned units a cos(k x + phi) + c for each periodic axis (8 to 20).
        width: units in each hidden layer (10 to 40).
        depth: hidden layers (2 to 5).
        points: quadrature points in all; none: four rows for each parameter. Fewer rows than parameters are refused.
        damping: the largest λ with which a projection begins (1e-12 to 1e-6; rows are scaled to the state's size).
        repetitions: the most Gauss-Newton steps in a projection (3 to 10).
        tolerance: residual at which a projection is good enough, as a part of the initial fit's (0.01 to 0.1).
        adam_steps: steps of Adam with which the initial fit begins.
        fit_steps: the most steps of Levenberg-Marquardt in it.
        fit_share: part of the budget that the initial fit may take.
        fit_tolerance: relative L2 at unseen points that the initial fit must reach for the march to begin; the fit
            goes on below it for as long as it gains and has time, to `fit_goal` at its own points.
        fit_goal: relative L2 at which the initial fit has nothing more to do (1e-7 to 1e-12).
        wall_weight: weight of the rows of conditions on walls that no lift holds, slopes and values on curved walls,
            against those inside (1 to 100).
        wall_points: points of each such condition.
    """

    scheme: SchemeName = "rk4"
    time_steps: int = 50
    units: int = 8
    width: int = 12
    depth: int = 2
    points: int | None = None
    damping: float = 1e-8
    repetitions: int = 7
    tolerance: float = 0.03
    adam_steps: int = 300
    fit_steps: int = 2000
    fit_share: float = 0.4
    fit_tolerance: float = 1e-3
    fit_goal: float = 1e-10
    wall_weight: float = 10.0
    wall_points: int = 64

    def solve(
        self, problem: Problem, run: Run, *, values: Mapping[str, Value] | None = None, learn: Sequence[str] = ()
    ) -> Solution:
        check(self, problem, values, learn)
        values, system = dict(values or {}), first_order(problem)
        solution, lift, soft = self._new(problem, values, sizes(system, values), run.generator, run.device, run.dtype)
        kind = {"dtype": run.dtype, "device": run.device}

        def at(cloud: PointCloud) -> Instant:
            return Instant(
                system, solution.trajectory.module, lift, cloud, values, walls=soft, wall_weight=self.wall_weight,
                wall_points=self.wall_points, **kind,
            )  # fmt: skip

        evolving, parameters = instant_size(system, solution.trajectory.module)
        points = self.points or -(-_ROWS * parameters // evolving)
        instant = at(quadrature(problem, points, run.generator))
        check_points(len(instant.cloud.x) * evolving, parameters)
        unseen = at(sample(problem.domain, points, generator=run.generator, sampler="sobol"))
        projection = Projection(instant, damping=self.damping, repetitions=self.repetitions)
        assert problem.time is not None
        length = problem.time.length / self.time_steps
        march = March(Projected(scheme(self.scheme), instant, projection, length=length), solution, instant)
        fit = fit_initial(
            instant, unseen, run, adam_steps=self.adam_steps, steps=self.fit_steps,
            seconds=self.fit_share * run.budget.left, tolerance=self.fit_tolerance, goal=self.fit_goal,
        )  # fmt: skip
        if run.checkpoint.enter(run, {"march": march}, seconds=run.budget.left) is not None:
            return march.ended(run)
        if not march.begun:
            assert fit is not None
            projection.tolerance = self.tolerance * fit.residual
            march.begin(asdict(fit))
        march.go_on(run)
        return march.ended(run)

    def operation_size(self, problem: Problem) -> int:
        return (self.points or 4096) * self.width

    def restore(
        self, problem: Problem, folder: Path, *, values: Mapping[str, Value] | None = None, device: str = "cpu"
    ) -> Solution:
        # buffers of the network, so that any will do
        scales = dict.fromkeys(first_order(problem).equation.scalars, 1.0)
        generator = torch.Generator().manual_seed(0)
        solution, _, _ = self._new(problem, dict(values or {}), scales, generator, torch.device(device), torch.float64)
        solution.take(folder)
        return solution

    def _new(
        self, problem: Problem, values: Mapping[str, Value], scales: Mapping[str, float], generator: torch.Generator,
        device: torch.device, dtype: torch.dtype,
    ) -> tuple[MarchedSolution, Lift | None, dict[str, BoundaryCondition]]:  # fmt: skip
        """A solution before any fit; the lift of its instants, and the conditions that are left to rows."""
        system = first_order(problem)

        def network(unknowns: Sequence[Unknown]) -> nn.Module:
            factors = [scales[name] for unknown in unknowns for name in unknown.scalars]
            return instant_network(
                problem.domain.axes, factors, units=self.units, width=self.width, depth=self.depth, generator=generator
            )

        module = joined(system, network).to(device=device, dtype=dtype)
        lift, soft = walls(system, values)
        held = None if lift is None else of_problem(lift, problem)
        solution = MarchedSolution(problem, Trajectory(module), held, values, dtype=dtype, device=device)
        return solution, lift, soft
