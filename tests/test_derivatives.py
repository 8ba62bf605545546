"""Derivatives on grids show their orders: differences, Fourier, Chebyshev, with and without edges."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Edge, GridField, Quantity, cos, d, exp, sin
from pdesolve.fields.stencils import fornberg
from pdesolve.geometry import Axes, Axis, Grid, GridAxis

LOWER, UPPER = -0.3, 1.1
X = Axis("x", LOWER, UPPER)
PERIOD = Axis("x", LOWER, UPPER, periodic=True)


def profile(x, order=0):
    """exp(5x/2) and its derivatives: none changes sign, so that orders show on coarse grids already."""
    return 2.5**order * torch.exp(2.5 * torch.as_tensor(x, dtype=torch.float64))


def wave(x, order=0):
    """exp(sin 2x), of period pi, and its derivatives by autograd."""
    x = torch.as_tensor(x, dtype=torch.float64).clone().requires_grad_()
    f = torch.exp(torch.sin(2 * x))
    for _ in range(order):
        (f,) = torch.autograd.grad(f.sum(), x, create_graph=True)
    return f.detach()


def stretched(n):
    s = np.linspace(0.0, 1.0, n)
    return LOWER + (UPPER - LOWER) * (s + 0.12 * np.sin(2 * np.pi * s) / np.pi)


def member(placement, n, axis=X):
    return GridAxis.at(axis, stretched(n)) if placement == "listed" else GridAxis(axis, placement, n)


def error(axis: GridAxis, order: int, accuracy: int, edges=None, function=profile) -> float:
    grid = Grid((axis,), accuracy)
    u = GridField(function(axis.points), grid, Quantity("u"), edges)
    exact = function(axis.points, order)
    return float((d(u, "x", order).values - exact).abs().max() / exact.abs().max())


def observed_order(make, order, accuracy, sizes, edges=None) -> float:
    errors = [error(make(n), order, accuracy, edges) for n in sizes]
    steps = [math.log(b / a) for a, b in pairwise(sizes)]
    return min(math.log(a / b) / step for a, b, step in zip(errors, errors[1:], steps, strict=False))


# coarse enough that rounding, which grows like 1e-16 / h^order, stays far below
SIZES = {2: (64, 128), 4: (48, 96), 6: (32, 64)}


@pytest.mark.parametrize("placement", ["nodes", "cells", "listed"])
@pytest.mark.parametrize("accuracy", [2, 4, 6])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_differences_have_the_order_of_the_grid_up_to_the_ends(placement, accuracy, order):
    rate = observed_order(lambda n: member(placement, n), order, accuracy, SIZES[accuracy])
    assert rate > accuracy - 0.6


def conditions(kind: str) -> dict[str, Edge]:
    """What the profile obeys at both ends; outward normals."""
    edges = {}
    for side, end, normal in (("x_min", LOWER, -1.0), ("x_max", UPPER, 1.0)):
        value, slope = float(profile(end)), normal * float(profile(end, 1))
        alpha, beta = {"dirichlet": (1.0, 0.0), "neumann": (0.0, 1.0), "robin": (0.7, 1.3)}[kind]
        edges[side] = Edge(alpha, beta, alpha * value + beta * slope)
    return edges


@pytest.mark.parametrize("kind", ["dirichlet", "neumann", "robin"])
@pytest.mark.parametrize("placement", ["nodes", "cells"])
@pytest.mark.parametrize("accuracy", [2, 4, 6])
@pytest.mark.parametrize("order", [1, 2])
def test_differences_with_edges_keep_their_order(kind, placement, accuracy, order):
    rate = observed_order(lambda n: member(placement, n), order, accuracy, SIZES[accuracy], conditions(kind))
    assert rate > accuracy - 0.6


def test_one_edge_alone_and_two_of_different_kinds():
    robin, dirichlet = conditions("robin"), conditions("dirichlet")
    for edges in ({"x_min": robin["x_min"]}, {"x_max": robin["x_max"]}, {**dirichlet, "x_max": robin["x_max"]}):
        for placement in ("nodes", "cells"):
            assert observed_order(lambda n: member(placement, n), 2, 4, SIZES[4], edges) > 3.4  # noqa: B023


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [48, 49])
def test_fourier_derivatives_are_spectral(order, n):
    axis = GridAxis(Axis("x", 0.0, math.pi, periodic=True), "periodic", n)
    assert error(axis, order, 4, function=wave) < 1e-10


def test_fourier_odd_derivatives_drop_the_mode_without_a_sign():
    axis = GridAxis(PERIOD, "periodic", 8)
    sawtooth = GridField(torch.tensor([1.0, -1.0] * 4, dtype=torch.float64), Grid((axis,)), Quantity("u"))
    assert float(d(sawtooth, "x").values.abs().max()) < 1e-12
    k = 8 * math.pi / PERIOD.length
    assert torch.allclose(d(sawtooth, "x", 2).values, -(k**2) * sawtooth.values)


@pytest.mark.parametrize(("order", "bound"), [(1, 1e-11), (2, 1e-9), (3, 1e-7), (4, 1e-5)])
def test_chebyshev_derivatives_are_spectral(order, bound):
    assert error(GridAxis(X, "chebyshev", 28), order, 4) < bound


@pytest.mark.parametrize("kind", ["dirichlet", "neumann", "robin"])
@pytest.mark.parametrize(("order", "bound"), [(1, 1e-10), (2, 1e-8)])
def test_chebyshev_derivatives_obey_edges(kind, order, bound):
    axis = GridAxis(X, "chebyshev", 28)
    edges = conditions(kind)
    u = profile(axis.points)
    spoiled = u.clone()
    spoiled[0] += 1.0
    spoiled[-1] -= 2.0  # the ends are unknowns: what is stored there does not count
    derivative = d(GridField(spoiled, Grid((axis,)), Quantity("u"), edges), "x", order).values
    exact = profile(axis.points, order)
    assert float((derivative - exact).abs().max() / exact.abs().max()) < bound


@pytest.mark.parametrize("kind", ["dirichlet", "neumann", "robin"])
@pytest.mark.parametrize("placement", ["nodes", "chebyshev"])
def test_obeying_puts_the_boundary_values_right(kind, placement):
    axis = GridAxis(X, placement, 28)
    u = profile(axis.points)
    spoiled = u.clone()
    spoiled[0], spoiled[-1] = 9.0, -9.0
    mended = GridField(spoiled, Grid((axis,), 6), Quantity("u"), conditions(kind)).obeying()
    assert float((mended.values - u).abs().max()) < 1e-5
    assert mended.edges is not None


def test_cells_keep_their_values_when_they_obey():
    axis = GridAxis(X, "cells", 16)
    u = GridField(profile(axis.points), Grid((axis,)), Quantity("u"), conditions("dirichlet"))
    assert torch.equal(u.obeying().values, u.values)


def test_a_derivative_and_arithmetic_drop_the_edges():
    axis = GridAxis(X, "nodes", 16)
    u = GridField(profile(axis.points), Grid((axis,)), Quantity("u"), conditions("dirichlet"))
    assert u.edges is not None
    for result in (d(u, "x"), d(u, "x", 2), 2.0 * u, -u, u + u, u**2, sin(u)):
        assert isinstance(result, GridField) and result.edges is None


def test_edges_vary_in_time_and_over_samples():
    time = Axis("t", 0.0, 1.0)
    space = GridAxis(X, "nodes", 65)
    times = (0.0, 0.25, 0.7)
    grid = Grid((GridAxis.at(time, times), space), 6)
    scale = torch.tensor([1.0, -2.0], dtype=torch.float64).reshape(2, 1, 1)
    growth = torch.tensor(times, dtype=torch.float64).reshape(1, 3, 1) + 1.0
    u = scale * growth * profile(space.points)
    spoiled = u.clone()
    spoiled[..., 0] = 7.0
    edge = Edge(1.0, 0.0, scale * growth * float(profile(LOWER)))
    second = d(GridField(spoiled, grid, Quantity("u"), {"x_min": edge}), "x", 2).values
    exact = scale * growth * profile(space.points, 2)
    assert second.shape == (2, 3, 65)
    assert float((second - exact).abs().max() / exact.abs().max()) < 1e-5


@pytest.mark.parametrize("placement", ["nodes", "cells", "chebyshev"])
def test_edges_bring_samples_to_a_field_without(placement):
    time = GridAxis(Axis("t", 0.0, 1.0), "nodes", 5)
    grid = Grid((time, GridAxis(X, placement, 24)), 4)
    torch.manual_seed(0)
    u = torch.rand(5, 24, dtype=torch.float64)
    edges = {"x_min": Edge(1.0, 0.5, torch.rand(3, 5, 1, dtype=torch.float64)), "x_max": Edge(1.0, 0.0, 2.0)}
    thin = GridField(u, grid, Quantity("u"), edges)
    full = GridField(u.expand(3, 5, 24), grid, Quantity("u"), edges)
    for order in (1, 2):
        result = d(thin, "x", order)
        assert result.sample_shape == (3,)
        assert torch.equal(result.values, d(full, "x", order).values)
    assert torch.equal(thin.obeying().values, full.obeying().values)


@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_time_axes_of_listed_instants_differentiate(accuracy):
    def worst(n):
        s = np.linspace(0.0, 1.0, n)
        time = GridAxis.at(Axis("t", 0.0, 2.0), 2.0 * (0.7 * s + 0.3 * s**2))
        x = Coordinates(Grid((time, GridAxis(PERIOD, "periodic", 8)), accuracy))
        along = cos(2 * math.pi / PERIOD.length * x["x"])
        u, exact = exp(x["t"]) * along, exp(x["t"]) * along
        return float((d(u, "t").values - exact.values).abs().max())

    a, b = SIZES[accuracy]
    assert math.log2(worst(a) / worst(b)) > accuracy - 0.6


def test_mixed_derivatives_on_mixed_grids_commute():
    axes = Axes((Axis("x", 0.0, 1.0, periodic=True), Axis("y", -1.0, 1.0)))
    x = Coordinates(Grid((GridAxis(axes["x"], "periodic", 16), GridAxis(axes["y"], "chebyshev", 20))))
    u = sin(2 * math.pi * x["x"]) * exp(x["y"])
    exact = 2 * math.pi * cos(2 * math.pi * x["x"]) * exp(x["y"])
    for result in (d(d(u, "x"), "y"), d(d(u, "y"), "x")):
        assert float((result.values - exact.values).abs().max()) < 1e-10


@pytest.mark.parametrize("placement", ["periodic", "nodes", "cells", "chebyshev"])
def test_gradients_flow_through_derivatives_and_edges(placement):
    axis = GridAxis(PERIOD if placement == "periodic" else X, placement, 9)
    value = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def second(values, value):
        edges = {} if placement == "periodic" else {"x_min": Edge(1.0, 0.0, value), "x_max": Edge(0.5, 1.0, value)}
        return d(GridField(values, Grid((axis,), 4), Quantity("u"), edges), "x", 2).values

    assert torch.autograd.gradcheck(second, (profile(axis.points).requires_grad_(), value))


def test_fornberg_weights_are_exact_for_polynomials():
    x = np.array([0.0, 0.4, 0.5, 1.3, 2.0])
    for order in range(5):
        weights = fornberg(0.7, x, order)
        for degree in range(5):
            exact = math.perm(degree, order) * 0.7 ** (degree - order) if degree >= order else 0.0
            assert float(weights @ x**degree) == pytest.approx(exact, abs=1e-10)


def test_too_few_points_are_refused():
    u = GridField(torch.zeros(5, dtype=torch.float64), Grid((GridAxis(X, "nodes", 5),), 4), Quantity("u"))
    with pytest.raises(InputError, match="derivative of order 2 with accuracy 4 needs 6 points on the axis, got 5"):
        d(u, "x", 2)
