"""Conditions: what vanishes where, for scalars and vectors, on points and as edges of grids."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from pdesolve.condition import (
    Dirichlet,
    InitialRate,
    InitialValue,
    Neumann,
    Observed,
    Periodic,
    Robin,
)
from pdesolve.equation import Evolution, State, Unknown, Values, flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, GridField, Vector, cos, d, exp, laplacian, sin
from pdesolve.geometry import Axis, Box, Grid, Interval
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.wave import Wave
from pdesolve.problem import Evaluation, Problem

TIME = Axis("t", 0.0, 2.0)
LINE = Interval("x", -0.5, 1.0)
SQUARE = Box(Axis("x", -0.5, 1.0), Axis("y", 0.0, 2.0))


def problem(*conditions, domain=LINE, equation=None, **given) -> Problem:
    start = (InitialValue("u", lambda p, x: exp(x["x"])),) if equation is None else ()
    return Problem(
        "mine",
        equation or Heat(),
        domain,
        conditions=(*start, *conditions),
        time=TIME,
        evaluation=Evaluation.uniform(8, TIME, 2),
        **given,
    )


def violation(problem: Problem, condition, formula, n: int = 30) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = Coordinates(condition.sample(problem, n, "sobol", generator))
    left = condition.residual(problem, lambda at: {"u": formula(at)}, x, problem.bind(x))
    return left.values.detach() if not isinstance(left, Vector) else torch.stack([f.values.detach() for f in left])


def growing(x):
    return exp(x["x"]) * (1.0 + x["t"])


def test_dirichlet_neumann_and_robin_at_both_ends():
    conditions = {
        Dirichlet("u", "x_min", lambda p, x: math.exp(-0.5) * (1.0 + x["t"])): 0.0,
        Dirichlet("u", "x_max", lambda p, x: math.e * (1.0 + x["t"]) - 0.25): 0.25,
        Neumann("u", "x_min", lambda p, x: -math.exp(-0.5) * (1.0 + x["t"])): 0.0,  # outwards is down the axis
        Neumann("u", "x_max", lambda p, x: math.e * (1.0 + x["t"])): 0.0,
        Robin("u", 2.0, 3.0, "x_min", lambda p, x: -math.exp(-0.5) * (1.0 + x["t"])): 0.0,
        Robin("u", 2.0, 3.0, "x_max", lambda p, x: 5 * math.e * (1.0 + x["t"]) + 1.0): -1.0,
        # all ends at once
        Robin("u", 1.0, 0.0, "all", lambda p, x: exp(x["x"]) * (1.0 + x["t"])): 0.0,
        Dirichlet("u", ("x_min", "x_max"), lambda p, x: growing(x)): 0.0,
    }
    for condition, expected in conditions.items():
        left = violation(problem(), condition, growing)
        assert float((left - expected).abs().max()) < 1e-14, condition


def test_normals_on_a_square_point_outwards():
    mine = problem(domain=SQUARE)

    def formula(x):
        return x["x"] ** 2 * x["y"]

    slopes = {
        "x_min": lambda x: -2 * x["x"] * x["y"],
        "x_max": lambda x: 2 * x["x"] * x["y"],
        "y_min": lambda x: -(x["x"] ** 2),
        "y_max": lambda x: x["x"] ** 2,
    }
    for side, slope in slopes.items():
        condition = Neumann("u", side, lambda p, x, slope=slope: slope(x))
        assert float(violation(mine, condition, formula).abs().max()) < 1e-14


def test_initial_values_and_rates():
    mine = problem(InitialValue("u", 0.0), InitialRate("u", 0.0), equation=Wave())
    assert float(violation(mine, InitialValue("u", lambda p, x: exp(x["x"])), growing).abs().max()) < 1e-14
    assert float(violation(mine, InitialRate("u", lambda p, x: exp(x["x"])), growing).abs().max()) < 1e-14
    assert (violation(mine, InitialRate("u", 1.0), lambda x: 3.0 * x["t"]) == 2.0).all()


def test_periodic_axes_bring_their_condition():
    ring = Box(Axis("x", 0.0, 1.0, periodic=True), Axis("y", 0.0, 2.0))
    mine = problem(domain=ring)
    condition = mine.all_conditions[-1]
    assert condition == Periodic("x") and condition.name == "periodic in x"
    smooth = violation(mine, condition, lambda x: sin(2 * math.pi * x["x"]) * x["y"] * x["t"])
    assert smooth.shape[0] == 2 and float(smooth.abs().max()) < 1e-13
    # a sawtooth jumps by one, a parabola about the middle by two in its slope
    jump = violation(mine, condition, lambda x: x["x"] + 0.0 * x["y"])
    assert torch.allclose(jump[0].abs(), torch.ones_like(jump[0])) and float(jump[1].abs().max()) < 1e-13
    kink = violation(mine, condition, lambda x: (x["x"] - 0.5) ** 2)
    assert float(kink[0].abs().max()) < 1e-13 and torch.allclose(kink[1].abs(), 2 * torch.ones_like(kink[1]))


def test_observations_weigh_by_their_noise():
    points = np.array([[0.5, 0.0], [1.0, 0.5], [2.0, 1.0]])
    values = np.exp(points[:, 1]) * (1 + points[:, 0]) + np.array([0.0, 0.1, -0.2])
    left = violation(problem(), Observed("u", points, values, noise=0.1), growing)
    assert left.tolist() == pytest.approx([0.0, -1.0, 2.0], abs=1e-12)


def test_samples_cover_their_parts():
    mine = problem(domain=SQUARE)
    generator = torch.Generator().manual_seed(0)
    for boundary, measure in (("x_min", 2.0), (("x_min", "y_max"), 3.5), ("all", 7.0)):
        cloud = Dirichlet("u", boundary).sample(mine, 40, "sobol", generator)
        assert len(cloud.x) == 40 and len(cloud.normals) == 40
        assert float(cloud.weights.sum()) == pytest.approx(measure * TIME.length)
    cloud = Dirichlet("u", "all").sample(mine, 2, "sobol", generator)
    assert len(cloud.x) == 4  # no side goes without a point
    start = InitialValue("u", 0.0).sample(mine, 16, "regular", generator)
    assert (start.x[:, 0] == 0.0).all() and float(start.weights.sum()) == pytest.approx(SQUARE.measure)


def test_names_say_what_and_where():
    points = np.zeros((1, 2))
    names = {
        Dirichlet("u"): "u at the boundary",
        Neumann("u", "x_min"): "u at x_min",
        Robin("u", 1.0, 1.0, ("x_min", "y_max")): "u at x_min, y_max",
        InitialValue("u", 0.0): "initial u",
        InitialRate("u", 0.0): "initial rate of u",
        Observed("u", points, np.zeros(1)): "observed u",
    }
    for condition, name in names.items():
        assert condition.name == name


@pytest.mark.parametrize("bounded", ["nodes", "cells", "chebyshev"])
@pytest.mark.parametrize("kind", ["dirichlet", "neumann", "robin"])
def test_edges_of_grids_are_the_conditions(bounded, kind):
    """The grid field with a problem's edges has the derivatives of the state that obeys the conditions."""
    slope = {"x_min": -1.0, "x_max": 1.0}
    alpha, beta = {"dirichlet": (1.0, 0.0), "neumann": (0.0, 1.0), "robin": (0.6, 1.4)}[kind]
    conditions = [
        Robin("u", alpha, beta, side, lambda p, x, n=n: (alpha + beta * n) * growing(x)) for side, n in slope.items()
    ]
    mine = problem(*conditions)
    grid = mine.grid(28, bounded=bounded, accuracy=6)
    x = Coordinates(grid).at_instant(0.7)
    exact = exp(x["x"]) * 1.7
    values = x.expand(exact).values.clone()
    if bounded != "cells":
        values[[0, -1]] = 5.0  # stored on the boundary, where the conditions decide
    u = GridField(values, grid, exact.quantity, mine.edges("u", grid, time=0.7))
    assert float((d(u, "x", 2).values - exact.values).abs().max()) < 1e-4
    assert float((u.obeying().values - exact.values).abs().max()) < 1e-7


