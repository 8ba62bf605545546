"""A lopsided pluck that runs to and fro on a string: wave_1d with every mode at once.

    u_tt = c^2 u_xx                        on 0 < x < 1, 0 < t <= 1, c = 2
    u(0, x) = F(x) = sin(pi x) exp(2 cos(pi x)) / 2,  u_t(0, x) = 0,  u(t, 0) = u(t, 1) = 0
    exact: u = (F(x - c t) + F(x + c t)) / 2

The sister of wave_1d, whose solution is a sum of two products of sines. F is odd and of period 2, so that d'Alembert's
formula holds between the walls; half of the pluck is in the modes from the third on.
"""

from __future__ import annotations

import math
from typing import Any

from pdesolve.condition import Dirichlet, InitialRate, InitialValue
from pdesolve.fields import cos, exp, sin
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.wave import Wave
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, speed: float = 2.0) -> Problem:
    """The problem for a wave speed c: the pluck runs c times through the string."""
    time = Axis("t", 0.0, 1.0)

    def pluck(place: Any) -> Any:
        return 0.5 * sin(math.pi * place) * exp(2.0 * cos(math.pi * place))

    def solution(p: Any, x: Any) -> Any:
        way = p["speed"] * x["t"]
        return 0.5 * (pluck(x["x"] - way) + pluck(x["x"] + way))

    return Problem(
        name="wave_1d_sister",
        equation=Wave(),
        domain=Interval("x", 0.0, 1.0),
        time=time,
        conditions=(
            InitialValue("u", lambda p, x: pluck(x["x"])),
            InitialRate("u", 0.0),
            Dirichlet("u", "all", 0.0),
        ),
        values={"speed": speed},
        exact=Exact(lambda p, x: {"u": solution(p, x)}, source="d'Alembert's formula"),
        evaluation=Evaluation.uniform(101, time, 100),
        conserved=("energy",),
        description=__doc__ or "",
        source="made as a sister of wave_1d",
    )
