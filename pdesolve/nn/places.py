"""Where the values that an operator network maps lie: on a grid or at points, in the unit box of the axes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pdesolve.geometry import Axes, Axis, Grid


class Places(ABC):
    """Places that networks read: each axis runs from 0 to 1 over its bounds, whatever the unit.

    axes: of space, in order. Networks take weights for integrals (they sum to one) and never count points.
    """

    axes: Axes

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The sizes of the dimensions of space of values here: (*space) or (point,)."""

    @abstractmethod
    def columns(self) -> Tensor:
        """Coordinates (sample or 1, place, axis) of all places."""

    @abstractmethod
    def weights(self) -> Tensor:
        """Quadrature weights (sample or 1, place); they sum to one, those of padding are zero."""


@dataclass(frozen=True, eq=False)
class GridPlaces(Places):
    """A tensor product of points along each axis.

    axes: of space. points, parts: for each axis (n,), its coordinates from 0 to 1 and its quadrature weights, which sum
    to one. grid: the grid that they are of, in the units of its axes.
    """

    axes: Axes
    points: tuple[Tensor, ...]
    parts: tuple[Tensor, ...]
    grid: Grid | None = None

    @staticmethod
    def of(grid: Grid, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> GridPlaces:
        """The places of a grid of space."""
        points, parts = [], []
        for member in grid.members:
            scaled = (member.points - member.axis.lower) / member.axis.length
            points.append(torch.as_tensor(scaled, dtype=dtype, device=device))
            parts.append(torch.as_tensor(member.weights / member.weights.sum(), dtype=dtype, device=device))
        return GridPlaces(grid.axes, tuple(points), tuple(parts), grid)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(points) for points in self.points)

    @cached_property
    def _columns(self) -> Tensor:
        return torch.stack([c.flatten() for c in torch.meshgrid(*self.points, indexing="ij")], -1)[None]

    @cached_property
    def _weights(self) -> Tensor:
        whole = self.parts[0]
        for part in self.parts[1:]:
            whole = (whole[:, None] * part).flatten()
        return whole[None]

    def columns(self) -> Tensor:
        return self._columns

    def weights(self) -> Tensor:
        return self._weights

    def channels(self) -> Tensor:
        """Coordinates as channels (1, axis, *space), which a network on a grid may read beside the values."""
        return self.columns()[0].T.reshape(1, len(self.points), *self.shape)


@dataclass(frozen=True, eq=False)
class PointPlaces(Places):
    """Points of their own, for all samples or for each.

    axes: of space. points: (sample or 1, point, axis) from 0 to 1 over the bounds of the axes. parts: quadrature
    weights (sample or 1, point), which sum to one. mask: (sample, point), False where there is padding.
    """

    axes: Axes
    points: Tensor
    parts: Tensor
    mask: Tensor | None = None

    @staticmethod
    def of(axes: Axes, points: Tensor, *, mask: Tensor | None = None) -> PointPlaces:
        """Points (sample or 1, point, axis) in the units of the axes, all of the same weight."""
        lower, length = (points.new_tensor([getattr(a, what) for a in axes]) for what in ("lower", "length"))
        counted = torch.ones_like(points[..., 0]) if mask is None else mask.to(points)
        return PointPlaces(axes, (points - lower) / length, counted / counted.sum(-1, keepdim=True), mask)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.points.shape[1],)

    def columns(self) -> Tensor:
        return self.points

    def weights(self) -> Tensor:
        return self.parts


def axis_lengths(axes: Iterable[Axis]) -> tuple[float, ...]:
    """Lengths of axes over the longest of them, where all have one unit; else each is one.

    By these a distance in the unit box is one in space.
    """
    axes = tuple(axes)
    if len({axis.unit for axis in axes}) > 1:
        return (1.0,) * len(axes)
    longest = max(axis.length for axis in axes)
    return tuple(axis.length / longest for axis in axes)
