"""The boundary of a plane domain as a closed chain of facets whose points lie on its curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry.domain import Boundary, Domain

Size = float | Callable[[Tensor], Tensor]

_TURN = np.pi / 8  # the most that the normal turns from one end of a facet to the other: 16 facets a circle
FINEST = 1 / 64  # of the wanted spacing: facets are not halved below
_CLOSE = 1e-7  # of the extent: ends of curves that are closer are one corner
_SAMPLES = 32  # of a curve, at least, for its spacing
_ACUTE = np.pi / 3  # corners below need facets of equal length on both sides, or these cut one another off for ever
_REENTRANT = np.pi * 1.03


class Spacing:
    """The wanted distance of neighbouring points: `size`, and less around places that need it, growing away from them.

    h(x) = min(size(x), min over the fine places c of (h_c + growth |x - c|)), with h_c = corner_size at
    re-entrant corners.
    """

    def __init__(self, size: Size, growth: float, corner_size: float | None = None) -> None:
        self.size, self.growth, self.corner_size = size, growth, corner_size
        self.places, self.spacings = np.zeros((0, 2)), np.zeros(0)

    def given(self, x: np.ndarray) -> np.ndarray:
        """What was asked for at x (n, 2)."""
        if not callable(self.size):
            return np.full(len(x), float(self.size))
        values = self.size(torch.from_numpy(x))
        values = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values, float)
        values = np.broadcast_to(values, len(x))
        if not (np.isfinite(values) & (values > 0)).all():
            bad = x[~(np.isfinite(values) & (values > 0))][0]
            raise InputError(f"the size of a mesh must be positive everywhere, got another at {bad.tolist()}")
        return values

    def least(self, x: np.ndarray) -> np.ndarray:
        """The length at x below which facets are not halved."""
        given = self.given(x)
        return FINEST * (given if self.corner_size is None else np.minimum(given, self.corner_size))

    def at(self, x: np.ndarray) -> np.ndarray:
        """h at x (n, 2)."""
        h = self.given(x)
        for part in np.array_split(np.arange(len(self.places)), len(self.places) * len(x) // 2**22 + 1):
            if len(part):
                gaps = np.linalg.norm(x[:, None] - self.places[part], axis=2)
                h = np.minimum(h, (self.spacings[part] + self.growth * gaps).min(1))
        return h

    def refine(self, places: np.ndarray, spacings: np.ndarray) -> None:
        """Take these spacings at these places into account where they are less than what holds there."""
        fine = spacings < 0.9 * self.at(places) if len(places) else np.zeros(0, dtype=bool)
        self.places = np.concatenate([self.places, places[fine]])
        self.spacings = np.concatenate([self.spacings, spacings[fine]])


@dataclass
class Outline:
    """Facets along the curves of a boundary, each from one vertex to the next with the domain on its left.

    names: of each curve the part of the boundary that it is of. vertices: (vertex, 2). curve, first, last: of each
    facet its curve and the unit coordinates of its ends on it. ends: (facet, 2), vertex numbers. sharp: of each corner
    of less than 60 degrees (or more than 300) the curves that meet there.
    """

    curves: list[Boundary]
    names: list[str]
    vertices: np.ndarray
    curve: np.ndarray
    first: np.ndarray
    last: np.ndarray
    ends: np.ndarray
    sharp: list[np.ndarray]

    @property
    def lengths(self) -> np.ndarray:
        start, end = self.vertices[self.ends[:, 0]], self.vertices[self.ends[:, 1]]
        return np.linalg.norm(end - start, axis=1)

    @property
    def middles(self) -> np.ndarray:
        return self.vertices[self.ends].mean(1)

    def split(self, chosen: np.ndarray) -> None:
        """Halve the chosen facets (facet,), bool, at the middle of their pieces of curve, and so on the curve."""
        where = np.flatnonzero(chosen)
        middle = (self.first[where] + self.last[where]) / 2
        new = np.array(
            [_on(self.curves[c], np.array([s]))[0][0] for c, s in zip(self.curve[where], middle, strict=True)]
        )
        number = len(self.vertices) + np.arange(len(where))
        self.vertices = np.concatenate([self.vertices, new])
        self.curve = np.concatenate([self.curve, self.curve[where]])
        self.first = np.concatenate([self.first, middle])
        self.last = np.concatenate([self.last, self.last[where]])
        self.ends = np.concatenate([self.ends, np.stack([number, self.ends[where, 1]], 1)])
        self.last[where], self.ends[where, 1] = middle, number

    def spacings(self) -> np.ndarray:
        """The length of the shortest facet at each vertex."""
        shortest = np.full(len(self.vertices), np.inf)
        np.minimum.at(shortest, self.ends, self.lengths[:, None])
        return shortest


def outline(domain: Domain, spacing: Spacing) -> Outline:
    """The boundary of a plane domain in facets of about the wanted spacing, 16 or more for a full circle.

    Raises:
        InputError: a boundary whose curves do not close.
    """
    named = [(name, curve) for name, part in domain.boundaries.items() for curve in _flat(part)]
    names, curves = [name for name, _ in named], [curve for _, curve in named]
    extent = max(axis.length for axis in domain.axes)
    ends = np.concatenate([_on(curve, np.array([0.0, 1.0]))[0] for curve in curves])
    label = _merged(ends, _CLOSE * extent)
    corner = label.reshape(-1, 2).copy()
    leftward = np.array([_domain_on_left(curve) for curve in curves])
    corner[~leftward] = corner[~leftward][:, ::-1]
    if not (np.bincount(corner[:, 0], minlength=label.max() + 1) == np.bincount(corner[:, 1])).all():
        raise InputError(
            f"the boundary of the domain on {domain.axes} does not close: do its parts meet at their ends?"
        )
    angle = _angles(curves, leftward, corner)
    places = np.array([ends[np.flatnonzero(label == k)[0]] for k in range(label.max() + 1)])
    if spacing.corner_size is not None:
        inward = places[angle > _REENTRANT]
        spacing.refine(inward, np.full(len(inward), float(spacing.corner_size)))
    lengths = np.array([curve.measure for curve in curves])
    shortest = np.full(len(places), np.inf)
    np.minimum.at(shortest, corner, lengths[:, None])
    acute = np.minimum(angle, 2 * np.pi - angle) < _ACUTE  # seen from inside or outside
    head = np.where(acute, np.minimum(spacing.at(places), 0.4 * shortest), 0.0)
    samples = [_samples(curve, spacing) for curve in curves]
    for _, x, h in samples:  # fine places of one curve matter to the others
        spacing.refine(x, h)
    none = np.zeros(0)
    sharp = [np.flatnonzero((corner == k).any(1)) for k in np.flatnonzero(acute)]
    found = Outline(curves, names, places, none.astype(int), none, none, np.zeros((0, 2), dtype=int), sharp)
    for i, curve in enumerate(curves):
        begin, end = corner[i] if leftward[i] else corner[i][::-1]
        knots = _knots(curve, spacing, samples[i][0], float(head[begin]), float(head[end]))
        _append(found, i, knots, (begin, end), turned=not leftward[i])
    return found


def _append(found: Outline, i: int, s: np.ndarray, corners: tuple[int, int], *, turned: bool) -> None:
    inner = _on(found.curves[i], s[1:-1])[0]
    number = np.concatenate([[corners[0]], len(found.vertices) + np.arange(len(inner)), [corners[1]]])
    found.vertices = np.concatenate([found.vertices, inner])
    first, last, ends = s[:-1], s[1:], np.stack([number[:-1], number[1:]], 1)
    if turned:
        first, last, ends = last, first, ends[:, ::-1]
    found.curve = np.concatenate([found.curve, np.full(len(first), i)])
    found.first, found.last = np.concatenate([found.first, first]), np.concatenate([found.last, last])
    found.ends = np.concatenate([found.ends, ends])


def _flat(part: Boundary) -> list[Boundary]:
    """The smooth curves of a part."""
    curves = getattr(part, "curves", ())
    return [inner for curve in curves for inner in _flat(curve)] if curves else [part]


def _on(curve: Boundary, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, normals = curve.place(torch.from_numpy(s)[:, None])
    return x.numpy(), normals.numpy()


def _merged(points: np.ndarray, close: float) -> np.ndarray:
    """A label for each point, the same for those that are close."""
    label = np.arange(len(points))
    for i, j in sorted(KDTree(points).query_pairs(close)):
        label[label == label[j]] = label[i]
    return np.unique(label, return_inverse=True)[1]


def _domain_on_left(curve: Boundary) -> bool:
    x, normals = _on(curve, np.array([0.499, 0.5, 0.501]))
    along = x[2] - x[0]
    return float(along[1] * normals[1, 0] - along[0] * normals[1, 1]) > 0


def _angles(curves: list[Boundary], leftward: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """The angle inside the domain at each corner, the least where several curves meet in one point."""
    leaving: dict[int, list[np.ndarray]] = {}
    coming: dict[int, list[np.ndarray]] = {}
    for curve, left, (begin, end) in zip(curves, leftward, corner, strict=True):
        normals = _on(curve, np.array([0.0, 1.0] if left else [1.0, 0.0]))[1]
        # the outward normal is on the right of the direction that has the domain on its left
        directions = np.stack([-normals[:, 1], normals[:, 0]], 1)
        leaving.setdefault(int(begin), []).append(directions[0])
        coming.setdefault(int(end), []).append(directions[1])
    turns = [
        max(np.arctan2(a[0] * b[1] - a[1] * b[0], a @ b) for a in coming[k] for b in leaving[k])
        for k in range(len(leaving))
    ]
    return np.pi - np.array(turns)


def _samples(curve: Boundary, spacing: Spacing) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit coordinates along a curve, the places there and the spacing that size and curvature want."""
    ends = spacing.at(_on(curve, np.linspace(0, 1, 17))[0])
    n = int(min(max(_SAMPLES, 4 * curve.measure / ends.min()), 2**16))
    s = np.linspace(0, 1, n + 1)
    x, normals = _on(curve, s)
    turn = np.linalg.norm(np.diff(normals, axis=0), axis=1) / np.diff(s * curve.measure)
    bend = np.maximum(np.append(turn, turn[-1]), np.append(turn[0], turn))
    h = np.minimum(spacing.at(x), _TURN / np.maximum(bend, 1e-300))
    ds = curve.measure / n * spacing.growth
    for direction in (1, -1):  # h grows no faster than asked: h_i <= h_j + growth |s_i - s_j|
        line = h[::direction] - ds * np.arange(n + 1)
        h = (np.minimum.accumulate(line) + ds * np.arange(n + 1))[::direction]
    return s, x, h


def _knots(curve: Boundary, spacing: Spacing, s: np.ndarray, head: float, tail: float) -> np.ndarray:
    """Unit coordinates of the ends of facets: equal steps of the integral of 1 / h, after the given first and last."""
    x, normals = _on(curve, s)
    length = curve.measure
    turn = np.linalg.norm(np.diff(normals, axis=0), axis=1) / np.diff(s * length)
    middle = spacing.at((x[1:] + x[:-1]) / 2)
    density = np.maximum(1 / middle, turn / _TURN)
    count = np.append(0.0, np.cumsum(density * np.diff(s) * length))
    inner = np.array([head / length, 1 - tail / length])
    low, high = np.interp(inner, s, count)
    pieces = max(1, int(np.ceil(high - low - 1e-6)))
    knots = np.interp(np.linspace(low, high, pieces + 1), count, s)
    knots[[0, -1]] = inner  # met exactly
    return np.concatenate([[0.0] if head else [], knots, [1.0] if tail else []])
