"""The state that a network holds at one instant, and its rate, at quadrature points of space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.constraint import Lift
from pdesolve.equation import State, assemble, flatten
from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud
from pdesolve.problem import Problem, Value


class Instant:
    """u(x) = g + D N at weighted points of space, values as (scalar, point).

    Rows are scaled so that their sum of squares is that of the relative L2 distance: `size` is the root mean square of
    the initial state over all scalars.
    """

    def __init__(
        self, problem: Problem, module: nn.Module, lift: Lift | None, cloud: PointCloud, values: Mapping[str, Value],
        *, dtype: torch.dtype, device: torch.device,
    ) -> None:  # fmt: skip
        self.problem, self.module, self.lift, self.given = problem, module, lift, values
        self.equation = problem.evolution()
        assert problem.time is not None and cloud.weights is not None
        self.start = problem.time.lower
        self._kind: dict[str, Any] = {"dtype": dtype, "device": device}
        self._plain = Coordinates(cloud, gradients=False, **self._kind)
        weights = cloud.weights.to(**self._kind)
        self._roots = (weights / weights.sum()).sqrt()
        wanted = Coordinates.wanted_by(lambda x: self._rates(x.at_instant(self.start)), cloud, **self._kind)
        self._jets = Coordinates.of_jets(cloud, wanted, **self._kind)
        self._now = self._plain.at_instant(self.start)
        self._time = self.start
        with torch.no_grad():
            self.initial = self._stacked(problem.initial_state(self._plain, values), self._plain)
        self.size = float((self.initial * self._roots).norm()) or 1.0

    def values(self, time: float) -> Tensor:
        """The state at an instant (scalar, point), differentiable in the parameters."""
        if time != self._time:
            self._time, self._now = time, self._plain.at_instant(time)
        return self._stacked(self._state(self._now), self._now)

    def rate(self, time: float) -> Tensor:
        """What the equation makes of the state (scalar, point), not differentiable."""
        x = self._jets.at_instant(time)
        with torch.no_grad():
            return self._stacked(self._rates(x), x).detach()

    def rows(self, target: Tensor, time: float) -> Tensor:
        """The distance to a target (scalar, point), whose norm is the relative one in L2."""
        return (self.values(time) - target) * (self._roots / self.size)

    def distance(self, target: Tensor, time: float) -> float:
        """The relative L2 distance to a target."""
        with torch.no_grad():
            return float(self.rows(target, time).norm())

    def _state(self, x: Coordinates) -> State:
        quantities = [self.problem.quantity(name) for name in self.equation.scalars]
        scalars = x.outputs(self.module, quantities)
        if self.lift is not None:
            lift = self.lift
            scalars = x.once(self, lambda: lift.at(x, self.given))(scalars)
        return assemble(self.equation.unknowns, scalars)

    def _rates(self, x: Coordinates) -> State:
        return self.equation.rate(self._state(x), self.problem.bind(x, self.given), x)

    def _stacked(self, state: State, x: Coordinates) -> Tensor:
        fields = flatten(state)
        return torch.stack([x.expand(fields[name]).values for name in self.equation.scalars])
