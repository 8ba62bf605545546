"""Implicit neural spatial representations: orders of the schemes, the parts of a flow's step, resuming, refusals."""

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
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud, sample
from pdesolve.least_squares.factor import factorise
from pdesolve.least_squares.form import Form
from pdesolve.least_squares.modular import Modular
from pdesolve.marching.trajectory import MarchedSolution
from pdesolve.nn.features import Beside
from pdesolve.physics.solvers.insr.beginning import affordable
from pdesolve.physics.solvers.insr.characteristics import SemiLagrangian, carrier, feet
from pdesolve.physics.solvers.insr.checks import fitting_schemes
from pdesolve.physics.solvers.insr.dynamics import Evolving
from pdesolve.physics.solvers.insr.elastic import Incremental
from pdesolve.physics.solvers.insr.fitting import FirstOrder, SecondOrder
from pdesolve.physics.solvers.insr.flow import Flow, Splitting, velocity_problem
from pdesolve.physics.solvers.insr.kept import Kept
from pdesolve.physics.solvers.insr.method import Insr
from pdesolve.physics.solvers.insr.network import instant_network
from pdesolve.physics.solvers.insr.places import Medium, Points
from pdesolve.physics.solvers.insr.resolution import resolution
from pdesolve.physics.solvers.insr.schemes import Fitted, Implicit, RungeKutta
from pdesolve.training.budget import Budget
from pdesolve.training.checkpoint import Checkpoint, read_checkpoint
from pdesolve.training.run import Run

KIND = {"dtype": torch.float64, "device": torch.device("cpu")}

pytestmark = pytest.mark.filterwarnings("ignore:.* has no rule")


