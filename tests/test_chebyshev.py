"""The reference on Chebyshev points: errors that fall faster than any power, and when it is chosen."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from pdesolve.condition import Dirichlet, InitialRate, InitialValue, Neumann, Robin
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, cos, exp, sin
from pdesolve.geometry import Axis, Box, Interval
from pdesolve.metrics import relative_l2
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.helmholtz import Helmholtz
from pdesolve.physics.equations.nonlinear_poisson import NonlinearPoisson
from pdesolve.physics.equations.wave import Wave
from pdesolve.physics.problems import kdv, poisson_2d_sister
from pdesolve.physics.solvers.reference.method import Reference
from pdesolve.problem import Evaluation, Problem
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run


def solve(problem: Problem, values=None, **settings: Any):
    return Reference(cache="none", **settings).solve(problem, Run(budget=Budget.from_now(600.0)), values=values)


def wavy(p, x):
    return sin(3 * x["x"] + 0.5) * exp(x["y"])


def walls(*, equation: Any, **values: Any) -> Problem:
    """Every kind of wall for the solution `wavy`."""
    conditions = (
        Dirichlet("u", ("x_min", "y_max"), wavy),
        Neumann("u", "x_max", lambda p, x: 3 * cos(3 * x["x"] + 0.5) * exp(x["y"])),
        Robin("u", 3.0, 1.0, "y_min", lambda p, x: 2 * sin(3 * x["x"] + 0.5)),
    )
    domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.5))
    return Problem("walls", equation, domain, conditions, values=values, evaluation=Evaluation(21))


STATIONARY = {
    "Helmholtz": lambda: walls(equation=Helmholtz(), wavenumber=2.0, source=lambda p, x: (4.0 - 8.0) * wavy(p, x)),
    "nonlinear Poisson": lambda: walls(
        equation=NonlinearPoisson(), source=lambda p, x: 8.0 * wavy(p, x) + p["cubic"] * wavy(p, x) ** 3, cubic=0.7
    ),
}


@pytest.mark.parametrize("name", ["Helmholtz", pytest.param("nonlinear Poisson", marks=pytest.mark.slow)])
def test_stationary_problems_converge_spectrally(name: str) -> None:
    problem = STATIONARY[name]()
    truth = wavy({}, Coordinates(problem.evaluation_set)).values
    errors = [relative_l2(solve(problem, scheme="chebyshev", resolution=n).on()["u"], truth) for n in (8, 12, 16)]
    # a fixed order would gain less at each step
    assert errors[0] > 1e-6 and errors[1] < 1e-2 * errors[0] and errors[2] < 1e-3 * errors[1], errors


def heat() -> tuple[Problem, Any]:
    """exp(-25 D t) cos(5 x + 1), with u + du/dn on one side and a wall that moves on the other."""
    d = 0.1

    def exact(x):
        return exp(-25 * d * x["t"]) * cos(5 * x["x"] + 1)

    time = Axis("t", 0.0, 0.2)
    problem = Problem(
        "rod", Heat(), Interval("x", 0.0, 1.0), time=time, values={"diffusivity": d},
        conditions=(
            InitialValue("u", lambda p, x: cos(5 * x["x"] + 1)),
            Robin("u", 1.0, 1.0, "x_max", lambda p, x: exp(-25 * d * x["t"]) * (math.cos(6) - 5 * math.sin(6))),
            Dirichlet("u", "x_min", lambda p, x: exact(x)),
        ),
        evaluation=Evaluation.uniform(21, time, 2),
    )  # fmt: skip
    return problem, exact


def wave() -> tuple[Problem, Any]:
    """Two waves that run through one another, with values on one side and slopes on the other."""

    def exact(x):
        return sin(5 * (x["x"] - 1.5 * x["t"])) + cos(x["x"] + 1.5 * x["t"])

    def slope(p, x):
        return 5 * cos(5 * (x["x"] - 1.5 * x["t"])) - sin(x["x"] + 1.5 * x["t"])

    time = Axis("t", 0.0, 0.2)
    problem = Problem(
        "string", Wave(), Interval("x", 0.0, 1.0), time=time, values={"speed": 1.5},
        conditions=(
            InitialValue("u", lambda p, x: sin(5 * x["x"]) + cos(x["x"])),
            InitialRate("u", lambda p, x: -7.5 * cos(5 * x["x"]) - 1.5 * sin(x["x"])),
            Dirichlet("u", "x_min", lambda p, x: exact(x)),
            Neumann("u", "x_max", slope),
        ),
        evaluation=Evaluation.uniform(21, time, 2),
    )  # fmt: skip
    return problem, exact


@pytest.mark.parametrize("make", [heat, wave])
@pytest.mark.slow
def test_evolutions_converge_spectrally(make) -> None:
    problem, exact = make()
    truth = exact(Coordinates(problem.evaluation_set)).values
    errors = [
        relative_l2(solve(problem, scheme="chebyshev", resolution=n, tolerance=1e-4).on()["u"], truth) for n in (8, 16)
    ]
    # then the steps in time limit it, at a thousandth of the tolerance each
    assert errors[0] > 1e-5 and errors[1] < 1e-3 * errors[0], errors


def test_smooth_stationary_problems_take_it_and_say_how_good_they_are() -> None:
    problem = poisson_2d_sister.problem()
    assert problem.exact is not None
    truth = solve(problem).on()["u"]
    found = solve(dataclasses.replace(problem, exact=None))
    assert found.notes["scheme"] == "chebyshev" and found.converged
    assert relative_l2(found.on()["u"], truth) < 1e-13
    assert found.notes["estimated_error"] < 1e-9


def test_gradients_pass_through_chebyshev_points() -> None:
    problem = STATIONARY["Helmholtz"]()

    def objective(k: Any) -> torch.Tensor:
        solution = solve(problem, {"wavenumber": k}, scheme="chebyshev", resolution=12)
        x = solution.coordinates(problem.evaluation_set)
        return solution.state(x)["u"].values.square().mean()

    k = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective(k), k)
    with torch.no_grad():
        numeric = (objective(k + 1e-4) - objective(k - 1e-4)) / 2e-4
    assert float(gradient) == pytest.approx(float(numeric), rel=1e-6)


def test_a_ring_has_no_walls() -> None:
    with pytest.raises(InputError, match="it has no walls"):
        solve(kdv.problem(), scheme="chebyshev")
