"""Proofs by jets, and what 100 dimensions take."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pdesolve import proof
from pdesolve.catalogue import make_problem
from pdesolve.errors import InputError
from pdesolve.evaluating import chunks, residual_rows
from pdesolve.fields import Coordinates, Field, Quantity, laplacian
from pdesolve.fields.jets import Jet
from pdesolve.fields.propagation import outputs
from pdesolve.geometry import Axes, Axis, PointCloud
from pdesolve.least_squares.footprint import measured
from pdesolve.method import Solution
from pdesolve.nn import NetworkSolution, Rescale, mlp, wide
from pdesolve.nn.radial import drawn, radial_units
from pdesolve.physics.problems import poisson_nd
from pdesolve.physics.solvers.pig.method import Pig
from pdesolve.physics.solvers.pig.seeding import bases
from pdesolve.problem import Problem
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_proof_has_the_residual_of_the_formula() -> None:
    """u = v tanh(W x + b) + c, whose Laplacian is Σ v_k tanh''(z_k) |W_k|²."""
    problem = make_problem("poisson_nd", {"dimension": 3})
    module = nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 1)).double()
    cloud = problem.sample(proof._POINTS, "sobol", torch.Generator().manual_seed(proof._SEED))
    with torch.no_grad():
        first, last = (layer for layer in module if isinstance(layer, nn.Linear))
        t = torch.tanh(first(cloud.x))
        bend = (-2 * t * (1 - t**2) * first.weight.square().sum(1)) @ last.weight[0]
        exact = -bend - math.pi**2 * torch.cos(math.pi * cloud.x).sum(1)
    solution = NetworkSolution(problem, module)
    torch.testing.assert_close(residual_rows(solution, cloud)["u"], exact, rtol=1e-12, atol=1e-12)
    assert proof.residual(solution) == pytest.approx(float(exact.square().mean().sqrt()), rel=1e-12)


def networks(axes: Axes) -> dict[str, nn.Sequential]:
    """Ends of networks: wide layers, Gaussians below a perceptron, and layers inside of layers."""
    count = len(axes)
    plain = {"width": 6, "depth": 1, "generator": generator()}
    return {
        "units": nn.Sequential(Rescale(axes), radial_units((0.4,) * count, 9, "gaussian", generator()), _linear(9)),
        "gaussians": nn.Sequential(
            Rescale(axes), drawn(count, 3, count=5, width=1.0, shared=True, generator=generator()), *mlp(3, 1, **plain)
        ),
        "nested": nn.Sequential(mlp(count, 4, **plain), nn.Tanh(), *mlp(4, 1, **plain)),
    }


def _linear(inputs: int) -> nn.Linear:
    return nn.Linear(inputs, 1, dtype=torch.float64)


@pytest.mark.parametrize("name", ["units", "gaussians", "nested"])
@pytest.mark.parametrize("count", [8, 12])
def test_what_is_left_out_at_the_end_of_a_network_changes_nothing(name: str, count: int) -> None:
    """Of 8 axes slopes are stored for each point, of 12 once."""
    axes = Axes(tuple(Axis(f"x{i}", 0.0, 1.0 + i) for i in range(count)))
    module = networks(axes)[name]
    cloud = PointCloud(axes, torch.rand(5, count, dtype=torch.float64, generator=generator()))

    def formula(x: Coordinates) -> dict[str, Field]:
        u = x.outputs(module, [Quantity("u")])["u"]
        return {"row": laplacian(u) - 3.0 * u}

    wanted = Coordinates.sums_wanted_by(formula, cloud)
    ours = formula(Coordinates.of_jets(cloud, wanted))["row"].values
    exact = formula(Coordinates(cloud))["row"].values
    torch.testing.assert_close(ours, exact, rtol=1e-11, atol=1e-11)
    jet = Jet.of_points(cloud.x, wanted["u"]).asking(set(wanted["u"]))
    made = outputs(module, jet)
    assert len(made.indices) == 2 < len(jet.wanted), "the value and the Laplacian alone"


@pytest.fixture(scope="module")
def many() -> Problem:
    return poisson_nd.problem(dimension=100)


def test_a_proof_in_100_dimensions_stays_within_its_bytes(many: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdesolve.evaluating.BYTES", 2**25)
    monkeypatch.setattr(proof, "_POINTS", 512)
    method = Pig(gaussians=8, channels=1, hidden=2)
    solution: Solution = NetworkSolution(many, method.network(many, generator()))
    left, footprint = measured(lambda: proof.residual(solution))
    assert left is not None and math.isfinite(left)
    assert footprint.peak < 1.5 * 2**25


def test_points_go_in_parts_of_the_bytes_that_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdesolve.evaluating.BYTES", 100 * 1000 * 8)
    problem = make_problem("poisson_2d")
    cloud = problem.sample(1000, "sobol", generator())
    parts = list(chunks(cloud, lambda some: torch.ones(len(some.x), 1000, dtype=torch.float64).sum()))
    assert torch.equal(torch.cat([part.x for part in parts]), cloud.x)
    assert 50 <= max(len(part.x) for part in parts) <= 100


def test_gaussians_of_100_dimensions_do_not_vanish_at_first(many: Problem) -> None:
    (layer,) = bases(Pig(gaussians=20).network(many, generator()), 100)
    x = 2 * torch.rand(50, 100, dtype=torch.float64, generator=generator()) - 1
    assert 1e-3 < float(layer.values(x).detach().median()) < 0.9, "of width 0.5 they are 1e-58"


def test_features_of_single_coordinates_are_of_one_each_and_solve_a_sum() -> None:
    problem = make_problem("poisson_nd", {"dimension": 11})
    module = wide(problem.axes, 1, width=25, scales=(1.0,) * 11, units="additive", generator=generator())
    hidden = next(layer for layer in module if isinstance(layer, nn.Linear))
    assert (hidden.weight != 0).sum(1).tolist() == [1] * 25
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pdesolve.physics.collocation.linear._FIRST", 66)
        patch.setattr("pdesolve.physics.collocation.linear._LARGEST", 66)
        method = Pig(collocation=100, condition_points=10, optimiser="output_layer")
        solution = method.solve(problem, Run(budget=Budget.from_now(60), steps=1))
    (error,) = proof.measured(solution, _truth(solution)).values()
    assert error["relative_l2"] < 1e-2


def _truth(solution: Solution) -> proof.Truth:
    problem = solution.problem
    x = solution.coordinates(problem.evaluation_set)
    assert problem.exact is not None
    exact = problem.exact.formula(problem.bind(x), x)
    return proof.Truth(solution, {"u": x.expand(exact["u"]).values.detach()})


@pytest.mark.parametrize("name", ["poisson_nd", "poisson_nd_sister"])
def test_more_dimensions_than_fit_are_refused_in_a_line(name: str) -> None:
    with pytest.raises(InputError, match="dimension from 1 to 100, got 101: bytes") as caught:
        make_problem(name, {"dimension": 101})
    assert "\n" not in str(caught.value)
