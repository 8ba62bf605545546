"""Meshes, domains that are meshes, triangulations and their refinement."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

import pdesolve as ps
from pdesolve.errors import InputError
from pdesolve.geometry import (
    Axes,
    Axis,
    Box,
    Disk,
    Interval,
    Locator,
    Mesh,
    MeshDomain,
    Polygon,
    Renamed,
    sample,
    sample_boundary,
    smallest_angle,
)
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.plotting import solution_figure
from pdesolve.plotting.scattered import triangles

PI = math.pi
UNIT = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
HALVES = [[0, 1, 2], [0, 2, 3]]


def square(n: int, names: bool = True) -> Mesh:
    """The unit square in 2 n^2 right triangles."""
    x = np.linspace(0, 1, n + 1)
    points = np.stack(np.meshgrid(x, x, indexing="ij"), 2).reshape(-1, 2)
    corner = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).ravel()
    a, b, c, d = corner, corner + n + 1, corner + n + 2, corner + 1
    cells = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    k = np.arange(n)
    left, top = np.stack([k, k + 1], 1), np.stack([k * (n + 1) + n, (k + 1) * (n + 1) + n], 1)
    return Mesh.of(points, cells, {"left": left, "top": top} if names else None)


def cube(n: int) -> Mesh:
    """The unit cube in 6 n^3 tetrahedra, one for each order of the axes along a path between opposite corners."""
    x = np.linspace(0, 1, n + 1)
    points = np.stack(np.meshgrid(x, x, x, indexing="ij"), 3).reshape(-1, 3)
    stride = np.array([(n + 1) ** 2, n + 1, 1])
    cells = []
    for start in itertools.product(range(n), repeat=3):
        for order in itertools.permutations(range(3)):
            path = int(np.dot(start, stride)) + np.concatenate([[0], np.cumsum(stride[list(order)])])
            edges = points[path[1:]] - points[path[0]]
            cells.append(path if np.linalg.det(edges) > 0 else path[[0, 2, 1, 3]])
    return Mesh.of(points, np.array(cells))


MESHES = {
    "interval": lambda: Mesh.of([[0.0], [2.0], [0.3]], [[0, 2], [2, 1]]),
    "square": lambda: square(3),
    "cube": lambda: cube(2),
}
MEASURE = {"interval": 2.0, "square": 1.0, "cube": 1.0}


# meshes


@pytest.mark.parametrize("name", MESHES)
def test_gradients_weights_and_normals_obey_the_divergence_theorem(name):
    mesh = MESHES[name]()
    d = mesh.dimension
    assert mesh.measure == pytest.approx(MEASURE[name], rel=1e-14)
    assert mesh.measures.min() > 0 and mesh.shape == (len(mesh.points),)
    # P1 functions reproduce linear ones: sum of x_i grad l_i is the identity, sum of grad l_i is zero
    identity = torch.einsum("cva,cvb->cab", mesh.points[mesh.cells], mesh.gradients)
    torch.testing.assert_close(identity, torch.eye(d, dtype=torch.float64).expand_as(identity))
    assert float(mesh.gradients.sum(1).abs().max()) < 1e-12
    middle = (mesh.points.amin(0) + mesh.points.amax(0)) / 2
    torch.testing.assert_close(mesh.weights @ mesh.points, middle * mesh.measure)
    total, flux, facets = torch.zeros(d, dtype=torch.float64), 0.0, 0
    for part in mesh.boundaries:
        areas, normals = mesh.facet_measures(part), mesh.facet_normals(part)
        total += areas @ normals
        flux += float(areas @ (normals * mesh.points[mesh.part(part)].mean(1)).sum(1))
        facets += len(areas)
    assert float(total.abs().max()) < 1e-13
    assert flux == pytest.approx(d * mesh.measure, rel=1e-13)
    assert facets == len(mesh.boundary_facets)


def test_edges_are_counted_once_and_belong_to_their_cells():
    mesh = cube(2)
    edges, of_cell = mesh.edges
    assert torch.equal(edges.unique(dim=0), edges) and (edges[:, 0] < edges[:, 1]).all()
    pairs = torch.combinations(torch.arange(4), 2)
    assert torch.equal(mesh.cells[:, pairs].sort(2).values, edges[of_cell])
    faces = (4 * len(mesh.cells) + len(mesh.boundary_facets)) // 2
    assert len(mesh.points) - len(edges) + faces - len(mesh.cells) == 1  # Euler's formula for a ball
    assert mesh.size == pytest.approx(math.sqrt(3) / 2)


def test_parts_keep_their_names_and_the_rest_gets_one():
    mesh = square(2)
    assert {name: len(facets) for name, facets in mesh.boundaries.items()} == {"left": 2, "top": 2, "boundary": 4}
    torch.testing.assert_close(mesh.facet_normals("left"), torch.tensor([[-1.0, 0.0]]).double().expand(2, 2))
    turned = Mesh.of(UNIT, HALVES, {"left": [[0, 3]], "right": [[1, 2]]})
    assert turned.part("left").tolist() == [[3, 0]] and turned.part("right").tolist() == [[1, 2]]
    interval = MESHES["interval"]()
    assert {name: part.tolist() for name, part in interval.boundaries.items()} == {"x_min": [[0]], "x_max": [[1]]}
    with pytest.raises(InputError, match="unknown boundary of the mesh 'lft': did you mean 'left'"):
        mesh.part("lft")
    on_axes = Mesh.of(UNIT, HALVES, axes=Axes((Axis("r", 5.0, 6.0, unit="m"), Axis("z", 0.0, 9.0))))
    assert [(a.name, a.lower, a.upper, a.unit) for a in on_axes.axes] == [("r", 0, 1, "m"), ("z", 0, 1, None)]


@pytest.mark.parametrize(
    ("points", "cells", "parts", "message"),
    [
        (UNIT, [[0, 1, 2], [0, 3, 2]], {}, r"1 of 2 cells are inverted or flat, the first is cell 1 .* \[0, 3, 2\]"),
        ([*UNIT, [2.0, 0.0]], [*HALVES, [0, 1, 4]], {}, "1 of 3 cells are inverted or flat"),
        ([*UNIT[:3], [0.6, 0.1]], [[0, 1, 2], [0, 1, 3]], {}, "1 pairs of cells lie on the same side"),
        (UNIT, [[0, 1, 2, 3]], {}, r"cells of 3 points \(triangles\), got the shape \(1, 4\): split"),
        ([*UNIT, [5.0, 5.0]], HALVES, {}, "1 points of the mesh are in no cell, the first is point 4"),
        ([*UNIT, [5.0, 5.0], [6.0, 5.0], [5.0, 6.0]], [*HALVES, [4, 5, 6]], {}, "in 2 pieces .* of 2, 1 cells"),
        (UNIT, [*HALVES, [0, 1, 2]], {}, "same side|share the facet"),
        (UNIT, [[1, 2, 3], [1, 3, 4]], {}, "point numbers 1 to 4, and the mesh has the points 0 to 3"),
        (UNIT, [[0.0, 1.0, 2.0]], {}, "whole numbers"),
        ([*UNIT[:3], [0.0, math.nan]], HALVES, {}, "finite"),
        (UNIT, HALVES, {"inside": [[0, 2]]}, r"1 of 1 facets of 'inside' are not on the boundary"),
        (UNIT, HALVES, {"a": [[0, 1]], "b": [[1, 0]]}, "1 facets are in both 'a' and 'b'"),
        (UNIT, HALVES, {"a": [[0, 1, 2]]}, "needs facets of 2 points"),
        (UNIT, HALVES, {"a": [[0, 7]]}, "point numbers that the mesh has not"),
        (UNIT, HALVES, {"boundary": [[0, 1]]}, "the name they would get, 'boundary', is taken"),
    ],
)
def test_meshes_that_are_none_are_refused_in_one_line(points, cells, parts, message):
    with pytest.raises(InputError, match=message) as error:
        Mesh.of(points, cells, parts)
    assert "\n" not in str(error.value)


def test_axes_of_a_mesh_are_those_of_space_and_bound_it():
    points, cells = torch.tensor(UNIT), torch.tensor(HALVES)
    with pytest.raises(InputError, match="reach from 0 to 1 along 'x', and the axis from 0 to 2"):
        Mesh(Axes((Axis("x", 0, 2), Axis("y", 0, 1))), points, cells)
    with pytest.raises(InputError, match="periodic"):
        Mesh(Axes((Axis("x", 0, 1, periodic=True), Axis("y", 0, 1))), points, cells)
    with pytest.raises(InputError, match="time"):
        Mesh(Axes((Axis("t", 0, 1), Axis("y", 0, 1))), points, cells)


# meshes as domains


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_points_are_located_however_much_the_sizes_of_cells_differ(dtype):
    graded = ps.triangulate(Box(Axis("x", 0, 1), Axis("y", 0, 1)), lambda x: 0.003 + 0.2 * x.norm(dim=1))
    x = (torch.rand(4000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1).to(dtype)
    x[:1000] *= 0.01
    cell, weights = Locator(graded).locate(x)
    assert torch.equal(cell >= 0, ((x >= 0) & (x <= 1)).all(1))
    found = cell >= 0
    back = (weights[found, :, None] * graded.points[graded.cells[cell[found]]]).sum(1)
    torch.testing.assert_close(back, x[found].double(), rtol=0, atol=1e-14)
    assert float(weights[found].min()) > -1e-5
    on_boundary = graded.points[graded.boundary_facets].mean(1)
    assert MeshDomain(graded).inside(torch.cat([graded.points, on_boundary]).to(dtype)).all()


@pytest.mark.parametrize("name", ["square", "cube"])
def test_a_meshed_box_is_a_box(name):
    mesh = MESHES[name]()
    domain, d = MeshDomain(mesh), mesh.dimension
    box = Box(*(Axis(n, 0, 1) for n in "xyz"[:d]))
    assert (domain.measure, domain.is_box, domain.axes) == (pytest.approx(1.0), False, box.axes)
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(500, d, dtype=torch.float64, generator=generator) * 2 - 0.5
    assert torch.equal(domain.inside(x), box.inside(x))
    x.requires_grad_()
    near = torch.stack([part.distance(x) for part in domain.boundaries.values()]).amin(0)
    expected = torch.stack([face.distance(x) for face in box.boundaries.values()]).amin(0)
    torch.testing.assert_close(near, expected)
    (slope,) = torch.autograd.grad(near.sum(), x)
    torch.testing.assert_close(slope.norm(dim=1), torch.ones(500).double())
    assert sum(part.measure for part in domain.boundaries.values()) == pytest.approx(2 * d)
    cloud = sample(domain, 300, generator=generator, time=Axis("t", 0.0, 2.0))
    assert len(cloud.x) == 300 and domain.inside(cloud.x[:, 1:]).all() and float(cloud.weights.sum()) == 2.0
    for part in domain.boundaries.values():
        side = sample_boundary(part, domain.axes, 4096, generator=generator)
        assert float(part.distance(side.x).max()) < 1e-15
        # uniform on its part: mean and second moments are those by quadrature of its facets
        corners, areas = mesh.points[mesh.part(part.name)], mesh.facet_measures(part.name)
        mean = (areas[:, None] * corners.mean(1)).sum(0) / areas.sum()
        torch.testing.assert_close(side.x.mean(0), mean, rtol=0, atol=2e-3)
        squares = (corners.square().sum(1) + corners.sum(1).square()) / (d * (d + 1))
        second = (areas[:, None] * squares).sum(0) / areas.sum()
        torch.testing.assert_close(side.x.square().mean(0), second, rtol=0, atol=2e-3)
        torch.testing.assert_close(side.normals.norm(dim=1), torch.ones(4096).double())
        inward = side.x - 1e-6 * side.normals
        assert (domain.inside(inward) & ~domain.inside(side.x + 1e-6 * side.normals)).all()


def test_meshes_combine_with_other_domains():
    holed = MeshDomain(square(4)) - Disk((0.5, 0.5), 0.2, boundary="hole")
    assert holed.measure == pytest.approx(1 - PI * 0.04, abs=1e-8)
    assert set(holed.boundaries) == {"left", "top", "boundary", "hole"}
    again = ps.triangulate(Renamed(holed, {"hole": "window"}), 0.1)
    assert set(again.boundaries) == {"left", "top", "boundary", "window"} and smallest_angle(again) > 20
    with pytest.raises(InputError, match="both ends of the mesh are called 'ends'"):
        MeshDomain(Mesh.of([[0.0], [1.0]], [[0, 1]], {"ends": [[0], [1]]}))
    interval = MeshDomain(MESHES["interval"]())
    assert interval.inside(torch.tensor([[-0.1], [0.0], [0.3], [2.0], [2.1]])).tolist() == [
        False,
        True,
        True,
        True,
        False,
    ]
    with pytest.raises(InputError, match="a mesh domain needs a Mesh"):
        MeshDomain("square.msh")  # type: ignore[arg-type]


# triangulations

SQUARE = Box(Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0))
NOTCH = Renamed(
    Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
    {"x_min": "notch_left", "y_min": "notch_floor", "x_max": "gone_x", "y_max": "gone_y"},
)


def four_disks():
    """PINNacle's Poisson 2D-C."""
    domain = Box(Axis("x", -0.5, 0.5), Axis("y", -0.5, 0.5))
    for i, centre in enumerate(itertools.product((-0.3, 0.3), repeat=2)):
        domain = domain - Disk(centre, 0.1, boundary=f"disk_{i}")
    return domain


