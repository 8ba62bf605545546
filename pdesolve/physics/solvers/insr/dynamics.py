"""What moves: the part of a network that evolves, its rate, and what must be settled at every instant."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from pdesolve.physics.solvers.insr.places import Medium, Points


class Dynamics(ABC):
    """A state that a network holds, and its rate, at points. `size` is the root mean square of the initial state.

    parts: fits that each stage takes, more than one where a pressure follows the state.
    """

    parts = 1
    medium: Medium
    size: float

    @abstractmethod
    def part(self, module: nn.Module) -> nn.Module:
        """The network of what evolves, of the whole one."""

    @abstractmethod
    def rate(self, points: Points, module: nn.Module, time: float) -> Tensor:
        """The rate (scalar, point) of the state that the whole network holds; not differentiable."""

    @abstractmethod
    def settle(self, module: nn.Module, time: float, dt: float) -> float:
        """Make what has no rate follow the state; the relative residual that is left."""

    def values(self, points: Points, module: nn.Module, time: float) -> Tensor:
        """The evolving scalars (scalar, point)."""
        return self.medium.at(points.inside).values(self.part(module), time)

    def rows(self, points: Points, difference: Tensor) -> Tensor:
        """A difference of states (scalar, point) as rows whose norm is the relative one in L2."""
        return difference * (self.medium.at(points.inside).roots / self.size)


class Evolving(Dynamics):
    """An evolution of first order all of whose unknowns have a rate."""

    def __init__(self, medium: Medium, size: float) -> None:
        self.medium, self.size = medium, size

    def part(self, module: nn.Module) -> nn.Module:
        return module

    def rate(self, points: Points, module: nn.Module, time: float) -> Tensor:
        places = self.medium.at(points.inside)
        with torch.no_grad():
            return places.formula("rate", places.state(module, time), time)

    def settle(self, module: nn.Module, time: float, dt: float) -> float:
        return 0.0


def frozen(module: nn.Module) -> nn.Module:
    """A copy that training leaves alone."""
    return copy.deepcopy(module).requires_grad_(False)
