"""Lifts: conditions of box problems that hold for every network."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import math
import warnings
import weakref
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pdesolve import make_problem
from pdesolve.catalogue import entries
from pdesolve.condition import Dirichlet, InitialRate, InitialValue, Neumann, Observed
from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Quantity, Vector, absolute, cos, d, dtt, dxx, exp, sin, step
from pdesolve.fields.grid import GridField
from pdesolve.geometry import Axis, Box, Grid, GridAxis, Interval, PointCloud
from pdesolve.nn import NetworkSolution, PeriodicEmbedding, Rescale, mlp, read_network
from pdesolve.physics.constraints import BoxLift, lift
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.physics.equations.wave import Wave
from pdesolve.problem import Evaluation, Problem
from pdesolve.proof import violations

BOXES = [entry.name for entry in entries("problem") if entry.name not in ("elastic_plate", "poisson_l_shape")]
TIME = Axis("t", 0.0, 2.0)
# the conditions of the catalogue that no lift can hold, and a word of the reason
SOFT = {
    "gray_scott": {"initial u": "period of x", "initial v": "period of x"},
    "kdv_two_solitons": {"initial u": "value jumps at the period of x"},
    "lid_cavity": {"velocity at y_max": "disagrees with velocity at x_min, x_max, y_min by 1"},
    "schroedinger": {"initial h": "slope jumps at the period of x"},
    "shallow_water_dam": {"initial depth": "value jumps at x = 0.5", "depth at the boundary": "slope"},
    "shallow_water_radial": {
        "initial depth": "value jumps", "depth at the boundary": "slope", "momentum at the boundary": "slope",
    },
    "sod": {
        "initial density": "value jumps at x = 0.5", "initial energy": "value jumps at x = 0.5",
        "density at the boundary": "slope", "energy at the boundary": "slope",
    },
    "taylor_green_walls_2d": {"velocity through the boundary": "one component of a vector"},
    "taylor_green_walls_2d_sister": {"velocity through the boundary": "one component of a vector"},
}  # fmt: skip


@cache
def lifted(name: str) -> BoxLift:
    return lift(make_problem(name))


def network(problem: Problem, seed: int = 0, scale: float = 1.0) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = [Rescale(problem.axes)]
    inputs = len(problem.axes)
    if any(axis.periodic for axis in problem.axes):
        embedding = PeriodicEmbedding(problem.axes, 2)
        layers.append(embedding)
        inputs = embedding.outputs
    layers += mlp(inputs, len(problem.equation.scalars), width=12, depth=2, generator=generator)
    with torch.no_grad():
        for parameter in nn.Sequential(*layers).parameters():
            parameter.mul_(scale)
    return nn.Sequential(*layers)


def solution(problem: Problem, seed: int = 0) -> NetworkSolution:
    own = lifted(problem.name) if problem.name in BOXES else lift(problem)
    return NetworkSolution(problem, network(problem, seed, 3.0), lift=own)


def interval(*conditions: Any, equation: Any = None, time: Axis | None = TIME, domain: Any = None) -> Problem:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Problem(
            name="made", equation=equation or Heat(), domain=domain or Interval("x", 0.0, 1.0), conditions=conditions,
            time=time, values={"source": 1.0} if isinstance(equation, Poisson) else {},
            evaluation=Evaluation(9, times=(1.0,) if time else ()),
        )  # fmt: skip


LONG = ("allen_cahn", "navier_stokes_2d")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in BOXES])
def test_a_random_network_keeps_every_condition_that_is_called_exact(name: str) -> None:
    problem, lift = make_problem(name), lifted(name)
    words = SOFT.get(name, {})
    assert {*lift.soft} == {*words} and {*lift.exact} == {*problem.named_conditions} - {*words}
    assert all(word in lift.soft[condition] for condition, word in words.items()), lift.soft
    found = violations(solution(problem))
    for condition in lift.exact:
        # a series that smooths a kink ends somewhere
        bound = 2e-6 if lift.evolved and condition.startswith("initial") else 1e-12
        assert found[condition] <= bound, (condition, found[condition])
    for condition in lift.soft:
        assert found[condition] > 1e-3  # the network is no solution


@pytest.mark.parametrize("name", ["klein_gordon_2d", "flow_mixing", "diffusion_sorption", "helmholtz_2d", "wave_1d"])
def test_derivatives_are_finite_up_to_the_corners(name: str) -> None:
    problem = make_problem(name)
    s = solution(problem)
    corners = torch.tensor(list(itertools.product(*[(a.lower, a.upper) for a in problem.axes])), dtype=torch.float64)
    x = s.coordinates(PointCloud(problem.axes, corners), gradients=True)
    for field in flatten(s.state(x)).values():
        for axis, order in itertools.product(problem.axes.names, (0, 1, 2)):
            assert torch.isfinite(d(field, axis, order).values).all() if order else torch.isfinite(field.values).all()


@pytest.mark.parametrize(("name", "order"), [("burgers_shock", 1), ("wave_1d", 2), ("klein_gordon_2d", 2)])
def test_the_network_enters_at_the_right_order_in_time(name: str, order: int) -> None:
    problem = make_problem(name)
    one, other = solution(problem, 0), solution(problem, 1)
    gaps = []
    for time in (1e-3, 5e-4):
        points = torch.full((5, len(problem.axes)), 0.3, dtype=torch.float64)
        points[:, 0] = time
        cloud = PointCloud(problem.axes, points)
        gaps.append(float((one.on(cloud)["u"] - other.on(cloud)["u"]).abs().max()))
    assert math.log2(gaps[0] / gaps[1]) == pytest.approx(order, abs=0.05)


def test_the_factor_stays_of_order_one_over_long_times() -> None:
    problem = make_problem("klein_gordon_2d")
    x = Coordinates(problem.evaluation_set)
    affine = lifted("klein_gordon_2d").at(x, {})
    late = x.expand(affine.factor["u"]).values[-1]
    assert 0.9 < float(late.max()) <= 1.0
    assert float(x.expand(affine.offset["u"]).values.abs().max()) < 4.0  # u0 + t v0 would reach 22


def test_the_gradient_in_the_parameters_agrees_with_central_differences() -> None:
    problem = make_problem("burgers_shock")
    s = solution(problem)
    x = s.coordinates(problem.sample(40, "sobol", torch.Generator().manual_seed(0)), gradients=True)
    p = problem.bind(x)

    def loss() -> torch.Tensor:
        return problem.equation.residual(s.state(x), p, x)["u"].values.square().mean()

    weight = next(s.module.parameters())
    for _ in range(2):  # what is kept of the lift serves a second backward pass
        (gradient,) = torch.autograd.grad(loss(), weight)
    for place in ((0, 0), (3, 1)):
        values = []
        for h in (1e-6, -1e-6):
            with torch.no_grad():
                weight[place] += h
            values.append(float(loss().detach()))
            with torch.no_grad():
                weight[place] -= h
        assert float(gradient[place]) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


def on_boundary(value: Any, ends: dict[str, tuple[float, ...]]) -> Any:
    """The value, refused wherever none of the named coordinates is at one of its ends."""

    def given(p: Any, x: Any) -> Any:
        held = torch.zeros((), dtype=torch.bool)
        for axis, places in ends.items():
            here = x[axis].values.detach()
            held = held | torch.stack([here == place for place in places]).any(0)
        assert bool(held.all()), "the lift looked off the boundary"
        return value(x)

    return given


def honest(domain: Box) -> Problem:
    u = lambda x: sin(x["x"] + 2 * x["y"] + x["t"])  # noqa: E731
    sides = {"x": (0.0, 1.0), "y": (-1.0, 1.0)}
    return interval(
        InitialValue("u", on_boundary(u, {"t": (0.0,)})),
        InitialRate("u", on_boundary(lambda x: cos(x["x"] + 2 * x["y"] + x["t"]), {"t": (0.0,)})),
        Dirichlet("u", "all", on_boundary(u, sides)), equation=Wave(), domain=domain,
    )  # fmt: skip


def test_a_lift_sees_boundary_data_on_the_boundary_only() -> None:
    """In every kind of field, with the reference's states at the same places."""
    problem = honest(Box(Axis("x", 0.0, 1.0), Axis("y", -1.0, 1.0)))
    s = solution(problem)
    assert not s.lift.soft  # type: ignore[union-attr]
    grid = problem.grid({"x": 5, "y": 7}, times=(0.0, 0.7, 1.9))
    values = s.on(grid)["u"]
    cloud = PointCloud(problem.axes, Coordinates(grid).columns())
    points = s.coordinates(cloud, gradients=True)
    functions = Coordinates.of_functions(cloud)
    at_points, as_functions = s.state(points)["u"], s.state(functions)["u"]
    torch.testing.assert_close(at_points.values, values.reshape(-1), rtol=0, atol=1e-13)
    for partial in (lambda f: f, dtt, dxx, lambda f: d(d(f, "y"), "t")):
        torch.testing.assert_close(partial(as_functions).values, partial(at_points).values, rtol=1e-10, atol=1e-10)
    assert violations(s)["u at the boundary"] < 1e-14


