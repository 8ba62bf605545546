"""Strings of several wave speeds between fixed ends.

    u_tt = c^2 u_xx                   on 0 <= x <= 1, 0 < t <= 2,   c uniform in 0.5..2,   u(t, 0) = u(t, 1) = 0
    u(0) = sum of four a_i sin(n_i pi x),  n_i uniform in 1..8,  a_i standard normal,  u_t(0) = 0
    exact: u = sum of a_i sin(n_i pi x) cos(n_i pi c t)

129 points, the ends included, 101 frames.
J. d'Alembert, Hist. Acad. Berlin 3 (1747) 214.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch

from pdesolve.condition import Dirichlet, InitialRate, InitialValue
from pdesolve.equation import Values
from pdesolve.family import Draws, Family
from pdesolve.fields import Coordinates, Field, cos, sin
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.exact_simulator import ExactSimulator
from pdesolve.physics.equations.wave import Wave
from pdesolve.problem import Evaluation, Exact, Problem


@dataclass(frozen=True)
class Strings(Family):
    """Strings of several wave speeds between fixed ends, from sums of sines: exact.

    Attributes:
        points: stored points, the ends included.
        frames: intervals between stored times from 0 to 2.
        slowest: the least wave speed.
        fastest: the largest wave speed.
        terms: sines in each sum.
        highest: the largest n_i.
    """

    points: int = 129
    frames: int = 100
    slowest: float = 0.5
    fastest: float = 2.0
    terms: int = 4
    highest: int = 8
    tolerance = 1e-9

    def problems(self, draws: Draws) -> Sequence[Problem]:
        speed = torch.as_tensor(draws.uniform(self.slowest, self.fastest))
        numbers = torch.as_tensor(math.pi * draws.integers(1, self.highest + 1, self.terms))
        heights = torch.as_tensor(draws.normal(self.terms))

        def string(p: Values, x: Coordinates) -> Field:
            waves = [
                a * sin(n * x["x"]) * cos(n * p["speed"] * x["t"]) for n, a in zip(numbers.T, heights.T, strict=True)
            ]
            return reduce(operator.add, waves)

        time = Axis("t", 0.0, 2.0)
        problem = Problem(
            name="wave",
            equation=Wave(),
            domain=Interval("x", 0.0, 1.0),
            time=time,
            conditions=(InitialValue("u", string), InitialRate("u", 0.0), Dirichlet("u", "all", 0.0)),
            values={"speed": speed},
            exact=Exact(lambda p, x: {"u": string(p, x)}, source="separation of variables"),
            evaluation=Evaluation.uniform(self.points, time, self.frames),
            conserved=("energy",),
            description=__doc__ or "",
            source="d'Alembert, Hist. Acad. Berlin 3 (1747) 214",
        )
        return (problem,)

    @property
    def simulator(self) -> ExactSimulator:
        return ExactSimulator()
