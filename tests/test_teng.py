"""Time-evolving natural gradient: orders of its schemes, projections, what it refuses, resuming."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pdesolve as ps
from pdesolve import catalogue
from pdesolve.cache import folder
from pdesolve.condition import Dirichlet, InitialValue, Neumann, Robin
from pdesolve.errors import Diverged, InputError
from pdesolve.fields import Coordinates, exp, sin
from pdesolve.geometry import Axis, Interval, PointCloud, sample
from pdesolve.least_squares.modular import Modular
from pdesolve.marching.instant import Instant
from pdesolve.method import Solution
from pdesolve.physics.constraints import BoxLift
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.solvers.teng.descent import Descent
from pdesolve.physics.solvers.teng.embedding import PeriodicUnits, instant_network
from pdesolve.physics.solvers.teng.method import Teng
from pdesolve.physics.solvers.teng.projection import Projection
from pdesolve.physics.solvers.teng.projector import Projector
from pdesolve.physics.solvers.teng.quadrature import PointsName, Quadrature, Watch
from pdesolve.physics.solvers.teng.schemes import Scheme, scheme
from pdesolve.physics.solvers.teng.solves import solve
from pdesolve.physics.solvers.teng.stages import (
    Attempt,
    ProjectedStages,
    Stages,
    TangentStages,
    lifted_rate,
    parameters,
    put,
)
from pdesolve.physics.solvers.teng.stepper import Adaptive, Equal, Integrated
from pdesolve.problem import Evaluation, Exact, Problem
from pdesolve.proof import errors
from pdesolve.training.budget import Budget
from pdesolve.training.checkpoint import Checkpoint, read_checkpoint, reopened
from pdesolve.training.run import Run

CPU = torch.device("cpu")


pytestmark = pytest.mark.filterwarnings("ignore:Sines has no rule")


class Sines(nn.Module):
    """Σ_k θ_k sin(k π x), linear in its parameters: what heat with cold walls keeps in its space."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weights = nn.Linear(count, 1, bias=False, dtype=torch.float64)
        self.count = count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weights(torch.sin(math.pi * x * torch.arange(1, self.count + 1)))


def heat_instant(count: int, module: nn.Module | None = None) -> Instant:
    problem = catalogue.make_problem("heat_1d", {})
    cloud = sample(problem.domain, 40, generator=torch.Generator().manual_seed(0), sampler="gauss_legendre")
    return Instant(problem, module or Sines(count), None, cloud, {}, dtype=torch.float64, device=CPU)


def marched(name: str, steps: int) -> float:
    """The error of heat_1d at t = 1, in a space that holds its solution."""
    instant = heat_instant(1)
    projection = Projection(instant, damping=1e-14, repetitions=7, tolerance=1e-13)
    projection.onto(instant.initial, 0.0)

    def reach(target: torch.Tensor, time: float, ahead: float) -> None:
        assert projection.onto(target, time, ahead=ahead) < 1e-9

    for i in range(steps):
        with torch.no_grad():
            u = instant.values(i / steps)
        scheme(name).step(u, i / steps, 1 / steps, instant.rate, reach)
    exact = math.exp(-(math.pi**2) / 4) * instant.initial
    return float((instant.values(1.0).detach() - exact).norm() / exact.norm())


@pytest.mark.parametrize("name", ["euler", "heun", "rk4", "bogacki_shampine", "dormand_prince"])
def test_schemes_have_their_order(name: str) -> None:
    coarse, fine = marched(name, 7), marched(name, 14)
    assert math.log2(coarse / fine) == pytest.approx(scheme(name).order, abs=0.45)


