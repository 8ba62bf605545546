"""Recorded fields: the formula of what Python computes, and nothing in part."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import pdesolve as ps
from pdesolve.errors import InputError
from pdesolve.fields import Constant, Coordinates, Field, Quantity, Vector, curl, d, div, dot, dx, grad, laplacian, mean
from pdesolve.fields.formula import Name, text
from pdesolve.fields.recorded import RecordedCoordinates, RecordedField, formula_of
from pdesolve.geometry import Axes, Axis, PointCloud

AXES = Axes((Axis("x", 0, 1), Axis("y", 0, 1)))


def named(name: str) -> RecordedField:
    return RecordedField(Name(name), AXES)


U, V = named("u"), named("v")
FORMULAS: dict[str, Any] = {
    "u + 2*v": lambda u, v: u + 2 * v,
    "1 - u/v": lambda u, v: 1 - u / v,
    "2/u + v*3": lambda u, v: 2 / u - -(v * 3),
    "u**3*(u + v)": lambda u, v: u**3 * (u + v),
    "(-u)**2 - u**0.5": lambda u, v: (-u) ** 2 - u**0.5,
    "u - (v - 1)": lambda u, v: u - (v - 1),
    "sin(pi*u)*exp(-v) + sech(u)": lambda u, v: ps.sin(math.pi * u) * ps.exp(-v) + ps.sech(u),
    "sqrt(u) + abs(v) + step(u - 1)": lambda u, v: ps.sqrt(u) + ps.absolute(v) + ps.step(u - 1),
    "max(u, v) - min(2, u)": lambda u, v: ps.maximum(u, v) - ps.minimum(2, u),
    "dx(u)*dx(v) + dy(u)*dy(v)": lambda u, v: dot(grad(u), grad(v)),
    "dx(dx(v)*u) + dy(dy(v)*u)": lambda u, v: div(u * grad(v)),
    "dxx(u) + dyy(u)": lambda u, v: laplacian(u),
    "dx(v) - dy(u)": lambda u, v: curl(Vector({"x": u, "y": v})),
    "dx(dx(u))": lambda u, v: dx(dx(u)),
    "mean(u)": lambda u, v: mean(u),
    "integrate(u*v)": lambda u, v: ps.integrate(u * v, "x", "y"),
    "0.5*u": lambda u, v: Constant(torch.tensor(0.5, dtype=torch.float64), Quantity("c")) * u,
}


@pytest.mark.parametrize("expected", FORMULAS)
def test_operations_are_written_down(expected: str) -> None:
    assert text(formula_of(FORMULAS[expected](U, V))) == expected


def test_recorded_formulas_give_what_the_python_gives() -> None:
    """Read back and evaluated on points, each formula has the values of the function it was recorded from."""
    from pdesolve.text.formula import Formula
    from pdesolve.text.scope import Scope

    points = torch.rand(12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    x = Coordinates(PointCloud(AXES, points, torch.full((12,), 1 / 12, dtype=torch.float64)))
    u, v = ps.exp(x["x"]) * x["y"], 1.5 + x["x"] * x["y"]
    scope = Scope({"u": "scalar", "v": "scalar"}, ("x", "y"), ("x", "y"))
    for function in FORMULAS.values():
        node = scope.read(text(formula_of(function(U, V))))
        found, expected = Formula(node)(x, {"u": u, "v": v}), function(u, v)
        assert isinstance(found, Field)
        assert torch.allclose(found.values, expected.values, rtol=1e-12, atol=1e-12), text(node)


def test_values_are_never_looked_at() -> None:
    def branching(u: Any) -> Any:
        return u if float(u.values.max()) > 0 else -u

    with pytest.raises(InputError, match="looks at the values of u"):
        branching(U)
    with pytest.raises(InputError, match="makes new values"):
        U.like(torch.zeros(3), Quantity("w"))
    with pytest.raises(InputError, match="given by values"):
        U + Constant(torch.ones(3), Quantity("w"))
    with pytest.raises(InputError, match="given by values"):
        formula_of(torch.ones(2))
    with pytest.raises(InputError, match="only over all of space"):
        mean(U, "x")
    with pytest.raises(InputError, match="unknown axis 'z'"):
        d(U, "z")


def test_coordinates_are_names() -> None:
    x = RecordedCoordinates(AXES, ("x", "y"))
    assert text(formula_of(ps.sin(x["x"]) + x["y"])) == "sin(x) + y"
    assert x.expand(U) is U and text(formula_of(x.constant(2.5))) == "2.5"
    with pytest.raises(InputError, match="unknown axis 't'"):
        x["t"]
    with pytest.raises(InputError, match="makes the values"):
        x.field(torch.ones(1), "w")
