"""How a network is brought onto a target: the contract of projections and of descents."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from pdesolve.marching.instant import Instant
from pdesolve.marching.stepper import Part


class Projector(Part):
    """Moves the network of an instant onto targets at its points. What it remembers is in `state_dict`.

    instant: the points at which targets are given; a stepper may change them between steps. tolerance: relative
    residual that is good enough.
    """

    instant: Instant
    tolerance: float

    @abstractmethod
    def onto(self, target: Tensor, time: float, *, ahead: float = 0.0) -> float:
        """Move the network to where u − ahead L u is a target (scalar, point) at an instant; the relative residual.

        Raises:
            Diverged: a target that is not finite.
        """
