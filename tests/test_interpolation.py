"""Grid fields elsewhere: order, exactness on nodes, gradients, grids and points, some of the axes."""

from __future__ import annotations

import math

import pytest
import torch

from pdesolve.errors import InputError
from pdesolve.fields import Constant, Coordinates, Quantity, cos, dt, dx, dxx, exp, integrate, sin
from pdesolve.fields.interpolation import interpolate
from pdesolve.geometry import Axes, Axis, Grid, GridAxis, Interval, PointCloud

X = Axis("x", 0.0, 2.0)
PERIOD = Axis("x", 0.0, 2.0, periodic=True)
T = Axis("t", 0.0, 1.0)
TARGETS = torch.linspace(0.003, 1.997, 57, dtype=torch.float64)


def on(placement: str, n: int) -> Coordinates:
    if placement == "periodic":
        return Coordinates(Grid((GridAxis(PERIOD, "periodic", n),)))
    if placement == "listed":
        s = torch.linspace(0, 1, n, dtype=torch.float64)
        return Coordinates(Grid((GridAxis.at(X, (2 * (0.6 * s + 0.4 * s**2)).tolist()),)))
    return Coordinates(Grid((GridAxis(X, placement, n),)))


def at(*columns: torch.Tensor, axes: tuple[Axis, ...] = (X,)) -> Coordinates:
    return Coordinates(PointCloud(Axes(axes), torch.stack(columns, 1)))


@pytest.mark.parametrize("placement", ["nodes", "cells", "listed"])
def test_interpolation_is_of_order_8(placement):
    def worst(n):
        x = at(TARGETS)
        return float((interpolate(exp(on(placement, n)["x"] * 3), x) - exp(x["x"] * 3)).values.detach().abs().max())

    errors = [worst(n) for n in (32, 64)]
    assert math.log2(errors[0] / errors[1]) > 7.4


@pytest.mark.parametrize("placement", ["periodic", "chebyshev"])
def test_interpolation_from_spectral_grids_is_accurate(placement):
    x = at(TARGETS, axes=(PERIOD if placement == "periodic" else X,))
    wave = interpolate(sin(2 * math.pi * on(placement, 40)["x"]), x)
    assert float((wave - sin(2 * math.pi * x["x"])).values.detach().abs().max()) < 1e-10


@pytest.mark.parametrize("placement", ["periodic", "nodes", "cells", "chebyshev", "listed"])
def test_a_node_gives_its_own_value(placement):
    source = on(placement, 13)
    torch.manual_seed(0)
    values = torch.rand(13, dtype=torch.float64)
    nodes = source["x"].values.detach()
    axes = tuple(source.axes)
    found = interpolate(source.field(values, "u"), at(nodes, axes=axes)).values
    assert float((found - values).detach().abs().max()) < 1e-12


def test_periodic_axes_wrap_around():
    field = sin(math.pi * on("periodic", 24)["x"])
    x = at(torch.tensor([-0.7, 2.5, 4.1], dtype=torch.float64), axes=(PERIOD,))
    assert float((interpolate(field, x) - sin(math.pi * x["x"])).values.detach().abs().max()) < 1e-9


def test_a_listed_periodic_axis_wraps_around():
    """A coordinate read from a file, half-open or with the period's end repeated."""
    for n, closed in ((24, False), (25, True)):
        coordinates = torch.linspace(0, 2, 25, dtype=torch.float64)[:n].tolist()
        source = Coordinates(Grid((GridAxis.at(PERIOD, coordinates),)))
        x = at(torch.tensor([1.99, -0.02, 2.5, 0.3], dtype=torch.float64), axes=(PERIOD,))
        found = interpolate(sin(math.pi * source["x"]), x)
        assert float((found - sin(math.pi * x["x"])).values.detach().abs().max()) < 1e-7, closed


def test_the_interpolant_differentiates_in_the_coordinates():
    x = at(TARGETS)
    u = interpolate(exp(on("nodes", 48)["x"]), x)
    for derivative, bound in ((dx, 1e-9), (dxx, 1e-7)):
        assert float((derivative(u) - exp(x["x"])).values.detach().abs().max()) < bound


def test_the_interpolant_differentiates_in_the_values():
    source = on("nodes", 9)
    targets = torch.tensor([0.1, 0.77, 1.9], dtype=torch.float64)

    def values_at(values):
        return interpolate(source.field(values, "u"), at(targets)).values

    assert torch.autograd.gradcheck(values_at, torch.rand(9, dtype=torch.float64, requires_grad=True))