def test_edges_vary_in_time_along_sides_and_over_samples():
    side = Dirichlet("u", "x_min", lambda p, x: p["diffusivity"] * x["t"] * sin(x["y"]))
    mine = problem(InitialValue("u", 0.0), side, equation=Heat(), domain=SQUARE)
    both = {"diffusivity": torch.tensor([1.0, 2.0], dtype=torch.float64)}
    space = mine.grid({"x": 8, "y": 9})
    (name, edge), *others = mine.edges("u", space, values=both, time=0.5).items()
    assert name == "x_min" and not others and (edge.alpha, edge.beta) == (1.0, 0.0)
    y = torch.linspace(0, 2, 9, dtype=torch.float64)
    assert torch.allclose(edge.value, torch.stack([0.5 * y.sin(), y.sin()]).reshape(2, 1, 9))
    times = torch.tensor([0.0, 2.0], dtype=torch.float64)  # one instant for each sample
    batch = mine.edges("u", space, values=both, time=times)["x_min"].value
    assert torch.allclose(batch, (torch.tensor([0.0, 4.0], dtype=torch.float64)[:, None] * y.sin()).reshape(2, 1, 9))
    whole = mine.grid({"x": 8, "y": 9}, (0.0, 1.0, 2.0))
    assert mine.edges("u", whole, values=both)["x_min"].value.shape == (2, 3, 1, 9)


