"""Ice melts from a warm wall: ProbConserv's Stefan problem.

    u_t = (k(u) u_x)_x,  k = 1 for u >= u*, 0 for u < u*        on 0 < x < 1, 0 < t <= 0.1
    u(0) = 0,  u(t, 0) = 1,  u(t, 1) = 0, u* uniform from 0.55 to 0.7
    exact: 1 - c erf(x / (2 sqrt t)) for x <= a sqrt t, else 0
    a = 2 z,  u* erf(z) z exp(z^2) = (1 - u*) / sqrt pi,  c = (1 - u*) / erf z

u jumps from u* to 0 at the front a sqrt t; the mass is 2 c sqrt(t / pi). At t = 0 the wall alone is warm. 201 points,
101 frames, from the formula.
D. Hansen, D. Maddix, S. Alizadeh, G. Gupta, M. Mahoney, ICML 2023, arXiv 2302.11002.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.equation import State, Values
from pdesolve.family import Draws, Family, Simulator
from pdesolve.fields import Coordinates, erf, maximum, sqrt, step
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.exact_simulator import ExactSimulator
from pdesolve.physics.equations.stefan import Stefan
from pdesolve.problem import Evaluation, Exact, Problem


@dataclass(frozen=True)
class StefanFronts(Family):
    """Fronts of different heights.

    Attributes:
        points: of the unit interval, its ends included.
        frames: times that are stored, the initial one included.
        smallest: value u* behind the front.
        largest: value u* behind the front.
    """

    points: int = 201
    frames: int = 101
    smallest: float = 0.55
    largest: float = 0.7

    tolerance = 1e-6

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, 0.1)
        problem = Problem(
            name="stefan",
            equation=Stefan(),
            domain=Interval("x", 0.0, 1.0),
            time=time,
            conditions=(
                InitialValue("u", lambda p, x: step(-x["x"])),  # the wall is warm from the beginning
                Dirichlet("u", "x_min", 1.0),
                Dirichlet("u", "x_max", 0.0),
            ),
            values={"front_value": torch.as_tensor(draws.uniform(self.smallest, self.largest))},
            exact=Exact(_melting, source="J. Stefan, Ann. Phys. 278 (1891) 269"),
            evaluation=Evaluation.uniform(self.points, time, self.frames - 1),
            description=__doc__ or "",
            source="Hansen et al., ICML 2023, arXiv 2302.11002",
            settings=asdict(self),
        )
        return (problem,)

    @property
    def simulator(self) -> Simulator:
        return ExactSimulator()


def front_coefficient(front_value: Tensor) -> Tensor:
    """z of a front at 2 z sqrt t, by bisection: u* erf(z) z exp(z^2) grows with z."""
    target = (1.0 - front_value) / (math.sqrt(math.pi) * front_value)
    lower, upper = torch.zeros_like(target), torch.full_like(target, 6.0)
    for _ in range(60):
        middle = 0.5 * (lower + upper)
        below = torch.erf(middle) * middle * torch.exp(middle**2) < target
        lower, upper = torch.where(below, middle, lower), torch.where(below, upper, middle)
    return 0.5 * (lower + upper)


def _melting(p: Values, x: Coordinates) -> State:
    z = front_coefficient(p["front_value"].values)
    height = (1.0 - p["front_value"].values) / torch.erf(z)
    s = 0.5 * x["x"] / sqrt(maximum(x["t"], 1e-300))
    return {"u": (1.0 - erf(s) * height) * step(z - s)}
