"""Semi-Lagrangian steps: a state is what it was at the foot of the characteristic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud
from pdesolve.physics.equations.advection import Advection
from pdesolve.physics.equations.transport import Transport
from pdesolve.physics.solvers.insr.dynamics import Dynamics, frozen
from pdesolve.physics.solvers.insr.fitting import Fitting, Rows
from pdesolve.physics.solvers.insr.places import Medium, Points
from pdesolve.physics.solvers.insr.schemes import Fitted
from pdesolve.problem import Problem, Value

_PARTS = 4  # Runge-Kutta steps along a characteristic in each step: they cost little beside a fit

# From points (point, axis) at a time to the velocity there, of the same shape.
Carrier = Callable[[Tensor, float], Tensor]


def carried(problem: Problem) -> tuple[str, ...] | None:
    """The names of the velocity's components where an equation carries its unknown along; None for other equations."""
    equation = type(problem.equation)
    return ("speed",) if equation is Advection else ("velocity_x", "velocity_y") if equation is Transport else None


def carrier(problem: Problem, values: Mapping[str, Value], kind: Mapping[str, Any]) -> Carrier:
    """The velocity that the parameters of a transport equation give."""
    names = carried(problem)
    assert names is not None
    axes = problem.domain.axes
    rest = len(axes) - len(names)  # an advection along x is at rest along other axes

    def velocity(points: Tensor, time: float) -> Tensor:
        x = Coordinates(PointCloud(axes, points), gradients=False, dtype=kind["dtype"], device=kind["device"])
        x = x.at_instant(time)
        p = problem.bind(x, values)
        columns = [x.expand(p[name]).values for name in names]
        return torch.stack([*columns, *[torch.zeros_like(columns[0])] * rest], 1)

    return velocity


def feet(points: Tensor, time: float, end: float, velocity: Carrier, medium: Medium) -> Tensor:
    """Where the points of the time `end` were at `time`: dX/dt = v back by one classical Runge-Kutta step.

    A foot outside is clamped to the box, along axes that are not periodic.
    """
    dt, middle = end - time, 0.5 * (time + end)
    a = velocity(points, end)
    b = velocity(points - 0.5 * dt * a, middle)
    c = velocity(points - 0.5 * dt * b, middle)
    d = velocity(points - dt * c, time)
    foot = points - dt / 6 * (a + 2 * b + 2 * c + d)
    columns = [
        column if axis.periodic else column.clamp(axis.lower, axis.upper)
        for column, axis in zip(foot.unbind(1), medium.problem.domain.axes, strict=True)
    ]
    return torch.stack(columns, 1)


class SemiLagrangian(Fitted):
    """u(t + dt, x) = u(t, X), X the foot of the characteristic through x: exact for a given velocity that is uniform.

    No step is too long; the network is evaluated where the foot is, so that nothing is smoothed by interpolation.
    """

    targets = True

    def __init__(
        self, module: nn.Module, fitting: Fitting, dynamics: Dynamics, velocity: Carrier, *, length: float
    ) -> None:
        super().__init__(module, fitting, dynamics.medium, length=length)
        self.dynamics, self.velocity = dynamics, velocity

    def advance(self, time: float, end: float) -> float:
        dynamics, medium, old = self.dynamics, self.dynamics.medium, frozen(self.module)

        def rows(points: Points) -> Rows:
            x = points.inside.x.to(**medium.kind)
            origin = x
            for a, b in reversed([*pairwise(torch.linspace(time, end, _PARTS + 1, dtype=torch.float64).tolist())]):
                origin = feet(origin, a, b, self.velocity, medium)
            target = medium.values(old, PointCloud(points.inside.axes, origin), time)
            return lambda: {"state": dynamics.rows(points, dynamics.values(points, self.module, end) - target)}

        return self.fitting.minimise("state", self.module, rows)
