"""Discretisations: where a field is known. A tensor-product Grid, a PointCloud, a Mesh."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry.axis import Axes


class Discretisation(ABC):
    """A finite set of places on some axes, laid out as a tensor of `shape`."""

    axes: Axes

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The trailing shape of the values of a field that lives here."""

    @abstractmethod
    def columns(self, *, dtype: torch.dtype, device: torch.device | str) -> dict[str, Tensor]:
        """The coordinates, one tensor per axis in axis order, each expandable to `shape`."""


@dataclass(frozen=True, eq=False)
class PointCloud(Discretisation):
    """Scattered points with quadrature weights and, on a boundary, outward normals.

    x: (point, axis), columns in axis order. weights: (point,), so that sum(weights * f) approximates the integral
    of f over what was sampled. normals: (point, space axis), unit length, or None inside a domain. numbers: (point,),
    which points of a whole cloud these are; None for all of them. part: of the weight of a whole cloud whose other
    points are elsewhere (in other processes): a mean over these points counts so much in that of all.
    """

    axes: Axes
    x: Tensor
    weights: Tensor | None = None
    normals: Tensor | None = None
    numbers: Tensor | None = None
    part: float = 1.0

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.shape[1] != len(self.axes):
            raise InputError(
                f"points on {self.axes} need shape (point, {len(self.axes)}), got {tuple(self.x.shape)}: "
                "one column per axis, time first"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.x.shape[0],)

    def columns(self, *, dtype: torch.dtype, device: torch.device | str) -> dict[str, Tensor]:
        x = self.x.to(dtype=dtype, device=device)
        return {axis.name: x[:, i] for i, axis in enumerate(self.axes)}

    def some(self, which: slice) -> PointCloud:
        """Some of the points, with what is known at them."""
        numbers = torch.arange(len(self.x)) if self.numbers is None else self.numbers
        weights, normals = (None if v is None else v[which] for v in (self.weights, self.normals))
        return PointCloud(self.axes, self.x[which], weights, normals, numbers[which])

    def share(self, which: slice) -> PointCloud:
        """Some of the points, which count as a part of the whole."""
        weights = torch.ones(len(self.x)) if self.weights is None else self.weights
        return replace(self.some(which), part=float(weights[which].sum() / weights.sum()))

    def replace_column(self, name: str, value: float) -> PointCloud:
        """The same points moved to one value of one axis (the partner points of a periodic boundary)."""
        x = self.x.clone()
        x[:, self.axes.index(name)] = value
        return PointCloud(self.axes, x, self.weights, self.normals)
