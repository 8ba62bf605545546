"""Disks, balls, polygons, and unions, differences and intersections of domains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import pytest
import torch
from scipy.special import ellipe

import pdesolve as ps
from pdesolve.errors import InputError
from pdesolve.geometry import (
    Arc,
    Axes,
    Axis,
    Ball,
    Boundary,
    Box,
    Disk,
    Domain,
    Interval,
    PiercedBox,
    Polygon,
    Renamed,
    Star,
    sample,
    sample_boundary,
)
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.plotting import solution_figure
from pdesolve.solving import reference_dataset

PI = math.pi
SAMPLERS = ("uniform", "sobol", "latin_hypercube", "regular", "gauss_legendre")
TIME = Axis("t", 0.5, 2.0)
SQUARE = Box(Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0))
QUARTER = Renamed(
    Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
    {"x_min": "notch_left", "y_min": "notch_floor", "x_max": "gone_x", "y_max": "gone_y"},
)
HOUSE = Polygon(((0, 0), (2, 0), (2, 1), (1, 2), (0, 1)), ("floor", "wall", "roof", "roof", "wall"))
BALL = Ball((0.0, 0.0, 0.0), 1.0)

# a domain, its measure and the measures of its parts
PLANE = {
    "disk": (Disk((1.0, -2.0), 0.5), PI / 4, {"circle": PI}),
    "triangle": (
        Polygon(((0, 0), (3, 0), (0, 4))),
        6.0,
        {"edge_0": 3.0, "edge_1": 5.0, "edge_2": 4.0},
    ),
    "clockwise": (Polygon(((0, 4), (3, 0), (0, 0))), 6.0, {"edge_0": 5.0, "edge_1": 3.0, "edge_2": 4.0}),
    "house": (HOUSE, 3.0, {"floor": 2.0, "wall": 2.0, "roof": 2 * math.sqrt(2)}),
    "l_shape": (
        SQUARE - QUARTER,
        3.0,
        {"x_min": 2.0, "x_max": 1.0, "y_min": 2.0, "y_max": 1.0, "notch_left": 1.0, "notch_floor": 1.0},
    ),
    "hole": (
        SQUARE - Disk((0.25, 0.0), 0.5),
        4 - PI / 4,
        {"x_min": 2.0, "x_max": 2.0, "y_min": 2.0, "y_max": 2.0, "circle": PI},
    ),
    # r = 0.5 + 0.2 cos 3q: the length by a fine sum of (r^2 + r'^2)^(1/2)
    "star_hole": (
        PiercedBox(SQUARE, Star("star", (0.1, -0.1), tuple(0.5 + 0.2 * math.cos(PI * k) for k in range(6)), -1)),
        4 - PI * (0.25 + 0.02),
        {"x_min": 2.0, "x_max": 2.0, "y_min": 2.0, "y_max": 2.0, "star": 4.096001914317713},
    ),
    "bite": (
        SQUARE - Disk((1.0, 0.0), 0.5),
        4 - PI / 8,
        {"x_min": 2.0, "x_max": 1.0, "y_min": 2.0, "y_max": 2.0, "circle": PI / 2},
    ),
    "bump": (
        SQUARE | Disk((1.0, 0.0), 0.5),
        4 + PI / 8,
        {"x_min": 2.0, "x_max": 1.0, "y_min": 2.0, "y_max": 2.0, "circle": PI / 2},
    ),
    # the circles meet at angles of 60 degrees to the line between them: no end is hit at a right angle
    "lens": (
        Disk((0.0, 0.0), 1.0, boundary="left") & Disk((1.0, 0.0), 1.0, boundary="right"),
        2 * PI / 3 - math.sqrt(3) / 2,
        {"left": 2 * PI / 3, "right": 2 * PI / 3},
    ),
    "house_with_window": (
        HOUSE - Disk((1.0, 0.8), 0.4),
        3 - 0.16 * PI,
        {"floor": 2.0, "wall": 2.0, "roof": 2 * math.sqrt(2), "circle": 0.8 * PI},
    ),
    "ring_with_core": (
        (SQUARE - Disk()) | Disk((0.0, 0.0), 0.5, boundary="core"),
        4 - 0.75 * PI,
        {"x_min": 2.0, "x_max": 2.0, "y_min": 2.0, "y_max": 2.0, "circle": 2 * PI, "core": PI},
    ),
    "segment_of_bite": (
        (SQUARE - Disk((1.0, 0.0), 0.5)) & Box(Axis("x", 0.0, 3.0), Axis("y", 0.0, 3.0)),
        1 - PI / 16,
        {"x_max": 0.5, "y_max": 1.0, "x_min": 1.0, "y_min": 0.5, "circle": PI / 4},
    ),
    "periodic_hole": (
        Box(Axis("x", -1.0, 1.0, periodic=True), Axis("y", -1.0, 1.0)) - Disk((0.0, 0.0), 0.5),
        4 - PI / 4,
        {"y_min": 2.0, "y_max": 2.0, "circle": PI},
    ),
}
SOLID = {
    "gap": (
        Interval("x", 0.0, 4.0) - Renamed(Interval("x", 1.0, 2.0), {"x_min": "left", "x_max": "right"}),
        3.0,
        {"x_min": 1.0, "x_max": 1.0, "left": 1.0, "right": 1.0},
    ),
    "ball": (BALL, 4 * PI / 3, {"sphere": 4 * PI}),
    "ball_5": (Ball((0.5,) * 5, 2.0), 8 * PI**2 / 15 * 32, {"sphere": 8 * PI**2 / 3 * 16}),
    "shell": (
        BALL - Ball((0.0, 0.0, 0.2), 0.5, boundary="hole"),
        4 * PI / 3 * 7 / 8,
        {"sphere": 4 * PI, "hole": PI},
    ),
}
# the circle where the spheres meet lies at z = 0.875: caps have the area 2 pi r h
BITTEN = BALL - Ball((0.0, 0.0, 1.0), 0.5, boundary="hole")
BITTEN_VOLUME = 4 * PI / 3 - PI * 0.5**2 * (1 + 2 * 1.5 - 3 * 0.5**2) / 12
EXACT = {**PLANE, **SOLID}
ALL = {**EXACT, "bitten": (BITTEN, BITTEN_VOLUME, {"sphere": 2 * PI * 1.875, "hole": PI * 0.375})}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def places(*points: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(points, dtype=torch.float64)


@pytest.mark.parametrize("name", EXACT)
def test_measures_are_exact_and_parts_are_those_of_the_result(name):
    domain, measure, parts = EXACT[name]
    assert domain.measure == pytest.approx(measure, rel=1e-9)
    assert {name: part.measure for name, part in domain.boundaries.items()} == pytest.approx(parts, rel=1e-9)
    assert all(part.name == name for name, part in domain.boundaries.items())
    assert domain.dimension == len(domain.axes) and not domain.is_box


def test_measures_in_space_are_estimates_of_the_stated_accuracy():
    assert BITTEN.measure == pytest.approx(BITTEN_VOLUME, abs=8 * 1e-4)
    assert BITTEN.boundaries["sphere"].measure == pytest.approx(2 * PI * 1.875, abs=4 * PI * 1e-3)
    assert BITTEN.boundaries["hole"].measure == pytest.approx(PI * 0.375, abs=PI * 1e-3)


@pytest.mark.parametrize(
    ("sampler", "time"),
    [*((sampler, None) for sampler in SAMPLERS), ("sobol", TIME), ("gauss_legendre", TIME)],
    ids=[*SAMPLERS, "sobol in time", "gauss_legendre in time"],
)
@pytest.mark.parametrize("name", ALL)
def test_boundary_samples_are_on_the_boundary_with_outward_normals(name, time, sampler):
    domain = ALL[name][0]
    for part in domain.boundaries.values():
        n = 300 if part.dimension > 2 else 60
        points = sample_boundary(part, domain.axes, n, generator=generator(), sampler=sampler, time=time)
        assert len(points.x) == len(points.weights) == len(points.normals)
        assert points.axes.names == (("t",) if time else ()) + domain.axes.names
        if sampler in SAMPLERS[:3] and (part.dimension or time):
            assert len(points.x) == n
        x = points.x[:, -domain.dimension :]
        assert domain.inside(x).all(), "the domain is closed"
        assert torch.linalg.vector_norm(points.normals, dim=1).tolist() == pytest.approx([1.0] * len(x))
        if name != "bitten":
            assert float(part.distance(x).max()) < 1e-12
        assert domain.inside(x - 1e-8 * points.normals).all()
        assert not domain.inside(x + 1e-8 * points.normals).any()
        measure = part.measure * (time.length if time else 1.0)
        assert float(points.weights.sum()) == pytest.approx(measure, rel=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_samples_inside_have_the_measure_of_the_domain(name):
    domain, measure, _ = ALL[name]
    points = sample(domain, 500, generator=generator(), time=TIME)
    assert len(points.x) == 500 and domain.inside(points.x[:, 1:]).all()
    assert float(points.weights.sum()) == pytest.approx(measure * TIME.length, rel=1e-3)
    box = math.prod(axis.length for axis in domain.axes)
    filled = sample(domain, 4096, generator=generator(), sampler="regular")  # what `inside` says against the formula
    assert float(filled.weights.sum()) == pytest.approx(measure, abs=0.04 * box)


@pytest.mark.parametrize("name", [name for name in PLANE if name != "periodic_hole"])  # F is not periodic
def test_the_divergence_theorem_holds_on_each_domain_of_the_plane(name):
    """Integral of div F = boundary integral of F . n for F = (e^x cos y, x y^2), div F = e^x cos y + 2 x y."""
    domain = PLANE[name][0]
    inside = sample(domain, 20_000, generator=generator())
    x, y = inside.x.unbind(1)
    volume = float((inside.weights * (x.exp() * y.cos() + 2 * x * y)).sum())
    flux = size = 0.0
    for part in domain.boundaries.values():
        points = sample_boundary(part, domain.axes, 2000, generator=generator())
        x, y = points.x.unbind(1)
        density = points.normals[:, 0] * x.exp() * y.cos() + points.normals[:, 1] * x * y**2
        flux += float((points.weights * density).sum())
        size += float((points.weights * density.abs()).sum())
    assert abs(flux - volume) < 2e-3 * size


@pytest.mark.parametrize("d", [2, 3, 4, 7])
def test_spheres_are_sampled_uniformly(d):
    (part,) = Ball((0.0,) * d, 2.0).boundaries.values()
    u = sample_boundary(part, Ball((0.0,) * d, 2.0).axes, 2**13, generator=generator()).x / 2
    assert u.mean(0).abs().max() < 2e-3
    assert torch.allclose(u.T @ u / len(u), torch.eye(d).double() / d, atol=2e-3)
    assert u.pow(4).mean(0).tolist() == pytest.approx([3 / (d * (d + 2))] * d, rel=2e-2)


@pytest.mark.parametrize("name", [n for n in ALL if n != "gap"])
def test_distances_agree_with_those_from_many_points(name):
    domain = ALL[name][0]
    lower = torch.tensor([a.lower - 0.5 for a in domain.axes]).double()
    upper = torch.tensor([a.upper + 0.5 for a in domain.axes]).double()
    x = lower + (upper - lower) * torch.rand(100, domain.dimension, generator=generator()).double()
    for part in domain.boundaries.values():
        points = sample_boundary(part, domain.axes, 4000, generator=generator(), sampler="sobol").x
        nearest = torch.cdist(x, points).amin(1)
        spacing = 0.005 if domain.dimension == 2 else 0.15 if domain.dimension == 3 else 1.0
        excess = nearest - part.distance(x)
        assert float(excess.max()) < spacing
        assert float(excess.min()) > (-1e-9 if name != "bitten" else -0.1)


def test_distances_from_what_remains_of_a_part():
    bite = PLANE["bite"][0].boundaries
    x = places((1.0, 0.0), (2.0, 0.1), (0.0, 0.0))
    assert bite["x_max"].distance(x).tolist() == pytest.approx([0.5, math.hypot(1, 0.4), math.hypot(1, 0.5)])
    # to the arc's ends at (1, +-0.5) from the right, to its middle from the left
    assert bite["circle"].distance(x).tolist() == pytest.approx([0.5, math.hypot(1, 0.4), 0.5])
    gap = SOLID["gap"][0].boundaries
    assert gap["left"].distance(places((0.0,), (1.5,))).tolist() == [1.0, 0.5]


def test_distances_have_unit_gradients_and_finite_ones_on_the_part():
    for name in ("disk", "house", "bite", "ball", "shell"):
        for part in ALL[name][0].boundaries.values():
            x = sample(ALL[name][0], 50, generator=generator()).x.requires_grad_()
            (slope,) = torch.autograd.grad(part.distance(x).sum(), x)
            assert torch.linalg.vector_norm(slope, dim=1).tolist() == pytest.approx([1.0] * 50)
    x = places((0.5, 0.0), (0.0, 0.0)).requires_grad_()
    parts = (*HOUSE.boundaries.values(), Disk((0.0, 0.0), 0.5).boundaries["circle"])
    for part in parts:
        assert torch.isfinite(torch.autograd.grad(part.distance(x).sum(), x)[0]).all()


def test_normals_of_a_hole_point_into_it():
    points = sample_boundary(PLANE["hole"][0].boundaries["circle"], SQUARE.axes, 20, generator=generator())
    radial = (points.x - torch.tensor([0.25, 0.0])) / 0.5
    assert torch.allclose(points.normals, -radial, atol=1e-12)


def test_inside_is_closed_and_knows_the_corners():
    x = places((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (1.0, 0.0), (-1.0, -1.0), (1.0, 1.0), (1.0 + 1e-9, 0.0))
    assert (SQUARE - QUARTER).inside(x).tolist() == [True, True, True, False, True, True, False, False]
    # the line where the pieces of a hole meet is no boundary
    pieces = Box(Axis("x", -0.5, 0.0), Axis("y", -0.5, 0.5)) | Renamed(
        Box(Axis("x", 0.0, 0.5), Axis("y", -0.5, 0.5)), {"y_min": "y_min_2", "y_max": "y_max_2"}
    )
    names = {"x_min": "a", "x_max": "b", "y_min": "c", "y_max": "d", "y_min_2": "e", "y_max_2": "f"}
    assert tuple(pieces.boundaries) == ("x_min", "y_min", "y_max", "x_max", "y_min_2", "y_max_2")
    holed = SQUARE - Renamed(pieces, names)
    assert holed.measure == pytest.approx(3.0)
    assert holed.inside(places((0.0, 0.0), (0.0, 0.5), (0.0, 0.51), (0.5, 0.0))).tolist() == [False, True, True, True]
    star = Polygon(((0, 0), (4, 0), (4, 3), (2, 1), (0, 3)))  # a ray through corners, and along an edge
    x = places((1.0, 1.0), (2.0, 1.0), (3.0, 3.0), (2.0, 2.0), (-1.0, 0.0), (5.0, 0.0), (1.0, 0.0), (-1.0, 3.0))
    assert star.inside(x).tolist() == [True, True, False, False, False, False, True, False]
    assert star.inside(x.float()).tolist() == star.inside(x).tolist()


def test_domains_far_from_the_origin_are_cut_too():
    far = Disk((1e6, -1e6)) - Disk((1e6 + 1, -1e6), 1.0, boundary="bite")
    assert far.measure == pytest.approx(PI / 3 + math.sqrt(3) / 2, rel=1e-5)
    assert tuple(far.boundaries) == ("circle", "bite")
    points = sample_boundary(far.boundaries["bite"], far.axes, 50, generator=generator())
    assert far.inside(points.x).all()


def test_boundaries_that_run_along_one_another_are_counted_once():
    right = Renamed(Box(Axis("x", 0.0, 2.0), Axis("y", -1.0, 0.0)), {"x_min": "a", "y_min": "floor", "y_max": "step"})
    both = SQUARE | Renamed(right, {"x_max": "end"})
    assert both.measure == pytest.approx(5.0)
    found = {name: part.measure for name, part in both.boundaries.items()}
    assert found == pytest.approx({"x_min": 2, "x_max": 1, "y_min": 2, "y_max": 2, "end": 1, "floor": 1, "step": 1})


@dataclass(frozen=True)
class Ellipse(Boundary):
    """A closed curve that is neither straight nor round; its chart is by angle: no sample is drawn here."""

    name: str = "ellipse"
    dimension: int = 1
    measure: float = 4 * 2.0 * ellipe(0.75)  # type: ignore[assignment]

    def place(self, unit):
        angle = 2 * PI * unit[:, 0]
        normal = torch.stack([angle.cos() / 2, angle.sin()], 1)
        return torch.stack([2 * angle.cos(), angle.sin()], 1), normal / torch.linalg.vector_norm(normal, dim=1)[:, None]

    def distance(self, x):
        return torch.cdist(x, self.place(torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None])[0]).amin(1)


class Oval(Domain):
    """x^2/4 + y^2 <= 1, as a user would write it: without a tolerance."""

    axes = Axes((Axis("x", -2.0, 2.0), Axis("y", -1.0, 1.0)))
    measure = 2 * PI

    @cached_property
    def boundaries(self):
        return {"ellipse": Ellipse()}

    def inside(self, x):
        return x[:, 0] ** 2 / 4 + x[:, 1] ** 2 <= 1


def test_a_domain_of_the_users_own_takes_part():
    half = Oval() & Box(Axis("x", 0.0, 3.0), Axis("y", -2.0, 2.0))
    assert half.measure == pytest.approx(PI, rel=1e-8)
    measures = {name: part.measure for name, part in half.boundaries.items()}
    assert measures == pytest.approx({"ellipse": 4 * ellipe(0.75), "x_min": 2.0}, rel=1e-8)
    rest = Oval() - Disk((0.0, 0.0), 0.5)
    assert rest.measure == pytest.approx(2 * PI - PI / 4, rel=1e-8)


def test_points_of_a_cut_part_are_reproducible_and_uniform():
    part = BITTEN.boundaries["hole"]
    first, again = (sample_boundary(part, BALL.axes, 400, generator=generator(3)).x for _ in range(2))
    assert torch.equal(first, again)
    # of a cap in space the height is uniform: between 0.5 and 0.875
    assert float(first[:, 2].mean()) == pytest.approx((0.5 + 0.875) / 2, abs=5e-3)


def test_balls_name_their_axes():
    assert Disk().axes.names == ("x", "y") and BALL.axes.names == ("x", "y", "z")
    assert Ball((0.0,) * 4, 1.0).axes.names == ("x1", "x2", "x3", "x4")
    assert Disk((1.0, 2.0), 0.5, unit="m", axis_names=("r", "z")).axes == Axes(
        (Axis("r", 0.5, 1.5, unit="m"), Axis("z", 1.5, 2.5, unit="m"))
    )
    assert Disk() == Disk() and isinstance(Disk().boundaries["circle"], Arc)
    assert Ball((0.0,) * 10, 1.0).measure == pytest.approx(PI**5 / 120)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Disk((0, 0), 0.0), "the radius of a disk must be positive, got 0.0"),
        (lambda: Ball((0, 0, 0), math.nan), "the radius of a ball must be positive, got nan"),
        (lambda: Ball((0.0,), 1.0), "a centre of at least 2 coordinates, got 1: or write Interval"),
        (lambda: Disk((0, 0, 0), 1.0), r"the centre of a disk has 2 coordinates, got 3: elsewhere write Ball"),
        (lambda: Ball((0, math.inf), 1.0), "the centre of a ball must be finite"),
        (lambda: Ball((0, 0), 1.0, axis_names=("x",)), "a ball in 2 dimensions needs 2 axis names, got 1: x"),
        (lambda: Ball((0, 0), 1.0, axis_names=("t", "x")), "a ball is a region of space: give the time axis"),
        (lambda: Polygon(((0, 0), (1, 1))), "a polygon needs at least 3 corners, got 2"),
        (lambda: Polygon(()), "a polygon needs at least 3 corners, got 0"),
        (lambda: Polygon(((0, 0), (1, 0), (0, 1), (0, 0))), r"repeats the first, \(0.0, 0.0\): leave it out"),
        (
            lambda: Polygon(((0, 0), (1, 1), (1, 0), (0, 1))),
            r"crosses itself: the edge from \(0.0, 0.0\) to \(1.0, 1.0\)",
        ),
        (lambda: Polygon(((0, 0), (2, 0), (1, 0), (1, 1))), "crosses itself"),  # turns back on itself
        (lambda: Polygon(((0, 0), (2, 0), (2, 2), (1, 0), (0, 2))), "crosses itself"),  # a corner on an edge
        (lambda: Polygon(((0, 0), (1, 0), (2, 0))), "crosses itself"),
        (lambda: Polygon(((0, 0), (1, 0), (1, 0), (0, 1))), r"corners 1 and 2 of the polygon coincide at \(1.0, 0.0\)"),
        (lambda: Polygon(((0, 0), (1, 0), (0, math.nan))), "a corner of a polygon is two finite numbers"),
        (lambda: Polygon(((0, 0), (1, 0), (0, 1)), ("a", "b")), "a polygon of 3 corners has 3 edges, got 2 names"),
        (lambda: Polygon(((0, 0), (1, 0), (0, 1)), axis_names=("t", "x")), "a polygon is a region of space"),
        (lambda: Disk() - Disk((0, 0), 2.0, boundary="b"), "the difference is empty"),
        (lambda: Disk() - Disk(), "the difference is empty"),
        (lambda: Disk() & Disk((3.0, 0.0), 1.0, boundary="b"), "the intersection is empty"),
        (lambda: Disk() & Disk((1.5, 1.5), 1.0, boundary="b"), "the intersection is empty"),
        (lambda: BALL - Ball((0, 0, 0), 2.0, boundary="b"), "the difference is empty"),
        (lambda: SQUARE & Box(Axis("x", 1.0, 2.0), Axis("y", -1.0, 1.0)), "the intersection is empty"),
        (lambda: Disk() | BALL, r"same axes and units, got \(x in no unit, y in no unit\) and \(x in no unit, y in no"),
        (
            lambda: Disk(unit="m") | Disk(unit="s"),
            r"same axes and units, got \(x in m, y in m\) and \(x in s, y in s\)",
        ),
        (lambda: SQUARE - 1, r"domains combine with domains, got int: write Box\(...\) - Disk\(\)"),
        (lambda: Disk() | Disk((1, 0)), "both domains have a part of the boundary called 'circle': give Disk"),
        (lambda: PLANE["periodic_hole"][0] | SQUARE, "axis 'x' is periodic in one domain and not"),
        (lambda: SQUARE - PLANE["periodic_hole"][0], "a domain with periodic axes cannot be taken away"),
        (lambda: PLANE["periodic_hole"][0] - Disk((1.0, 0.0), 0.2), r"lie within the period \[-1.0, 1.0\] of 'x'"),
        (lambda: Renamed(SQUARE, {"x_mim": "a"}), "unknown boundary 'x_mim': did you mean 'x_min'"),
        (lambda: Renamed(SQUARE, {"x_min": "x_max"}), "parts of a boundary need different names, got x_max, x_max"),
    ],
)
def test_bad_input_is_refused_in_one_line(make, message):
    with pytest.raises(InputError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


SMALL = Pinn(width=12, depth=2, collocation=128, condition_points=60, adaptivity="none")


@pytest.mark.slow
def test_a_network_solves_on_a_disk_and_proves_it(tmp_path):
    problem = ps.Problem(
        name="poisson_disk",
        equation=Poisson(),
        domain=ps.Disk(),
        conditions=(ps.Dirichlet("u", "circle", 0.0),),
        values={"source": 1.0},
        exact=ps.Exact(lambda p, x: {"u": (1 - x["x"] ** 2 - x["y"] ** 2) / 4}),
        evaluation=ps.Evaluation(31),
    )
    solution = ps.solve(problem, SMALL, steps=60, threads=1, out=tmp_path / "run")
    assert len(problem.evaluation_set.x) == 961 and problem.domain.inside(problem.evaluation_set.x).all()
    assert solution.proof.errors["u"]["relative_l2"] < 5e-3
    assert solution.proof.violations["u at circle"] < 1e-3 and solution.proof.residual < 2e-2
    assert (solution.run / "figures" / "solution.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_network_solves_on_a_house_with_a_round_window(tmp_path):
    """-lap u = 5 u for u = sin(2x) cos(y), slopes given on the window: their sign would show inward normals."""

    def u(p, x):
        return ps.sin(2 * x["x"]) * ps.cos(x["y"])

    def slope(p, x):
        along = 2 * ps.cos(2 * x["x"]) * ps.cos(x["y"]), -ps.sin(2 * x["x"]) * ps.sin(x["y"])
        return x.normals["x"] * along[0] + x.normals["y"] * along[1]

    problem = ps.Problem(
        name="poisson_house",
        equation=Poisson(),
        domain=HOUSE - ps.Disk((1.0, 0.8), 0.4, boundary="window"),
        conditions=(ps.Dirichlet("u", ("floor", "wall", "roof"), u), ps.Neumann("u", "window", slope)),
        values={"source": lambda p, x: 5 * u(p, x)},
        exact=ps.Exact(lambda p, x: {"u": u(p, x)}),
        evaluation=ps.Evaluation(31),
    )
    solution = ps.solve(problem, SMALL, steps=100, threads=1, out=tmp_path / "run")
    assert solution.proof.errors["u"]["relative_l2"] < 1e-2
    assert set(solution.proof.violations) == {"u at floor, wall, roof", "u at window"}
    figure = solution_figure(solution.dataset(), reference_dataset(solution))
    map_, errors = figure.axes[:2]
    low, high = errors.collections[0].get_clim()
    assert (map_.get_title(), errors.get_title()) == ("u", "error of u") and low == -high
    assert map_.collections[0].get_array().shape == (961,)