def star(inner: float = 0.38):
    radii = [1.0, inner] * 5
    return Polygon(tuple((r * math.cos(PI * i / 5 + 0.3), r * math.sin(PI * i / 5 + 0.3)) for i, r in enumerate(radii)))


# a domain, the size of a mesh, the number of holes
PLANE = {
    "box": (lambda: SQUARE, 0.1, 0),
    "disk": (lambda: Disk(), 0.1, 0),
    "coarse disk": (lambda: Disk(), 2.0, 0),
    "annulus": (lambda: Disk() - Disk((0, 0), 0.5, boundary="inner"), 0.1, 1),
    "narrowing annulus": (lambda: Disk() - Disk((0.48, 0), 0.5, boundary="inner"), 0.1, 1),
    "four disks": (four_disks, 0.05, 4),
    "l shape": (lambda: SQUARE - NOTCH, 0.1, 0),
    "star": (star, 0.07, 0),
    "union": (lambda: Disk((-0.6, 0)) | Disk((0.6, 0), boundary="right"), 0.1, 0),
    "lens": (lambda: Disk((-0.6, 0)) & Disk((0.6, 0), boundary="right"), 0.1, 0),
    "spike": (lambda: Polygon(((0, 0), (1, 0), (1, 1), (0.5, 0.02), (0, 1))), 0.1, 0),
    "pinhole": (lambda: SQUARE - Disk((0.1, 0.2), 0.002, boundary="hole"), 0.2, 1),
}


