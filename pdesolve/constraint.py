"""Constraints: what makes a model's output obey conditions by construction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from pdesolve.fields import Coordinates, Field
from pdesolve.problem import Value

# From the outputs of a network, by the name of the scalar, to the scalars of a state that obeys conditions.
Lifted = Callable[[Mapping[str, Field]], dict[str, Field]]


class Lift(ABC):
    """A map from any outputs of a network to a state that obeys conditions of a problem exactly.

    `exact` names the conditions that hold whatever the network is, `soft` those that do not and the reason of each:
    training has to see to the latter.
    """

    exact: tuple[str, ...]
    soft: Mapping[str, str]

    @property
    @abstractmethod
    def inputs(self) -> Mapping[str, nn.Module]:
        """By the name of a scalar a part of its state that is known but not smooth, (point, axis) -> (point, 1).

        Networks learn the rest from it and from coordinates far better than from coordinates alone.
        """

    @abstractmethod
    def at(self, x: Coordinates, values: Mapping[str, Value]) -> Lifted:
        """The map at the places of x, for these values of parameters: to be made once, and used at each step.

        What it adds and multiplies with is made by the calculus of fields, so that the lifted state is of the kind of
        field that the outputs are, and is differentiated as they are.
        """

    @abstractmethod
    def record(self) -> Mapping[str, Any]:
        """The choices in it as JSON values, which with the problem make the same lift again."""