@pytest.mark.parametrize("name", ["implicit_midpoint", "sdirk3", "sdirk4", "esdirk4"])
def test_implicit_schemes_have_their_order_where_rates_are_not_linear(name: str) -> None:
    """u_t = −u², u = 1 / (1 + t)."""
    held = torch.ones(1, dtype=torch.float64)

    def rate(time: float) -> torch.Tensor:
        return -(held**2)

    def reach(target: torch.Tensor, time: float, ahead: float) -> None:
        nonlocal held
        held = ((1 + 4 * ahead * target).sqrt() - 1) / (2 * ahead) if ahead else target

    errors = []
    for steps in (20, 40):
        held = torch.ones(1, dtype=torch.float64)
        for i in range(steps):
            scheme(name).step(held, i / steps, 1 / steps, rate, reach)
        errors.append(float((held - 0.5).abs()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(scheme(name).order, abs=0.2)


def best(instant: Instant, target: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Linear least squares for the weights of `Sines`, and the relative residual that is left."""
    assert isinstance(instant.module, Sines)
    roots = instant.rows(instant.values(0.0).detach() - 1.0, 0.0).detach()
    basis = torch.sin(math.pi * instant._plain.columns() * torch.arange(1, instant.module.count + 1))
    weights = torch.linalg.lstsq(basis * roots.mT, (target * roots).mT).solution
    return weights.mT, float((roots * (basis @ weights - target.mT).mT).norm())


def noise(instant: Instant, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(instant.initial.shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("name", ["automatic", "qr", "cholesky", "kernel", "svd"])
def test_projection_of_a_linear_network_is_linear_least_squares_in_one_step(name: str) -> None:
    instant = heat_instant(5)
    target = noise(instant)
    by, damping = solve(name, cutoff=1e-12), 1e-9 if name == "kernel" else 1e-14
    residual = Projection(instant, damping=damping, repetitions=1, tolerance=1e-13, by=by).onto(target, 0.0)
    weights, left = best(instant, target)
    # J J^T of more rows than parameters loses what rounding over the damping is
    assert torch.allclose(parameters(instant), weights[0], rtol=1e-9, atol=1e-6 if name == "kernel" else 1e-10)
    assert residual == pytest.approx(left, rel=1e-9)


@pytest.mark.parametrize("ahead", [0.0, 0.3])
def test_kept_factors_do_for_another_target_and_again_after_a_resume(ahead: float) -> None:
    instant = heat_instant(5)
    projection = Projection(instant, damping=1e-14, repetitions=5, tolerance=1e-11)
    projection.onto(instant.initial, 0.0)  # what is kept of it is of another kind where the next is implicit
    if ahead:
        projection.onto(instant.initial, 0.0, ahead=ahead)
    before = projection.solves
    state, there = projection.state_dict(), parameters(instant)
    assert projection.onto(0.5 * instant.initial, 0.0, ahead=ahead) < 1e-11
    assert projection.solves == before == (2 if ahead else 1)
    assert projection.quick > 0
    other = Projection(instant, damping=1e-14, repetitions=5, tolerance=1e-11)
    other.load_state_dict(state)
    end = parameters(instant)
    put(instant, there)
    other.onto(0.5 * instant.initial, 0.0, ahead=ahead)
    assert torch.equal(parameters(instant), end)
    assert other.solves == before


@pytest.mark.parametrize("name", ["qr", pytest.param("svd", marks=pytest.mark.slow)])
def test_subsets_move_their_parameters_alone_and_converge(name: str) -> None:
    instant = heat_instant(6)
    target, before = noise(instant), parameters(instant)

    def projection(subset: tuple[int, ...], repetitions: int) -> Projection:
        return Projection(
            instant, damping=1e-14, repetitions=repetitions, by=solve(name, cutoff=1e-12), subset=subset,
            generator=torch.Generator().manual_seed(2),
        )  # fmt: skip

    projection((4, 2), 1).onto(target, 0.0)
    assert int((parameters(instant) != before).sum()) == 4
    put(instant, before)
    residual = projection((4, 2), 25).onto(target, 0.0)
    weights, left = best(instant, target)
    assert torch.allclose(parameters(instant), weights[0], rtol=1e-7, atol=1e-8)
    assert residual == pytest.approx(left, rel=1e-9)


@pytest.mark.parametrize("name", ["qr", "cholesky", "kernel", "svd"])
def test_a_step_that_raises_the_residual_is_taken_back(name: str) -> None:
    axes = catalogue.make_problem("heat_1d", {}).domain.axes
    network = instant_network(
        axes, [1.0], units=1, width=4, depth=2, slope=3.0, generator=torch.Generator().manual_seed(3)
    )
    instant = heat_instant(0, network)
    target = 50.0 * torch.cos(40.0 * instant.initial)  # far out of what the network can be
    by = solve(name, cutoff=1e-12)
    projection = Projection(instant, damping=1e-14, repetitions=1, tolerance=1e-13, by=by)
    last = instant.distance(target, 0.0)
    for _ in range(6):
        now = projection.onto(target, 0.0)
        assert now <= last
        assert now == pytest.approx(instant.distance(target, 0.0), rel=1e-12)
        last = now


def quadrature(count: int, points: PointsName = "fixed", module: nn.Module | None = None) -> Quadrature:
    problem = catalogue.make_problem("heat_1d", {})
    network = module or Sines(count)

    def at(cloud: PointCloud) -> Instant:
        return Instant(problem, network, None, cloud, {}, dtype=torch.float64, device=CPU)

    generator = torch.Generator().manual_seed(5)
    made = Quadrature(at, problem, 40, points=points, generator=generator)
    Projection(made.now, damping=1e-14, repetitions=3).onto(made.now.initial, 0.0)
    return made


DIFFUSIVITY = 0.25  # of heat_1d


@pytest.mark.parametrize(("name", "power"), [("bogacki_shampine", 3), ("dormand_prince", 5)])
def test_embedded_pairs_estimate_the_error_that_they_make(name: str, power: int) -> None:
    held, pair, errors = torch.ones(1, dtype=torch.float64), scheme(name), []

    def reach(target: torch.Tensor, time: float, ahead: float) -> None:
        nonlocal held
        held = target

    def rate(time: float) -> torch.Tensor:
        return -held

    for dt in (0.1, 0.05):
        held = torch.ones(1, dtype=torch.float64)
        rates = pair.step(held, 0.0, dt, rate, reach)
        errors.append(float(pair.error([*rates, -held], dt).abs()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(power, abs=0.15)


@pytest.mark.parametrize("name", ["bogacki_shampine", "dormand_prince"])
def test_adaptive_steps_keep_their_tolerance(name: str) -> None:
    points, errors, counts = quadrature(1), [], []
    start = parameters(points.now)
    for tolerance in (1e-2, 1e-4):
        put(points.now, start)
        projector = Projection(points.now, damping=1e-14, repetitions=5, tolerance=1e-12)
        stages = ProjectedStages(scheme(name), points, projector, Watch(lambda line: None))
        stepper, time = Adaptive(stages, length=1.0, tolerance=tolerance), 0.0
        while time < 1.0:
            time = stepper.step(time, 1.0).end
        exact = start * math.exp(-DIFFUSIVITY * math.pi**2)
        errors.append(float((parameters(points.now) - exact).norm() / start.norm()))
        counts.append(stepper.accepted)
        assert stepper.rejected > 0
    assert errors[0] < 3e-2
    assert errors[1] < 1e-3
    assert counts[1] > counts[0]


class Spoiling(Stages):
    """Moves the network, and says that the step was bad until it is short."""

    def __init__(self, points: Quadrature, *, lost: bool) -> None:
        self.scheme, self.quadrature, self.lost = scheme("bogacki_shampine"), points, lost
        self.seen: list[torch.Tensor] = []

    def attempt(self, time: float, end: float) -> Attempt:
        self.seen.append(parameters(self.quadrature.now))
        put(self.quadrature.now, self.seen[-1] + 1.0)
        if self.lost and end - time > 0.1:
            raise Diverged("lost")
        return Attempt(0.0, (end - time) / 0.1)

    def renew(self) -> None:
        pass

    @property
    def notes(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, float]:
        return {}

    def load_state_dict(self, state: dict[str, float], /) -> None:
        pass


@pytest.mark.parametrize("lost", [False, True])
def test_a_rejected_step_puts_the_network_back(*, lost: bool) -> None:
    stages = Spoiling(quadrature(3), lost=lost)
    Adaptive(stages, length=1.0, tolerance=1.0).step(0.0, 1.0)
    assert len(stages.seen) > 1
    assert all(torch.equal(theta, stages.seen[0]) for theta in stages.seen)


def amplification(tableau: Scheme, z: torch.Tensor) -> torch.Tensor:
    """R(z) of a scheme, u_t = z u over a unit step."""
    held = torch.ones_like(z)

    def reach(target: torch.Tensor, time: float, ahead: float) -> None:
        nonlocal held
        held = target / (1 - ahead * z)

    tableau.step(held, 0.0, 1.0, lambda time: z * held, reach)
    return held


@pytest.mark.parametrize("name", ["implicit_midpoint", "sdirk3", "sdirk4", "esdirk4"])
def test_implicit_schemes_let_no_wave_grow(name: str) -> None:
    size = torch.logspace(-2, 8, 400, dtype=torch.float64)
    for z in (1j * size, -size, (-0.1 + 1j) * size):
        assert float(amplification(scheme(name), z).abs().max()) <= 1 + 1e-9
    longest = amplification(scheme(name), torch.tensor([-1e9], dtype=torch.float64))
    assert float(longest) == pytest.approx(-1.0 if name == "implicit_midpoint" else 0.0, abs=1e-6)


@pytest.mark.parametrize("name", ["implicit_midpoint", "sdirk3", "sdirk4", "esdirk4"])
def test_long_implicit_steps_of_a_network_are_those_of_its_modes(name: str) -> None:
    points, by = quadrature(4), solve("qr", cutoff=1e-12)
    start = torch.tensor([1.0, -2.0, 0.5, 1.0], dtype=torch.float64)
    put(points.now, start)
    z = -0.5 * DIFFUSIVITY * (math.pi * torch.arange(1, 5, dtype=torch.float64)) ** 2  # to 19.7
    projector = Projection(points.now, damping=1e-14, repetitions=5, tolerance=1e-12)
    stages = ProjectedStages(scheme(name), points, projector, Watch(lambda line: None))
    stepper = Equal(stages, length=0.5, name=name, by=by, damping=1e-14)
    assert stepper.advice(0.0) == ""
    for i in range(3):
        stepper.step(0.5 * i, 1.5)
    expected = amplification(scheme(name), z) ** 3 * start
    assert torch.allclose(parameters(points.now), expected, rtol=1e-8, atol=1e-10)
    assert projector.solves == (2 if name == "implicit_midpoint" else 1)  # factors of each kind are kept
    assert math.isnan(stepper.radius)  # nobody asked for it


def test_the_rate_of_an_implicit_stage_has_no_part_of_what_its_projection_left() -> None:
    points, dt = quadrature(1), 0.02
    still = Descent(points.now, by="adam", iterations=1, rate=1e-300)
    stages = ProjectedStages(scheme("implicit_midpoint"), points, still, Watch(lambda line: None))
    # U = u all along: what the stage has left is dt/2 L u, and u + dt (U − u) / (dt/2) is u again
    assert stages.attempt(0.0, dt).residual == pytest.approx(0.5 * dt * DIFFUSIVITY * math.pi**2, rel=1e-6)


@pytest.mark.parametrize("name", ["qr", "svd"])
def test_tangent_space_velocities_are_the_method_of_lines(name: str) -> None:
    points = quadrature(3)
    rates = -DIFFUSIVITY * (math.pi * torch.arange(1, 4, dtype=torch.float64)) ** 2
    start = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    put(points.now, start)
    by = solve(name, cutoff=1e-13)
    stages = TangentStages(scheme("rk4"), points, Watch(lambda line: None), by=by, damping=1e-16)
    stepper = Equal(stages, length=0.02, name="rk4", by=by, damping=1e-16)
    for i in range(3):
        stepper.step(i * 0.02, 1.0)
    assert torch.allclose(parameters(points.now), amplification(scheme("rk4"), 0.02 * rates) ** 3 * start, rtol=1e-9)
    put(points.now, start)
    Integrated(stages, length=0.1, tolerance=1e-9).step(0.0, 1.0)
    assert torch.allclose(parameters(points.now), (0.1 * rates).exp() * start, rtol=1e-7)


def test_the_rate_of_moving_walls_is_that_of_their_values() -> None:
    problem = catalogue.make_problem("heat_1d", {})
    walls = Dirichlet("u", "all", lambda p, x: x["t"] * x["t"])
    problem = dataclasses.replace(problem, conditions=(problem.conditions[0], walls))
    held = tuple(name for name, c in problem.named_conditions.items() if isinstance(c, Dirichlet))
    cloud = sample(problem.domain, 10, generator=torch.Generator().manual_seed(0))
    instant = Instant(
        problem, Sines(2), BoxLift(problem, held, {}, {}, {}), cloud, {}, dtype=torch.float64, device=CPU
    )  # fmt: skip
    assert torch.allclose(lifted_rate(instant, 0.3), torch.full((1, 10), 0.6, dtype=torch.float64), atol=1e-8)


def test_a_step_past_stability_is_told_with_the_numbers() -> None:
    points, by = quadrature(4), solve("qr", cutoff=1e-12)
    put(points.now, torch.ones(4, dtype=torch.float64))
    largest = DIFFUSIVITY * (4 * math.pi) ** 2
    assert [scheme(name).limit for name in ("euler", "heun", "rk4")] == pytest.approx([2.0, 2.0, 2.78], abs=0.011)
    stages = TangentStages(scheme("euler"), points, Watch(lambda line: None), by=by, damping=1e-14)

    def stepper(length: float) -> Equal:
        return Equal(stages, length=length, name="euler", by=by, damping=1e-14)

    assert stepper(1.9 / largest).advice(0.0) == ""
    long = stepper(0.1)
    assert (
        Equal(stages, length=0.1, name="euler", by=by, damping=1e-14, instead="sdirk4")
        .advice(0.0)
        .endswith("or an implicit scheme: --method.scheme sdirk4")
    )
    advice = long.advice(0.0)
    assert long.radius == pytest.approx(largest, rel=0.02)
    assert "euler takes 2" in advice
    assert int(advice.rsplit(maxsplit=1)[-1]) == math.ceil(long.radius / 2)


def test_a_lost_target_leaves_the_network_and_names_the_radius() -> None:
    points, by = quadrature(4), solve("qr", cutoff=1e-12)
    put(points.now, torch.ones(4, dtype=torch.float64))
    stages = ProjectedStages(
        scheme("euler"), points, Descent(points.now, by="adam", iterations=1, rate=1e-9), Watch(lambda line: None)
    )
    with pytest.raises(Diverged, match=r"spectral radius .* give --method.time_steps"):
        Equal(stages, length=0.2, name="euler", by=by, damping=1e-14).step(0.0, 1.0)
    assert torch.equal(parameters(points.now), torch.ones(4, dtype=torch.float64))


def test_points_are_shifted_or_redrawn_and_stay_in_the_domain() -> None:
    problem = catalogue.make_problem("teng_heat", {})
    network = instant_network(
        problem.domain.axes, [1.0], units=2, width=3, depth=1, slope=3.0, generator=torch.Generator()
    )

    def drawn(points: PointsName) -> list[torch.Tensor]:
        def at(cloud: PointCloud) -> Instant:
            return Instant(problem, network, None, cloud, {}, dtype=torch.float64, device=CPU)

        generator = torch.Generator().manual_seed(4)
        made, clouds = Quadrature(at, problem, 36, points=points, generator=generator), []
        for _ in range(3):
            made.renew()
            clouds.append(made.now._plain.columns())
        return clouds

    fixed, shifted, redrawn = drawn("fixed"), drawn("shifted"), drawn("redrawn")
    assert torch.equal(fixed[0], fixed[2])
    for clouds in (shifted, redrawn):
        assert not torch.equal(clouds[0], clouds[1])
        assert all(bool(((x >= 0) & (x < 2 * math.pi)).all()) for x in clouds)
    spacing = shifted[1].sort(0).values[::6].diff(dim=0)  # each coordinate comes six times
    assert torch.allclose(spacing, torch.full_like(spacing, 2 * math.pi / 6), atol=1e-12)
    assert all(torch.equal(a, b) for a, b in zip(redrawn, drawn("redrawn"), strict=True))


def test_overfitting_between_the_points_is_said_once() -> None:
    lines: list[str] = []
    points, watch = quadrature(39), Watch(lines.append)  # 40 points
    projector = Projection(points.now, damping=1e-14, repetitions=3)
    stages = ProjectedStages(scheme("euler"), points, projector, watch, tolerance=1e-9)
    kink = (points.now._plain.columns() - 0.3).abs().mT
    projector.onto(kink, 0.0)
    own, rough = points.now.distance(kink, 0.0), (points.unseen._plain.columns() - 0.3).abs().mT
    for _ in range(2):
        watch.look(own, points.unseen.distance(rough, 0.0), time=0.0, tolerance=1e-9)
    assert len(lines) == 1
    assert "redrawn" in lines[0]
    assert stages.notes["unseen over own residual"] > 3


@pytest.mark.parametrize("by", ["adam", "lbfgs"])
def test_descent_keeps_the_best_that_it_has_seen(by: str) -> None:
    instant = heat_instant(3)
    target = noise(instant)
    rate = 3.0 if by == "adam" else 1.0  # so long that Adam oscillates
    before = instant.distance(target, 0.0)
    residual = Descent(instant, by=by, iterations=25, rate=rate).onto(target, 0.0)  # type: ignore[arg-type]
    assert residual == pytest.approx(instant.distance(target, 0.0), rel=1e-12)
    assert residual <= before
    if by == "lbfgs":
        assert residual == pytest.approx(best(instant, target)[1], rel=1e-9)


@pytest.mark.parametrize("dimension", [1, 2])
def test_first_units_turn_inside_the_box_and_are_as_steep_as_asked(dimension: int) -> None:
    axes = catalogue.make_problem({1: "heat_1d", 2: "poisson_2d"}[dimension], {}).domain.axes
    network = instant_network(
        axes, [1.0], units=1, width=16, depth=1, slope=4.0, generator=torch.Generator().manual_seed(0)
    )
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Linear))
    assert torch.allclose(first.weight.norm(dim=1), torch.full((16,), 4.0, dtype=torch.float64))
    # w · s + b is zero somewhere in [-1, 1]^d, and in one dimension in each sixteenth of it
    assert bool((first.bias.abs() <= first.weight.abs().sum(1)).all())
    if dimension == 1:
        cells = ((1 - first.bias / first.weight[:, 0]) * 8).floor()
        assert len(cells.unique()) == 16


def test_periodic_units_with_a_slope_are_zero_at_places_of_their_own() -> None:
    axes = catalogue.make_problem("teng_heat", {}).domain.axes
    units = PeriodicUnits(axes, 8, 6.0, torch.Generator().manual_seed(0))
    assert torch.equal(units.amplitude.abs(), torch.full((2, 8), 3.0, dtype=torch.float64))
    zeros = torch.acos(-units.offset / units.amplitude) / math.pi * 8
    assert torch.allclose(zeros, torch.arange(8, dtype=torch.float64) + 0.5)
    assert len((units.phase[0] * 8).round().unique()) == 8


def test_projections_start_from_the_moves_of_the_step_before() -> None:
    points, entered = quadrature(4), []

    class Watched(Projector):
        def __init__(self) -> None:
            self.instant, self.inner = points.now, Projection(points.now, damping=1e-14, repetitions=3)

        def onto(self, target: torch.Tensor, time: float, *, ahead: float = 0.0) -> float:
            entered.append(self.instant.distance(target, time, ahead=ahead))
            return self.inner.onto(target, time, ahead=ahead)

        @property
        def notes(self) -> dict[str, Any]:
            return {}

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any], /) -> None:
            pass

    stages = ProjectedStages(scheme("euler"), points, Watched(), Watch(lambda line: None))
    for k in range(2):
        stages.renew()
        stages.attempt(0.01 * k, 0.01 * (k + 1))
    assert entered[1] < 0.1 * entered[0]


def test_a_damping_that_has_vanished_comes_back() -> None:
    instant = heat_instant(3)
    projection = Projection(instant, damping=1e-8, repetitions=1)
    state = projection.state_dict()
    state["kept"]["state"]["damping"] = 1e-30
    projection.load_state_dict(state)
    projection.onto(noise(instant), 0.0)
    assert projection.state_dict()["kept"]["state"]["damping"] >= 1e-14


def test_periodic_units_have_the_partials_that_autograd_finds() -> None:
    problem = catalogue.make_problem("teng_burgers", {})
    network = instant_network(
        problem.domain.axes, [1.0], units=3, width=4, depth=1, slope=3.0, generator=torch.Generator()
    )
    cloud = sample(problem.domain, 9, generator=torch.Generator().manual_seed(0))
    cloud = PointCloud(cloud.axes, cloud.x, torch.ones(len(cloud.x), dtype=torch.float64))
    instant = Instant(problem, network, None, cloud, {}, dtype=torch.float64, device=CPU)
    x = Coordinates(cloud).at_instant(0.0)
    expected = instant._moving(x)[1]["u"].values
    assert torch.allclose(instant.rate(0.0)[0], expected, rtol=1e-11, atol=1e-13)
    # the rows of an implicit stage, and that their Jacobian is read off a tape
    rows = instant.values(0.0) - 0.1 * expected - instant.initial
    assert torch.allclose(instant.rows(instant.initial, 0.0, ahead=0.1), rows / (3 * instant.size), rtol=1e-10)
    stage = Modular(network, lambda: instant.terms(instant.initial, 0.0, ahead=0.1))
    stage.linearise(stage.theta())
    assert stage.pointwise
    moved = cloud.x + torch.tensor([2 * math.pi, -2 * math.pi], dtype=torch.float64)
    assert torch.allclose(network(cloud.x), network(moved), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("problem", "settings", "words"),
    [
        ("heat_1d", {"wall_weight": 0.0}, "wall_weight must be more than zero"),
        (
            "heat_1d",
            {"fit_tolerance": 1e-14, "fit_steps": 2, "points": 80},
            "fits the initial state to .*fit_tolerance",
        ),
        ("heat_1d", {"repetitions": 0}, "repetitions must be at least 1"),
        ("heat_1d", {"damping": 0.0}, "damping must be more than zero"),
        ("heat_1d", {"slope": -1.0}, "--method.slope must be above zero, got -1: 1 to 5 are good"),
        ("heat_1d", {"points": 12, "subset": 15}, "12 rows .* cannot determine 15 parameters"),
        ("heat_1d", {"projection": "cholesk"}, "unknown projection 'cholesk': did you mean 'cholesky'"),
        ("heat_1d", {"variant": "tvdp"}, "unknown variant 'tvdp': did you mean 'tdvp'"),
        ("heat_1d", {"quadrature": "shift"}, "unknown quadrature 'shift': did you mean 'shifted'"),
        ("heat_1d", {"quadrature": "shifted"}, "needs a periodic axis"),
        ("heat_1d", {"scheme": "dopri8"}, "write --method.variant tdvp"),
        ("heat_1d", {"first_subset": 5}, "give --method.subset too"),
        ("heat_1d", {"scheme": "sdirk4", "variant": "tdvp"}, "write --method.variant teng or --method.scheme rk4"),
        ("taylor_green_2d", {"scheme": "sdirk4"}, "finds pressure for a state that is known.* --method.scheme rk4"),
    ],
)
def test_refuses_in_one_line(problem: str, settings: dict[str, float | str], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        method = dataclasses.replace(Teng(width=6, depth=1, adam_steps=2), **settings)  # type: ignore[arg-type]
        method.solve(catalogue.make_problem(problem, {}), Run(budget=Budget.from_now(20.0)))
    assert "\n" not in str(caught.value)


def test_heat_between_walls_is_solved_stored_and_resumed_exactly(tmp_path: Path, own_folder: None) -> None:
    settings = Teng(
        width=5, depth=1, points=40, scheme="implicit_midpoint", time_steps=8, repetitions=3, adam_steps=50,
        fit_steps=30,
    )  # fmt: skip
    whole = ps.solve("heat_1d", settings, budget="60s", out=tmp_path / "whole")
    assert whole.proof is not None
    error = whole.proof.errors["u"]["relative_l2"]
    assert error is not None
    assert error < 1e-2
    assert whole.converged
    again = ps.load(tmp_path / "whole")
    assert torch.equal(again.on()["u"], whole.on()["u"])
    ps.solve("heat_1d", settings, budget="60s", steps=5, out=tmp_path / "part")
    with pytest.raises(InputError, match=r"leave out --target, and write --method\.time_steps, .*--method\.fit_goal"):
        ps.resume(tmp_path / "part", steps=8, target=1e-3)
    resumed = ps.resume(tmp_path / "part", steps=8)
    assert torch.equal(resumed.on()["u"], whole.on()["u"])


def test_subsets_redraws_and_adaptive_steps_resume_exactly(tmp_path: Path) -> None:
    settings = Teng(
        width=4, depth=1, points=40, scheme="bogacki_shampine", step_tolerance=1e-3, quadrature="redrawn", subset=8,
        first_subset=10, repetitions=3, adam_steps=30, fit_steps=20, fit_tolerance=0.1,
    )  # fmt: skip
    problem = catalogue.make_problem("heat_1d", {})

    def solved(steps: int, folder: Path, content: dict[str, Any] | None = None) -> Solution:
        folder.mkdir(exist_ok=True)
        run = Run(budget=Budget.from_now(60.0), steps=steps, checkpoint=Checkpoint(folder, content))
        return settings.solve(problem, run)

    whole = solved(4, tmp_path / "whole")
    solved(2, tmp_path / "part")
    resumed = solved(4, tmp_path / "part", reopened(read_checkpoint(tmp_path / "part", "")))
    assert torch.equal(resumed.on()["u"], whole.on()["u"])
    of_the_machine = ("initial fit seconds", "initial fit cached")
    for name in whole.notes.keys() - of_the_machine:
        assert resumed.notes[name] == whole.notes[name], name


@pytest.mark.slow
def test_periodic_heat_in_two_dimensions_falls_as_it_must() -> None:
    problem = catalogue.make_problem("teng_heat", {"final_time": 0.04})
    run = Run(budget=Budget.from_now(30.0))
    method = Teng(scheme="rk4", units=5, width=8, depth=1, points=400, time_steps=2, fit_steps=25, fit_tolerance=0.1)
    solution = method.solve(problem, run)
    truth = catalogue.make_method("reference").solve(problem, Run())
    error = (solution.on()["u"] - truth.on()["u"]).norm() / truth.on()["u"].norm()
    assert error < 3 * solution.notes["initial fit"] + 1e-4


def manufactured() -> Problem:
    """Heat that flows through both ends of an interval: a slope on the left, a mixed condition on the right."""
    time = Axis("t", 0.0, 0.2)

    def fading(p: Any, x: Any) -> Any:
        return exp(-0.4 * x["t"])

    def truth(p: Any, x: Any) -> Any:
        return fading(p, x) * sin(2 * x["x"] + 0.5) + x["x"]

    return Problem(
        name="open_ends",
        equation=Heat(),
        domain=Interval("x", 0.0, 1.0),
        time=time,
        conditions=(
            InitialValue("u", truth),
            Neumann("u", "x_min", lambda p, x: -2 * math.cos(0.5) * fading(p, x) - 1.0),
            Robin("u", 2.0, 1.0, "x_max", lambda p, x: (2 * math.sin(2.5) + 2 * math.cos(2.5)) * fading(p, x) + 3.0),
        ),
        values={"diffusivity": 0.1},
        exact=Exact(lambda p, x: {"u": truth(p, x)}),
        evaluation=Evaluation.uniform(41, time, 4),
    )


def errors_of(problem: Problem, **settings: Any) -> dict[str, float]:
    solution = catalogue.make_method("teng", settings).solve(problem, Run(budget=Budget.from_now(40.0)))
    truth = catalogue.make_method("reference").solve(problem, Run())
    return {name: e["relative_l2"] for name, e in errors(problem, solution.on(), truth.on()).items()}


@pytest.mark.slow
def test_slopes_and_mixed_conditions_are_rows_of_every_projection() -> None:
    settings = {"width": 5, "depth": 1, "time_steps": 3, "adam_steps": 20, "fit_steps": 40, "points": 30}
    settings |= {"repetitions": 3, "wall_points": 2}
    held = errors_of(manufactured(), **settings)["u"]
    assert held < 1e-3
    assert held < errors_of(manufactured(), **settings, wall_weight=1e-12)["u"] / 5


@pytest.mark.slow
def test_waves_march_as_a_system_of_first_order() -> None:
    problem = dataclasses.replace(
        catalogue.make_problem("klein_gordon_2d", {"final_time": 0.1}), evaluation=Evaluation(9, (0.05, 0.1))
    )
    settings = {"width": 5, "depth": 1, "time_steps": 3, "adam_steps": 30, "fit_steps": 60, "points": 100}
    assert errors_of(problem, **settings)["u"] < 1e-3


@pytest.mark.slow
def test_a_pressure_keeps_a_flow_free_of_divergence() -> None:
    problem = catalogue.make_problem("taylor_green_2d", {"final_time": 0.05})
    problem = dataclasses.replace(problem, evaluation=Evaluation(16, (0.0, 0.05)))
    settings = {"units": 3, "width": 8, "depth": 1, "time_steps": 1, "points": 300, "adam_steps": 30, "fit_steps": 60}
    found = errors_of(problem, **settings, scheme="heun", repetitions=3, fit_tolerance=1e-2)
    assert found["velocity_x"] < 1e-3
    assert found["pressure"] < 1e-2  # the gradient of what is missing of it would drive the flow


def test_a_run_killed_in_its_initial_fit_goes_on_from_inside(
    tmp_path: Path, own_folder: None, stopping_after: Any
) -> None:
    settings = Teng(scheme="rk4", width=5, depth=1, points=40, time_steps=3, repetitions=4, adam_steps=6, fit_steps=20)
    whole = ps.solve("heat_1d", settings, budget="60s", out=tmp_path / "whole")
    forget_fits()
    with stopping_after(15):
        ps.solve("heat_1d", settings, budget="60s", out=tmp_path / "killed")
    stored = torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)["parts"]["initial fit"]
    assert 0 < len(stored["losses"]) < 20
    forget_fits()
    resumed = ps.resume(tmp_path / "killed")
    assert torch.equal(resumed.on()["u"], whole.on()["u"])
    assert not resumed.notes["initial fit cached"]


def forget_fits() -> None:
    for path in folder().glob("fit-*.pt"):
        path.unlink()