@pytest.mark.parametrize("name", PLANE)
def test_plane_domains_are_triangulated_on_their_boundary_and_well(name):
    make, size, holes = PLANE[name]
    domain = make()
    mesh = ps.triangulate(domain, size)
    assert set(mesh.boundaries) == set(domain.boundaries)
    for part, facets in mesh.boundaries.items():
        corners = mesh.points[facets]
        assert float(domain.boundaries[part].distance(corners.reshape(-1, 2)).max()) < 1e-8
        assert float(mesh.facet_measures(part).sum()) == pytest.approx(domain.boundaries[part].measure, rel=0.026)
    edges = mesh.edges[0]
    assert len(mesh.points) - len(edges) + len(mesh.cells) == 1 - holes
    lengths = torch.linalg.vector_norm(mesh.points[edges[:, 0]] - mesh.points[edges[:, 1]], dim=1)
    assert mesh.size < 1.75 * size and (
        name in ("coarse disk", "pinhole", "spike") or 0.85 < lengths.mean() / size < 1.15
    )
    assert smallest_angle(mesh) > (24 if name in ("star", "spike") else 29)


def test_meshes_of_curved_domains_converge_in_order_two():
    for domain in (SQUARE - Disk((0.2, 0), 0.5), Disk((-0.6, 0)) | Disk((0.6, 0), boundary="b")):
        errors = [abs(ps.triangulate(domain, size).measure - domain.measure) for size in (0.16, 0.08, 0.04)]
        assert all(3.0 < a / b < 5.5 for a, b in itertools.pairwise(errors)), errors