class Sines(nn.Module):
    """Σ_k θ_k sin(k π x), linear in its parameters: what heat with cold walls keeps in its space."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weights = nn.Linear(count, 1, bias=False, dtype=torch.float64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weights(torch.sin(math.pi * x * torch.arange(1, self.weights.in_features + 1)))


class Waves(nn.Module):
    """θ_jk of each output times products of the waves 1, cos, sin of k times the angle along each axis of period 2."""

    def __init__(self, outputs: int, most: int, turn: float) -> None:
        super().__init__()
        self.weights = nn.Linear((2 * most + 1) ** 2, outputs, bias=False, dtype=torch.float64)
        self.most, self.turn = most, turn
        nn.init.zeros_(self.weights.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k = self.turn * torch.arange(1, self.most + 1)
        axes = [torch.cat([torch.ones_like(s), torch.cos(k * s), torch.sin(k * s)], 1) for s in x.split(1, 1)]
        return self.weights((axes[0][:, :, None] * axes[1][:, None, :]).flatten(1))


def points_of(problem: ps.Problem, count: int, sampler: str = "gauss_legendre") -> Points:
    return Points(sample(problem.domain, count, generator=torch.Generator().manual_seed(0), sampler=sampler))  # type: ignore[arg-type]


def fitting(points: Points) -> SecondOrder:
    return SecondOrder(points, repetitions=6, damping=1e-14)


def fit_to(target: torch.Tensor, module: nn.Module, medium: Medium, points: Points) -> None:
    """Linear modules hold what their spaces hold."""
    places = medium.at(points.inside)
    assert fitting(points).minimise("given", module, lambda _: lambda: {"": places.values(module, 0.0) - target}) < 1e-9


def march(stepper: Fitted, steps: int, end: float) -> None:
    for i in range(steps):
        assert stepper.advance(end * i / steps, end * (i + 1) / steps) < 1e-8


def heat(name: str, steps: int) -> float:
    """The error of heat_1d at t = 1, in a space that holds its solution."""
    problem = catalogue.make_problem("heat_1d", {})
    points, module = points_of(problem, 8), Sines(1)
    medium = Medium(problem, None, {}, {"rate": problem.evolution().rate}, **KIND)
    start = torch.sin(math.pi * points.inside.x.mT)
    fit_to(start, module, medium, points)
    kind = RungeKutta if name in ("euler", "rk4") else Implicit
    march(kind(module, fitting(points), Evolving(medium, 1.0), name, length=1.0 / steps), steps, 1.0)
    exact = math.exp(-(math.pi**2) / 4) * start
    return float((medium.at(points.inside).values(module, 1.0).detach() - exact).norm() / exact.norm())


@pytest.mark.parametrize(
    ("name", "order"), [("euler", 1), ("rk4", 4), ("implicit_euler", 1), ("midpoint", 2), ("trapezoidal", 2)]
)
def test_schemes_have_their_order(name: str, order: int) -> None:
    assert math.log2(heat(name, 7) / heat(name, 14)) == pytest.approx(order, abs=0.4)


def test_semi_lagrangian_steps_are_exact_for_a_uniform_speed() -> None:
    problem = catalogue.make_problem("advection_1d", {})
    points, module = points_of(problem, 24), Sines(6)
    with torch.no_grad():
        module.weights.weight.copy_(torch.tensor([[0.3, -0.5, 0.2, 0.7, -0.1, 0.4]]))

    class Both(nn.Module):
        """The same waves, odd and even, so that a shift stays in the space."""

        def __init__(self) -> None:
            super().__init__()
            self.odd, self.even = module, Sines(6)
            nn.init.zeros_(self.even.weights.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            k = torch.arange(1, 7)
            return self.odd(x) + self.even.weights(torch.cos(math.pi * x * k))

    # half the interval is out of reach of the clamp at the inflow end
    inner = dataclasses.replace(points.inside, x=points.inside.x * 0.5)
    points, both = Points(inner), Both()
    medium = Medium(problem, None, {}, {"rate": problem.evolution().rate}, **KIND)
    before = medium.values(both, PointCloud(inner.axes, inner.x - 0.25 * 1.6), 0.0)
    dynamics = Evolving(medium, 1.0)
    march(SemiLagrangian(both, fitting(points), dynamics, carrier(problem, {}, KIND), length=0.4), 4, 1.6)
    assert float((medium.values(both, inner, 1.6) - before).abs().max()) < 1e-9


def test_characteristics_of_a_rotation_are_traced_to_fourth_order_and_clamped() -> None:
    problem = catalogue.make_problem("advection_2d", {})
    medium = Medium(problem, None, {}, {"rate": problem.evolution().rate}, **KIND)
    velocity = carrier(problem, {}, KIND)
    x = torch.tensor([[0.3, -0.4]], dtype=torch.float64)
    gaps = []
    for dt in (0.1, 0.05):
        angle = -2 * math.pi * dt
        turned = x @ torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]).double()
        gaps.append(float((feet(x, 0.0, dt, velocity, medium) - turned).norm()))
    assert math.log2(gaps[0] / gaps[1]) == pytest.approx(5.0, abs=0.2)
    corner = feet(torch.tensor([[1.0, 1.0]], dtype=torch.float64), 0.0, 0.2, velocity, medium)
    assert float(corner.abs().max()) == 1.0


def flow(most: int) -> tuple[ps.Problem, Points, Beside, SecondOrder, Flow]:
    """taylor_green_2d in a space of waves, which holds velocity and pressure."""
    problem = catalogue.make_problem("taylor_green_2d", {})
    points = points_of(problem, 49, "regular")
    module, fits = Beside(Waves(2, most, 1.0), Waves(1, most, 1.0)), fitting(points)
    return problem, points, module, fits, Flow(problem, {}, 0.7, fits, **KIND)


def test_projection_leaves_a_velocity_without_divergence() -> None:
    _, points, module, fits, dynamics = flow(2)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        module.first.weights.weight.normal_(0.0, 0.1, generator=generator)  # type: ignore[union-attr]
    places = dynamics.medium.at(points.inside)

    def divergence() -> float:
        return float(places.formula("divergence", places.state(module.first, 0.1), 0.1).detach().norm())

    stepper = Splitting(module, fits, dynamics, length=0.1, viscous=True)
    before = divergence()
    fits.minimise("pressure", module.second, stepper._pressed(0.1, 0.1))
    target = (places.values(module.first, 0.1) - 0.1 * dynamics.gradient(points, module, 0.1)).detach()
    stepper._fit("projection", lambda _: target, 0.1)
    assert before > 1.0 and divergence() < 1e-8 * before


@pytest.mark.parametrize(("name", "order"), [("splitting", 1), ("euler", 1), ("rk4", 4)])
def test_steps_of_a_flow_have_their_order(name: str, order: int) -> None:
    errors = []
    for steps in (1, 2):
        _, points, module, fits, dynamics = flow(2)
        x, y = points.inside.x.unbind(1)
        start = torch.stack([torch.cos(x) * torch.sin(y), -torch.sin(x) * torch.cos(y)])
        fit_to(start, module.first, dynamics.medium, points)
        dynamics.settle(module, 0.0, 1.0)
        length = 1.0 / steps
        stepper = (
            Splitting(module, fits, dynamics, length=length, viscous=True)
            if name == "splitting"
            else RungeKutta(module, fits, dynamics, name, length=length)
        )
        for i in range(steps):
            stepper.advance(i * length, (i + 1) * length)
        exact = math.exp(-0.1) * start
        errors.append(float((dynamics.values(points, module, 1.0).detach() - exact).norm() / exact.norm()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.5)


def test_the_pressure_is_that_of_the_velocity() -> None:
    _, points, module, _, dynamics = flow(2)
    x, y = points.inside.x.unbind(1)
    start = torch.stack([torch.cos(x) * torch.sin(y), -torch.sin(x) * torch.cos(y)])
    fit_to(start, module.first, dynamics.medium, points)
    assert dynamics.settle(module, 0.0, 0.1) < 1e-9
    slope = torch.stack([torch.sin(2 * x), torch.sin(2 * y)]) / 2
    assert torch.allclose(dynamics.gradient(points, module, 0.0), slope, atol=1e-8)


@pytest.mark.parametrize(("name", "order"), [("implicit_euler", 1), ("midpoint", 2)])
def test_the_incremental_potential_swings_a_bar_at_its_order(name: str, order: int) -> None:
    """Small shear of one wave: u_y = s sin(pi x) cos(pi c t) / (pi c) is what linear elasticity says, c^2 = a."""
    problem = catalogue.make_problem("elastic_square_2d", {"throw": 1e-4})
    points = points_of(problem, 25)

    class Shear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wave = Sines(1)
            nn.init.zeros_(self.wave.weights.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([torch.zeros_like(x[:, :1]), self.wave(x[:, :1])], 1)

    errors = []
    for steps in (2, 4):
        module = Shear()
        medium = Medium(problem, None, {}, {"strains": problem.equation.strains}, **KIND)  # type: ignore[attr-defined]
        fits = fitting(points)
        stepper = Incremental(module, fits, medium, points, name=name, length=0.25 / steps)
        x = points.inside.x[:, 0]
        stepper.velocity = 1e-4 * torch.stack([torch.zeros_like(x), torch.sin(math.pi * x)])
        for i in range(steps):
            stepper.advance(0.25 * i / steps, 0.25 * (i + 1) / steps)
        exact = 1e-4 * math.sin(math.pi * 0.25) / math.pi
        errors.append(abs(float(module.wave.weights.weight.detach()) - exact) / exact)
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3), errors


def test_adam_lowers_the_loss_at_fresh_points_and_ends_at_its_floor() -> None:
    problem = catalogue.make_problem("advection_1d", {})
    generator = torch.Generator().manual_seed(0)
    network = instant_network(
        problem.domain.axes, [1.0], kind="siren", width=8, depth=2, frequency=5.0, generator=generator
    )
    drawn = []

    def draw() -> Points:
        drawn.append(sample(problem.domain, 100, generator=generator, sampler="uniform"))
        return Points(drawn[-1])

    def rows(points: Points):
        target = torch.sin(points.inside.x)
        return lambda: {"state": (network(points.inside.x) - target) / 10}

    first = FirstOrder(draw, rate=1e-3, cap=1).minimise("state", network, rows)
    fit = FirstOrder(draw, rate=5e-3, cap=100)
    assert fit.minimise("state", network, rows) < 0.4 * first and fit.iterations == 100
    assert not torch.equal(drawn[0].x, drawn[1].x)
    still, line = FirstOrder(draw, rate=1e-7, cap=2000), nn.Linear(1, 1, dtype=torch.float64)
    still.minimise("state", line, lambda points: lambda: {"state": 0.0 * line(points.inside.x) + 1.0})
    assert 500 < still.iterations < 510, "one stall, and the rate is at its floor"


@pytest.mark.parametrize(
    ("problem", "settings", "words"),
    [
        ("wave_1d", {}, "Hyperelasticity alone"),
        ("heat_1d", {"scheme": "splitting"}, "does not fit Heat .*these do: trapezoidal, midpoint"),
        ("heat_1d", {"scheme": "rk5"}, "rk5"),
        ("taylor_green_2d", {"scheme": "midpoint"}, "does not fit NavierStokes .*these do: rk4, euler, splitting"),
        ("shallow_water_dam", {}, "not 'depth at the boundary'"),
        ("elastic_square_2d", {"fit": "adam", "scheme": "midpoint"}, "by adam, these do: implicit_euler"),
        ("heat_1d", {"damping": 0.0}, "damping must be more than zero"),
        ("heat_1d", {"frequency": -1.0}, "frequency"),
        ("heat_1d", {"fit_tolerance": 1e-14, "fit_steps": 2, "points": 150}, "fits the initial state to"),
        ("heat_1d", {"fit": "adam", "iterations": 2, "fit_steps": 2, "fit_tolerance": 1e-9}, "Adam fits the initial"),
    ],
)
def test_refuses_in_one_line(problem: str, settings: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        method = catalogue.make_method("insr", {"width": 5, "adam_steps": 2, **settings})
        method.solve(catalogue.make_problem(problem, {}), Run(budget=Budget.from_now(20.0)))
    assert "\n" not in str(caught.value)


def test_every_default_scheme_comes_first() -> None:
    firsts = {name: fitting_schemes(catalogue.make_problem(name))[0] for name in ("advection_1d", "advection_2d")}
    assert set(firsts.values()) == {"semi_lagrangian"}
    assert fitting_schemes(catalogue.make_problem("taylor_green_walls_2d"))[0] == "rk4"


def test_walls_hold_and_the_velocity_problem_keeps_them() -> None:
    problem = catalogue.make_problem("taylor_green_walls_2d", {})
    scales = dict.fromkeys(problem.equation.scalars, 1.0)
    solution = Insr(width=4, depth=1, frequency=8.0).unfitted(problem, {}, scales, generator=torch.Generator(), **KIND)
    solution.trajectory.append(0.0, torch.cat([p.detach().flatten() for p in solution.trajectory.module.parameters()]))
    walls = problem.named_conditions["velocity through the boundary"]
    x = Coordinates(walls.sample(problem, 40, "sobol", torch.Generator()))
    assert float(walls.residual(problem, solution.state, x, {}).values.detach().abs().max()) < 1e-15
    assert [c.name for c in velocity_problem(problem).conditions] == [*problem.named_conditions]


@pytest.mark.parametrize(
    ("problem", "settings"),
    [
        ("heat_1d", {"width": 5, "depth": 1, "points": 40}),
        pytest.param("elastic_square_2d", {"width": 4, "depth": 1, "points": 36}, marks=pytest.mark.slow),
        ("advection_1d", {"width": 5, "depth": 1, "points": 40, "fit": "adam", "iterations": 10}),
    ],
)
def test_runs_are_stored_and_resumed_bit_for_bit(problem: str, settings: dict[str, object], tmp_path: Path) -> None:
    made = catalogue.make_problem(problem, {} if problem == "heat_1d" else {"final_time": 0.05})
    method = catalogue.make_method(
        "insr",
        {"time_steps": 6, "adam_steps": 20, "fit_steps": 20, "fit_tolerance": 10.0, "repetitions": 2, **settings},
    )
    whole = method.solve(made, Run(budget=Budget.from_now(60.0)))
    assert whole.converged and whole.notes["steps"] == 6
    method.solve(made, Run(budget=Budget.from_now(60.0), steps=3, folder=tmp_path, checkpoint=Checkpoint(tmp_path)))
    content = read_checkpoint(tmp_path, "")
    again = method.solve(
        made, Run(budget=Budget.from_now(60.0), folder=tmp_path, checkpoint=Checkpoint(tmp_path, content))
    )
    assert all(torch.equal(values, whole.on()[name]) for name, values in again.on().items())
    restored = method.restore(made, tmp_path)
    assert all(torch.equal(values, whole.on()[name]) for name, values in restored.on().items())


def test_a_run_killed_in_its_first_pressure_goes_on_from_inside(tmp_path: Path, stopping_after: Any) -> None:
    problem = catalogue.make_problem("taylor_green_walls_2d", {"final_time": 0.1})
    method = Insr(width=4, depth=1, points=64, adam_steps=3, fit_steps=8, fit_tolerance=10.0)

    def run(checkpoint: Checkpoint) -> Run:
        return Run(budget=Budget.from_now(60.0), steps=0, folder=tmp_path, checkpoint=checkpoint)

    whole = method.solve(problem, Run(budget=Budget.from_now(60.0), steps=0))
    with stopping_after(4):
        method.solve(problem, run(Checkpoint(tmp_path)))
    content = read_checkpoint(tmp_path, "")
    assert set(content["parts"]) == {"first pressure"}
    assert 0 < len(content["parts"]["first pressure"]["losses"]) < 8
    resumed = method.solve(problem, run(Checkpoint(tmp_path, content)))
    assert isinstance(resumed, MarchedSolution) and isinstance(whole, MarchedSolution)
    assert torch.equal(resumed.trajectory.thetas[0], whole.trajectory.thetas[0])
    assert resumed.notes["initial fit"] == whole.notes["initial fit"]


def test_steps_from_kept_factors_go_along_the_gradient_of_now() -> None:
    module, x = nn.Linear(1, 2, dtype=torch.float64), torch.linspace(-1, 1, 20, dtype=torch.float64)

    def rows() -> dict[str, torch.Tensor]:
        return {"": torch.tanh(module.weight * x + module.bias[:, None]) - torch.stack([x, x.square()])}

    objective = Modular(module, rows)
    theta = torch.tensor([0.6, -0.3, 0.2, 0.4], dtype=torch.float64)
    before, now = objective.linearise(theta + 0.3), objective.linearise(theta)
    j = before.jacobian.dense()
    factor = factorise(before.jacobian, before.rows("test"), Form("dense", 40, 4, 0))
    end, square, over = Kept(factor, theta + 0.3, 1e-2).improve(objective, theta, enough=1e3)
    gram = j.mT @ j + 1e-2 * torch.eye(4, dtype=torch.float64)
    assert over and square == pytest.approx(2 * float(objective.loss(end))) and square < 2 * float(now.loss)
    assert torch.allclose(end, theta - torch.linalg.solve(gram, now.gradient), atol=1e-12)


@pytest.mark.parametrize(("seconds", "least", "most"), [(1e6, 40, 40), (400.0, 4, 5), (30.0, 4, 4)])
def test_repetitions_are_those_the_budget_has_time_for(seconds: float, least: int, most: int) -> None:
    problem = catalogue.make_problem("taylor_green_2d", {})
    said: list[str] = []
    run = Run(budget=Budget.from_now(seconds), say=said.append)
    flow = Flow(problem, {}, 1.0, fitting(points_of(problem, 16)), **KIND)
    stepper = Splitting(nn.Identity(), flow.fitting, flow, length=0.1, viscous=False)
    found = affordable(Insr(time_steps=7), stepper, {"seconds": 20.0, "steps": 20}, run)
    assert least <= found <= most and bool(said) == (seconds < 306.0)


def test_the_size_of_a_network_follows_from_the_initial_state() -> None:
    smooth, fine = (
        resolution(catalogue.make_problem(name, {}), {}) for name in ("taylor_green_walls_2d", "vortices_2d")
    )
    assert smooth.width == 12 and smooth.frequency == 4.0
    assert fine.width > 20 and fine.frequency > 6.0 and fine.points == 72**2


@pytest.mark.parametrize(("name", "least", "most"), [("burgers_sine", 5.0, 5.0), ("heat_1d", 5.0, 13.0)])
def test_waves_of_a_sine_are_counted(name: str, least: float, most: float) -> None:
    problem = catalogue.make_problem(name, {})
    x, (axis,) = next(iter(problem.domain.axes)).name, problem.domain.axes.members
    five = ps.InitialValue("u", lambda p, at: ps.sin(10 * math.pi / axis.length * at[x]))
    others = [c for c in problem.conditions if not isinstance(c, ps.InitialValue)]
    found = resolution(dataclasses.replace(problem, conditions=(five, *others), exact=None), {})
    assert least <= found.waves <= most and found.modes <= 26
