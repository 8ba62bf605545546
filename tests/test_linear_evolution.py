"""Initial values with a kink: smoothed by the linear part of their equation, and seen by the network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pdesolve as ps
from pdesolve import make_problem
from pdesolve.condition import InitialValue
from pdesolve.fields import Coordinates, absolute, d, dxx, step
from pdesolve.fields.jets import Jet
from pdesolve.fields.propagation import differentiated, propagate
from pdesolve.geometry import Axis, Interval, PointCloud
from pdesolve.nn import Affine, NetworkSolution, network
from pdesolve.physics.constraints import BoxLift, lift
from pdesolve.physics.constraints.linear_evolution import linear_evolution
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.problem import Evaluation, Problem
from pdesolve.proof import violations
from pdesolve.training.run import Run

PI = math.pi


def periodic(start: Any, *, equation: Any = None, diffusivity: float = 0.01, periodic: bool = True) -> Problem:
    return Problem(
        name="made", equation=equation or Heat(), domain=Interval("x", -1.0, 1.0, periodic=periodic),
        conditions=(InitialValue("u", start),), time=Axis("t", 0.5, 1.5), values={"diffusivity": diffusivity},
        evaluation=Evaluation(65, times=(0.5, 1.0, 1.5)),
    )  # fmt: skip


def points(problem: Problem, count: int = 40) -> torch.Tensor:
    return problem.sample(count, "sobol", torch.Generator().manual_seed(0)).x


@pytest.fixture(scope="module")
def roof() -> Problem:
    """u0 = |x|, whose slope jumps at 0 and at the period."""
    return periodic(lambda p, x: absolute(x["x"]))


@pytest.fixture(scope="module")
def allen_cahn() -> BoxLift:
    return lift(make_problem("allen_cahn"))


def test_heat_rounds_a_roof_wave_by_wave(roof: Problem) -> None:
    """|x| = 1/2 - 4/π² Σ_odd cos(k π x) / k²."""
    evolution = linear_evolution(roof)
    assert evolution is not None
    x = points(roof)
    exact = torch.full_like(x[:, 0], 0.5)
    for k in range(1, 201, 2):
        fall = torch.exp(-0.01 * (k * PI) ** 2 * (x[:, 0] - 0.5))
        exact -= 4 / (k * PI) ** 2 * fall * torch.cos(k * PI * x[:, 1])
    later = x[:, 0] > 0.51
    assert later.sum() > 20
    assert float((evolution(x)[:, 0] - exact)[later].abs().max()) < 3e-8  # |x| sampled at 2^14 points
    start = torch.stack([torch.full((9,), 0.5), torch.linspace(-1, 1, 9)], 1).double()
    assert float((evolution(start)[:, 0] - start[:, 1].abs()).abs().max()) < 1e-4


@pytest.mark.parametrize("fixed", [(), (0,), (1,)])
def test_partials_are_those_of_autograd(roof: Problem, fixed: tuple[int, ...]) -> None:
    evolution = linear_evolution(roof)
    assert evolution is not None
    x = points(roof)
    x[:, 0] += 0.1
    jet = Jet.of_points(x, [(1, 1), (0, 3)], constant=fixed)
    found, expected = propagate(evolution, jet), differentiated(evolution, jet)
    for index in expected.wanted:
        ours, theirs = found.partial(index), expected.partial(index)
        assert theirs is not None
        theirs = theirs.detach()
        if any(index[i] for i in fixed):
            assert ours is None
        else:
            assert ours is not None
            torch.testing.assert_close(
                ours, theirs.detach(), rtol=0, atol=1e-12 * max(1.0, float(theirs.detach().abs().max()))
            )


def test_points_may_come_in_any_order_and_number(roof: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    evolution = linear_evolution(roof)
    assert evolution is not None
    x = points(roof, 64)
    whole = evolution(x)
    monkeypatch.setattr("pdesolve.physics.constraints.linear_evolution._WAVES", 1000)
    torch.testing.assert_close(evolution(x.flip(0)).flip(0), whole, rtol=0, atol=1e-14)
    kept = evolution(x)
    x[:, 1] += 0.1  # in place
    assert float((evolution(x) - kept).abs().max()) > 1e-3 and evolution(x) is evolution(x)


def test_only_what_differentiates_smooths() -> None:
    """Allen-Cahn: w_t = D w_xx without the growth 5 u."""
    evolution = linear_evolution(make_problem("allen_cahn"))
    assert evolution is not None
    waves = evolution.wavenumbers
    torch.testing.assert_close(evolution.growth, -1e-4 * waves**2, rtol=1e-9, atol=1e-12)
    assert float(evolution.frequency.abs().max()) < 1e-9


@pytest.mark.parametrize(
    "problem",
    [
        periodic(lambda p, x: step(x["x"])),  # a jump: waves left out would show
        periodic(lambda p, x: absolute(x["x"]), diffusivity=1e-9),  # as good as no smoothing
        periodic(lambda p, x: absolute(x["x"]), periodic=False),
        make_problem("schroedinger"),  # disperses
        make_problem("gray_scott"),
        make_problem("poisson_2d"),
        make_problem("wave_1d"),
    ],
    ids=["jump", "slow", "walls", "disperses", "plane", "stationary", "second order"],
)  # fmt: skip
def test_what_is_not_smoothed_has_no_evolution(problem: Problem) -> None:
    assert linear_evolution(problem) is None


def test_a_kink_is_exact_in_the_lift_and_an_input_of_the_network(allen_cahn: BoxLift) -> None:
    assert not allen_cahn.soft and [*allen_cahn.inputs] == ["u"]
    problem = make_problem("allen_cahn")
    body = network(
        problem.axes,
        1,
        width=8,
        depth=1,
        beside=(allen_cahn.inputs["u"], 1),
        generator=torch.Generator().manual_seed(0),
    )
    s = NetworkSolution(problem, nn.Sequential(*body, Affine([0.0], [1.0])), lift=allen_cahn)
    assert violations(s)["initial u"] < 2e-6
    assert next(m for m in body if isinstance(m, nn.Linear)).in_features == 4
    cloud = PointCloud(problem.axes, points(problem))
    wanted = [(1, 0), (0, 2)]
    x, y = Coordinates.of_jets(cloud, wanted), Coordinates(cloud)
    ours, theirs = s.state(x)["u"], s.state(y)["u"]
    for along, order in (("t", 1), ("x", 2)):
        a, b = d(ours, along, order).values, d(theirs, along, order).values
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11 * float(b.abs().max()))


def test_learned_parameters_leave_the_kink_to_the_loss() -> None:
    found = lift(make_problem("allen_cahn"), learned=("diffusivity",))
    assert "slope jumps" in found.soft["initial u"] and not found.inputs


def test_a_linear_problem_is_solved_by_it_alone(roof: Problem) -> None:
    s = ps.solve(roof, Pinn(), budget=20)
    x = Coordinates(PointCloud(roof.axes, points(roof)))
    u = s.state(x)["u"]
    residual = d(u, "t").values - 0.01 * dxx(u).values
    assert float(residual.abs().max()) < 1e-10 and s.converged


def test_a_stored_solution_makes_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDESOLVE_CACHE", str(tmp_path / "cache"))
    method = Pinn(width=4, depth=1, collocation=64, engine="eager")
    run = Run(steps=3)
    problem = make_problem("allen_cahn")
    first = method.solve(problem, run)
    first.write(tmp_path)
    again = method.restore(problem, tmp_path)
    x = points(problem)
    cloud = PointCloud(problem.axes, x)
    assert torch.equal(again.on(cloud)["u"], first.on(cloud)["u"])
    assert {n for n in torch.load(tmp_path / "last.pt", weights_only=True) if "cosines" in n} == set()
