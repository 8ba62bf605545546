"""States and rates of a problem at weighted points of space, whatever network holds them.

Beside the `Instant` that marches share, since their questions differ. An instant is of one network: its values and the
one rate of a first-order system, in rows of a fixed scale, with rows of conditions and a pressure found for each rate.
A classical step asks several formulas (a rate, strains, a divergence) of several networks, the frozen ones of stages
before among them, also at points drawn anew or carried along, and finds its pressure by a fit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.constraint import Lift
from pdesolve.equation import State, assemble, flatten
from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud
from pdesolve.problem import Problem, Value

_TIMES = 4  # instants whose coordinates and lifts are kept: those of the stages of a step


@dataclass(frozen=True, eq=False)
class Points:
    """Where a fit compares: weighted points inside, and on walls with normals where there are any."""

    inside: PointCloud
    walls: PointCloud | None = None


class Medium:
    """What a network is read as: u(x) = g + D N for the scalars of a problem's equation.

    `formulas` say by name which fields of a state are asked for with derivatives; the rate is one.
    """

    def __init__(
        self, problem: Problem, lift: Lift | None, values: Mapping[str, Value], formulas: Mapping[str, Formula],
        *, dtype: torch.dtype, device: torch.device,
    ) -> None:  # fmt: skip
        self.problem, self.lift, self.given = problem, lift, values
        self.equation, self.formulas = problem.evolution(), dict(formulas)
        self.kind: dict[str, Any] = {"dtype": dtype, "device": device}
        self.wanted: Any = None
        self._last: tuple[PointCloud, Places] | None = None

    def at(self, cloud: PointCloud) -> Places:
        """The medium at points; the last ones are kept."""
        if self._last is None or self._last[0] is not cloud:
            self._last = (cloud, Places(self, cloud))
        return self._last[1]

    def state(self, module: nn.Module, x: Coordinates) -> State:
        """The state that a network says at coordinates of an instant."""
        scalars = x.outputs(module, [self.problem.quantity(name) for name in self.equation.scalars])
        if self.lift is not None:
            lift = self.lift
            with torch.enable_grad():  # the first to ask may want values only
                scalars = x.once(self.lift, lambda: lift.at(x, self.given))(scalars)
        return assemble(self.equation.unknowns, scalars)

    def values(self, module: nn.Module, cloud: PointCloud, time: float) -> Tensor:
        """The state at any points (scalar, point), without derivatives."""
        x = Coordinates(cloud, gradients=False, **self.kind).at_instant(time)
        with torch.no_grad():
            return stacked(self.state(module, x), x)


# From a state, parameters and coordinates of an instant to fields.
Formula = Callable[[State, Mapping[str, Any], Coordinates], Any]


class Places:
    """A medium at points: values and formulas as (row, point), differentiable in a network's parameters."""

    def __init__(self, medium: Medium, cloud: PointCloud) -> None:
        self.medium, self.cloud = medium, cloud
        assert cloud.weights is not None
        weights = cloud.weights.to(**medium.kind)
        self.roots = (weights / weights.sum()).sqrt()
        if medium.wanted is None:
            probe = nn.Identity()  # no network is evaluated
            medium.wanted = Coordinates.wanted_by(lambda x: self._all(probe, x.at_instant(0.0)), cloud, **medium.kind)
        self._jets = Coordinates.of_jets(cloud, medium.wanted, **medium.kind)
        self._plain = Coordinates(cloud, gradients=False, **medium.kind)
        self._kept: dict[tuple[str, float], Coordinates] = {}

    def values(self, module: nn.Module, time: float) -> Tensor:
        """The state (scalar, point)."""
        x = self._at("plain", self._plain, time)
        return stacked(self.medium.state(module, x), x)

    def state(self, module: nn.Module, time: float) -> State:
        """The state as fields that have the derivatives that the medium's formulas ask for."""
        return self.medium.state(module, self._at("jets", self._jets, time))

    def formula(self, name: str, state: State, time: float) -> Tensor:
        """One of the medium's formulas of a state, (row, point)."""
        x = self._at("jets", self._jets, time)
        with torch.enable_grad():
            p = x.once(self.medium, lambda: self.medium.problem.bind(x, self.medium.given))
        return stacked(self.medium.formulas[name](state, p, x), x)

    def _all(self, module: nn.Module, x: Coordinates) -> list[Any]:
        state, p = self.medium.state(module, x), self.medium.problem.bind(x, self.medium.given)
        return [flatten(f(state, p, x)) for f in self.medium.formulas.values()]

    def _at(self, kind: str, x: Coordinates, time: float) -> Coordinates:
        key = kind, time
        if key not in self._kept:
            while len(self._kept) >= 2 * _TIMES:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = x.at_instant(time)
        return self._kept[key]


def stacked(state: Mapping[str, Any], x: Coordinates) -> Tensor:
    """The scalars of a state, or of rows, as (scalar, point)."""
    return torch.stack([x.expand(field).values for field in flatten(state).values()])