def test_one_end_of_an_axis_leaves_the_other_free() -> None:
    problem = interval(
        InitialValue("u", lambda p, x: exp(x["x"])), Dirichlet("u", "x_min", lambda p, x: cos(x["t"])),
        Neumann("u", "x_max", 0.0),
    )  # fmt: skip
    s = solution(problem)
    assert s.lift.exact == ("initial u", "u at x_min")  # type: ignore[union-attr]
    found = violations(s)
    assert found["initial u"] < 1e-14 and found["u at x_min"] < 1e-14
    late = PointCloud(problem.axes, torch.tensor([[2.0, 1.0]], dtype=torch.float64))
    assert abs(float(s.on(late)["u"] - solution(problem, 1).on(late)["u"])) > 0.1


def test_walls_along_a_periodic_axis() -> None:
    domain = Box(Axis("x", 0.0, 1.0, periodic=True), Axis("y", 0.0, 1.0))
    wall = lambda p, x: sin(2 * math.pi * x["x"]) * exp(-1.0 * x["t"])  # noqa: E731
    start = lambda p, x: sin(2 * math.pi * x["x"]) * (1.0 + x["y"] * (1.0 - x["y"]))  # noqa: E731
    s = solution(interval(InitialValue("u", start), Dirichlet("u", "all", wall), domain=domain))
    assert not s.lift.soft  # type: ignore[union-attr]
    assert max(violations(s).values()) < 1e-12
    kinked = interval(
        InitialValue("u", 0.0), Dirichlet("u", "all", lambda p, x: x["x"] * (1.0 - x["x"]) * x["t"]), domain=domain
    )
    assert "slope jumps at the period of x" in lift(kinked).soft["u at the boundary"]


