"""Triangulations of domains: conforming meshes from Delaunay triangulations, refined and smoothed."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, KDTree

from pdesolve.errors import InputError
from pdesolve.geometry.domain import Domain
from pdesolve.geometry.mesh import Mesh
from pdesolve.geometry.mesh_domain import MeshDomain
from pdesolve.geometry.outline import FINEST, Outline, Size, Spacing, outline
from pdesolve.geometry.refinement import refine

_LARGE = 0.85  # circumradius over wanted spacing: triangles above are split; 0.577 is the equilateral one
_SMALL = 0.45  # triangles below this are not split, however bad their angles: they are finer than wanted already
_ANGLE = 27.0  # degrees: triangles with less are split
_APEX = 100.0  # degrees: facets seen under a greater angle from their triangle are halved
_ROUNDS = 60
_SMOOTHINGS = 12
_MOST = 1_000_000  # cells, as the size of the domain and the spacing foresee them
_PROBES = 1024  # places where the size is looked at for that


def triangulate(domain: Domain, size: Size, *, corner_size: float | None = None, growth: float = 0.3) -> Mesh:
    """A mesh of a domain with about the spacing `size` of neighbouring points, a length or a function of points (n, 2).

    In the plane: points on the boundary lie on its curves, with the corners among them; a curve gets facets that turn
    by at most 22.5 degrees. `corner_size` is the spacing at re-entrant corners, where solutions have singularities (a
    tenth of `size` is good). From places that need a finer spacing (those corners, small circles, narrow gaps) it
    grows with the distance by the rate `growth` (0.1 slow, 0.5 fast). The facets of the mesh carry the names of the
    domain's boundary parts. Angles are above 20 degrees, but near corners of the domain of less than 35.
    In one dimension: an interval in equal steps, or steps of the given size. The mesh of a MeshDomain is refined
    uniformly until its longest edge is at most `size`, which is a number then.

    Delaunay refinement: J. Ruppert, J. Algorithms 18 (1995) 548-585. We insert many circumcentres at once, start from a
    lattice of equilateral triangles, and move the inner points to the centroids of their neighbourhoods at the end.

    Raises:
        InputError: periodic axes, three dimensions, a size that is not positive or too small for the domain, a gap or
            corner of the domain that is too narrow for it.
    """
    _check(domain, size, corner_size, growth)
    if isinstance(domain, MeshDomain):
        mesh = domain.mesh
        assert not callable(size)
        while mesh.size > size * (1 + 1e-9):
            mesh = refine(mesh)
        return mesh
    spacing = Spacing(size, growth, corner_size)
    if domain.dimension == 1:
        return _steps(domain, spacing)
    frame = outline(domain, spacing)
    spacing.refine(frame.vertices, frame.spacings())
    points, cells = _smoothed(frame, _filled(frame, spacing, _lattice(domain, size)), spacing)
    used, number = np.unique(cells, return_inverse=True)
    anew = np.full(len(points), -1)
    anew[used] = np.arange(len(used))
    part = np.array(frame.names)[frame.curve]
    boundaries = {name: anew[frame.ends[part == name]] for name in domain.boundaries}
    number = number.reshape(-1, 3)
    joins = coo_array((np.ones(number.size), (number.ravel(), np.roll(number, 1, 1).ravel())), shape=[len(used)] * 2)
    pieces = connected_components(joins, directed=False)[0]
    if pieces > 1:
        raise InputError(f"the domain is in {pieces} pieces that do not touch: make a mesh of each")
    return Mesh.of(points[used], number, boundaries, axes=domain.axes)


def smallest_angle(mesh: Mesh) -> float:
    """The smallest angle of a mesh of triangles in degrees: 60 at best; interpolation suffers below 10."""
    if mesh.dimension != 2:
        raise InputError(f"angles are those of triangles, got a mesh in {mesh.dimension} dimensions")
    return float(_angles(mesh.points.numpy(), mesh.cells.numpy()).min())


def _check(domain: Domain, size: Size, corner_size: float | None, growth: float) -> None:
    for axis in domain.axes:
        if axis.periodic:
            raise InputError(f"axis {axis.name!r} is periodic, and meshes have no periodic axes: use a Grid there")
    if domain.dimension > 2 and not isinstance(domain, MeshDomain):
        raise InputError(
            f"domains in 1 and 2 dimensions are triangulated, got {domain.dimension}: read a mesh by read_mesh(path)"
        )
    # of a function only values count
    numbers = {"size": 1.0 if callable(size) else size, "corner_size": corner_size or 1.0, "growth": growth}
    for name, value in numbers.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"the {name} of a mesh must be positive, got {value}")
    if callable(size) and isinstance(domain, MeshDomain):
        raise InputError("a mesh domain is refined uniformly: give size as a number")
    lower, upper = (torch.tensor(b).double() for b in zip(*((a.lower, a.upper) for a in domain.axes), strict=True))
    sobol = torch.quasirandom.SobolEngine(domain.dimension, scramble=True, seed=0).draw(_PROBES, dtype=torch.float64)
    places = lower + (upper - lower) * sobol
    density = np.where(domain.inside(places).numpy(), Spacing(size, growth).given(places.numpy()), np.inf)
    cells = float((density**-domain.dimension).mean() * (upper - lower).prod())
    if cells > _MOST:
        raise InputError(f"a mesh of that size would have about {cells:.2g} cells, at most {_MOST}: give a larger size")


def _steps(domain: Domain, spacing: Spacing) -> Mesh:
    ends = {name: float(part.place(torch.zeros(1, 0).double())[0][0, 0]) for name, part in domain.boundaries.items()}
    if len(ends) != 2:
        raise InputError(f"the domain on {domain.axes} is in {len(ends) // 2} pieces: make a mesh of each interval")
    (first, lower), (last, upper) = sorted(ends.items(), key=lambda end: end[1])
    x = np.linspace(lower, upper, 1025)
    step = spacing.given(x[:, None])
    count = np.append(0.0, np.cumsum((x[1:] - x[:-1]) * (1 / step[1:] + 1 / step[:-1]) / 2))
    n = max(1, math.ceil(count[-1] - 1e-9))
    points = np.interp(np.linspace(0, count[-1], n + 1), count, x)
    points[[0, -1]] = lower, upper
    cells = np.stack([np.arange(n), np.arange(1, n + 1)], 1)
    return Mesh.of(points[:, None], cells, {first: [[0]], last: [[n]]}, axes=domain.axes)


def _lattice(domain: Domain, size: Size) -> np.ndarray:
    """Points inside, at the corners of equilateral triangles; none where the spacing varies."""
    if callable(size):
        return np.zeros((0, 2))
    (x, y) = domain.axes
    rows = np.arange(y.lower, y.upper, size * math.sqrt(3) / 2)
    columns = np.arange(x.lower - size / 2, x.upper + size / 2, size)
    points = np.stack(
        np.broadcast_arrays(columns[None] + size / 2 * (np.arange(len(rows))[:, None] % 2), rows[:, None]), 2
    )
    points = points.reshape(-1, 2)
    return points[domain.inside(torch.from_numpy(points)).numpy()]


def _filled(frame: Outline, spacing: Spacing, free: np.ndarray) -> np.ndarray:
    """Free points, added to until no triangle is too large or too sharp; facets that are cut off are halved."""
    if len(free):
        h = spacing.at(free)
        free = free[(h >= 0.85 * spacing.given(free)) & (KDTree(frame.vertices).query(free)[0] > 0.7 * h)]
    for _ in range(_ROUNDS):
        free = free[~_encroaching(frame, free)]
        tree = Delaunay(np.concatenate([frame.vertices, free]))
        new = np.zeros((0, 2))
        halved = _cut_off(frame, tree, spacing)
        if not halved.any():
            _narrow(frame, tree, spacing)
            halved = frame.lengths > 1.5 * spacing.at(frame.middles)
        if not halved.any():
            new, halved = _circumcentres(frame, tree, spacing)
        if halved.any():
            before = len(frame.vertices)
            frame.split(halved)
            spacing.refine(frame.vertices[before:], frame.spacings()[before:])
        elif not len(new):
            break
        free = np.concatenate([free, new])
    return free


def _smoothed(frame: Outline, free: np.ndarray, spacing: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """Points and triangles after free points have moved to the centroids of their neighbourhoods, the best of some."""
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    start = len(frame.vertices)
    for _ in range(_SMOOTHINGS + 1):
        points = np.concatenate([frame.vertices, free])
        tree = Delaunay(points)
        if _places(frame, tree)[0].any() or np.isnan(points).any():
            break
        cells = tree.simplices[_inside(frame, tree)]
        angle = float(_angles(points, cells).min())
        if best is None or angle > best[0]:
            best = angle, points, cells
        corners = points[cells]
        centroid = corners.mean(1)
        # fine triangles weigh as much as coarse ones
        weight = (
            np.abs(_cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])) / spacing.at(centroid) ** 3
        )
        moment, total = np.zeros_like(points), np.zeros(len(points))
        np.add.at(moment, cells, (weight[:, None] * centroid)[:, None])
        np.add.at(total, cells, weight[:, None])
        kept = total[start:] > 0  # points that are in no triangle of the domain go
        free = moment[start:][kept] / total[start:][kept, None]
    if best is None:
        raise InputError("no mesh of the domain was found: are parts of its boundary very close to one another?")
    return best[1], best[2]


def _encroaching(frame: Outline, free: np.ndarray) -> np.ndarray:
    """Which free points are in the circle over a facet: without them all facets are edges of the triangulation."""
    found = np.zeros(len(free), dtype=bool)
    if len(free):
        for near in KDTree(free).query_ball_point(frame.middles, frame.lengths / 2):
            found[near] = True
    return found


def _places(frame: Outline, tree: Delaunay) -> tuple[np.ndarray, np.ndarray]:
    """Which facets are no edges of the triangles (facet,), and of the others the triangle and vertex opposite."""
    n = len(tree.points)
    cells = tree.simplices.astype(np.int64)
    keys = (cells[:, [1, 2, 0]] * n + cells[:, [2, 0, 1]]).ravel()
    order = np.argsort(keys)
    wanted = frame.ends[:, 0] * n + frame.ends[:, 1]
    at = np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)
    return keys[order[at]] != wanted, order[at]


def _inside(frame: Outline, tree: Delaunay) -> np.ndarray:
    """Which triangles are in the domain: those that no facet separates from one that has a facet on its left."""
    n = len(tree.points)
    cells = tree.simplices.astype(np.int64)
    keys = cells[:, [1, 2, 0]] * n + cells[:, [2, 0, 1]]
    left = frame.ends[:, 0] * n + frame.ends[:, 1]
    right = frame.ends[:, 1] * n + frame.ends[:, 0]
    open_ = (tree.neighbors >= 0) & ~np.isin(keys, left) & ~np.isin(keys, right)
    cell, place = np.nonzero(open_)
    graph = coo_array((np.ones(len(cell)), (cell, tree.neighbors[cell, place])), shape=(len(cells), len(cells)))
    pieces, label = connected_components(graph, directed=False)
    inner, outer = np.zeros(pieces, dtype=bool), np.zeros(pieces, dtype=bool)
    inner[label[np.isin(keys, left).any(1)]] = True
    outer[label[np.isin(keys, right).any(1)]] = True
    if (inner & outer).any():
        where = tree.points[cells[(inner & outer)[label]][0]].mean(0)
        raise InputError(f"inside and outside of the domain meet near {where.round(4).tolist()}: give a smaller size")
    return inner[label]


def _cut_off(frame: Outline, tree: Delaunay, spacing: Spacing) -> np.ndarray:
    """Which facets must be halved: no edges yet, or seen from another part of the boundary under a great angle."""
    missing, place = _places(frame, tree)
    apex = tree.simplices.ravel()[place]
    to_start, to_end = (frame.vertices[frame.ends[:, i]] - tree.points[apex] for i in (0, 1))
    angle = np.degrees(np.arctan2(np.abs(_cross(to_start, to_end)), (to_start * to_end).sum(1)))
    short = frame.lengths < spacing.least(frame.middles)
    if (missing & short).any():
        raise _too_narrow(frame.middles[missing & short][0])
    return missing | ((angle > _APEX) & ~short & (apex < len(frame.vertices)))


def _narrow(frame: Outline, tree: Delaunay, spacing: Spacing) -> None:
    """Make the spacing finer where two parts of the boundary are closer to one another than it is."""
    n = len(frame.vertices)
    edges = tree.simplices[_inside(frame, tree)][:, [[1, 2], [2, 0], [0, 1]]].reshape(-1, 2).astype(np.int64)
    edges = np.unique(np.sort(edges[(edges < n).all(1)], 1), axis=0)
    # facets, and edges that join the ends of two neighbouring facets, say nothing of gaps
    following, before = np.full(n, -1), np.full(n, -1)
    following[frame.ends[:, 0]], before[frame.ends[:, 1]] = frame.ends[:, 1], frame.ends[:, 0]
    a, b = edges.T
    beside = (following[a] == b) | (following[b] == a)
    beside |= (following[a] == before[b]) | (following[b] == before[a])
    for legs in frame.sharp:  # nor do those from one leg of a sharp corner to the other
        on_legs = np.zeros(n, dtype=bool)
        on_legs[frame.ends[np.isin(frame.curve, legs)]] = True
        beside |= on_legs[a] & on_legs[b]
    ends = frame.vertices[edges[~beside]]
    gap = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    middle = ends.mean(1)
    close = gap < 0.7 * spacing.at(middle)
    thin = close & (gap < spacing.least(middle))
    if thin.any():
        raise _too_narrow(middle[thin][0])
    spacing.refine(middle[close], gap[close])


def _too_narrow(place: np.ndarray) -> InputError:
    return InputError(
        f"near ({place[0]:.4g}, {place[1]:.4g}) the domain is narrower, or its corner sharper, than {FINEST:.3g} of "
        "the size that its mesh is to have: give a size that is smaller there"
    )


def _circumcentres(frame: Outline, tree: Delaunay, spacing: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """New points in place of triangles that are too large or too sharp, or else the facets that are in the way."""
    inside = _inside(frame, tree)
    cells = tree.simplices[inside]
    a, b, c = tree.points[cells].transpose(1, 0, 2)
    ab, ac = b - a, c - a
    twice = 2 * _cross(ab, ac)
    squares = (ab**2).sum(1), (ac**2).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.stack(
            [ac[:, 1] * squares[0] - ab[:, 1] * squares[1], ab[:, 0] * squares[1] - ac[:, 0] * squares[0]], 1
        )
        shift = shift / twice[:, None]
    radius = np.linalg.norm(shift, axis=1)
    size = radius / spacing.at(tree.points[cells].mean(1))
    sharp = _angles(tree.points, cells).min(1) < _ANGLE
    bad = np.isfinite(radius) & ((size > _LARGE) | (sharp & (size > _SMALL)))
    centres = (a + shift)[bad][np.argsort(-size[bad])]
    halved = np.zeros(len(frame.curve), dtype=bool)
    if not len(centres):
        return centres, halved
    lengths = frame.lengths
    gaps, near = KDTree(frame.middles).query(centres, k=min(4, len(lengths)))
    gaps, near = gaps.reshape(len(centres), -1), near.reshape(len(centres), -1)
    holder = tree.find_simplex(centres)
    outside = (holder < 0) | ~inside[holder]
    hit = gaps < lengths[near] / 2
    hit[:, 0] |= outside
    blocking = np.unique(near[hit])
    halved[blocking] = lengths[blocking] > 1.3 * spacing.at(frame.middles[blocking])
    centres = centres[~hit.any(1)]
    return _apart(centres, 0.8 * spacing.at(centres)), halved


def _apart(points: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Of the points, in their order, those that are not within the distance of one taken before."""
    if not len(points):
        return points
    free = np.ones(len(points), dtype=bool)
    taken = []
    for i, near in enumerate(KDTree(points).query_ball_point(points, distance)):
        if free[i]:
            taken.append(i)
            free[near] = False
    return points[taken]


def _angles(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The angles of triangles in degrees (cell, vertex)."""
    corners = points[cells]
    one, other = np.roll(corners, -1, 1) - corners, np.roll(corners, 1, 1) - corners
    return np.degrees(np.arctan2(np.abs(_cross(one, other)), (one * other).sum(-1)))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