def test_random_polygons_are_meshed_exactly():
    for seed in range(12):
        generator = np.random.default_rng(seed)
        angle = np.sort(generator.random(3 + seed)) * 2 * PI
        radius = 0.3 + 0.7 * generator.random(3 + seed)
        polygon = Polygon(tuple(zip(radius * np.cos(angle), radius * np.sin(angle), strict=True)))
        mesh = ps.triangulate(polygon, 0.2)
        assert mesh.measure == pytest.approx(polygon.measure, rel=1e-12)
        corners = torch.tensor(polygon.vertices, dtype=torch.float64)
        assert float((corners[:, None] - mesh.points[mesh.boundary_facets.unique()]).norm(dim=2).amin(1).max()) < 1e-15


def test_the_spacing_is_finer_where_it_is_asked_for():
    def shortest(mesh: Mesh, at: tuple[float, float]) -> float:
        start, end = mesh.points[mesh.edges[0]].unbind(1)
        near = (start - torch.tensor(at)).norm(dim=1) < 0.1
        return float((end - start).norm(dim=1)[near].min())

    mesh = ps.triangulate(SQUARE - NOTCH, 0.2, corner_size=0.01)
    assert 0.007 < shortest(mesh, (0.0, 0.0)) < 0.015 and shortest(mesh, (-1.0, -1.0)) > 0.1
    assert smallest_angle(mesh) > 29 and len(mesh.cells) < 600
    slow = ps.triangulate(SQUARE - NOTCH, 0.2, corner_size=0.01, growth=0.1)
    assert len(slow.cells) > 2 * len(mesh.cells)
    graded = ps.triangulate(SQUARE, lambda x: 0.02 + 0.2 * x.norm(dim=1))
    assert 0.014 < shortest(graded, (0.0, 0.0)) < 0.03 and shortest(graded, (1.0, 1.0)) > 0.15
    assert smallest_angle(graded) > 29


