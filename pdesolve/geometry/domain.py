"""Domains: the regions of space on which problems are posed, and the named parts of their boundaries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from pdesolve.geometry.axis import Axes


class Boundary(ABC):
    """A named part of the boundary of a domain, with a chart from the unit cube."""

    name: str

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Dimension of the part: 0 for an end point, 1 for a curve."""

    @property
    @abstractmethod
    def measure(self) -> float:
        """Length or area of the part; 1 for an end point (counting measure)."""

    @abstractmethod
    def place(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """Points (n, space axes) and outward unit normals (n, space axes) of unit-cube samples (n, dimension).

        Uniform samples give points of uniform density.
        """

    @abstractmethod
    def distance(self, x: Tensor) -> Tensor:
        """Distance (n,) of points x (n, space axes) from this part."""

    def keeps(self, x: Tensor, normals: Tensor) -> Tensor:
        """Which of the placed points belong to this part (n,), bool: all, unless its chart covers more."""
        return torch.ones(len(x), dtype=torch.bool, device=x.device)


class Domain(ABC):
    """A bounded region of space. `axes` are its space axes, and their bounds are its bounding box."""

    axes: Axes

    @property
    def dimension(self) -> int:
        return len(self.axes)

    @property
    @abstractmethod
    def measure(self) -> float:
        """Length, area or volume."""

    @property
    @abstractmethod
    def boundaries(self) -> Mapping[str, Boundary]:
        """The named parts of the boundary. Periodic axes have none."""

    @abstractmethod
    def inside(self, x: Tensor) -> Tensor:
        """Which of the points x (n, space axes) are in the closed domain (n,), bool."""

    @property
    def is_box(self) -> bool:
        """Whether the domain fills its bounding box, so that tensor-product grids fit it."""
        return False

    def __or__(self, other: Domain) -> Domain:
        """The union of two domains."""
        from pdesolve.geometry.csg import Union  # csg is made of domains

        return Union(self, other)

    def __sub__(self, other: Domain) -> Domain:
        """This domain without another."""
        from pdesolve.geometry.csg import Difference

        return Difference(self, other)

    def __and__(self, other: Domain) -> Domain:
        """The intersection of two domains."""
        from pdesolve.geometry.csg import Intersection

        return Intersection(self, other)
