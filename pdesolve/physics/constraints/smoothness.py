"""Whether what conditions give is smooth: jumps, kinks and jumping curvatures along lines of the axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from pdesolve.fields import Constant, Coordinates, Field, d
from pdesolve.geometry import Axes, Axis, PointCloud

# The field at coordinates, one for each scalar: what a condition gives.
Given = Callable[[Coordinates], list[Field]]

_LINES, _CELLS, _HALVINGS = 5, 32, 25
_MOST = 2**14  # cells that are halved at once
_JUMP = 1e-5  # of the size of what jumps
_PERIOD = 1e-8
_WORDS = ("value", "slope", "curvature")


def flaw(given: Given, axes: Axes, fixed: Mapping[str, float]) -> str | None:
    """Why the fields are not smooth along the axes that are not fixed, in a few words; None for smooth ones.

    Values, slopes and curvatures may not jump, nor differ at the ends of a period: a lift carries such a flaw to all
    times and places, where an equation of second order would have smoothed it. Along each axis some lines are cut into
    cells and tested by the trapezoid rule f(b) - f(a) = h (f'(a) + f'(b)) / 2 + O(h^3); cells that fail are halved
    until they pass or are too short for a smooth f to fail.
    """
    free = [axis for axis in axes if axis.name not in fixed]
    for along in free:
        found = _jump(given, _lines(axes, fixed, along.name), axes, along)
        if found is not None:
            return found
    return None


def _jump(given: Given, lines: Tensor, axes: Axes, axis: Axis) -> str | None:
    name = axis.name
    ends = torch.linspace(axis.lower, axis.upper, _CELLS + 1, dtype=torch.float64)
    which = torch.arange(len(lines)).repeat_interleave(_CELLS)
    a, b = ends[:-1].repeat(len(lines)), ends[1:].repeat(len(lines))
    sizes: list[float] = []
    order, place = 0, axis.lower
    for _ in range(_HALVINGS):
        points = [_place(lines[which], axes, name, place) for place in (a, b)]
        low, high = _derivatives(given, torch.cat(points), axes, name).unflatten(-1, (2, -1)).unbind(-2)
        if not sizes:
            sizes = _sizes(torch.cat([low, high], -1), axis.length)
            period = (low[:3, :, ::_CELLS] - high[:3, :, _CELLS - 1 :: _CELLS]).abs().flatten(1).amax(1).tolist()
            for word, gap, size in zip(_WORDS, period, sizes, strict=False):
                if axis.periodic and not gap <= _PERIOD * size:
                    return f"its {word} jumps at the period of {name}, which a lift would keep for ever"
        gap = (high - low)[:-1] - (b - a) / 2 * (low + high)[1:]
        # not (>), so that NaN is a jump
        jumps = torch.stack([~(g.abs() <= _JUMP * size) for g, size in zip(gap, sizes, strict=False)]).any(1)
        bad = jumps.any(0).nonzero()[:, 0]
        if not len(bad):
            return None
        order, place = int(jumps.any(1).nonzero()[0, 0]), float(a[bad[0]])
        bad = bad[:: math.ceil(len(bad) / _MOST)]
        middle = (a[bad] + b[bad]) / 2
        a, b = torch.cat([a[bad], middle]), torch.cat([middle, b[bad]])
        which = which[bad].repeat(2)
    return f"its {_WORDS[order]} jumps at {name} = {place:.4g}, which a lift would carry everywhere"


def _lines(axes: Axes, fixed: Mapping[str, float], along: str) -> Tensor:
    """Points (line, axis): one along the middle, the others anywhere."""
    engine = torch.quasirandom.SobolEngine(len(axes), scramble=True, seed=0)
    middle = torch.full((1, len(axes)), 0.5, dtype=torch.float64)
    parts = torch.cat([middle, engine.draw(_LINES - 1, dtype=torch.float64)])
    others = [axis for axis in axes if axis.name not in fixed and axis.name != along]
    parts = parts if others else parts[:1]
    columns = [
        torch.full_like(parts[:, 0], fixed[axis.name]) if axis.name in fixed else axis.lower + axis.length * part
        for axis, part in zip(axes, parts.unbind(1), strict=True)
    ]
    return torch.stack(columns, 1)


def _place(lines: Tensor, axes: Axes, name: str, place: float | Tensor) -> Tensor:
    points = lines.clone()
    points[:, axes.index(name)] = place
    return points


def _derivatives(given: Given, points: Tensor, axes: Axes, name: str) -> Tensor:
    """The derivatives along an axis of orders 0 to 3, (order, scalar and sample, point)."""
    x = Coordinates(PointCloud(axes, points))
    rows = []
    for field in given(x):
        orders = [field]
        for _ in range(3):
            orders.append(d(orders[-1], name))
        values = [x.expand(f).values.detach() if isinstance(f, Constant) else f.values.detach() for f in orders]
        rows.append(torch.stack([v.expand(np.broadcast_shapes(v.shape, (len(points),))) for v in values]))
    shape = np.broadcast_shapes(*[row.shape for row in rows])
    return torch.stack([row.expand(shape).reshape(4, -1, len(points)) for row in rows], 1).flatten(1, 2)


def _sizes(derivatives: Tensor, length: float) -> list[float]:
    """What each derivative is measured by: its greatest, and what lower ones make of it over the axis."""
    greatest = derivatives.abs().nan_to_num(0.0, 0.0, 0.0).flatten(1).amax(1).tolist()
    return [max(greatest[j] * length ** (j - k) for j in range(k + 1)) for k in range(len(greatest))]