def test_conditions_that_disagree_give_way() -> None:
    cold = interval(InitialValue("u", 1.0), Dirichlet("u", "all", 0.0))
    assert lift(cold).soft == {"initial u": "it disagrees with u at the boundary by 1 at t = 0, x = 0"}
    square = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    lid = interval(
        Dirichlet("u", ("x_min", "x_max", "y_min"), 0.0), Dirichlet("u", "y_max", lambda p, x: 1.0 - x["x"]),
        equation=Poisson(), time=None, domain=square,
    )  # fmt: skip
    assert [*lift(lid).soft] == ["u at y_max"]
    assert max(v for n, v in violations(solution(lid)).items() if n != "u at y_max") < 1e-14
    moving = Dirichlet("u", "all", lambda p, x: sin(x["t"]))
    still = interval(InitialValue("u", 0.0), InitialRate("u", 0.0), moving, equation=Wave())
    assert "it disagrees with the rate of u at the boundary by 1" in lift(still).soft["initial rate of u"]
    # the initial value stays exact, with a factor of first order
    found = violations(solution(still))
    assert found["initial u"] < 1e-14 and found["u at the boundary"] < 1e-14


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (lambda x: step(x - 0.3), "value jumps at x = 0.3"),
        (lambda x: absolute(x - 0.3), "slope jumps at x = 0.3"),
        (lambda x: (x - 0.3) * absolute(x - 0.3), "curvature jumps at x = 0.3"),
        (lambda x: exp(-1e4 * (x - 0.3) ** 2), None),
        (lambda x: sin(60 * x), None),
        (lambda x: 0.0 * x + 1e-9, None),
    ],
)
def test_only_smooth_data_are_lifted(start: Any, words: str | None) -> None:
    soft = lift(interval(InitialValue("u", lambda p, x: start(x["x"])))).soft
    assert (words is None and not soft) or (words is not None and words in soft["initial u"])


