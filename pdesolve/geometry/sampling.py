"""Collocation points: samples of domains and boundaries, with quadrature weights."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import torch
from torch import Generator, Tensor

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry.axis import Axes, Axis
from pdesolve.geometry.discretisation import PointCloud
from pdesolve.geometry.domain import Boundary, Domain

Sampler = Literal["uniform", "sobol", "latin_hypercube", "chebyshev", "regular", "gauss_legendre"]


def unit_cube(n: int, dimension: int, sampler: Sampler, generator: Generator) -> tuple[Tensor, Tensor]:
    """Samples (m, dimension) of the unit cube and weights (m,) that sum to 1, float64 on the CPU.

    `uniform`, `sobol` (scrambled) and `latin_hypercube` draw m = n points, and so does `chebyshev`: those of sobol
    moved towards the ends of each axis, as dense there as Chebyshev nodes, x = (1 - cos π s) / 2.
    `regular` (cell midpoints) and `gauss_legendre` are tensor products of ceil(n^(1/dimension)) points an axis, m >= n.
    """
    if sampler not in get_args(Sampler):
        raise unknown_name("sampler", sampler, get_args(Sampler))
    if n < 1:
        raise InputError(f"at least 1 point must be sampled, got {n}")
    if dimension == 0:
        return torch.zeros(1, 0, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    if sampler in ("regular", "gauss_legendre"):
        per_axis = math.ceil(n ** (1 / dimension) - 1e-9)
        if sampler == "regular":
            nodes = (np.arange(per_axis) + 0.5) / per_axis
            weights = np.full(per_axis, 1 / per_axis)
        else:
            nodes, weights = np.polynomial.legendre.leggauss(per_axis)
            nodes, weights = (nodes + 1) / 2, weights / 2
        grid = torch.cartesian_prod(*[torch.from_numpy(nodes)] * dimension).reshape(-1, dimension)
        products = torch.cartesian_prod(*[torch.from_numpy(weights)] * dimension).reshape(-1, dimension)
        return grid, products.prod(1)
    if sampler == "uniform":
        points = torch.rand(n, dimension, dtype=torch.float64, generator=generator)
    elif sampler in ("sobol", "chebyshev"):
        seed = int(torch.randint(2**31, (), generator=generator))
        points = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=seed).draw(n, dtype=torch.float64)
        if sampler == "chebyshev":
            weights = torch.sin(math.pi * points).prod(1)
            return (1 - torch.cos(math.pi * points)) / 2, weights / weights.sum()
    else:
        strata = torch.stack([torch.randperm(n, generator=generator) for _ in range(dimension)], 1)
        points = (strata + torch.rand(n, dimension, dtype=torch.float64, generator=generator)) / n
    return points, torch.full((n,), 1 / n, dtype=torch.float64)


def sample(
    domain: Domain, n: int, *, generator: Generator, sampler: Sampler = "sobol", time: Axis | None = None
) -> PointCloud:
    """About n points inside `domain`, or inside time x domain where `time` is given, with quadrature weights.

    Points are drawn in the bounding box and kept where they are inside. For a box nothing is lost; for other
    domains the random samplers go on until n points are found.

    Raises:
        InputError: `chebyshev` on a domain that is no box: points would not get denser towards its walls.
    """
    if sampler == "chebyshev" and not domain.is_box:
        raise InputError("the sampler chebyshev is for boxes and intervals: take --method.sampler sobol here")
    axes = Axes(((time,) if time else ()) + domain.axes.members)
    lower = torch.tensor([axis.lower for axis in axes], dtype=torch.float64)
    length = torch.tensor([axis.length for axis in axes], dtype=torch.float64)
    box_measure = math.prod(axis.length for axis in axes)
    start = 1 if time else 0
    kept: list[Tensor] = []
    for _ in range(1000):
        unit, weights = unit_cube(n, len(axes), sampler, generator)
        x = lower + length * unit
        if domain.is_box:
            return PointCloud(axes, x, weights * box_measure)
        inside = domain.inside(x[:, start:])
        if sampler in ("regular", "gauss_legendre"):
            return PointCloud(axes, x[inside], weights[inside] * box_measure)
        kept.append(x[inside])
        if sum(map(len, kept)) >= n:
            measure = domain.measure * (time.length if time else 1.0)
            return PointCloud(axes, torch.cat(kept)[:n], torch.full((n,), measure / n, dtype=torch.float64))
    raise InputError(f"no point of {domain.axes} was found inside the domain: is it empty?")


def sample_boundary(
    boundary: Boundary,
    axes: Axes,
    n: int,
    *,
    generator: Generator,
    sampler: Sampler = "sobol",
    time: Axis | None = None,
) -> PointCloud:
    """About n points on one part of the boundary of a domain with space `axes` (at all times where `time` is given).

    Of a part that is less than its chart the points that belong to it are kept; the random samplers go on until n are
    found.
    """
    dimension = boundary.dimension + (1 if time else 0)
    measure = boundary.measure * (time.length if time else 1.0)
    cloud_axes = Axes(((time,) if time else ()) + axes.members)
    found: list[tuple[Tensor, ...]] = []
    for _ in range(1000):
        unit, weights = unit_cube(n, dimension, sampler, generator)
        x, normals = boundary.place(unit[:, 1:] if time else unit)
        kept = boundary.keeps(x, normals)
        if time:
            x = torch.cat([(time.lower + time.length * unit[:, :1]), x], 1)
        if not found and kept.all():
            return PointCloud(cloud_axes, x, weights * measure, normals)
        found.append((x[kept], weights[kept], normals[kept]))
        tensor_product = sampler in ("regular", "gauss_legendre")
        if tensor_product and not kept.any():
            n *= 2
        elif tensor_product or sum(len(part[0]) for part in found) >= n:
            x, weights, normals = (
                torch.cat(parts)[: None if tensor_product else n] for parts in zip(*found, strict=True)
            )
            return PointCloud(cloud_axes, x, weights / weights.sum() * measure, normals)
    raise InputError(f"no point of the boundary part {boundary.name!r} was found: is it empty?")


def sample_instant(
    domain: Domain, n: int, *, time: Axis, at: float, generator: Generator, sampler: Sampler = "sobol"
) -> PointCloud:
    """About n points of the domain, all at the one time `at`."""
    points = sample(domain, n, generator=generator, sampler=sampler)
    column = torch.full((len(points.x), 1), float(at), dtype=points.x.dtype)
    return PointCloud(Axes((time, *domain.axes.members)), torch.cat([column, points.x], 1), points.weights)
