"""Classical steps in time, each stage or residual a fit of the network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import Diverged
from pdesolve.marching.stepper import Step, Stepper, next_time
from pdesolve.physics.solvers.insr.dynamics import Dynamics, frozen
from pdesolve.physics.solvers.insr.fitting import Fitting, Rows
from pdesolve.physics.solvers.insr.places import Medium, Points

LOST = 0.1  # relative residual of a fit at which a march has lost its target

# stage i is u + dt Σ_j rows[i][j] k_j at t + nodes[i] dt; the last one is the state after the step
TABLEAUX: dict[str, tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]] = {
    "euler": ((1.0,), ((1.0,),)),
    "rk4": ((0.5, 0.5, 1.0, 1.0), ((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6))),
}


class Fitted(Stepper):
    """Equal steps whose fits share an optimiser.

    targets: whether fits are of values or a Laplacian, so that their Jacobian is that of the network in all steps.
    fits: how many a step takes.
    """

    lost = LOST
    targets = False
    fits = 1

    def __init__(self, module: nn.Module, fitting: Fitting, medium: Medium, *, length: float) -> None:
        self.module, self.fitting, self.medium, self.length = module, fitting, medium, length

    def step(self, time: float, final: float) -> Step:
        end = next_time(time, self.length, final)
        if not self.targets:
            self.fitting.forget()
        residual = self.advance(time, end)
        if not residual < self.lost:
            raise Diverged(
                f"the network is {residual:.1e} from its target at t = {end:.6g}: the step is past stability or the "
                "network too small, give more --method.time_steps or --method.width"
            )
        return Step(end, residual)

    @abstractmethod
    def advance(self, time: float, end: float) -> float:
        """Move the network from a time to another; the largest relative residual of its fits."""

    @property
    def notes(self) -> dict[str, Any]:
        return {"iterations": self.fitting.iterations}

    def state_dict(self) -> dict[str, Any]:
        return self.fitting.state_dict()

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.fitting.load_state_dict(state)


class RungeKutta(Fitted):
    """An explicit scheme: each stage u + dt Σ_j a_j k_j is fitted, k_j the rate of the network at stage j."""

    targets = True

    def __init__(self, module: nn.Module, fitting: Fitting, dynamics: Dynamics, name: str, *, length: float) -> None:
        super().__init__(module, fitting, dynamics.medium, length=length)
        self.dynamics, (self.nodes, self.rows) = dynamics, TABLEAUX[name]
        self.fits = len(self.rows) * dynamics.parts

    def advance(self, time: float, end: float) -> float:
        dt, worst = end - time, 0.0
        stages = [(frozen(self.module), time)]
        for node, row in zip(self.nodes, self.rows, strict=True):
            now = end if node == 1.0 else time + node * dt
            worst = max(worst, self._fit(stages, row, dt, now), self.dynamics.settle(self.module, now, dt))
            stages.append((frozen(self.module), now))
        return worst

    def _fit(self, stages: list[tuple[nn.Module, float]], row: tuple[float, ...], dt: float, now: float) -> float:
        dynamics = self.dynamics

        def rows(points: Points) -> Rows:
            with torch.no_grad():
                target = dynamics.values(points, *stages[0])
                for weight, stage in zip(row, stages, strict=False):
                    if weight:
                        target = target + (dt * weight) * dynamics.rate(points, *stage)
            return lambda: {"state": dynamics.rows(points, dynamics.values(points, self.module, now) - target)}

        return self.fitting.minimise("state", dynamics.part(self.module), rows)


class Implicit(Fitted):
    """u − u_n = dt f(u), f of the new state (implicit Euler), of both by halves (trapezoidal) or of their mean."""

    def __init__(self, module: nn.Module, fitting: Fitting, dynamics: Dynamics, name: str, *, length: float) -> None:
        super().__init__(module, fitting, dynamics.medium, length=length)
        self.dynamics, self.name = dynamics, name

    def advance(self, time: float, end: float) -> float:
        dynamics, old, dt = self.dynamics, frozen(self.module), end - time

        def rows(points: Points) -> Rows:
            places, middle = dynamics.medium.at(points.inside), 0.5 * (time + end)
            with torch.no_grad():
                u = dynamics.values(points, old, time)
                if self.name == "trapezoidal":
                    u = u + 0.5 * dt * dynamics.rate(points, old, time)
            before = places.state(old, time)

            def now() -> Mapping[str, Tensor]:
                state = places.state(self.module, end)
                if self.name == "midpoint":
                    mean = {name: 0.5 * (field + before[name]) for name, field in state.items()}
                    change = dt * places.formula("rate", mean, middle)
                elif self.name == "trapezoidal":
                    change = 0.5 * dt * places.formula("rate", state, end)
                else:
                    change = dt * places.formula("rate", state, end)
                return {"state": dynamics.rows(points, dynamics.values(points, self.module, end) - u - change)}

            return now

        return self.fitting.minimise("state", self.module, rows)
