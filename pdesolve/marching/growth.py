"""Whether the state of a march blows up: how its largest value and its residual grow."""

from __future__ import annotations

from typing import Any

import torch

from pdesolve.errors import Diverged
from pdesolve.marching.instant import Instant
from pdesolve.marching.stepper import Step

_IN_A_STEP, _IN_ALL = 10.0, 1e8
_LOST = 0.5  # relative residual of a step at which its state is no longer that of the equation


class Growth:
    """Refuses a step whose state is not finite, ten times as large as any before, or 1e8 times as large as at first.

    All in parts of each unknown's size. A state that begins at zero may grow to what its first rates would make of it
    in the whole time.
    """

    def __init__(self, instant: Instant) -> None:
        self.instant = instant
        self.first = self.largest = 1.0

    def begin(self) -> None:
        """Take the size of the initial state, which the network must hold."""
        instant, time = self.instant, self.instant.problem.time
        assert time is not None
        size = float((instant.initial / instant.size).abs().max())
        if size == 0.0:
            size = max(1.0, float((instant.rate(time.lower) / instant.size).abs().max()) * time.length)
        self.first = self.largest = size

    def check(self, step: Step) -> None:
        """Look at the network after a step.

        Raises:
            Diverged: with the unknown, the time and the place.
        """
        with torch.no_grad():
            values = self.instant.values(step.end) / self.instant.size
        size = float(values.abs().max()) if bool(torch.isfinite(values).all()) else float("inf")
        if size > min(_IN_A_STEP * self.largest, _IN_ALL * self.first):
            name, place = self.instant.place(values)
            raise Diverged(
                f"{name} blows up at t = {step.end:.6g}, {place}: {size / self.first:.1e} times its first size, after "
                f"{self.largest / self.first:.1e}: the equation does, or the step is past stability: give smaller steps"
            )
        if not step.residual < _LOST:
            raise Diverged(
                f"the state at t = {step.end:.6g} is {step.residual:.1e} from what the equation makes of the one "
                "before: give smaller steps or a larger network"
            )
        self.largest = max(self.largest, size)

    def largest_at(self, time: float) -> str:
        """Where the state of the network is largest, for a line on what came after."""
        with torch.no_grad():
            values = self.instant.values(time) / self.instant.size
        name, place = self.instant.place(values)
        size = float(values.abs().max()) / self.first
        return f"at t = {time:.6g} {name} was largest at {place}, {size:.1e} times its first size"

    def state_dict(self) -> dict[str, Any]:
        """The first and the largest size."""
        return {"first": self.first, "largest": self.largest}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on where `state_dict` was."""
        self.first, self.largest = state["first"], state["largest"]
