"""Vector calculus on points and grids: exact derivatives, identities, integrals, means."""

from __future__ import annotations

import math

import pytest
import torch

from pdesolve.errors import InputError
from pdesolve.fields import (
    Constant,
    Coordinates,
    Field,
    Quantity,
    Vector,
    cos,
    curl,
    d,
    div,
    dot,
    dt,
    dtt,
    dx,
    dxx,
    dxxx,
    dxxxx,
    dy,
    dyy,
    dz,
    dzz,
    exp,
    grad,
    integrate,
    laplacian,
    mean,
    sin,
)
from pdesolve.geometry import Axes, Axis, Box, Grid, Interval, sample, sample_boundary

PERIOD = 2 * math.pi
SPACE = tuple(Axis(name, 0.0, PERIOD, periodic=True) for name in "xyz")
TIME = Axis("t", 0.0, 1.0)


def coordinates(kind: str, dimension: int = 3, *, time: bool = False) -> Coordinates:
    """Spectral in every direction on the grid, so that both kinds are exact to rounding."""
    axes = Axes(((TIME,) if time else ()) + SPACE[:dimension])
    if kind == "grid":
        return Coordinates(Grid.regular(axes, 16 if dimension > 1 else 32, bounded="chebyshev"))
    box = Box(*SPACE[:dimension])
    generator = torch.Generator().manual_seed(0)
    return Coordinates(sample(box, 40, generator=generator, time=TIME if time else None))


def close(a: Field, b: Field | float, tolerance: float = 1e-10) -> bool:
    return float((a - b).values.detach().abs().max()) < tolerance


def waves(x: Coordinates) -> tuple[Field, Vector, Vector]:
    """A scalar and two vectors of three components, of wave numbers small enough for products on 16 points."""
    a, b, c = x["x"], x["y"], x["z"]
    f = sin(a) * cos(b) + cos(c) * sin(b) + 0.5
    v = Vector({"x": sin(b) * cos(c), "y": cos(a) + sin(c), "z": sin(a) * sin(b)})
    w = Vector({"x": cos(a) * sin(c), "y": sin(a) * cos(c), "z": cos(b) + sin(a)})
    return f, v, w


@pytest.mark.parametrize("kind", ["point", "grid"])
def test_partial_derivatives_by_name(kind):
    x = coordinates(kind, 1, time=True)
    t, a = x["t"], x["x"]
    u = exp(t) * sin(2 * a)
    expected = {
        dt: u, dtt: u, dx: 2 * exp(t) * cos(2 * a), dxx: -4 * u, dxxx: -8 * exp(t) * cos(2 * a), dxxxx: 16 * u
    }  # fmt: skip
    for derivative, value in expected.items():
        assert close(derivative(u), value, 1e-9), derivative.__name__
    assert close(d(dx(u), "t"), dx(dt(u)), 1e-9)


@pytest.mark.parametrize("kind", ["point", "grid"])
def test_derivatives_along_other_axes(kind):
    x = coordinates(kind)
    f, _, _ = waves(x)
    a, b, c = x["x"], x["y"], x["z"]
    assert close(dy(f), -sin(a) * sin(b) + cos(c) * cos(b))
    assert close(dz(f), -sin(c) * sin(b))
    assert close(dyy(f) + dzz(f) + dxx(f), laplacian(f))
    assert laplacian(f).axes.names == ("x", "y", "z")


@pytest.mark.parametrize("kind", ["point", "grid"])
def test_identities_of_grad_div_and_curl(kind):
    x = coordinates(kind)
    f, v, w = waves(x)
    for component in curl(grad(f)):
        assert close(component, 0.0)
    assert close(div(curl(v)), 0.0)
    assert close(div(grad(f)), laplacian(f))
    assert close(div(f * v), f * div(v) + dot(grad(f), v))
    cross = Vector(
        {
            "x": v["y"] * w["z"] - v["z"] * w["y"],
            "y": v["z"] * w["x"] - v["x"] * w["z"],
            "z": v["x"] * w["y"] - v["y"] * w["x"],
        }
    )
    assert close(div(cross), dot(w, curl(v)) - dot(v, curl(w)))
    for name in "xyz":  # curl curl = grad div - laplacian
        assert close(curl(curl(v))[name], grad(div(v))[name] - laplacian(v)[name])
    # and not trivially so: the parts themselves are not zero
    assert not close(div(v * f), 0.0, 0.1) and not close(curl(v)["x"], 0.0, 0.1)


@pytest.mark.parametrize("kind", ["point", "grid"])
def test_the_curl_of_a_plane_vector_is_a_scalar(kind):
    x = coordinates(kind, 2)
    rotation = Vector({"x": -sin(x["y"]), "y": sin(x["x"])})
    assert close(curl(rotation), cos(x["x"]) + cos(x["y"]))
    with pytest.raises(InputError, match="curl needs the components x, y or x, y, z, got x"):
        curl(Vector({"x": sin(x["x"])}))


def test_gradients_are_of_space_and_keep_time_apart():
    x = coordinates("grid", 2, time=True)
    u = exp(x["t"]) * sin(x["x"]) * cos(x["y"])
    assert grad(u).names == ("x", "y")
    assert close(laplacian(u), -2 * u)


