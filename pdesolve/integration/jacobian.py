"""Sparse Jacobians of functions of grid values, from Jacobian-vector products of coloured columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.sparse import csc_matrix
from torch import Tensor

from pdesolve.geometry import Grid

_AT_ONCE = 2**23  # values a batch of columns may hold


def sparse_jacobian(f: Callable[[Tensor], Tensor], y: Tensor, grid: Grid) -> csc_matrix:
    """df/dy (n, n) at y (scalar, *grid) of a function f of such values.

    A difference stencil couples nodes at most `reach` apart, so that columns 2 reach + 1 apart share a product. The
    reach is found: it grows until the matrix agrees with a product in a random direction. Fourier and Chebyshev axes
    couple every node with every other.
    """
    reach = [m.size if m.placement in ("periodic", "chebyshev") else grid.accuracy + 1 for m in grid.members]
    y = y.detach()
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(y.shape, generator=generator, dtype=y.dtype).to(y.device)
    product = _products(f, y, direction[None])[0].cpu().numpy().ravel()
    while True:
        matrix = _coloured(f, y, grid.shape, reach)
        gap = np.abs(matrix @ direction.cpu().numpy().ravel() - product).max()
        if gap <= 1e-9 * np.abs(product).max() or all(2 * r + 1 >= n for r, n in zip(reach, grid.shape, strict=True)):
            return matrix
        reach = [2 * r for r in reach]


def _products(f: Callable[[Tensor], Tensor], y: Tensor, directions: Tensor) -> Tensor:
    return torch.func.vmap(lambda v: torch.func.jvp(f, (y,), (v,))[1])(directions).detach()


def _coloured(f: Callable[[Tensor], Tensor], y: Tensor, shape: tuple[int, ...], reach: list[int]) -> csc_matrix:
    scalars, n = y.shape[0], y.numel()
    periods = [min(2 * r + 1, size) for r, size in zip(reach, shape, strict=True)]
    colours = np.array(list(np.ndindex(scalars, *periods)))
    nodes = np.indices(shape).reshape(len(shape), -1)
    rows, columns, entries = [], [], []
    chunk = max(1, _AT_ONCE // n)
    for start in range(0, len(colours), chunk):
        some = colours[start : start + chunk]
        directions = torch.zeros((len(some), *y.shape), dtype=y.dtype, device=y.device)
        for k, (scalar, *offsets) in enumerate(some):
            where: tuple[Any, ...] = (k, int(scalar))
            where += tuple(slice(int(o), None, p) for o, p in zip(offsets, periods, strict=True))
            directions[where] = 1.0
        values = _products(f, y, directions).cpu().numpy().reshape(len(some), scalars, -1)
        for k, (scalar, *offsets) in enumerate(some):
            column = np.full(nodes.shape[1], int(scalar))
            valid = np.ones(nodes.shape[1], dtype=bool)
            for axis, (offset, period, size) in enumerate(zip(offsets, periods, shape, strict=True)):
                if period == size:
                    at = np.full(nodes.shape[1], offset)
                else:  # the one node of this colour within reach of the row
                    at = nodes[axis] + (offset - nodes[axis] + reach[axis]) % period - reach[axis]
                    valid &= (at >= 0) & (at < size)
                column = column * size + np.where(valid, at, 0)
            for i in range(scalars):
                kept = np.flatnonzero(valid & (values[k, i] != 0))
                rows.append(kept + i * nodes.shape[1])
                columns.append(column[kept])
                entries.append(values[k, i, kept])
    return csc_matrix((np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))
