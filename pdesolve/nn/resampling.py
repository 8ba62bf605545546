"""Functions on regular grids, taken at other resolutions by the waves that both can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pdesolve.fields.interpolation import lagrange
from pdesolve.fields.stencils import apply_matrix
from pdesolve.geometry import Axis, GridAxis
from pdesolve.nn.constants import constant
from pdesolve.nn.places import GridPlaces

Layout = Literal["periodic", "nodes", "cells"]


def layouts(places: GridPlaces) -> tuple[Layout, ...]:
    """How the points of each axis lie; what lies in other ways counts by its index, as if even."""
    found: list[Layout] = []
    for axis, points in zip(places.axes, places.points, strict=True):
        if axis.periodic:
            found.append("periodic")
        else:
            inner = len(points) == 1 or float(points[0]) > 0.25 / len(points)
            found.append("cells" if inner else "nodes")
    return tuple(found)


def resampled(x: Tensor, shape: Sequence[int], kinds: Sequence[Layout]) -> Tensor:
    """Values (sample, channel, *space) on grids of another shape, over the same domain.

    On each axis f(x) = Σ_k f̂_k φ_k(x) over the waves φ_k that both grids hold: exp 2πikx on periodic axes, cos πkx, by
    which a function goes on evenly, on others. So going down leaves out what a coarse grid would alias, and going up
    adds nothing.
    """
    for i, (size, kind) in enumerate(zip(shape, kinds, strict=True)):
        given = x.shape[i + 2]
        if given != size:
            x = apply_matrix(x, i + 2, constant(x, _matrix, (kind, given, size)))
    return x


def interpolated(x: Tensor, shape: Sequence[int], kinds: Sequence[Layout]) -> Tensor:
    """Values (sample, channel, *space) at the points of grids of another shape, over the same domain.

    By cubic polynomials through the four nearest points of each axis: exact where grids share points, of order 4
    elsewhere, at boundaries too, and without the ringing of waves beside jumps.
    """
    for i, (size, kind) in enumerate(zip(shape, kinds, strict=True)):
        given = x.shape[i + 2]
        if given != size:
            x = apply_matrix(x, i + 2, constant(x, _cubic, (kind, given, size)))
    return x


def _cubic(kind: Layout, given: int, wanted: int) -> Tensor:
    """The matrix (wanted, given) of one axis."""
    source, target = (GridAxis(Axis("x", 0.0, 1.0, periodic=kind == "periodic"), kind, n) for n in (given, wanted))
    indices, weights = lagrange(source, torch.as_tensor(target.points), torch.empty(0).double(), degree=3)
    return torch.zeros(wanted, given, dtype=torch.float64).scatter_add(1, indices, weights)


def _matrix(kind: Layout, given: int, wanted: int) -> Tensor:
    """The matrix (wanted, given) of one axis by waves."""
    waves = min(given, wanted)
    if kind == "periodic":
        # without the wave of two points, whose phase a grid does not know
        apart = torch.arange(wanted).double()[:, None] / wanted - torch.arange(given).double() / given
        k = torch.arange(1, (waves - 1) // 2 + 1)
        return (1 + 2 * torch.cos(2 * math.pi * apart[..., None] * k).sum(-1)) / given
    synthesis, analysis = _cosines(kind, wanted, waves), _cosines(kind, given, waves)
    if kind == "nodes" and given > 1:
        analysis = analysis * _halved(given)[:, None] * _halved(given)[:waves] * 2 / (given - 1)
    else:
        analysis = analysis * 2 / given
        analysis[:, 0] /= 2
    return synthesis @ analysis.T


def _cosines(kind: Layout, size: int, waves: int) -> Tensor:
    """cos πkx at the points of an axis, (size, waves)."""
    i = torch.arange(size, dtype=torch.float64)
    x = (i + 0.5) / size if kind == "cells" or size == 1 else i / (size - 1)
    return torch.cos(math.pi * x[:, None] * torch.arange(waves))


def _halved(size: int) -> Tensor:
    weights = torch.ones(size, dtype=torch.float64)
    weights[0] = weights[-1] = 0.5
    return weights
