"""Fields: arithmetic, names, units, constants, coordinates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pdesolve.errors import InputError
from pdesolve.fields import (
    Constant,
    Coordinates,
    GridField,
    Quantity,
    Vector,
    absolute,
    cos,
    d,
    dx,
    exp,
    integrate,
    maximum,
    mean,
    minimum,
    sin,
    sqrt,
)
from pdesolve.geometry import Axes, Axis, Grid, Interval, PointCloud, sample
from pdesolve.unit import Unit

X = Axis("x", 0.0, 1.0, unit="m")
T = Axis("t", 0.0, 1.0, unit="s")


def grid(*axes: Axis, n: int = 12) -> Coordinates:
    return Coordinates(Grid.regular(Axes(axes), n))


def points(n: int = 7) -> Coordinates:
    return Coordinates(sample(Interval("x", 0.0, 1.0, unit="m"), n, generator=torch.Generator().manual_seed(0), time=T))


def field(x: Coordinates, name: str, unit: str | None = None, *, batch: int | None = None):
    torch.manual_seed(1)
    shape = ((batch,) if batch else ()) + x.discretisation.shape
    return x.field(1.0 + torch.rand(shape, dtype=torch.float64), name, Unit.parse(unit))


@pytest.mark.parametrize("x", [grid(T, X), points()], ids=["grid", "points"])
def test_arithmetic_is_that_of_the_values(x):
    u, v = field(x, "u"), field(x, "v", batch=3)
    a, b = u.values, v.values
    cases = [
        (u + v, a + b), (u - v, a - b), (v * u, b * a), (u / v, a / b),
        (1 + u, 1 + a), (1 - u, 1 - a), (2 * u, 2 * a), (2 / u, 2 / a),
        (u + 1, a + 1), (u - 1, a - 1), (u * 2, a * 2), (u / 2, a / 2),
        (-u, -a), (u**3, a**3), (u**0.5, a**0.5), (np.float64(2.0) * u, 2 * a), (np.float32(2.0) * u, 2 * a),
        (sin(u), a.sin()), (exp(-u), (-a).exp()), (sqrt(u), a.sqrt()), (absolute(-u), a),
        (maximum(u, v), torch.maximum(a, b)), (minimum(1.5, u), a.clamp(max=1.5)),
    ]  # fmt: skip
    for result, expected in cases:
        assert type(result) is type(u)
        assert torch.equal(result.values, expected)
        assert result.axes.names == ("t", "x")


@pytest.mark.parametrize("x", [grid(T, X), points()], ids=["grid", "points"])
def test_constants_have_one_value_per_sample(x):
    u = field(x, "u", batch=3)
    c = Constant(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), Quantity("c"))
    scale = c.values.reshape(3, *[1] * len(x.discretisation.shape))
    for result, expected in [
        (c * u, scale * u.values), (u * c, scale * u.values), (u - c, u.values - scale), (c - u, scale - u.values),
        (u / c, u.values / scale), (c / u, scale / u.values), (c**2 + u, scale**2 + u.values),
        (c.values * u, scale * u.values), (u * c.values, scale * u.values), (c.values - u, scale - u.values),
        (c.values / u, scale / u.values), (torch.tensor(2.0, dtype=torch.float64) * u, 2 * u.values),
    ]:  # fmt: skip
        assert torch.equal(result.values, expected)
    # against a field without samples the result has one sample per value
    assert (c * field(x, "v")).sample_shape == (3,)
    assert (c * c).axes.names == () and torch.equal((c + 1).values, c.values + 1)
    assert torch.equal(d(c, "x").values, torch.zeros(3, dtype=torch.float64))


def test_a_constant_has_no_places():
    with pytest.raises(InputError, match=r"c must be a number or one per sample, got the shape \(2, 3\)"):
        Constant(torch.zeros(2, 3), Quantity("c"))


def test_fields_of_different_axes_do_not_add_up():
    u, v = field(grid(T, X), "height"), field(grid(X), "depth")
    with pytest.raises(InputError, match=r"cannot compute height \+ depth: .* on \(t, x\) and .* on \(x\)") as error:
        u + v
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"height \* depth.*\(t, x\).*\(x\)"):
        u * v


def test_fields_at_different_places_do_not_add_up():
    u = field(grid(T, X), "height")
    for other in (field(grid(T, X, n=8), "depth"), field(points(), "depth")):
        with pytest.raises(InputError, match=r"height - depth.*different places: evaluate both on the same"):
            u - other
    with pytest.raises(InputError, match="different places"):  # the same points twice are two sets of leaves
        field(points(), "height") + field(points(), "depth")


def test_fields_combine_with_fields_numbers_and_tensors_only():
    u = field(grid(X), "u")
    with pytest.raises(TypeError):
        u + "one"
    with pytest.raises(InputError, match="a field can be raised to a number only"):
        u**u


def test_units_multiply_and_divide():
    for x in (grid(T, X), points()):
        u, v = field(x, "u", "m s-1"), field(x, "v", "kg")
        units = {
            "kg m s-1": u * v, "kg-1 m s-1": u / v, "m2 s-2": u**2, "m-1 s": 1 / u, "m s-1": 2 * u - 1,
            "s-1": d(u, "x"), "m-1 s-1": d(u, "x", 2), "m s-2": d(u, "t"), "m s-3": d(u, "t", 2),
        }  # fmt: skip
        for text, result in units.items():
            assert str(result.unit) == text
    assert str(sqrt(u * u).unit) == "m s-1"
    assert str(integrate(field(grid(T, X), "u", "m s-1"), "t").unit) == "m"
    assert str(integrate(field(grid(T, X), "u", "m s-1")).unit) == "m2"
    assert str(mean(field(grid(T, X), "u", "m s-1"), "x").unit) == "m s-1"


def test_units_that_differ_do_not_add_up_and_both_are_named():
    x = grid(T, X)
    u, v = field(x, "u", "m s-1"), field(x, "v", "m")
    with pytest.raises(InputError, match=r"cannot compute u \+ v: u has unit 'm s-1', v has 'm'") as error:
        u + v
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"'m2 s-2'.*'m s-2'"):
        u * u - d(u, "t")
    with pytest.raises(InputError, match="sin needs a dimensionless argument, u has unit m s-1"):
        sin(u)
    with pytest.raises(InputError, match="u - v"):
        maximum(u, v)


def test_what_has_no_unit_agrees_with_every_unit():
    x = grid(T, X)
    assert (field(x, "u", "m") + field(x, "v")).unit is None
    assert x["x"].unit is None  # formulas read coordinates as plain numbers
    assert sin(math.pi * x["x"]).unit is None


def test_units_are_read_as_products_of_si():
    assert str(Unit.parse("J")) == "kg m2 s-2"
    assert Unit.parse("N m") == Unit.parse("W s") == Unit.parse("kg*m^2.s**-2")
    assert Unit.parse("1") == Unit.parse("rad") and Unit.parse("1").dimensionless
    assert Unit.parse(None) is None
    with pytest.raises(InputError, match=r"unknown unit 'sec'.*known: "):
        Unit.parse("m sec-1")


def test_names_say_where_a_result_comes_from_and_stay_short():
    x = grid(T, X)
    u = field(x, "u")
    assert (u * dx(u)).name == "u * d(u)/dx"
    assert ((u + 1) * u).name == "(u + 1) * u"
    long = u
    for _ in range(30):
        long = long * u + u
    assert len(long.name) < 140
    assert u.named("w", Unit.parse("m")).quantity == Quantity("w", Unit.parse("m"))


def test_vectors_combine_by_component():
    x = grid(X, Axis("y", 0, 1))
    u, v = field(x, "u"), field(x, "v")
    a, b = Vector({"x": u, "y": v}), Vector({"x": v, "y": v})
    assert torch.equal((a + b)["x"].values, u.values + v.values)
    assert torch.equal((a - b)["y"].values, torch.zeros_like(u.values))
    assert torch.equal((u * a)["y"].values, (u * v).values)
    assert torch.equal((a / 2 * np.float64(3.0))["x"].values, u.values / 2 * 3)
    assert torch.equal((np.float64(3.0) * a)["x"].values, u.values * 3)
    assert torch.equal((-a)["x"].values, -u.values)
    assert [f.name for f in a] == ["u", "v"]
    with pytest.raises(InputError, match="vectors of different components: x, y and x"):
        a + Vector({"x": u})
    with pytest.raises(InputError, match="a vector of x, y combines with a vector, got GridField"):
        a - u
    with pytest.raises(InputError, match="dot"):
        a * b
    with pytest.raises(InputError, match="unknown component 'z'"):
        a["z"]


def test_coordinates_read_as_fields_in_axis_order():
    x = grid(T, X, n=3)
    assert list(x) == ["t", "x"]
    assert x.columns().tolist() == [[t, s] for t in (0.0, 0.5, 1.0) for s in (0.0, 0.5, 1.0)]
    assert x.expand(x["x"]).values.tolist() == [[0.0, 0.5, 1.0]] * 3
    assert x.constant(2.0).values.tolist() == [[2.0] * 3] * 3
    assert torch.equal(x.expand(2.0 * x["t"] * x["x"]).values, 2 * x["t"].values * x["x"].values)
    with pytest.raises(InputError, match=r"unknown axis 'y'.*known: t, x"):
        x["y"]
    assert Coordinates(x.discretisation, dtype=torch.float32)["x"].values.dtype == torch.float32
    values = torch.rand(2, dtype=torch.float64)
    assert torch.equal(x.expand(Constant(values, Quantity("c"))).values, values.reshape(2, 1, 1).expand(2, 3, 3))


def test_coordinates_differentiate_to_one_even_along_periodic_axes():
    x = grid(Axis("x", 0, 1, periodic=True), Axis("y", 0, 1))
    assert (x.expand(d(x["x"], "x")).values == 1).all()
    assert (x.expand(d(x["x"], "y")).values == 0).all()
    assert (x.expand(d(x["x"], "x", 2)).values == 0).all()
    assert (x.expand(d(cos(x["y"]), "x")).values == 0).all()  # a profile is stored thin and constant elsewhere


def test_an_instant_stands_beside_the_coordinates_of_space():
    x = grid(X).at_instant(0.25)
    assert float(x["t"].values) == 0.25
    assert x.axes.names == ("x",)
    assert torch.equal((x["x"] * x["t"]).values, x["x"].values * 0.25)
    batch = grid(X).at_instant(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert (x["x"] + batch["t"]).sample_shape == (2,)


def test_points_are_leaves_and_a_grid_field_passes_gradients():
    x = points()
    values = x["x"].values
    assert values.requires_grad and values.is_leaf
    assert not Coordinates(x.discretisation, gradients=False)["x"].values.requires_grad
    parameter = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    y = grid(X)
    (integrate(dx(sin(parameter * y["x"]))) + 0.0).values.backward()
    # d/da of the integral of a cos(a x) by order-4 differences and the trapezoid
    assert float(parameter.grad) == pytest.approx(math.cos(2.0), abs=5e-3)


def test_derivatives_along_axes_a_field_does_not_have_are_refused():
    for x in (grid(T, X), points()):
        for order in (1, 2):
            with pytest.raises(InputError, match=r"unknown axis 'y'.*known: t, x"):
                d(field(x, "u"), "y", order)


def test_a_cloud_with_normals_hands_them_on():
    normals = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    axes = Axes((T, X, Axis("y", 0, 1)))
    cloud = PointCloud(axes, torch.ones(1, 3, dtype=torch.float64), normals=normals)
    x = Coordinates(cloud)
    assert x.normals is not None and x.normals.names == ("x", "y")
    assert float(x.normals["x"].values) == 1.0


def test_results_of_arithmetic_are_grid_fields_without_edges():
    x = grid(X)
    u = field(x, "u")
    assert isinstance(u, GridField) and (u + 1.0).edges is None


def test_numbers_in_maximum_and_minimum_keep_their_digits() -> None:
    x = Coordinates(Grid.regular(Axes((Axis("x", 0.0, 1.0),)), 5))
    assert maximum(x["x"] * 0.0, 0.1).values.reshape(-1)[0].item() == 0.1
    assert minimum(0.1, x["x"] + 1.0).values.reshape(-1)[0].item() == 0.1
    assert maximum(0.1, 0.05) == 0.1
