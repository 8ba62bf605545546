"""Stationary families: random fields, orders of convergence, the reference's solutions, bodies with holes."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from pdesolve.catalogue import make_family, make_problem
from pdesolve.condition import Dirichlet, Neumann
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Variable
from pdesolve.errors import InputError
from pdesolve.family import Draws
from pdesolve.fields import Constant, Coordinates, Quantity, cos, exp, sin, step
from pdesolve.geometry import Axis, Box, Grid, PointCloud
from pdesolve.integration.compact import CompactSimulator
from pdesolve.integration.flow import FlowSimulator
from pdesolve.integration.sine import SineBasis
from pdesolve.integration.two_point_flux import Volumes, balanced, coefficients
from pdesolve.physics.equations.darcy import Darcy
from pdesolve.physics.equations.helmholtz import Helmholtz
from pdesolve.physics.equations.p_laplacian import PLaplacian
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.physics.solvers.reference.method import Reference
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import cosine_fields
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

BOX = Box(Axis("x", -1.0, 1.0), Axis("y", 0.0, 1.0))
PI = math.pi
DIP = 1.0 - math.cos(PI / 16)  # k^2 = 2 DIP / h^2 / (1 - DIP / 6) is an eigenvalue for h = 1 / 16


def gap(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


# random fields --------------------------------------------------------------------------------------------------------


def deviation(q: np.ndarray) -> np.ndarray:
    return 3.0 / (q + 9.0)


def test_a_field_of_cosines_is_one_function_on_every_grid_and_at_points() -> None:
    m = cosine_fields(BOX.axes, deviation, Draws(0, range(3)).normal(7**2 - 1))
    fine, coarse = Grid.regular(BOX.axes, 17), Grid.regular(BOX.axes, 5)
    values = m({}, Coordinates(fine)).values
    assert values.shape == (3, 17, 17)
    assert torch.allclose(values[:, ::4, ::4], m({}, Coordinates(coarse)).values, atol=1e-14)
    x = Coordinates(coarse)
    points = m({}, Coordinates(PointCloud(BOX.axes, x.columns()))).values
    assert torch.allclose(points.reshape(3, 5, 5), m({}, x).values, atol=1e-14)
    by_hand = m.coefficients[1, 2, 3] * 2 * np.cos(2 * PI * 0.3) * np.cos(3 * PI * 0.7)
    alone = replace_coefficients(m, 1, 2, 3)(
        {}, Coordinates(PointCloud(BOX.axes, torch.tensor([[-0.4, 0.7]], dtype=torch.float64)))
    )
    assert alone.values[0].item() == pytest.approx(by_hand, abs=1e-14)


def replace_coefficients(m: Any, sample: int, i: int, j: int) -> Any:
    only = np.zeros_like(m.coefficients[sample])
    only[i, j] = m.coefficients[sample, i, j]
    return type(m)(m.axes, only)


def test_more_modes_leave_those_that_were_there() -> None:
    few, many = (cosine_fields(BOX.axes, deviation, Draws(5, [2]).normal(k**2 - 1)).coefficients for k in (5, 9))
    assert np.array_equal(few, many[:, :5, :5]) and np.abs(many[:, 5:]).min() > 0


def test_draws_have_the_variance_of_their_formula() -> None:
    m = cosine_fields(BOX.axes, deviation, Draws(1, range(4000)).normal(6**2 - 1))
    values = m({}, Coordinates(Grid.regular(BOX.axes, 3))).values.numpy()
    k = np.arange(6)
    d = deviation((PI * k[:, None] / 2) ** 2 + (PI * k) ** 2)
    d[0, 0] = 0.0
    shapes = np.where(k > 0, math.sqrt(2.0), 1.0) * np.cos(PI * k * np.array([[0.0], [0.5], [1.0]]))
    expected = np.einsum("ij,xi,yj->xy", d**2, shapes**2, shapes**2)
    # the variance of 4000 squares is known to 2.2 percent
    assert np.abs(values.var(0) / expected - 1).max() < 0.09 and np.abs(values.mean(0)).max() < 4 * 0.01


# flow through rock ----------------------------------------------------------------------------------------------------


def manufactured(points: int) -> Problem:
    """a = exp(cos x sin y + s x) for two samples s, u = sin(pi x) (y + 1)^2 with its values on the walls."""
    s = torch.tensor([0.3, 1.5], dtype=torch.float64)

    def u(p: Any, x: Any) -> Any:
        return sin(PI * x["x"]) * (x["y"] + 1.0) ** 2

    def logarithm(x: Any) -> Any:
        slope = Constant(s, Quantity("s"))
        return cos(x["x"]) * sin(x["y"]) + slope * x["x"], slope

    def a(p: Any, x: Any) -> Any:
        return exp(logarithm(x)[0])

    def f(p: Any, x: Any) -> Any:
        slope = logarithm(x)[1]
        ux, uy = PI * cos(PI * x["x"]) * (x["y"] + 1.0) ** 2, 2.0 * sin(PI * x["x"]) * (x["y"] + 1.0)
        lap = -(PI**2) * u(p, x) + 2.0 * sin(PI * x["x"])
        bends = (slope - sin(x["x"]) * sin(x["y"])) * ux + cos(x["x"]) * cos(x["y"]) * uy
        return -a(p, x) * (lap + bends)

    values = {"permeability": a, "source": f}
    return Problem("rock", Darcy(), BOX, (Dirichlet("u", "all", u),), values=values, evaluation=Evaluation(points))


def test_flow_converges_with_order_two() -> None:
    errors = []
    for points in (17, 33, 65):
        problem = manufactured(points)
        x = Coordinates(problem.evaluation_set)
        truth = (sin(PI * x["x"]) * (x["y"] + 1.0) ** 2).values.numpy()
        found = FlowSimulator().simulate(problem).read("u")
        assert found.shape == (2, points, points)
        errors.append(max(gap(one, truth) for one in found))
    assert all(math.log2(a / b) > 1.95 for a, b in pairwise(errors)) and errors[-1] < 3e-4


def test_flow_in_space_agrees_with_sparse_factors() -> None:
    """Three dimensions, sides of different lengths, values on the walls, and a coefficient that jumps by 1000."""
    box = Box(Axis("x", 0.0, 1.0), Axis("y", -1.0, 1.0), Axis("z", 0.0, 0.5))
    m = cosine_fields(box.axes, deviation, Draws(0, range(2)).normal(4**3 - 1))
    values = {"permeability": lambda p, x: 0.01 + 9.99 * step(m(p, x)), "source": lambda p, x: x["z"]}
    walls = (Dirichlet("u", "all", lambda p, x: x["x"] * x["y"]),)
    sizes = {"x": 9, "y": 12, "z": 7}
    problem = Problem("cube", Darcy(), box, walls, values=values, evaluation=Evaluation(sizes))
    grid = problem.grid(sizes)
    found = coefficients(problem, {"x": 8, "y": 11, "z": 6}, values=None, device=torch.device("cpu"))
    expected = balanced(Volumes(problem, grid, found, problem.edges("u", grid), torch.device("cpu"))).numpy()
    data = FlowSimulator().simulate(problem)
    assert expected.shape == (2, 9, 12, 7) and gap(data.read("u"), expected) < 1e-10
    assert FlowSimulator().defect(problem, data).max() < 1e-10


def test_darcy_agrees_with_the_reference_on_the_draw_of_the_problem() -> None:
    problem = replace(make_problem("darcy_2d"), evaluation=Evaluation(65))
    reference = Reference(cache="none", scheme="two_point_flux", resolution=64)
    expected = reference.solve(problem, Run(budget=Budget.from_now(600.0))).on()["u"].numpy()
    data = FlowSimulator().simulate(problem)
    assert gap(data.read("u"), expected) < 1e-11
    finer = replace(problem, evaluation=Evaluation(257))
    assert gap(data.read("u"), FlowSimulator().simulate(finer).read("u")[:, ::4, ::4]) < 4e-3


def test_darcy_is_rock_of_two_kinds() -> None:
    family = make_family("darcy", {"points": 33})
    (problem,) = family.sample(3, seed=4)
    data = family.simulator.simulate(problem)
    assert data.samples == 3 and data.variables["permeability"].dims == ("sample", "x", "y")
    a = data.read("permeability")
    assert set(np.unique(a)) == {3.0, 12.0} and 0.2 < (a == 12.0).mean() < 0.8
    assert np.abs(data.read("u")[:, [0, -1]]).max() == 0 and data.read("u")[:, 1:-1, 1:-1].min() > 0
    assert data.parameters["source"].dims == () and float(data.read("source")) == 1.0


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("darcy", {}),
        ("darcy_pdebench", {"beta": 100.0}),
        ("darcy_smooth", {"amplitude": 6.0}),
        ("poisson", {}),
        ("helmholtz", {"wavenumber": 5.0}),
    ],
)
def test_a_sample_does_not_depend_on_its_batch_and_a_wrong_one_is_seen(name: str, settings: dict[str, float]) -> None:
    family = make_family(name, {"points": 33, **settings})
    data = family.simulator.simulate(family.sample(4, seed=1)[0])
    alone = family.sample(1, seed=1, first=2)[0]
    assert gap(family.simulator.simulate(alone).read("u")[0], data.read("u")[2]) < 1e-12
    (problem,) = family.sample(4, seed=1)
    assert family.simulator.defect(problem, data).max() < 1e-11
    u = data.read("u").copy()
    u[1, 8, 8] *= 1.01
    u[3, 0, 5] = 1e-3 * u[3].max()
    wrong = replace(data, variables={"u": Variable("u", Memory(u), ("sample", "x", "y"))})
    defect = family.simulator.defect(problem, wrong)
    assert defect[[1, 3]].min() > family.tolerance > defect[[0, 2]].max()


def test_blobs_are_where_their_sum_exceeds_its_mean() -> None:
    family = make_family("darcy_pdebench", {"points": 201})
    (problem,) = family.sample(3, seed=2)
    a = family.simulator.simulate(problem).read("permeability")
    draws = Draws(2, range(3))
    h, w, c = draws.uniform(0.5, 1.0, 5), draws.uniform(0.05, 0.2, 5), draws.unit(5, 2)
    for i in range(3):

        def blobs(x: np.ndarray, i: int = i) -> np.ndarray:
            waves = [np.exp(-((x[:, None] - c[i, :, axis]) ** 2) / (2 * w[i] ** 2)) for axis in (0, 1)]
            return np.einsum("b,xb,yb->xy", h[i], *waves)

        mean = blobs((np.arange(2000) + 0.5) / 2000).mean()
        s = blobs(np.linspace(0, 1, 201))
        near = np.abs(s - mean) < 1e-6
        assert np.array_equal((a[i] == 1.0)[~near], (s > mean)[~near]) and set(np.unique(a[i])) == {0.1, 1.0}
    stronger = make_family("darcy_pdebench", {"points": 33, "beta": 10.0})
    weaker = make_family("darcy_pdebench", {"points": 33})
    u, v = (f.simulator.simulate(f.sample(2)[0]).read("u") for f in (stronger, weaker))
    assert gap(u, 10 * v) < 1e-12


def test_what_flow_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(InputError, match="one blob at least"):
        make_family("darcy_pdebench", {"blobs": 0})
    with pytest.raises(InputError, match="permeabilities are positive"):
        make_family("darcy", {"low": -1.0})
    walls = (Dirichlet("u", ("x_min", "x_max", "y_min"), 0.0), Neumann("u", "y_max", 0.0))
    with pytest.raises(InputError, match="u given on all walls"):
        FlowSimulator().simulate(replace(manufactured(9), conditions=walls))


# constant coefficients ------------------------------------------------------------------------------------------------


def test_sines_are_orthonormal() -> None:
    basis = SineBasis([7, 12, 5], [1.0, 2.0, 0.5])
    u = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 6, 11, 4)))
    assert torch.allclose(basis.transform(basis.transform(u)), u, atol=1e-14)
    padded = torch.nn.functional.pad(u, (1, 1) * 3)
    second = -padded.diff(n=2, dim=2)[:, 1:-1, :, 1:-1] * (12 / 2.0) ** 2
    assert torch.allclose(basis.transform(basis.eigenvalues[1] * basis.transform(u)), second, atol=1e-11)


@pytest.mark.parametrize("k", [0.0, 3.0])
def test_compact_differences_are_of_order_four(k: float) -> None:
    """lap u + k^2 u = q with u = x (1 - x^2) sin(pi y) (3 + s y), whose source vanishes at no corner."""
    s = torch.tensor([1.0, -4.0], dtype=torch.float64)

    def parts(x: Any) -> tuple[Any, Any, Any]:
        slope = Constant(s, Quantity("s"))
        wave = sin(PI * x["y"])
        rise = wave * (3.0 + slope * x["y"])
        bend = -(PI**2) * rise + 2.0 * PI * cos(PI * x["y"]) * slope
        return x["x"] * (1.0 - x["x"] ** 2), rise, bend

    def source(p: Any, x: Any) -> Any:
        across, rise, bend = parts(x)
        return -6.0 * x["x"] * rise + across * bend + k**2 * across * rise

    errors = []
    for points in (17, 33, 65):
        values = {"wavenumber": k, "source": source}
        walls = (Dirichlet("u", "all", 0.0),)
        problem = Problem(
            "waves", Helmholtz(), BOX, walls, values=values, evaluation=Evaluation({"x": points, "y": 2 * points - 1})
        )
        across, rise, _ = parts(Coordinates(problem.evaluation_set))
        found = CompactSimulator().simulate(problem).read("u")
        errors.append(gap(found, (across * rise).values.numpy()))
    assert all(math.log2(a / b) > 3.9 for a, b in pairwise(errors)) and errors[-1] < 1e-6


def test_each_sample_may_have_a_wave_number_of_its_own() -> None:
    (problem,) = make_family("helmholtz", {"points": 17}).sample(1)
    k = torch.tensor([1.0, 6.0], dtype=torch.float64)
    both = CompactSimulator().simulate(replace(problem, values={**problem.values, "wavenumber": k}))
    assert np.array_equal(both.read("wavenumber"), k.numpy())
    for i in range(2):
        alone = CompactSimulator().simulate(replace(problem, values={**problem.values, "wavenumber": float(k[i])}))
        assert gap(both.read("u")[i], alone.read("u")[0]) < 1e-13


def test_poisson_converges_in_spite_of_its_corners() -> None:
    found = {}
    for points in (33, 65, 257):
        family = make_family("poisson", {"points": points})
        found[points] = family.simulator.simulate(family.sample(4)[0]).read("u")
    errors = [gap(found[n], found[257][:, :: 256 // (n - 1), :: 256 // (n - 1)]) for n in (33, 65)]
    assert errors[1] < 1e-4 and math.log2(errors[0] / errors[1]) > 2.8


def test_poisson_and_helmholtz_have_the_same_sources() -> None:
    """-lap u = f and lap u + k^2 u = q for small k: one is minus the other."""
    poisson, helmholtz = (
        make_family(n, {"points": 17, **s}) for n, s in (("poisson", {}), ("helmholtz", {"wavenumber": 1e-7}))
    )
    u, v = (f.simulator.simulate(f.sample(2)[0]) for f in (poisson, helmholtz))
    assert np.array_equal(u.read("source"), v.read("source")) and gap(u.read("u"), -v.read("u")) < 1e-12


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (Problem("p", PLaplacian(), BOX, (Dirichlet("u", "all", 0.0),)), "not a lap u"),
        (Problem("p", Poisson(), BOX, (Dirichlet("u", "all", 1.0),)), "u = 0 on all walls"),
        (Problem("p", Helmholtz(), Box(Axis("x", 0.0, 1.0)), (Dirichlet("u", "all", 0.0),),
                 values={"wavenumber": math.sqrt(512 * DIP / (1 - DIP / 6))},
                 evaluation=Evaluation(17)), "without a restoring term"),
    ],
)  # fmt: skip
def test_what_compact_differences_cannot_solve_is_refused(problem: Problem, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CompactSimulator().simulate(problem)