@pytest.mark.parametrize("placement", ["nodes", "chebyshev", "listed"])
def test_data_of_files_are_lifted_where_they_are_smooth(placement: Any) -> None:
    axis = Axis("x", 0.0, 1.0)
    uneven = tuple((torch.linspace(0, 1, 65, dtype=torch.float64) ** 1.2).tolist())
    member = GridAxis(axis, placement, 65, uneven if placement == "listed" else ())
    values = torch.sin(3 * torch.as_tensor(member.points))
    rough = values + 1e-3 * torch.randn(65, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    grid = Grid((member,))
    s = solution(interval(InitialValue("u", GridField(values, grid, Quantity("u")))))
    assert not s.lift.soft and violations(s)["initial u"] < 1e-12  # type: ignore[union-attr]
    if placement != "chebyshev":  # a polynomial of degree 64 is smooth
        assert "jumps" in lift(interval(InitialValue("u", GridField(rough, grid, Quantity("u"))))).soft["initial u"]


def test_walls_of_files_are_taken_at_the_wall() -> None:
    """A field over time and all of space, as boundary value: every kind of field reads its side only."""
    time, space = GridAxis(TIME, "nodes", 33), GridAxis(Axis("x", 0.0, 1.0), "nodes", 17)
    t, x = (torch.as_tensor(m.points) for m in (time, space))
    values = torch.cos(t)[:, None] * (1 + x)
    inside = values.clone()
    inside[:, 8:9] = 1e6  # would show
    field = GridField(inside, Grid((time, space)), Quantity("u"))
    problem = interval(InitialValue("u", lambda p, x: 1.0 + x["x"]), Dirichlet("u", "all", field))
    s = NetworkSolution(
        problem, network(problem), lift=BoxLift(problem, ("initial u", "u at the boundary"), {}, {}, {})
    )
    grid = problem.grid(9, times=(0.0, 1.0))
    cloud = PointCloud(problem.axes, Coordinates(grid).columns())
    found = s.on(grid)["u"]
    torch.testing.assert_close(found[1, [0, -1]], math.cos(1.0) * torch.tensor([1.0, 2.0], dtype=torch.float64))
    torch.testing.assert_close(s.on(cloud)["u"], found.reshape(-1), rtol=0, atol=1e-12)
    torch.testing.assert_close(s.state(Coordinates.of_functions(cloud))["u"].values.detach(), found.reshape(-1))
    assert not lift(problem).soft
    assert float(found.abs().max()) < 100


def test_vectors_are_held_component_by_component() -> None:
    from pdesolve.physics.equations.linear_elasticity import LinearElasticity

    pull = lambda p, x: Vector({"x": x["x"] * x["y"], "y": x["x"] ** 2})  # noqa: E731
    problem = Problem(
        name="made", equation=LinearElasticity(), domain=Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
        conditions=(Dirichlet("displacement", "all", pull),), values={"first_lame": 1.0, "shear_modulus": 1.0},
        evaluation=Evaluation(9),
    )  # fmt: skip
    s = solution(problem)
    assert not s.lift.soft and violations(s)["displacement at the boundary"] < 1e-14  # type: ignore[union-attr]


def test_what_is_learned_or_measured_stays_soft() -> None:
    moving = Dirichlet("u", "x_min", lambda p, x: p["diffusivity"] * x["t"])
    observed = Observed("u", torch.tensor([[0.5, 0.5]]).numpy(), torch.tensor([0.1]).numpy())
    problem = interval(InitialValue("u", 0.0), moving, Dirichlet("u", "x_max", 0.0), observed)
    assert [*lift(problem).soft] == ["observed u"]
    soft = lift(problem, learned=("diffusivity",)).soft
    assert soft["u at x_min"] == "its data depend on diffusivity, which is learned"
    assert [*soft] == ["u at x_min", "observed u"]
    with pytest.raises(InputError, match="viscosity"):
        lift(problem, learned=("viscosity",))


@pytest.mark.slow
def test_many_dimensions_are_lifted_while_that_is_cheap() -> None:
    soft = lift(make_problem("poisson_nd", {"dimension": 10})).soft
    assert "59048 evaluations" in soft["u at the boundary"]
    axes = [Axis(f"x{i}", 0.0, 1.0) for i in range(10)]
    zero = interval(Dirichlet("u", "all", 0.0), equation=Poisson(), time=None, domain=Box(*axes))
    assert violations(solution(dataclasses.replace(zero, evaluation=Evaluation(2))))["u at the boundary"] == 0.0


def test_a_stored_solution_comes_back_with_its_lift(tmp_path: Path) -> None:
    problem = make_problem("burgers_shock")
    s = solution(problem)
    s.write(tmp_path)
    stored = read_network(tmp_path, "cpu")
    assert stored.lift is not None
    again = NetworkSolution(problem, network(problem, 5), lift=BoxLift.from_record(problem, stored.lift))
    again.take(stored)
    assert torch.equal(again.on()["u"], s.on()["u"])
    plain = NetworkSolution(problem, network(problem, 5))
    plain.write(tmp_path)
    assert read_network(tmp_path, "cpu").lift is None


def test_what_a_lift_knows_is_computed_once_and_forgotten_with_the_points() -> None:
    calls = []

    def wall(p: Any, x: Any) -> Any:
        calls.append(1)
        return sin(x["t"])

    problem = interval(InitialValue("u", 0.0), Dirichlet("u", "all", wall), equation=Burgers())
    s = solution(problem)
    x = s.coordinates(problem.sample(10, "sobol", torch.Generator().manual_seed(0)), gradients=True)
    calls.clear()
    with torch.no_grad():  # the first to ask wants no derivatives
        s.state(x)
    first = len(calls)
    assert 0 < first <= 2
    slope = d(s.state(x)["u"], "t").values
    assert len(calls) == first
    fresh = s.coordinates(x.discretisation, gradients=True)
    torch.testing.assert_close(slope, d(s.state(fresh)["u"], "t").values)
    assert len(calls) == 2 * first
    gone = weakref.ref(x)
    del x
    gc.collect()
    assert gone() is None


def test_projected_coordinates_are_constant_along_what_is_fixed() -> None:
    problem = make_problem("heat_1d")
    cloud = problem.sample(7, "sobol", torch.Generator().manual_seed(0))
    module = network(problem)
    table = cloud.x.clone()
    table[:, 1] = 0.25
    for x in (Coordinates(cloud), Coordinates.of_functions(cloud)):
        foot = x.projected({"x": 0.25})
        u = foot.outputs(module, [Quantity("u")])["u"]  # a network sees the feet too
        torch.testing.assert_close(u.values, module(table)[:, 0])
        torch.testing.assert_close(d(u, "x").values, torch.zeros_like(u.values))
        assert float(d(u, "t").values.detach().abs().min()) > 0
        assert [*foot] == ["t", "x"] and float(foot["x"].values) == 0.25
