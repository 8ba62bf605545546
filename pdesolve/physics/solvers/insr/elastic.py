"""Elastic bodies: each step is the deformation of least incremental potential."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.fields import Coordinates
from pdesolve.physics.solvers.insr.dynamics import frozen
from pdesolve.physics.solvers.insr.fitting import Fitting, Rows
from pdesolve.physics.solvers.insr.places import Medium, Points, stacked
from pdesolve.physics.solvers.insr.schemes import Fitted

_LEAST = 1e-6  # part of the potential, which is no residual that vanishes, by which a repetition lowers it


class Incremental(Fitted):
    """u minimises the incremental potential, the integral of |u - u_n - dt v_n|^2 / (2 dt^2) + W(q).

    implicit_euler: q = u and v = (u - u_n) / dt, of first order and damping. midpoint: q = (u + u_n) / 2 and
    v = 2 (u - u_n) / dt - v_n, of second order and keeping the energy of small vibrations. The energy W is a sum of
    squares, and with it the potential, so that least squares minimise it; in Adam's case at random points. What a step
    leaves is said as the part by which the last repetition lowered the potential.
    """

    lost = math.inf

    def __init__(
        self, module: nn.Module, fitting: Fitting, medium: Medium, points: Points | None, *, name: str, length: float
    ) -> None:
        super().__init__(module, fitting, medium, length=length)
        self.points, self.name = points, name
        self.velocity = None if points is None else self._first(points)
        self.older: tuple[nn.Module, float] | None = None  # the instant before the last, where points are fresh
        here = Points(points.inside) if points is not None else None
        self.size = 1.0 if here is None else self._size(here)

    def advance(self, time: float, end: float) -> float:
        medium, dt, old = self.medium, end - time, frozen(self.module)

        def rows(points: Points) -> Rows:
            places = medium.at(points.inside)
            with torch.no_grad():
                free = places.values(old, time) + dt * self._velocity(points, old, time)
            scale = places.roots / self.size
            before = places.state(old, time)

            def now() -> Mapping[str, Tensor]:
                state: Mapping[str, Any] = places.state(self.module, end)
                if self.name == "midpoint":
                    state = {name: 0.5 * (field + before[name]) for name, field in state.items()}
                moved = places.values(self.module, end) - free
                return {
                    "inertia": moved * (scale / (math.sqrt(2.0) * dt)),
                    "elastic": places.formula("strains", state, end) * scale,
                }

            return now

        self.fitting.minimise("potential", self.module, rows, least=_LEAST)
        self._remember(old, time, end)
        return self.fitting.fall

    def _remember(self, old: nn.Module, time: float, end: float) -> None:
        if self.points is None:
            self.older = (old, time)
            return
        places = self.medium.at(self.points.inside)
        with torch.no_grad():
            mean = (places.values(self.module, end) - places.values(old, time)) / (end - time)
        assert self.velocity is not None
        self.velocity = 2.0 * mean - self.velocity if self.name == "midpoint" else mean

    def _velocity(self, points: Points, old: nn.Module, time: float) -> Tensor:
        """v_n (scalar, point)."""
        if self.velocity is not None:
            return self.velocity
        if self.older is None:
            return self._first(points)
        places, (older, before) = self.medium.at(points.inside), self.older
        return (places.values(old, time) - places.values(older, before)) / (time - before)

    def _first(self, points: Points) -> Tensor:
        """The initial rate (scalar, point)."""
        problem = self.medium.problem
        x = Coordinates(points.inside, gradients=False, **self.medium.kind)
        state = problem.initial_state(x, self.medium.given)
        return stacked({unknown.name: state[f"{unknown.name}_t"] for unknown in problem.equation.unknowns}, x)

    def _size(self, points: Points) -> float:
        assert self.velocity is not None
        return float((self.velocity * self.medium.at(points.inside).roots).norm()) or 1.0

    def state_dict(self) -> dict[str, Any]:
        older = None if self.older is None else [dict(self.older[0].state_dict()), self.older[1]]
        return {"fitting": super().state_dict(), "velocity": self.velocity, "older": older}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        super().load_state_dict(state["fitting"])
        device = self.medium.kind["device"]
        self.velocity = None if state["velocity"] is None else state["velocity"].to(device)
        self.older = None
        if state["older"] is not None:
            older = frozen(self.module)
            older.load_state_dict(state["older"][0])
            self.older = (older, state["older"][1])
