"""Differentiation along one axis of a grid: Fourier, Chebyshev and finite differences on any ascending points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import GridAxis


def fornberg(z: float, x: np.ndarray, order: int) -> np.ndarray:
    """Weights w of the derivative of the given order at z from values at the points x: f^(order)(z) = sum_j w_j f(x_j).

    Exact for polynomials of degree len(x) - 1. B. Fornberg, Math. Comp. 51 (1988) 699.
    """
    weights = np.zeros((len(x), order + 1))
    weights[0, 0] = 1.0
    product = 1.0
    for i in range(1, len(x)):
        highest = min(i, order)
        next_product = 1.0
        previous = weights[i - 1].copy()
        for j in range(i):
            gap = x[i] - x[j]
            next_product *= gap
            for k in range(highest, -1, -1):
                below = k * weights[j, k - 1] if k else 0.0
                weights[j, k] = ((x[i] - z) * weights[j, k] - below) / gap
        for k in range(highest, -1, -1):
            below = k * previous[k - 1] if k else 0.0
            weights[i, k] = product / next_product * (below - (x[i - 1] - z) * previous[k])
        product = next_product
    return weights[:, order]


@lru_cache(maxsize=256)
def stencil(points: tuple[float, ...], targets: tuple[float, ...], order: int, accuracy: int) -> tuple[Tensor, Tensor]:
    """Indices and weights (target, width): derivatives at the targets from the nearest points, of the given accuracy.

    Where a centred stencil fits it is used (for an even order one point fewer reaches the same accuracy); near the
    ends it is one-sided with as many points as the accuracy asks for.
    """
    x = np.asarray(points)
    width = order + accuracy
    if len(x) < width:
        raise InputError(
            f"a derivative of order {order} with accuracy {accuracy} needs {width} points on the axis, got {len(x)}: "
            "use a finer grid or a lower accuracy"
        )
    indices = np.empty((len(targets), width), dtype=np.int64)
    weights = np.zeros((len(targets), width))
    gaps = np.diff(x)
    uniform = bool(np.allclose(gaps, gaps[0], rtol=1e-10, atol=0))
    centred = (order + accuracy - 1) // 2  # reach of the centred stencil on uniform points
    known: dict[tuple[int, bool], np.ndarray] = {}
    for row, z in enumerate(targets):
        nearest = int(np.abs(x - z).argmin())
        symmetric = uniform and x[nearest] == z and centred <= nearest < len(x) - centred
        if symmetric:
            start, count = nearest - centred, 2 * centred + 1
        else:
            start, count = int(np.clip(nearest - width // 2, 0, len(x) - width)), width
        key = (nearest - start, symmetric)
        if uniform and x[nearest] == z and key in known:
            w = known[key]
        else:
            w = known[key] = fornberg(z, x[start : start + count], order)
        first = min(start, len(x) - width)
        indices[row] = np.arange(first, first + width)
        weights[row, start - first : start - first + count] = w
    return torch.from_numpy(indices), torch.from_numpy(weights)


def apply_stencil(values: Tensor, dim: int, indices: Tensor, weights: Tensor) -> Tensor:
    """sum_k weights[i, k] values[..., indices[i, k], ...] along the dimension `dim`."""
    indices, weights = indices.to(values.device), weights.to(values)
    shape = [1] * values.ndim
    shape[dim] = -1
    total = None
    for k in range(indices.shape[1]):
        term = values.index_select(dim, indices[:, k]) * weights[:, k].reshape(shape)
        total = term if total is None else total + term
    assert total is not None
    return total


def apply_matrix(values: Tensor, dim: int, matrix: Tensor) -> Tensor:
    """sum_k matrix[i, k] values[..., k, ...] along the dimension `dim`."""
    return (values.movedim(dim, -1) @ matrix.to(values).T).movedim(-1, dim)


@lru_cache(maxsize=64)
def chebyshev_matrix(n: int, length: float, order: int) -> Tensor:
    """The differentiation matrix (n, n) of Gauss-Lobatto-Chebyshev points on an interval of the given length.

    Off the diagonal D_ij = (c_i / c_j) / (x_i - x_j); the diagonal makes rows sum to zero, which keeps the rounding
    error small. L. N. Trefethen, Spectral Methods in MATLAB (2000), chapter 6; powers for higher orders.
    """
    k = np.arange(n)
    c = np.where((k == 0) | (k == n - 1), 2.0, 1.0) * (-1.0) ** k
    # differences of sines as products keep their relative accuracy near the ends
    theta = np.pi * (2 * k - (n - 1)) / (2 * (n - 1))
    gaps = 2 * np.cos((theta[:, None] + theta[None]) / 2) * np.sin((theta[:, None] - theta[None]) / 2)
    matrix = np.outer(c, 1 / c) / (gaps + np.eye(n))
    matrix -= np.diag(matrix.sum(1))
    result = np.eye(n)
    for _ in range(order):
        result = matrix @ result
        result -= np.diag(result.sum(1))
    return torch.from_numpy(result * (2 / length) ** order)


def wavenumbers(axis: GridAxis, order: int, values: Tensor) -> Tensor:
    """(i k)^order for the half spectrum of a periodic axis; odd orders drop the Nyquist mode, which has no sign."""
    k = 2 * torch.pi / axis.axis.length * torch.arange(axis.size // 2 + 1, device=values.device, dtype=values.dtype)
    factor = (1j * k) ** order
    if order % 2 and axis.size % 2 == 0:
        factor[-1] = 0
    return factor


def differentiate_periodic(values: Tensor, dim: int, axis: GridAxis, order: int) -> Tensor:
    """The derivative along a periodic axis: multiplication by (i k)^order."""
    shape = [1] * values.ndim
    shape[dim] = -1
    spectrum = torch.fft.rfft(values, dim=dim) * wavenumbers(axis, order, values).reshape(shape)
    return torch.fft.irfft(spectrum, n=axis.size, dim=dim)


def differentiate_bounded(values: Tensor, dim: int, axis: GridAxis, order: int, accuracy: int) -> Tensor:
    """The derivative along an axis with ends, from the values at its points alone."""
    if axis.placement == "chebyshev":
        matrix = chebyshev_matrix(axis.size, axis.axis.length, order).to(values)
        return apply_matrix(values, dim, matrix)
    points = tuple(axis.points.tolist())
    indices, weights = stencil(points, points, order, accuracy)
    return apply_stencil(values, dim, indices, weights)
