"""Coordinates as channels, which networks on grids read beside the values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pdesolve.nn.places import GridPlaces


def position_channels(periodic: tuple[bool, ...]) -> int:
    """How many channels `positions` has, by which axes go round."""
    return sum(2 if around else 1 for around in periodic)


def with_positions(x: Tensor, places: GridPlaces) -> Tensor:
    """Values (sample, channel, *space), and the coordinates as channels behind them."""
    return torch.cat([x, positions(places).expand(len(x), *[-1] * (x.ndim - 1))], 1)


def positions(places: GridPlaces) -> Tensor:
    """Coordinates (1, channel, *space) from 0 to 1; of a periodic axis cos 2πx and sin 2πx.

    So no seam is seen, and a place has the same channels at any resolution.
    """
    rows = []
    for i, axis in enumerate(places.axes):
        shape = [1, 1, *[-1 if i == j else 1 for j in range(len(places.points))]]
        x = places.points[i].reshape(shape)
        found = [torch.cos(2 * math.pi * x), torch.sin(2 * math.pi * x)] if axis.periodic else [x]
        rows += [row.expand(1, 1, *places.shape) for row in found]
    return torch.cat(rows, 1)