def test_intervals_are_divided():
    mesh = ps.triangulate(Interval("s", -1.0, 2.0), 0.4)
    assert len(mesh.cells) == 8 and torch.allclose(mesh.measures, torch.tensor(0.375).double())
    assert {n: mesh.points[f].item() for n, f in mesh.boundaries.items()} == {"s_min": -1.0, "s_max": 2.0}
    graded = ps.triangulate(Interval("x", 0.0, 1.0), lambda x: 0.01 + 0.2 * x[:, 0])
    assert 0.009 < float(graded.measures[0]) < 0.012 and float(graded.measures[-1]) > 0.15
    with pytest.raises(InputError, match="in 2 pieces"):
        ps.triangulate(Interval("x", 0.0, 1.0) - Renamed(Interval("x", 0.4, 0.5), {"x_min": "a", "x_max": "b"}), 0.1)


@pytest.mark.parametrize(
    ("domain", "size", "message"),
    [
        (lambda: Box(Axis("x", 0, 1, periodic=True), Axis("y", 0, 1)), 0.1, "axis 'x' is periodic"),
        (lambda: Box(*(Axis(n, 0, 1) for n in "xyz")), 0.1, "1 and 2 dimensions are triangulated, got 3"),
        (lambda: Disk(), 0.0, "size of a mesh must be positive, got 0.0"),
        (lambda: Disk(), math.nan, "size of a mesh must be positive"),
        (lambda: Disk(), 1e-5, "about 3.1e.10 cells, at most"),
        (lambda: Disk(), lambda x: 1e-5 + 0 * x[:, 0], "about 3.1e.10 cells"),
        (lambda: Disk(), lambda x: x[:, 0], "positive everywhere"),
        (lambda: Disk() - Disk((0.4999, 0), 0.5, boundary="b"), 0.1, r"near \(1, .*\) the domain is narrower"),
        (lambda: Disk() | Disk((5, 0), boundary="b"), 0.2, "in 2 pieces that do not touch"),
        (lambda: MeshDomain(square(2)), lambda x: 0.1, "refined uniformly: give size as a number"),
    ],
)
def test_what_cannot_be_triangulated_is_refused_in_one_line(domain, size, message):
    with pytest.raises(InputError, match=message) as error:
        ps.triangulate(domain(), size)
    assert "\n" not in str(error.value)


def test_the_beginning_of_a_circle_hides_no_piece_of_it():
    """A cut 1e-3 before the angle 0: the short piece up to there was lost, and the boundary did not close."""
    quarter = Disk() & Renamed(Box(Axis("x", 0, 2), Axis("y", -1e-3, 2)), {"x_max": "gone", "y_max": "also"})
    assert quarter.measure == pytest.approx(PI / 4 + 1e-3 - 1e-9 / 6, abs=1e-9)
    assert ps.triangulate(quarter, 0.2).measure == pytest.approx(quarter.measure, rel=0.02)


