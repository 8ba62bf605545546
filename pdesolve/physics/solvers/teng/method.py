"""Settings and procedure of time-evolving natural gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from pdesolve.constraint import Lift
from pdesolve.geometry import Axes, PointCloud
from pdesolve.marching.initial_fit import fit_initial
from pdesolve.marching.instant import Instant
from pdesolve.marching.joined import instant_size
from pdesolve.marching.march import March
from pdesolve.marching.method import Marching
from pdesolve.marching.sizes import sizes
from pdesolve.marching.system import first_order
from pdesolve.method import Solution
from pdesolve.physics.constraints import of_problem, walls
from pdesolve.physics.solvers.teng.checks import check, check_walls
from pdesolve.physics.solvers.teng.embedding import instant_network
from pdesolve.physics.solvers.teng.quadrature import PointsName, Quadrature
from pdesolve.physics.solvers.teng.schemes import SchemeName
from pdesolve.physics.solvers.teng.solves import ProjectionName
from pdesolve.physics.solvers.teng.variants import Variant, VariantName, check_choices, check_rows
from pdesolve.problem import Problem, Value
from pdesolve.training.run import Run

_ROWS = 4  # for each parameter, where points are not given


@dataclass(frozen=True)
class Teng(Marching):
    """Time-evolving natural gradient: a network of one instant, marched by projections onto its tangent space.

    Attributes:
        variant: teng projects the target of each stage; tdvp projects the rate and steps the parameters; obti_adam and
            obti_lbfgs reach the target of each stage by descent. The last three are for comparison.
        scheme: euler, heun or rk4, of the orders 1, 2 and 4 (1, 2 and 4 projections a step), or an embedded pair with
            steps of its own: bogacki_shampine 3(2), dormand_prince 5(4); for tdvp also dopri8, torchdiffeq's. For stiff
            equations, third and fourth derivatives, implicit ones, whose steps have no limit but accuracy: sdirk3,
            sdirk4 and esdirk4 of the orders 3, 4 and 4 damp the fastest waves (3, 5 and 5 projections a step), esdirk4
            is best where values on walls move, sdirk where the state is rough; implicit_midpoint of order 2 keeps them
            (2).
        time_steps: equal steps from the initial to the final time (20 to 1000); `--steps` stops after fewer; a pair
            begins with the first of them. Explicit schemes need D k^2 dt < 2 for the highest wavenumber k that the
            network carries: the rate's spectral radius is measured and a step past stability told.
        step_tolerance: error that a step of a pair may make, relative in L2 (1e-8 to 1e-5).
        units: learned units a cos(k x + phi) + c for each periodic axis (8 to 20).
        width: units in each hidden layer (10 to 40).
        depth: hidden layers (1 to 5), besides the units of periodic axes.
        slope: of the first units over an axis from -1 to 1, spread evenly over it: 1 where the solution is as smooth as
            a sine and steps are long, 5 and more where it gets steep; steeper units carry shorter waves. none: 2, and
            the truncated normals of the paper for periodic axes.
        points: quadrature points in all; none: four rows for each parameter that moves at once. Fewer rows than these
            are refused.
        quadrature: fixed points; shifted, a regular grid moved at random before each step; or redrawn.
        projection: automatic (qr), qr (of J over sqrt(damping) rows), cholesky (damped normal equations), kernel (of
            J J^T, for fewer rows) or svd (truncated).
        cutoff: singular values below this part of the largest are left out by svd (1e-12 to 1e-8).
        subset: parameters that move in a repetition, drawn anew each time; none: all.
        first_subset: parameters that move in the first repetition of a projection; none: as in the others.
        damping: the largest λ with which a projection begins (1e-12 to 1e-6; rows are scaled to the state's size).
        repetitions: the most Gauss-Newton steps in a projection (3 to 10).
        iterations: the most steps of Adam or L-BFGS towards a target (obti).
        learning_rate: of Adam (obti).
        tolerance: residual at which a projection is good enough, as a part of the initial fit's (0.01 to 0.1).
        adam_steps: steps of Adam with which the initial fit begins.
        fit_steps: the most steps of Levenberg-Marquardt in it.
        fit_share: part of the budget that the initial fit may take.
        fit_tolerance: relative L2 at unseen points that the initial fit must reach for the march to begin; the fit
            goes on below it for as long as it gains and has time, to `fit_goal` at its own points.
        fit_goal: relative L2 at which the initial fit has nothing more to do (1e-6 to 1e-8): what a small network fits
            still more tightly it finds harder to move.
        wall_weight: weight of the rows of conditions on walls that no lift holds, slopes and values on curved walls,
            against those inside (1 to 100).
        wall_points: points of each such condition.
    """

    variant: VariantName = "teng"
    scheme: SchemeName = "dormand_prince"
    time_steps: int = 50
    step_tolerance: float = 1e-6
    units: int = 20
    width: int = 24
    depth: int = 1
    slope: float | None = None
    points: int | None = None
    quadrature: PointsName = "fixed"
    projection: ProjectionName = "automatic"
    cutoff: float = 1e-10
    subset: int | None = None
    first_subset: int | None = None
    damping: float = 1e-8
    repetitions: int = 7
    iterations: int = 300
    learning_rate: float = 1e-3
    tolerance: float = 0.03
    adam_steps: int = 300
    fit_steps: int = 2000
    fit_share: float = 0.4
    fit_tolerance: float = 1e-3
    fit_goal: float = 1e-7
    wall_weight: float = 10.0
    wall_points: int = 64

    def solve(
        self, problem: Problem, run: Run, *, values: Mapping[str, Value] | None = None, learn: Sequence[str] = ()
    ) -> Solution:
        check(self, problem, values, learn)
        check_choices(self)
        values, system = dict(values or {}), first_order(problem)
        lift, soft = walls(system, values)
        check_walls(self, problem, soft)
        kind = {"dtype": run.dtype, "device": run.device}
        solution = self.unfitted(problem, values, sizes(system, values), generator=run.generator, **kind)

        def at(cloud: PointCloud) -> Instant:
            return Instant(
                system, solution.trajectory.module, lift, cloud, values, walls=soft, wall_weight=self.wall_weight,
                wall_points=self.wall_points, **kind,
            )  # fmt: skip

        evolving, parameters = instant_size(system, solution.trajectory.module)
        moved = min(self.first_subset or self.subset or parameters, parameters)
        points = self.points or -(-_ROWS * moved // evolving)
        quadrature = Quadrature(at, problem, points, points=self.quadrature, generator=run.generator)
        check_rows(self, len(quadrature.now.cloud.x) * evolving, parameters)
        assert problem.time is not None
        length = problem.time.length / self.time_steps
        variant = Variant(self, quadrature, length=length, generator=run.generator, say=run.say)
        march = March(variant.stepper, solution, quadrature.now)
        fit = fit_initial(
            quadrature.now, quadrature.unseen, run, adam_steps=self.adam_steps, steps=self.fit_steps,
            seconds=self.fit_share * run.budget.left, tolerance=self.fit_tolerance, goal=self.fit_goal,
        )  # fmt: skip
        if run.checkpoint.enter(run, {"march": march}, seconds=run.budget.left) is not None:
            return march.ended(run)
        if not march.begun:
            assert fit is not None
            variant.begin(fit.residual, problem.time.lower)
            march.begin(asdict(fit))
        march.go_on(run)
        return march.ended(run)

    def system(self, problem: Problem) -> Problem:
        return first_order(problem)

    def after_divergence(self, solution: Solution) -> Mapping[str, Any]:
        if "rejected steps" in solution.notes:  # shorter ones were tried
            return {"width": 2 * self.width}
        return super().after_divergence(solution)

    def operation_size(self, problem: Problem) -> int:
        return (self.points or 4096) * self.width

    def new_network(self, axes: Axes, scales: Sequence[float], generator: torch.Generator) -> nn.Module:
        return instant_network(
            axes, scales, units=self.units, width=self.width, depth=self.depth, slope=self.slope, generator=generator
        )

    def lift(self, problem: Problem, values: Mapping[str, Value]) -> Lift | None:
        held, _ = walls(first_order(problem), values)
        return None if held is None else of_problem(held, problem)
