"""A step of time-evolving natural gradient: the stages of a scheme, each projected onto the network."""

from __future__ import annotations

from typing import Any

import torch

from pdesolve.errors import Diverged
from pdesolve.marching.instant import Instant
from pdesolve.marching.stepper import Step, Stepper, next_time
from pdesolve.physics.solvers.teng.projection import Projection
from pdesolve.physics.solvers.teng.schemes import Scheme

_LOST = 0.1  # relative residual of a projection at which a march has lost its target


class Projected(Stepper):
    """Equal steps of a scheme; every stage's target is projected onto the network."""

    def __init__(self, scheme: Scheme, instant: Instant, projection: Projection, *, length: float) -> None:
        self.scheme, self.instant, self.projection, self.length = scheme, instant, projection, length

    def step(self, time: float, final: float) -> Step:
        end, worst = next_time(time, self.length, final), 0.0
        with torch.no_grad():
            u = self.instant.values(time)

        def reach(target: torch.Tensor, at: float) -> None:
            nonlocal worst
            worst = max(worst, self.projection.onto(target, at))
            if not worst < _LOST:
                raise Diverged(
                    f"the network is {worst:.1e} from its target at t = {at:.6g}: the step is past stability or the "
                    "network too small, give more --method.time_steps or --method.width"
                )

        self.scheme.step(u, time, end - time, self.instant.rate, reach)
        return Step(end, worst)

    @property
    def notes(self) -> dict[str, Any]:
        return {"solves": self.projection.solves, "stalled projections": self.projection.stalls}

    def state_dict(self) -> dict[str, Any]:
        return self.projection.state_dict()

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.projection.load_state_dict(state)
