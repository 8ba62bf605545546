"""Flow down a gradient by finite volumes: layers, orders, batches, gradients, and FNO's Darcy problem."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pdesolve.condition import Dirichlet, Neumann, Robin
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, GridField, cos, exp, sin, step
from pdesolve.geometry import Axis, Box, Grid, GridAxis, Interval
from pdesolve.metrics import relative_l2
from pdesolve.physics.equations.darcy import Darcy
from pdesolve.physics.problems import darcy_2d
from pdesolve.physics.solvers.reference.method import Reference
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import normal_numbers
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

PI = math.pi
SIDES = ("x_min", "x_max", "y_min", "y_max")


def solve(problem: Problem, values=None, **settings: Any):
    return Reference(cache="none", **settings).solve(problem, Run(budget=Budget.from_now(600.0)), values=values)


def square(a: Any, source: Any, *conditions, points: int = 33, periodic: bool = False) -> Problem:
    domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0, periodic=periodic))
    values = {"permeability": a, "source": source}
    return Problem("square", Darcy(), domain, conditions, values=values, evaluation=Evaluation(points))


# exact where it should be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [0.5, 0.46875])
def test_layers_that_meet_at_a_node_or_half_way_are_exact(jump: float) -> None:
    """Flow through two layers in a row: u is linear in each, with one flow."""
    problem = square(
        lambda p, x: 1.0 + 9.0 * step(x["x"] - jump),
        0.0,
        Dirichlet("u", "x_min", 0.0),
        Dirichlet("u", "x_max", 1.0),
        Neumann("u", ("y_min", "y_max"), 0.0),
        points=17,
    )
    solution = solve(problem, resolution=16)
    assert solution.notes["scheme"] == "two_point_flux"
    x = np.linspace(0, 1, 17)
    flow = 1.0 / (jump + (1.0 - jump) / 10.0)
    truth = np.where(x <= jump, flow * x, 1.0 - flow / 10.0 * (1.0 - x))
    assert np.abs(solution.on()["u"].numpy() - truth[:, None]).max() < 1e-13


def test_layers_side_by_side_carry_the_sum_of_their_flows() -> None:
    """u = x whatever a(y) is, a jump along a line of nodes included."""
    problem = square(
        lambda p, x: 1.0 + 9.0 * step(x["y"] - 0.5) + 3.0 * step(x["y"] - 0.21875),
        0.0,
        Dirichlet("u", "x_min", 0.0),
        Robin("u", 2.0, 1.0, "x_max", 3.0),
        Neumann("u", ("y_min", "y_max"), 0.0),
    )
    u = solve(problem, resolution=16).on()["u"]
    assert float((u - torch.linspace(0, 1, 33, dtype=torch.float64)[:, None]).abs().max()) < 1e-12


def test_sources_in_layers_are_of_second_order() -> None:
    """-(a u')' = 1 with a = 1 and 10: parabolas whose flow is continuous at the jump."""
    domain = Interval("x", 0.0, 1.0)
    values = {"permeability": lambda p, x: 1.0 + 9.0 * step(x["x"] - 0.5), "source": 1.0}
    problem = Problem("rod", Darcy(), domain, (Dirichlet("u"),), values=values, evaluation=Evaluation(17))
    x = np.linspace(0, 1, 17)
    # a u' = c - x, and u must come back to zero
    c = (1 / 8 + 3 / 80) / (1 / 2 + 1 / 20)
    left = c * x - x**2 / 2
    right = (c * (x - 1) - (x**2 - 1) / 2) / 10
    truth = torch.from_numpy(np.where(x <= 0.5, left, right))
    errors = [relative_l2(solve(problem, scheme="two_point_flux", resolution=n).on()["u"], truth) for n in (16, 32, 64)]
    assert errors[-1] < 1e-3
    assert all(math.log2(a / b) > 1.9 for a, b in pairwise(errors)) or errors[-1] < 1e-12


def wavy(p, x):
    return sin(2 * x["x"] + 0.5) * exp(0.5 * x["y"]) + 0.2 * x["x"]


def smooth(p, x):
    return 2.0 + sin(x["x"]) * cos(2 * x["y"])


def smooth_source(p, x):
    s, c, e = sin(2 * x["x"] + 0.5), cos(2 * x["x"] + 0.5), exp(0.5 * x["y"])
    bent = smooth(p, x) * (-4 + 0.25) * s * e
    along = cos(x["x"]) * cos(2 * x["y"]) * (2 * c * e + 0.2) - 2 * sin(x["x"]) * sin(2 * x["y"]) * 0.5 * s * e
    return -(bent + along)


def test_smooth_coefficients_give_order_two_with_every_kind_of_wall() -> None:
    problem = square(
        smooth,
        smooth_source,
        Dirichlet("u", ("x_min", "y_max"), wavy),
        Neumann("u", "x_max", lambda p, x: 2 * cos(2 * x["x"] + 0.5) * exp(0.5 * x["y"]) + 0.2),
        Robin("u", 2.0, 1.0, "y_min", lambda p, x: 1.5 * sin(2 * x["x"] + 0.5) + 0.4 * x["x"]),
        points=9,
    )
    truth = wavy({}, Coordinates(problem.evaluation_set)).values
    errors = [relative_l2(solve(problem, scheme="two_point_flux", resolution=n).on()["u"], truth) for n in (16, 32, 64)]
    assert all(1.8 < math.log2(a / b) < 2.3 for a, b in pairwise(errors)), errors
    # polynomials are the better choice here
    assert solve(problem, resolution=16).notes["scheme"] == "chebyshev"


def test_periodic_axes_have_no_ends() -> None:
    """u = sin(pi x) cos(2 pi y) with a of period one in y."""

    def exact(x):
        return sin(PI * x["x"]) * cos(2 * PI * x["y"])

    def source(p, x):
        a, slope = 2 + sin(2 * PI * x["y"]), 2 * PI * cos(2 * PI * x["y"])
        return 5 * PI**2 * a * exact(x) + slope * 2 * PI * sin(PI * x["x"]) * sin(2 * PI * x["y"])

    problem = square(
        lambda p, x: 2 + sin(2 * PI * x["y"]), source, Dirichlet("u", ("x_min", "x_max")), points=16, periodic=True
    )
    truth = exact(Coordinates(problem.evaluation_set)).values
    errors = [relative_l2(solve(problem, scheme="two_point_flux", resolution=n).on()["u"], truth) for n in (32, 64)]
    assert errors[1] < 2e-3 and math.log2(errors[0] / errors[1]) > 1.9


# batches, gradients and fields ----------------------------------------------------------------------------------------


def draws(problem: Problem, grid: Grid, seeds: int) -> Tensor:
    x = Coordinates(grid)
    return torch.stack([darcy_2d.problem(seed=s).bind(x)["permeability"].values for s in range(seeds)])


@pytest.mark.parametrize("placement", ["cells", "nodes"])
def test_a_batch_is_a_loop_and_takes_fields_as_they_are(placement) -> None:
    problem = darcy_2d.problem()
    grid = problem.grid(32 if placement == "cells" else 33, bounded=placement)
    fields = draws(problem, grid, 3)
    quantity = Coordinates(grid)["x"].quantity

    def solved(a: Tensor) -> Tensor:
        return solve(problem, {"permeability": GridField(a, grid, quantity)}, resolution=32).on()["u"]

    batch = solved(fields)
    assert batch.shape == (3, 129, 129)
    for one, a in zip(batch, fields, strict=True):
        assert relative_l2(solved(a), one) < 1e-12
    assert relative_l2(batch[1], batch[0]) > 0.1


def test_the_gradient_reaches_the_coefficient() -> None:
    """Of one sample of a batch, against central differences: in the interior, at a wall, and along all of it."""
    problem = darcy_2d.problem()
    grid = problem.grid(8, bounded="cells")
    start = draws(problem, grid, 2)
    quantity = Coordinates(grid)["x"].quantity

    def objective(a: Tensor) -> Tensor:
        solution = solve(problem, {"permeability": GridField(a, grid, quantity)}, scheme="two_point_flux", resolution=8)
        x = solution.coordinates(problem.grid(9))
        return solution.state(x)["u"].values.square().sum((-1, -2))

    a = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(objective(a).sum(), a)
    directions = [torch.zeros_like(a) for _ in range(2)] + [torch.ones_like(a)]
    directions[0][1, 3, 4] = directions[1][1, 0, 5] = 1.0
    for direction in directions:
        with torch.no_grad():
            numeric = (objective(start + 1e-4 * direction) - objective(start - 1e-4 * direction)).sum() / 2e-4
        assert float((gradient * direction).sum()) == pytest.approx(float(numeric), rel=1e-5)
    assert float(gradient[0, 3, 4]) != float(gradient[1, 3, 4])


# FNO's Darcy flow -----------------------------------------------------------------------------------------------------


def test_the_draw_is_the_formula_of_the_docstring() -> None:
    xi = normal_numbers(7, 32 * 32).reshape(32, 32)
    problem = darcy_2d.problem(seed=7)
    grid = problem.grid(21, bounded="cells")
    x, y = np.meshgrid(grid["x"].points, grid["y"].points, indexing="ij")
    m = np.zeros_like(x)
    for i in range(32):
        for j in range(32):
            if i or j:
                scale = math.sqrt(2) ** ((i > 0) + (j > 0))
                m += xi[i, j] * scale * np.cos(i * PI * x) * np.cos(j * PI * y) / (PI**2 * (i * i + j * j) + 9)
    a = problem.bind(Coordinates(grid))["permeability"].values.numpy()
    assert np.array_equal(a, np.where(m >= 0, 12.0, 3.0)) and 3.0 < a.mean() < 12.0
    # the numbers of the generator, should anything ever change them
    assert xi[0, :2] == pytest.approx([0.774152153084574, -0.5834297151844368], rel=1e-12)


def test_the_flow_agrees_with_five_points_on_cells() -> None:
    """Unknowns at the centres of cells and the scheme written down again, on a grid of its own."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import spsolve

    n, problem = 128, darcy_2d.problem()
    a = problem.bind(Coordinates(problem.grid(n, bounded="cells")))["permeability"].values.numpy()
    number, rows, columns, entries = np.arange(n * n).reshape(n, n), [], [], []
    diagonal = np.zeros((n, n))
    for axis in (0, 1):
        first, second = np.split(a, [n - 1], axis)[0], np.split(a, [1], axis)[1]
        g = 2 / (1 / first + 1 / second)
        i, j = (part.ravel() for part in (np.split(number, [n - 1], axis)[0], np.split(number, [1], axis)[1]))
        rows += [i, j]
        columns += [j, i]
        entries += [-g.ravel(), -g.ravel()]
        np.add.at(diagonal.ravel(), i, g.ravel())
        np.add.at(diagonal.ravel(), j, g.ravel())
        for end in (0, n - 1):  # the wall is half an interval away
            np.moveaxis(diagonal, axis, 0)[end] += 2 * np.moveaxis(a, axis, 0)[end]
    rows, columns = [number.ravel(), *rows], [number.ravel(), *columns]
    entries = np.concatenate([diagonal.ravel(), *entries])
    matrix = coo_matrix((entries, (np.concatenate(rows), np.concatenate(columns)))).tocsr()
    truth = torch.from_numpy(spsolve(matrix, np.full(n * n, 1.0 / n**2)).reshape(n, n))
    solution = solve(problem, resolution=128)
    grid = Grid(tuple(GridAxis(axis, "cells", n) for axis in problem.domain.axes))
    # cells and volumes see the front in other places: an error like h, as is the estimate
    assert relative_l2(solution.on(grid)["u"], truth) < 1e-2
    assert 1e-4 < solution.notes["estimated_error"] < 1e-2


def test_the_mirrored_coefficient_gives_the_mirrored_flow() -> None:
    problem = darcy_2d.problem(source=10.0)
    grid = problem.grid(32, bounded="cells")
    a = draws(problem, grid, 1)[0]
    quantity = Coordinates(grid)["x"].quantity
    both = torch.stack([a, a.flip(1), a.T])
    u = solve(problem, {"permeability": GridField(both, grid, quantity)}, resolution=32).on()["u"]
    assert relative_l2(u[1], u[0].flip(1)) < 1e-12 and relative_l2(u[2], u[0].T) < 1e-12


# what it refuses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (lambda: square(-1.0, 1.0, Dirichlet("u")), "permeability must be a number in"),
        (lambda: square(lambda p, x: x["x"] - 0.5, 1.0, Dirichlet("u")), "needs a that is positive everywhere"),
        (lambda: square(2.0, 1.0, Neumann("u")), "nothing fixes the solution"),
    ],
)
def test_what_volumes_cannot_balance_is_said_in_one_line(problem, message) -> None:
    with pytest.raises(InputError, match=message) as caught:
        solve(problem(), scheme="two_point_flux", resolution=8)
    assert "\n" not in str(caught.value)


def test_a_field_that_is_known_elsewhere_stays_within_its_bounds() -> None:
    """Interpolated polynomials would overshoot 3 and 12 at the jumps, and below zero with larger ones."""
    problem = darcy_2d.problem()
    grid = problem.grid(24, bounded="cells")
    a = GridField(1e-3 + draws(problem, grid, 1)[0] - 3.0, grid, Coordinates(grid)["x"].quantity)
    u = solve(problem, {"permeability": a}, scheme="two_point_flux", resolution=20).on(problem.grid(21))["u"]
    assert bool((u >= 0).all()) and float(u.max()) > 1.0