def test_values_may_be_fields_on_grids():
    source = Coordinates(Grid.regular(SQUARE.axes, 24))
    mine = Problem(
        "mine",
        Heat(),
        SQUARE,
        conditions=(InitialValue("u", exp(source["x"]) * cos(source["y"])),),  # type: ignore[arg-type]
        time=TIME,
        evaluation=Evaluation.uniform(8, TIME, 2),
    )
    x = Coordinates(mine.grid(11))
    found = mine.initial_state(x)["u"]
    assert float((found - exp(x["x"]) * cos(x["y"])).values.abs().max()) < 1e-8
    left = violation(mine, mine.conditions[0], lambda x: exp(x["x"]) * cos(x["y"]))
    assert float(left.abs().max()) < 1e-8


def test_functions_may_return_numbers_but_no_tensors():
    mine = problem(Dirichlet("u", "x_min", lambda p, x: math.exp(-0.5)))
    x = Coordinates(mine.grid(5))
    assert float(mine.edges("u", x.discretisation, time=0.0)["x_min"].value) == math.exp(-0.5)
    with pytest.raises(InputError, match=r"function of \(p, x\) must return a field or a number, got Tensor: write it"):
        problem(InitialRate("u", 0.0), InitialValue("u", lambda p, x: x["x"].values), equation=Wave())


@dataclass(frozen=True)
class Spreading(Evolution):
    """v_t = lap v for a plane vector."""

    unknowns = (Unknown("v", components=("x", "y")),)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {"v": laplacian(u["v"])}


def test_vectors_obey_conditions_by_component():
    def value(p, x):
        return Vector({"x": x["x"] + x["t"], "y": x["y"] * x["t"]})

    mine = problem(
        InitialValue("v", lambda p, x: Vector({"x": x["x"], "y": 0.0 * x["y"]})),
        Dirichlet("v", "x_min", value),
        Neumann("v", "y_max", 0.0),
        equation=Spreading(),
        domain=SQUARE,
    )
    generator = torch.Generator().manual_seed(0)
    expected = {"v at x_min": 0.0, "initial v": 0.0}
    for condition in mine.conditions:
        x = Coordinates(condition.sample(mine, 8, "sobol", generator))
        left = condition.residual(mine, lambda at: {"v": value({}, at)}, x, mine.bind(x))
        assert left.names == ("x", "y")
        if condition.name in expected:
            assert all(float(f.values.detach().abs().max()) < 1e-14 for f in left)
        else:  # dv_y/dy = t on the upper side
            assert torch.allclose(left["y"].values, x["t"].values) and (left["x"].values == 0).all()
    x = Coordinates(mine.grid(5))
    state = mine.initial_state(x)
    assert list(flatten(state)) == ["v_x", "v_y"] and state["v"]["x"].values.shape == (5, 5)
    assert set(mine.edges("v_y", mine.grid(5), time=1.0)) == {"x_min", "y_max"}
    y = torch.linspace(0, 2, 5, dtype=torch.float64)
    assert torch.allclose(mine.edges("v_y", mine.grid(5), time=1.0)["x_min"].value, y.reshape(1, 5))
    rest = problem(InitialValue("v", 0.0), equation=Spreading(), domain=SQUARE).initial_state(x)
    assert list(flatten(rest)) == ["v_x", "v_y"]
    seen = Observed("v_y", np.array([[1.0, 0.0, 0.5]]), np.array([0.25]))
    watched = problem(InitialValue("v", 0.0), seen, equation=Spreading(), domain=SQUARE)
    x = Coordinates(seen.sample(watched, 1, "sobol", generator))
    left = seen.residual(watched, lambda at: {"v": value({}, at)}, x, {})
    assert float(left.values.detach()) == pytest.approx(0.25)
