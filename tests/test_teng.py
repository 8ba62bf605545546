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
from pdesolve.condition import InitialValue, Neumann, Robin
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, exp, sin
from pdesolve.geometry import Axis, Interval, PointCloud, sample
from pdesolve.marching.instant import Instant
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.solvers.teng.embedding import instant_network
from pdesolve.physics.solvers.teng.method import Teng
from pdesolve.physics.solvers.teng.projection import Projection
from pdesolve.physics.solvers.teng.schemes import scheme
from pdesolve.problem import Evaluation, Exact, Problem
from pdesolve.proof import errors
from pdesolve.training.budget import Budget
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

    def reach(target: torch.Tensor, time: float) -> None:
        assert projection.onto(target, time) < 1e-9

    for i in range(steps):
        with torch.no_grad():
            u = instant.values(i / steps)
        scheme(name).step(u, i / steps, 1 / steps, instant.rate, reach)
    exact = math.exp(-(math.pi**2) / 4) * instant.initial
    return float((instant.values(1.0).detach() - exact).norm() / exact.norm())


@pytest.mark.parametrize("name", ["euler", "heun", "rk4"])
def test_schemes_have_their_order(name: str) -> None:
    coarse, fine = marched(name, 8), marched(name, 16)
    assert math.log2(coarse / fine) == pytest.approx(scheme(name).order, abs=0.45)


def test_projection_of_a_linear_network_is_linear_least_squares_in_one_step() -> None:
    instant = heat_instant(5)
    generator = torch.Generator().manual_seed(1)
    target = torch.randn(instant.initial.shape, dtype=torch.float64, generator=generator)
    residual = Projection(instant, damping=1e-14, repetitions=1, tolerance=1e-13).onto(target, 0.0)
    roots = instant.rows(target, 0.0) / (instant.values(0.0) - target)
    basis = torch.sin(math.pi * instant._plain.columns() * torch.arange(1, 6))
    best = torch.linalg.lstsq(basis * roots.mT, (target * roots).mT).solution
    module = instant.module
    assert isinstance(module, Sines)
    assert torch.allclose(module.weights.weight.mT, best, rtol=1e-9, atol=1e-12)
    assert residual == pytest.approx(float((roots * (basis @ best - target.mT).mT).detach().norm()), rel=1e-9)


def test_a_step_that_raises_the_residual_is_taken_back() -> None:
    axes = catalogue.make_problem("heat_1d", {}).domain.axes
    network = instant_network(axes, [1.0], units=1, width=4, depth=2, generator=torch.Generator().manual_seed(3))
    instant = heat_instant(0, network)
    target = 50.0 * torch.cos(40.0 * instant.initial)  # far out of what the network can be
    projection = Projection(instant, damping=1e-14, repetitions=1, tolerance=1e-13)
    last = instant.distance(target, 0.0)
    for _ in range(12):
        now = projection.onto(target, 0.0)
        assert now <= last
        assert now == pytest.approx(instant.distance(target, 0.0), rel=1e-12)
        last = now


def test_periodic_units_have_the_partials_that_autograd_finds() -> None:
    problem = catalogue.make_problem("teng_burgers", {})
    network = instant_network(problem.domain.axes, [1.0], units=3, width=4, depth=1, generator=torch.Generator())
    cloud = sample(problem.domain, 9, generator=torch.Generator().manual_seed(0))
    cloud = PointCloud(cloud.axes, cloud.x, torch.ones(len(cloud.x), dtype=torch.float64))
    instant = Instant(problem, network, None, cloud, {}, dtype=torch.float64, device=CPU)
    x = Coordinates(cloud).at_instant(0.0)
    expected = instant._rates(x)["u"].values
    assert torch.allclose(instant.rate(0.0)[0], expected, rtol=1e-11, atol=1e-13)
    moved = cloud.x + torch.tensor([2 * math.pi, -2 * math.pi], dtype=torch.float64)
    assert torch.allclose(network(cloud.x), network(moved), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("problem", "settings", "words"),
    [
        ("heat_1d", {"points": 12}, "12 rows .* cannot determine"),
        ("poisson_2d", {}, "not an evolution"),
        ("heat_1d", {"wall_weight": 0.0}, "wall_weight must be more than zero"),
        (
            "heat_1d",
            {"fit_tolerance": 1e-14, "fit_steps": 2, "points": 80},
            "fits the initial state to .*fit_tolerance",
        ),
        ("heat_1d", {"repetitions": 0}, "repetitions must be at least 1"),
        ("heat_1d", {"damping": 0.0}, "damping must be more than zero"),
    ],
)
def test_refuses_in_one_line(problem: str, settings: dict[str, float], words: str) -> None:
    method = catalogue.make_method("teng", {"width": 6, "depth": 1, "adam_steps": 2, **settings})
    with pytest.raises(InputError, match=words) as caught:
        method.solve(catalogue.make_problem(problem, {}), Run(budget=Budget.from_now(20.0)))
    assert "\n" not in str(caught.value)


def test_heat_between_walls_is_solved_stored_and_resumed_exactly(tmp_path: Path, own_folder: None) -> None:
    settings = Teng(width=5, depth=1, points=40, time_steps=12, repetitions=4, adam_steps=50, fit_steps=30)
    whole = ps.solve("heat_1d", settings, budget="60s", out=tmp_path / "whole")
    assert whole.proof is not None
    error = whole.proof.errors["u"]["relative_l2"]
    assert error is not None
    assert error < 1e-2
    assert whole.converged
    again = ps.load(tmp_path / "whole")
    assert torch.equal(again.on()["u"], whole.on()["u"])
    ps.solve("heat_1d", settings, budget="60s", steps=4, out=tmp_path / "part")
    resumed = ps.resume(tmp_path / "part", steps=12)
    assert torch.equal(resumed.on()["u"], whole.on()["u"])


def test_periodic_heat_in_two_dimensions_falls_as_it_must() -> None:
    problem = catalogue.make_problem("teng_heat", {"final_time": 0.04})
    run = Run(budget=Budget.from_now(30.0))
    method = Teng(units=5, width=8, depth=1, points=400, time_steps=2, fit_steps=40, fit_tolerance=0.1)
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


def test_slopes_and_mixed_conditions_are_rows_of_every_projection() -> None:
    settings = {"width": 5, "depth": 1, "time_steps": 3, "adam_steps": 20, "fit_steps": 40, "points": 30}
    settings |= {"repetitions": 3, "wall_points": 2}
    held = errors_of(manufactured(), **settings)["u"]
    assert held < 1e-3
    assert held < errors_of(manufactured(), **settings, wall_weight=1e-12)["u"] / 5


def test_waves_march_as_a_system_of_first_order() -> None:
    problem = dataclasses.replace(
        catalogue.make_problem("klein_gordon_2d", {"final_time": 0.1}), evaluation=Evaluation(9, (0.05, 0.1))
    )
    settings = {"width": 5, "depth": 1, "time_steps": 3, "adam_steps": 30, "fit_steps": 60, "points": 100}
    assert errors_of(problem, **settings)["u"] < 1e-3


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
    settings = Teng(width=5, depth=1, points=40, time_steps=3, repetitions=4, adam_steps=6, fit_steps=20)
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
