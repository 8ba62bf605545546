"""What moves a network of one instant from one time to the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from pdesolve.training.checkpoint import Stateful


@dataclass(frozen=True)
class Step:
    """An accepted step: the time at its end, and the relative residual that its fits have left at worst."""

    end: float
    residual: float


class Part(Stateful, ABC):
    """A part of a march that a checkpoint holds and that has something to say at the end."""

    @property
    @abstractmethod
    def notes(self) -> dict[str, Any]:
        """What is to be said of the fits so far, as JSON values."""


class Stepper(Part):
    """A scheme in time over a fit in space. What it changes is the network; what it remembers is in `state_dict`."""

    @abstractmethod
    def step(self, time: float, final: float) -> Step:
        """One accepted step of the network from `time`, at most to `final`.

        Raises:
            Diverged: the network has lost its target, or a value is not finite; with the time and, where known, the
                place.
        """


def next_time(time: float, step: float, final: float) -> float:
    """The end of a step of about that length: `final` where less than a hundredth of a step would be left."""
    return final if time + 1.01 * step >= final else time + step