def test_from_grid_to_grid_is_as_from_grid_to_points():
    axes = Axes((T, X))
    source = Coordinates(Grid.regular(axes, {"t": 12, "x": 24}))
    torch.manual_seed(0)
    scale = torch.tensor([1.0, -0.5], dtype=torch.float64)
    field = Constant(scale, Quantity("s")) * exp(source["t"]) * sin(2 * source["x"])
    target = Grid((GridAxis.at(T, (0.0, 0.31, 1.0)), GridAxis(X, "cells", 5)))
    x = Coordinates(target)
    on_grid = interpolate(field, x)
    at_points = interpolate(field, Coordinates(PointCloud(axes, x.columns())))
    assert on_grid.values.shape == (2, 3, 5)
    assert torch.allclose(on_grid.values.reshape(2, -1), at_points.values, rtol=0, atol=1e-12)
    exact = scale.reshape(2, 1, 1) * (exp(x["t"]) * sin(2 * x["x"])).values
    assert float((on_grid.values - exact).abs().max()) < 1e-7


def test_the_same_grid_keeps_every_bit():
    source = on("nodes", 9)
    field = source.field(torch.rand(9, dtype=torch.float64), "u")
    assert torch.equal(interpolate(field, source).values, field.values)


def test_a_field_of_some_of_the_axes_is_constant_along_the_others():
    profile = exp(on("nodes", 24)["x"])
    axes = (T, X)
    x = at(torch.rand(57, dtype=torch.float64), TARGETS, axes=axes)
    found = interpolate(profile, x)
    assert found.axes.names == ("t", "x")
    assert float((found - exp(x["x"])).values.detach().abs().max()) < 1e-8
    assert (dt(found).values == 0).all()
    grid = Coordinates(Grid.regular(Axes(axes), {"t": 9, "x": 24}))
    thin = interpolate(profile, grid)
    back = interpolate(thin, x)  # what is stored thin is read at points too
    assert float((back - exp(x["x"])).values.detach().abs().max()) < 1e-8
    assert thin.values.shape == (1, 24) and (dt(thin).values == 0).all()
    assert float(integrate(thin).values) == pytest.approx(math.exp(2) - 1, rel=1e-2)


def test_a_field_of_time_and_space_at_an_instant():
    """What a rate sees: a grid of space and the time beside it, one instant or one per sample."""
    axes = Axes((T, X))
    source = Coordinates(Grid.regular(axes, {"t": 16, "x": 24}))
    field = cos(source["t"]) * exp(source["x"])
    x = on("nodes", 24)
    found = interpolate(field, x.at_instant(0.37))
    assert found.axes.names == ("x",)
    assert float((found - math.cos(0.37) * exp(x["x"])).values.detach().abs().max()) < 1e-10
    times = torch.tensor([0.1, 0.9], dtype=torch.float64)
    batch = interpolate(field, x.at_instant(times))
    assert batch.sample_shape == (2,)
    assert float((batch - times.cos() * exp(x["x"])).values.detach().abs().max()) < 1e-10
    both = interpolate(field * torch.tensor([1.0, 2.0], dtype=torch.float64), x.at_instant(times))
    assert torch.allclose(both.values, batch.values * torch.tensor([[1.0], [2.0]], dtype=torch.float64))
    instant = torch.tensor(0.37, dtype=torch.float64, requires_grad=True)
    interpolate(field, x.at_instant(instant)).values.sum().backward()
    assert float(instant.grad) == pytest.approx(-math.sin(0.37) * float(exp(x["x"]).values.sum()), rel=1e-8)
    assert interpolate(exp(x["x"]), x.at_instant(0.37)).axes.names == ("x",)


def test_other_axes_and_coordinates_outside_are_refused():
    field = exp(on("nodes", 24)["x"])
    with pytest.raises(InputError, match=r"exp\(x\) is known on \(x\), not on \(t\)"):
        interpolate(field, at(TARGETS, axes=(T,)))
    with pytest.raises(InputError, match=r"coordinate x runs from .* to 2.5, the field is known from 0 to 2") as error:
        interpolate(field, at(torch.tensor([1.0, 2.5], dtype=torch.float64)))
    assert "\n" not in str(error.value)
    x = Coordinates(Grid.regular(Interval("x", -1.0, 1.0).axes, 5))
    with pytest.raises(InputError, match="coordinate x runs from -1 to 1"):
        interpolate(field, x)
