"""Tensor-product grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry.axis import Axes, Axis
from pdesolve.geometry.discretisation import Discretisation

Placement = Literal["periodic", "nodes", "cells", "chebyshev", "listed"]


@dataclass(frozen=True)
class GridAxis:
    """One axis of a grid: `size` points placed as

    - `periodic`: half-open, x_i = lower + i L / n, the upper end not stored (Fourier derivatives),
    - `nodes`: closed, x_i = lower + i L / (n - 1), the ends included,
    - `cells`: cell centres, x_i = lower + (i + 1/2) L / n,
    - `chebyshev`: Gauss-Lobatto points, (lower + upper)/2 - (L/2) cos(pi i / (n - 1)),
    - `listed`: the ascending coordinates in `listed` (snapshot times, a file's coordinate).
    """

    axis: Axis
    placement: Placement
    size: int
    listed: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.placement not in get_args(Placement):
            raise unknown_name("placement", self.placement, get_args(Placement))
        if self.axis.periodic and self.placement not in ("periodic", "listed"):
            raise InputError(f"axis {self.axis.name!r} is periodic: place points 'periodic', not {self.placement!r}")
        if not self.axis.periodic and self.placement == "periodic":
            raise InputError(
                f"axis {self.axis.name!r} is not periodic: write Axis({self.axis.name!r}, ..., periodic=True), "
                "or place its points as 'nodes', 'cells' or 'chebyshev'"
            )
        if self.placement == "listed":
            if self.size != len(self.listed):
                raise InputError(f"axis {self.axis.name!r} lists {len(self.listed)} coordinates for size {self.size}")
            if any(b <= a for a, b in zip(self.listed, self.listed[1:], strict=False)):
                raise InputError(f"the listed coordinates of axis {self.axis.name!r} must ascend")
        least = 2 if self.placement in ("nodes", "chebyshev") else 1
        if self.size < least:
            raise InputError(f"axis {self.axis.name!r} needs at least {least} points, got {self.size}")

    @staticmethod
    def at(axis: Axis, coordinates: Sequence[float]) -> GridAxis:
        """An axis of the listed coordinates."""
        return GridAxis(axis, "listed", len(coordinates), tuple(float(c) for c in coordinates))

    @cached_property
    def points(self) -> np.ndarray:
        """The coordinates (size,), float64, ascending."""
        a, length, n = self.axis.lower, self.axis.length, self.size
        match self.placement:
            case "periodic":
                return a + length * np.arange(n) / n
            case "nodes":
                return np.linspace(a, self.axis.upper, n)
            case "cells":
                return a + length * (np.arange(n) + 0.5) / n
            case "chebyshev":
                # sine form: symmetric to the last bit, the ends exact
                return a + length * (1 + np.sin(np.pi * (2 * np.arange(n) - (n - 1)) / (2 * (n - 1)))) / 2
            case _:
                return np.array(self.listed, dtype=float)

    @cached_property
    def weights(self) -> np.ndarray:
        """Quadrature weights (size,): spectral on periodic and Chebyshev axes, order 2 elsewhere."""
        if self.placement in ("periodic", "cells"):
            return np.full(self.size, self.axis.length / self.size)
        if self.placement == "chebyshev":
            return clenshaw_curtis(self.size) * self.axis.length / 2
        if self.size == 1:
            return np.array([self.axis.length])
        gaps = np.diff(self.points)
        return (np.append(gaps, 0.0) + np.append(0.0, gaps)) / 2


def clenshaw_curtis(n: int) -> np.ndarray:
    """Weights of the n Gauss-Lobatto-Chebyshev points on [-1, 1], exact for polynomials of degree n - 1."""
    k = np.arange(n)
    theta = np.pi * k / (n - 1)
    moments = np.where(k % 2 == 0, 2.0 / (1.0 - np.where(k % 2 == 0, k, 0.0) ** 2), 0.0)
    # weights solve  sum_i w_i cos(m theta_i) = integral of T_m;  the cosine matrix inverts by a scaled transpose
    halves = np.where((k == 0) | (k == n - 1), 0.5, 1.0)
    cosines = np.cos(np.outer(k, theta))
    return (2.0 / (n - 1)) * halves * ((halves * moments) @ cosines)


@dataclass(frozen=True)
class Grid(Discretisation):
    """A tensor product of grid axes, time first. `accuracy` (2, 4 or 6) is the order of its finite differences."""

    members: tuple[GridAxis, ...]
    accuracy: int = 4

    def __post_init__(self) -> None:
        if self.accuracy not in (2, 4, 6):
            raise InputError(f"finite differences come in orders 2, 4 and 6, got {self.accuracy}")
        _ = self.axes

    @cached_property
    def axes(self) -> Axes:  # type: ignore[override]
        return Axes(tuple(member.axis for member in self.members))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(member.size for member in self.members)

    def __getitem__(self, name: str) -> GridAxis:
        return self.members[self.axes.index(name)]

    def columns(self, *, dtype: torch.dtype, device: torch.device | str) -> dict[str, Tensor]:
        n = len(self.members)
        return {
            member.axis.name: torch.as_tensor(member.points, dtype=dtype, device=device).reshape(
                [-1 if i == j else 1 for j in range(n)]
            )
            for i, member in enumerate(self.members)
        }

    def without(self, *names: str) -> Grid:
        """The grid of the other axes."""
        keep = self.axes.without(*names)
        return Grid(tuple(member for member in self.members if member.axis.name in keep), self.accuracy)

    def with_times(self, time: Axis, times: Sequence[float]) -> Grid:
        """This grid of space at the given times."""
        return Grid((GridAxis.at(time, times), *self.members), self.accuracy)

    @staticmethod
    def regular(
        axes: Axes,
        sizes: int | Mapping[str, int],
        *,
        times: Sequence[float] | None = None,
        bounded: Placement = "nodes",
        accuracy: int = 4,
    ) -> Grid:
        """A grid of `sizes` points an axis: periodic axes half-open, the others placed as `bounded`.

        `times` lists the times of the time axis.
        """
        if not isinstance(sizes, int):
            for name in sizes:
                axes.index(name)
        members = []
        for axis in axes:
            if times is not None and axis is axes.time:
                members.append(GridAxis.at(axis, times))
                continue
            size = sizes if isinstance(sizes, int) else sizes.get(axis.name)
            if size is None:
                raise InputError(f"the grid has no size for axis {axis.name!r}: give sizes={{{axis.name!r}: 128, ...}}")
            members.append(GridAxis(axis, "periodic" if axis.periodic else bounded, size))
        return Grid(tuple(members), accuracy)
