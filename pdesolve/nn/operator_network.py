"""What an operator network is: a map from a function to a function, both known at places."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from pdesolve.nn.places import Places


class OperatorNetwork(nn.Module, ABC):
    """Values of functions at some places to values of functions at some places: the network of a surrogate.

    All it sees is standardised; parameters of the network depend on no grid.
    """

    @abstractmethod
    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        """The values (sample, channel, *wanted.shape) that belong to x (sample, channel, *given.shape).

        parameters: (sample, parameter), numbers of the equation; none of them where they are channels of x.
        wanted: `given` itself, unless `elsewhere` says that it may be other places.
        """

    @property
    def elsewhere(self) -> bool:
        """Whether values may be wanted at other places than they are given at; else they are interpolated."""
        return False

    def check(self, given: Places) -> None:
        """Refuse places that the network cannot work on: too few points for its modes, points for a grid.

        Raises:
            InputError: with the numbers, and what to write instead.
        """
        return None