def test_dot_needs_equal_components():
    x = coordinates("grid", 2)
    a = grad(sin(x["x"]) * sin(x["y"]))
    assert close(dot(a, a), a["x"] ** 2 + a["y"] ** 2)
    with pytest.raises(InputError, match="dot needs equal components, got x, y and x"):
        dot(a, Vector({"x": a["x"]}))


def test_constants_have_no_derivatives():
    c = Constant(torch.tensor([1.0, 2.0]), Quantity("c"))
    assert laplacian(c).values.tolist() == [0.0, 0.0]
    assert grad(c).names == ()
    with pytest.raises(InputError, match="cannot integrate c, a Constant"):
        integrate(c)


def test_samples_of_a_batch_differentiate_apart():
    x = coordinates("point", 1)
    k = Constant(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), Quantity("k"))
    u = sin(k * x["x"])
    assert u.sample_shape == (3,)
    assert close(dxx(u), -(k**2) * u)


def test_derivatives_of_points_differentiate_in_parameters():
    x = coordinates("point", 1)
    k = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    dxx(sin(k * x["x"])).values.sum().backward()
    a = x["x"].values.detach()
    exact = -(2 * 1.3 * torch.sin(1.3 * a) + 1.3**2 * a * torch.cos(1.3 * a)).sum()
    assert float(k.grad) == pytest.approx(float(exact), rel=1e-12)


def test_what_does_not_depend_on_an_axis_has_derivative_zero():
    x = coordinates("point", 2)
    assert (dy(sin(x["x"])).values == 0).all()
    fixed = x.field(torch.ones(len(x["x"].values), dtype=torch.float64), "one")
    assert (dx(fixed).values == 0).all()


def test_integrals_on_grids():
    x = coordinates("grid", 2, time=True)
    u = exp(x["t"]) * (1.0 + sin(x["x"])) * (2.0 + cos(x["y"]))
    total = integrate(u)
    assert isinstance(total, Constant)
    assert float(total.values) == pytest.approx((math.e - 1) * PERIOD * 2 * PERIOD, rel=1e-12)
    over_space = integrate(u, "x", "y")
    assert over_space.axes.names == ("t",)
    assert torch.allclose(over_space.values, exp(x["t"]).values.reshape(-1) * 2 * PERIOD**2)
    assert integrate(u, "y").axes.names == ("t", "x")
    assert close(dt(integrate(u, "x", "y")), over_space, 1e-9)  # what is left is a field and can be differentiated
    with pytest.raises(InputError, match="unknown axis 'z'"):
        integrate(u, "z")
    batch = integrate(u * torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert torch.allclose(batch.values, total.values * torch.tensor([1.0, 2.0], dtype=torch.float64))


def test_integrals_at_points():
    square = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 2.0))
    x = Coordinates(sample(square, 64, generator=torch.Generator(), sampler="gauss_legendre"), gradients=False)
    u = exp(x["x"]) * x["y"] ** 2
    assert float(integrate(u).values) == pytest.approx((math.e - 1) * 8 / 3, rel=1e-12)
    assert float(mean(u).values) == pytest.approx((math.e - 1) * 4 / 3, rel=1e-12)
    assert float(integrate(u, "x", "y").values) == float(integrate(u).values)
    with pytest.raises(InputError, match=r"integrated over all its axes \(x, y\), not over \('x',\)"):
        integrate(u, "x")


def test_means_are_integrals_over_the_measure():
    x = coordinates("grid", 1, time=True)
    u = x["t"] * (3.0 + sin(x["x"]))
    assert float(mean(u).values) == pytest.approx(1.5, rel=1e-12)
    assert torch.allclose(mean(u, "x").values, 3 * x["t"].values.reshape(-1))
    assert mean(u, "x").axes.names == ("t",)


def test_the_divergence_theorem():
    """The integral of div v is the flux through the boundary: points and Chebyshev grids, all four sides."""
    square = Box(Axis("x", -1.0, 1.0), Axis("y", 0.0, 2.0))
    generator = torch.Generator()

    def flow(x: Coordinates) -> Vector:
        return Vector({"x": exp(x["x"]) * cos(x["y"]), "y": x["x"] ** 2 * sin(x["y"])})

    flux = 0.0
    for side in square.boundaries.values():
        x = Coordinates(sample_boundary(side, square.axes, 14, generator=generator, sampler="gauss_legendre"))
        assert x.normals is not None
        flux += float(integrate(dot(flow(x), x.normals)).values.detach())
    inside = Coordinates(sample(square, 196, generator=generator, sampler="gauss_legendre"))
    grid = Coordinates(Grid.regular(square.axes, 20, bounded="chebyshev"))
    assert abs(flux) > 1.0
    for x in (inside, grid):
        assert float(integrate(div(flow(x))).values.detach()) == pytest.approx(flux, rel=1e-11)


def test_integration_by_parts_on_an_interval():
    x = Coordinates(Grid.regular(Interval("x", 0.0, 1.0).axes, 24, bounded="chebyshev"))
    u, v = exp(x["x"]), sin(3 * x["x"])
    boundary = math.e * math.sin(3) - 0.0
    assert float(integrate(u * dx(v) + v * dx(u)).values) == pytest.approx(boundary, rel=1e-11)
