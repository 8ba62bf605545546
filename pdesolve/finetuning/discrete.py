"""The contract of equations on a grid whose residual is made small by least squares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from pdesolve.finetuning.window import Window


class DiscreteEquations(ABC):
    """As many rows as unknowns theta (*batch, unknown) of fields u (*batch, [time,] scalar, *space).

    M is an approximation of the Jacobian A of the residual, so that M^-1 r(theta) is about how far theta is from the
    solution: its sum of squares is what is minimised. Its own Jacobian is near the identity, on which conjugate
    gradients are fast at any resolution.

    described: the discretisation, in words.
    """

    described: str

    @abstractmethod
    def unknowns(self, u: Tensor) -> Tensor:
        """theta of a field; its values where conditions hold others are not looked at."""

    @abstractmethod
    def fields(self, theta: Tensor) -> Tensor:
        """The field with the values that the conditions give."""

    @abstractmethod
    def residual(self, theta: Tensor) -> Tensor:
        """r (*batch, unknown), the rows of the discrete equation as they are."""

    @abstractmethod
    def error(self, theta: Tensor) -> Tensor:
        """M^-1 r (*batch, unknown), differentiable by torch.func."""


class TrajectoryEquations(DiscreteEquations):
    """Those of a state between the points of a window of time, the first of which is known."""

    window: Window

    @abstractmethod
    def at(self, u: Tensor, times: Sequence[float]) -> Tensor:
        """u (*batch, point, scalar, *space) at other times of the window."""
