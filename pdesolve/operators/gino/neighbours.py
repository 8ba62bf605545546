"""Pairs of points within a radius, and averages over them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_AT_ONCE = 2**23  # distances of one block


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Pairs (pair,) of a query and a point near it, and the offsets (pair, axis) from the query to the point."""

    queries: Tensor
    points: Tensor
    offsets: Tensor


def neighbours(points: Tensor, queries: Tensor, radius: float, periodic: tuple[bool, ...]) -> Neighbours:
    """All pairs of points (point, axis) and queries (query, axis) closer than a radius, the shorter way round."""
    turns = torch.tensor(periodic, device=points.device)
    rows = max(_AT_ONCE // max(len(points) * len(periodic), 1), 1)
    found = []
    for first in range(0, len(queries), rows):
        block = queries[first : first + rows].detach()
        near = _apart(points.detach()[None] - block[:, None], turns).square().sum(-1) < radius**2
        pairs = near.nonzero()
        found.append(torch.stack([pairs[:, 0] + first, pairs[:, 1]]))
    query, point = torch.cat(found, 1)
    return Neighbours(query, point, _apart(points[point] - queries[query], turns))


def averaged(kernel: Tensor, share: Tensor, f: Tensor, near: Neighbours, queries: int) -> Tensor:
    """Σ kernel_p f_p / Σ share_p over the pairs p of each query: (sample, query, channel), 0 where there are none.

    kernel: (pair, channel), with the shares in it. share: (pair,). f: (sample, point, channel).
    """
    total = share.new_zeros(queries).index_add(0, near.queries, share)
    kernel = kernel / total.clamp(min=torch.finfo(total.dtype).tiny)[near.queries][:, None]
    return f.new_zeros(len(f), queries, f.shape[-1]).index_add(1, near.queries, kernel * f[:, near.points])


def _apart(offsets: Tensor, turns: Tensor) -> Tensor:
    return torch.where(turns, offsets - offsets.round(), offsets)