# refinement


@pytest.mark.parametrize("name", MESHES)
def test_refined_meshes_are_conforming_and_keep_their_parts(name):
    mesh = MESHES[name]()
    fine = ps.refine(mesh)
    d = mesh.dimension
    assert len(fine.cells) == 2**d * len(mesh.cells) and fine.measure == pytest.approx(mesh.measure, rel=1e-13)
    torch.testing.assert_close(fine.measures, (mesh.measures / 2**d).repeat_interleave(2**d))
    for part in mesh.boundaries:
        torch.testing.assert_close(fine.facet_measures(part).sum(), mesh.facet_measures(part).sum())
        assert len(fine.part(part)) == 2 ** (d - 1) * len(mesh.part(part))
    twice = ps.triangulate(MeshDomain(mesh), mesh.size / 1.9)
    assert len(twice.cells) >= 2**d * len(mesh.cells) and twice.size <= mesh.size / 1.9


def test_refinement_follows_the_curves_of_a_domain():
    domain = four_disks()
    mesh = ps.triangulate(domain, 0.1)
    straight, curved = ps.refine(mesh), ps.refine(mesh, domain)
    assert straight.measure == pytest.approx(mesh.measure, rel=1e-12)
    assert (mesh.measure - domain.measure) / (curved.measure - domain.measure) == pytest.approx(4, rel=0.05)
    for name, facets in curved.boundaries.items():
        assert float(domain.boundaries[name].distance(curved.points[facets.unique()]).max()) < 1e-14
    with pytest.raises(InputError, match="unknown boundary of the domain"):
        ps.refine(mesh, SQUARE)


# end to end


@pytest.mark.slow
def test_a_network_solves_on_a_mesh_and_proves_it(tmp_path):
    """-lap u = 5 u for u = sin(2x) cos(y) on a polygon with a hole, slopes given on the hole."""

    def u(p, x):
        return ps.sin(2 * x["x"]) * ps.cos(x["y"])

    def slope(p, x):
        along = 2 * ps.cos(2 * x["x"]) * ps.cos(x["y"]), -ps.sin(2 * x["x"]) * ps.sin(x["y"])
        return x.normals["x"] * along[0] + x.normals["y"] * along[1]

    house = Polygon(((0, 0), (2, 0), (2, 1), (1, 2), (0, 1)), ("floor", "wall", "roof", "roof", "wall"))
    mesh = ps.triangulate(house - Disk((1.0, 0.8), 0.4, boundary="window"), 0.15)
    problem = ps.Problem(
        name="poisson_mesh",
        equation=Poisson(),
        domain=MeshDomain(mesh),
        conditions=(ps.Dirichlet("u", ("floor", "wall", "roof"), u), ps.Neumann("u", "window", slope)),
        values={"source": lambda p, x: 5 * u(p, x)},
        exact=ps.Exact(lambda p, x: {"u": u(p, x)}),
        evaluation=ps.Evaluation(31),
    )
    small = Pinn(width=12, depth=2, collocation=128, condition_points=60, adaptivity="none")
    solution = ps.solve(problem, small, steps=100, threads=1, out=tmp_path / "run")
    assert problem.domain.inside(problem.evaluation_set.x).all()
    assert solution.proof.errors["u"]["relative_l2"] < 2e-2
    assert set(solution.proof.violations) == {"u at floor, wall, roof", "u at window"}
    figure = solution_figure(solution.dataset())
    drawn = figure.axes[0].collections[0]
    assert drawn.get_array().shape == (961,)


def test_pictures_leave_out_holes_and_notches():
    for domain in (four_disks(), SQUARE - NOTCH):
        x = sample(domain, 4000, generator=torch.Generator().manual_seed(0)).x
        cells = triangles(x.numpy())
        corners = x[torch.from_numpy(cells).long()]
        edges = corners[:, 1:] - corners[:, :1]
        area = torch.linalg.det(edges).abs() / 2
        inside = domain.inside(corners.mean(1))
        assert float(area[~inside].sum()) < 0.01 * domain.measure
        assert float(area[inside].sum()) == pytest.approx(domain.measure, rel=0.06)
    assert len(triangles(np.zeros((2, 2)))) == 0
    assert len(triangles(np.stack([np.arange(9.0), np.arange(9.0)], 1))) == 0
