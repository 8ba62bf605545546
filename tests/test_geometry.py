"""Axes, domains, samplers and grids."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pdesolve.errors import InputError
from pdesolve.geometry import (
    Axes,
    Axis,
    Boundary,
    Box,
    Domain,
    Grid,
    GridAxis,
    Interval,
    PointCloud,
    sample,
    sample_boundary,
    sample_instant,
    unit_cube,
)

SAMPLERS = ("uniform", "sobol", "latin_hypercube", "regular", "gauss_legendre")
RANDOM = ("uniform", "sobol", "latin_hypercube")
TIME = Axis("t", 0.5, 2.0)
SQUARE = Box(Axis("x", -1.0, 2.0), Axis("y", 0.0, 0.5))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Disk(Domain):
    """The unit disk: a domain that does not fill its bounding box."""

    axes = Axes((Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0)))
    measure = math.pi
    boundaries: dict[str, Boundary] = {}  # noqa: RUF012

    def inside(self, x):
        return x.square().sum(1) <= 1


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("domain", [Interval("x", -1.0, 3.0), SQUARE], ids=["interval", "box"])
@pytest.mark.parametrize("time", [None, TIME], ids=["space", "time"])
def test_samples_lie_inside_and_weights_sum_to_the_measure(sampler, domain, time):
    points = sample(domain, 50, generator=generator(), sampler=sampler, time=time)
    assert points.axes.names == (("t",) if time else ()) + domain.axes.names
    assert domain.inside(points.x[:, -len(domain.axes) :]).all()
    if time:
        assert (points.x[:, 0] >= time.lower).all() and (points.x[:, 0] <= time.upper).all()
    assert len(points.x) == 50 if sampler in RANDOM else len(points.x) >= 50
    measure = domain.measure * (time.length if time else 1.0)
    assert float(points.weights.sum()) == pytest.approx(measure, rel=1e-12)
    assert points.x.dtype == torch.float64


@pytest.mark.parametrize("sampler", RANDOM)
def test_a_given_generator_makes_samples_reproducible(sampler):
    first, again, other = (sample(SQUARE, 32, generator=generator(s), sampler=sampler).x for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    shared = generator(1)
    assert torch.equal(sample(SQUARE, 32, generator=shared, sampler=sampler).x, first)
    assert not torch.equal(sample(SQUARE, 32, generator=shared, sampler=sampler).x, first)


def test_gauss_legendre_is_exact_for_polynomials_of_degree_2n_minus_1():
    points = sample(SQUARE, 16, generator=generator(), sampler="gauss_legendre")  # 4 by 4: degree 7
    x, y = points.x.unbind(1)
    for i, j in [(0, 0), (7, 0), (3, 6), (7, 7)]:
        exact = (2.0 ** (i + 1) - (-1.0) ** (i + 1)) / (i + 1) * 0.5 ** (j + 1) / (j + 1)
        assert float((points.weights * x**i * y**j).sum()) == pytest.approx(exact, rel=1e-12)
    exact = (2.0**9 + 1) / 9 * 0.5
    assert abs(float((points.weights * x**8).sum()) / exact - 1) > 1e-4  # and not for degree 8


def test_latin_hypercube_has_one_point_in_each_stratum_of_each_axis():
    unit, _ = unit_cube(20, 3, "latin_hypercube", generator())
    for column in unit.unbind(1):
        assert torch.equal((column * 20).floor().sort().values, torch.arange(20.0, dtype=torch.float64))


def test_sobol_integrates_better_than_independent_points():
    def error(sampler, seed):
        unit, weights = unit_cube(512, 2, sampler, generator(seed))
        return abs(float((weights * torch.exp(unit.sum(1))).sum()) - (math.e - 1) ** 2)

    errors = {s: sum(error(s, seed) for seed in range(8)) for s in ("sobol", "uniform")}
    assert errors["sobol"] < errors["uniform"] / 10


def test_regular_points_are_the_midpoints_of_cells():
    points = sample(Interval("x", 0.0, 1.0), 4, generator=generator(), sampler="regular")
    assert points.x[:, 0].tolist() == [0.125, 0.375, 0.625, 0.875]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_domains_that_do_not_fill_their_box_keep_the_points_inside(sampler):
    points = sample(Disk(), 400, generator=generator(), sampler=sampler, time=TIME)
    assert Disk().inside(points.x[:, 1:]).all()
    if sampler in RANDOM:
        assert len(points.x) == 400
    assert float(points.weights.sum()) == pytest.approx(math.pi * TIME.length, rel=1e-12 if sampler in RANDOM else 0.1)


def test_chebyshev_points_are_denser_at_walls_and_weighed_down_there() -> None:
    unit, weights = unit_cube(4096, 1, "chebyshev", generator())
    near = float((unit < 0.01).double().mean())
    assert near == pytest.approx(math.acos(1 - 2 * 0.01) / math.pi, rel=0.02)
    assert float(weights @ torch.exp(unit[:, 0])) == pytest.approx(math.e - 1, rel=1e-4)
    with pytest.raises(InputError, match="boxes"):
        sample(Disk(), 10, generator=generator(), sampler="chebyshev")


def test_sampling_refuses_unknown_samplers_and_no_points():
    with pytest.raises(InputError, match=r"unknown sampler 'sobel': did you mean 'sobol'\?"):
        sample(SQUARE, 4, generator=generator(), sampler="sobel")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 1 point must be sampled, got 0"):
        sample(SQUARE, 0, generator=generator())


def test_boundaries_are_named_and_periodic_axes_have_none():
    assert tuple(Interval("x", 0.0, 1.0).boundaries) == ("x_min", "x_max")
    assert tuple(SQUARE.boundaries) == ("x_min", "x_max", "y_min", "y_max")
    assert tuple(Box(Axis("x", 0, 1, periodic=True), Axis("y", 0, 1)).boundaries) == ("y_min", "y_max")


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("time", [None, TIME], ids=["space", "time"])
@pytest.mark.parametrize("domain", [Interval("x", -1.0, 3.0), SQUARE], ids=["interval", "box"])
def test_boundary_samples_lie_on_their_side_with_outward_normals(sampler, time, domain):
    for name, side in domain.boundaries.items():
        axis, end = name.split("_")
        points = sample_boundary(side, domain.axes, 9, generator=generator(), sampler=sampler, time=time)
        place = points.x[:, -len(domain.axes) :]
        column = domain.axes.index(axis)
        bound = getattr(domain.axes[axis], {"min": "lower", "max": "upper"}[end])
        assert (place[:, column] == bound).all()
        assert domain.inside(place).all()
        assert float(side.distance(place).abs().max()) == 0.0
        expected = torch.zeros(len(domain.axes), dtype=torch.float64)
        expected[column] = -1.0 if end == "min" else 1.0
        assert (points.normals == expected).all()
        # a small step along the normal leaves the domain
        assert not domain.inside(place + 1e-6 * points.normals).any()
        assert float(points.weights.sum()) == pytest.approx(side.measure * (time.length if time else 1.0))


def test_measures_and_distances():
    assert SQUARE.measure == pytest.approx(1.5)
    sides = SQUARE.boundaries
    assert (sides["x_min"].measure, sides["y_max"].measure) == (0.5, 3.0)
    assert Interval("x", 0.0, 2.0).boundaries["x_max"].measure == 1.0
    x = torch.tensor([[0.0, 0.25], [3.0, 1.5], [-1.0, 0.5]], dtype=torch.float64)
    assert sides["x_min"].distance(x).tolist() == pytest.approx([1.0, math.hypot(4, 1), 0.0])
    assert sides["y_max"].distance(x).tolist() == pytest.approx([0.25, math.hypot(1, 1), 0.0])
    assert SQUARE.inside(x).tolist() == [True, False, True]


def test_points_at_one_instant():
    points = sample_instant(SQUARE, 8, time=TIME, at=0.5, generator=generator())
    assert points.axes.names == ("t", "x", "y")
    assert (points.x[:, 0] == 0.5).all()
    assert float(points.weights.sum()) == pytest.approx(SQUARE.measure)


def test_a_point_cloud_needs_one_column_per_axis():
    with pytest.raises(InputError, match=r"points on \(x, y\) need shape \(point, 2\), got \(5, 3\)"):
        PointCloud(SQUARE.axes, torch.zeros(5, 3))


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ("periodic", [0.0, 0.5, 1.0, 1.5]),
        ("nodes", [0.0, 2 / 3, 4 / 3, 2.0]),
        ("cells", [0.25, 0.75, 1.25, 1.75]),
        ("chebyshev", [0.0, 0.5, 1.5, 2.0]),
    ],
)
def test_placements(placement, expected):
    axis = Axis("x", 0.0, 2.0, periodic=placement == "periodic")
    member = GridAxis(axis, placement, 4)
    assert member.points.tolist() == pytest.approx(expected, abs=1e-15)
    assert float(member.weights.sum()) == pytest.approx(2.0, rel=1e-14)
    if placement in ("nodes", "chebyshev"):
        assert (member.points[0], member.points[-1]) == (0.0, 2.0)  # exactly: conditions hold there


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 9])
def test_chebyshev_weights_are_exact_to_degree_n_minus_1(n):
    member = GridAxis(Axis("x", -1.0, 2.0), "chebyshev", n)
    for k in range(n):
        exact = (2.0 ** (k + 1) - (-1.0) ** (k + 1)) / (k + 1)
        assert float(member.weights @ member.points**k) == pytest.approx(exact, rel=1e-12, abs=1e-12)


def test_periodic_weights_are_exact_for_waves_below_the_grid():
    member = GridAxis(Axis("x", 0.0, 1.0, periodic=True), "periodic", 8)
    for k in range(1, 8):
        assert abs(float(member.weights @ np.cos(2 * np.pi * k * member.points))) < 1e-15
    assert float(member.weights @ np.cos(2 * np.pi * 8 * member.points)) == pytest.approx(1.0)


@pytest.mark.parametrize("placement", ["nodes", "cells", "listed"])
def test_other_weights_are_of_order_2(placement):
    def error(n):
        axis = Axis("x", 0.0, 1.0)
        stretched = np.linspace(0, 1, n) + 0.1 * np.sin(2 * np.pi * np.linspace(0, 1, n)) / (2 * np.pi)
        member = GridAxis.at(axis, stretched) if placement == "listed" else GridAxis(axis, placement, n)
        return abs(float(member.weights @ np.exp(member.points)) - (math.e - 1))

    assert math.log2(error(32) / error(64)) == pytest.approx(2.0, abs=0.1)


def test_grids_are_tensor_products_with_time_first():
    axes = Axes((TIME, Axis("x", 0, 1, periodic=True), Axis("y", 0, 1)))
    grid = Grid.regular(axes, {"x": 8, "y": 5}, times=(0.5, 1.0, 2.0), bounded="cells")
    assert grid.shape == (3, 8, 5)
    assert [m.placement for m in grid.members] == ["listed", "periodic", "cells"]
    columns = grid.columns(dtype=torch.float32, device="cpu")
    assert [tuple(c.shape) for c in columns.values()] == [(3, 1, 1), (1, 8, 1), (1, 1, 5)]
    assert all(c.dtype == torch.float32 for c in columns.values())
    assert grid.without("t").shape == (8, 5)
    assert grid.without("t").with_times(TIME, (1.0, 1.5)).shape == (2, 8, 5)
    assert grid["y"].size == 5
    assert grid == Grid.regular(axes, {"x": 8, "y": 5}, times=(0.5, 1.0, 2.0), bounded="cells")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Axis("x", 1.0, 1.0), r"axis 'x' has size zero or less.*got \[1.0, 1.0\]"),
        (lambda: Axis("x", 1.0, 0.0), r"axis 'x' has size zero or less.*swapped"),
        (lambda: Interval("x", 2.0, 2.0), r"axis 'x' has size zero or less"),
        (lambda: Axis("x", 0.0, math.inf), r"axis 'x' needs finite bounds, got \[0.0, inf\]"),
        (lambda: Axis("x", math.nan, 1.0), r"axis 'x' needs finite bounds, got \[nan, 1.0\]"),
        (lambda: Axis("2x", 0.0, 1.0), "an axis name must be a word such as 'x', got '2x'"),
        (lambda: Axis("t", 0.0, 1.0, periodic=True), "time cannot be periodic"),
        (lambda: Axis("x", 0.0, 1.0, unit="furlong"), "unknown unit 'furlong'"),
        (lambda: Axis("x", 0.0, 1.0, unit="m/s"), "cannot read 'm/s' in the unit 'm/s': write a product such as"),
        (lambda: Box(), "a box needs at least one axis"),
        (lambda: Box(Axis("t", 0, 1)), "a box is a region of space: give the time axis to Problem"),
        (lambda: Box(Axis("x", 0, 1), Axis("x", 0, 1)), "axes must have different names, got x, x"),
        (lambda: Axes((Axis("x", 0, 1), Axis("t", 0, 1))), "time comes first among the axes, got the order x, t"),
        (lambda: SQUARE.axes["z"], "unknown axis 'z'.*known: x, y"),
        (lambda: GridAxis(Axis("x", 0, 1), "periodic", 8), r"'x' is not periodic: write Axis\('x', ..., periodic=True"),
        (lambda: GridAxis(Axis("x", 0, 1, periodic=True), "nodes", 8), "'x' is periodic: place points 'periodic'"),
        (lambda: GridAxis(Axis("x", 0, 1), "node", 8), "unknown placement 'node': did you mean 'nodes'"),
        (lambda: GridAxis(Axis("x", 0, 1), "nodes", 1), "axis 'x' needs at least 2 points, got 1"),
        (lambda: GridAxis.at(Axis("t", 0, 1), (0.0, 0.5, 0.5)), "listed coordinates of axis 't' must ascend"),
        (lambda: Grid.regular(SQUARE.axes, {"x": 8}), "the grid has no size for axis 'y'"),
        (lambda: Grid.regular(SQUARE.axes, {"x": 8, "z": 8}), "unknown axis 'z'"),
        (lambda: Grid.regular(SQUARE.axes, 8, accuracy=3), "finite differences come in orders 2, 4 and 6, got 3"),
    ],
)
def test_bad_input_is_refused_in_one_line(make, message):
    with pytest.raises(InputError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
