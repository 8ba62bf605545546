"""Every equation has a known solution that leaves no residual: a formula here, or the exact solution of a problem."""

from __future__ import annotations

import importlib
import math
import pkgutil

import pytest
import torch

import pdesolve.physics.equations
import pdesolve.physics.problems
from pdesolve.fields import Constant, Coordinates, Quantity, cos, d, sin, tanh
from pdesolve.geometry import Axis, Interval, sample


def transport(p, x):
    s = x["x"] - p["speed"] * x["t"]
    return sin(2 * s) + cos(s) ** 2


def shock(p, x):
    """A travelling shock of height 2 a and speed c."""
    a, c = 0.8, 0.3
    return c - a * tanh(a * (x["x"] - c * x["t"]) / (2 * p["viscosity"]))


def wall(p, x):
    """The standing wall between two phases."""
    return tanh(x["x"] * (p["reaction"] / (2 * p["diffusivity"])) ** 0.5)


def soliton(p, x):
    a, b, c = p["advection"], p["dispersion"], 0.6
    s = 0.5 * (c / b) ** 0.5 * (x["x"] - c * x["t"])
    return 3 * c / a * (1 - tanh(s) ** 2)


def front(p, x):
    """The front of tanh and tanh^3 (Y. Kuramoto, T. Tsuzuki 1976), scaled to any coefficients."""
    a, b, c = p["advection"], p["antidiffusion"], p["hyperdiffusion"]
    k, speed = 0.5 * math.sqrt(11 / 19), 0.25
    s = tanh(k * ((b / c) ** 0.5 * x["x"] - speed * b**2 / c * x["t"]))
    return b**1.5 / c**0.5 / a * (speed + 15 / 19 * math.sqrt(11 / 19) * (11 * s**3 - 9 * s))


# by module: the formula and the values of the parameters
SOLUTIONS = {
    "advection": (transport, {"speed": 1.7}),
    "burgers": (shock, {"viscosity": 0.3}),
    "allen_cahn": (wall, {"diffusivity": 0.4, "reaction": 1.3}),
    "korteweg_de_vries": (soliton, {"advection": 1.4, "dispersion": 0.2}),
    "kuramoto_sivashinsky": (front, {"advection": 1.5, "antidiffusion": 0.8, "hyperdiffusion": 0.6}),
}


def modules(package):
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return {name: importlib.import_module(f"{package.__name__}.{name}") for name in names}


@pytest.mark.parametrize("name", SOLUTIONS)
def test_known_solutions_leave_no_residual(name):
    formula, numbers = SOLUTIONS[name]
    module = modules(pdesolve.physics.equations)[name]
    (kind,) = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    equation = kind()
    generator = torch.Generator().manual_seed(0)
    x = Coordinates(sample(Interval("x", -1.0, 1.5), 200, generator=generator, time=Axis("t", 0.0, 1.0)))
    p = {n: Constant(torch.tensor(v, dtype=torch.float64), Quantity(n)) for n, v in numbers.items()}
    (unknown,) = equation.scalars
    state = {unknown: formula(p, x)}
    (row,) = equation.residual(state, p, x).values()
    size = float(d(state[unknown], "x").values.detach().abs().max())
    assert size > 0.1
    assert float(row.values.detach().abs().max()) < 1e-11 * max(1.0, size)


def test_every_equation_has_a_known_solution():
    proven = set(SOLUTIONS)
    for module in modules(pdesolve.physics.problems).values():
        problem = module.problem()
        if problem.exact is not None:
            proven.add(type(problem.equation).__module__.rsplit(".", 1)[1])
    missing = set(modules(pdesolve.physics.equations)) - proven
    assert not missing, f"give {missing} a known solution in this file, or a problem with an exact one"
