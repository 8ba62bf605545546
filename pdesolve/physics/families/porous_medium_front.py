"""A front runs into a porous medium: ProbConserv's porous medium equation.

    u_t = (u^m u_x)_x                      on 0 < x < 1, 0 < t <= 1
    u(0) = 0,  u(t, 0) = (m t)^(1/m),  u(t, 1) = 0, m uniform from 1 to 6
    exact: (m max(t - x, 0))^(1/m)

The front runs at the speed 1, its slope is infinite for m > 1, and the mass is m^(1 + 1/m) / (m + 1) t^(1 + 1/m). 201
points, 101 frames, from the formula.
D. Hansen, D. Maddix, S. Alizadeh, G. Gupta, M. Mahoney, ICML 2023, arXiv 2302.11002.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.equation import Values
from pdesolve.family import Draws, Family, Simulator
from pdesolve.fields import Coordinates, Field, exp, log, maximum, step
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.exact_simulator import ExactSimulator
from pdesolve.physics.equations.porous_medium import PorousMedium
from pdesolve.problem import Evaluation, Exact, Problem


@dataclass(frozen=True)
class PorousMediumFronts(Family):
    """Fronts of different degrees, from a wall whose density rises.

    Attributes:
        points: of the unit interval, its ends included.
        frames: times that are stored, the initial one included.
        smallest: degree m.
        largest: degree m.
    """

    points: int = 201
    frames: int = 101
    smallest: float = 1.0
    largest: float = 6.0

    tolerance = 1e-6

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, 1.0)
        problem = Problem(
            name="porous_medium_front",
            equation=PorousMedium(),
            domain=Interval("x", 0.0, 1.0),
            time=time,
            conditions=(InitialValue("u", 0.0), Dirichlet("u", "x_min", _front), Dirichlet("u", "x_max", 0.0)),
            values={"degree": torch.as_tensor(draws.uniform(self.smallest, self.largest))},
            exact=Exact(lambda p, x: {"u": _front(p, x)}, source="a wave of one shape"),
            evaluation=Evaluation.uniform(self.points, time, self.frames - 1),
            description=__doc__ or "",
            source="Hansen et al., ICML 2023, arXiv 2302.11002",
            settings=asdict(self),
        )
        return (problem,)

    @property
    def simulator(self) -> Simulator:
        return ExactSimulator()


def _front(p: Values, x: Coordinates) -> Field:
    m, behind = p["degree"], x["t"] - x["x"]
    root = exp(log(m * maximum(behind, 1e-300)) / m)
    return root * (1.0 - step(-behind))
