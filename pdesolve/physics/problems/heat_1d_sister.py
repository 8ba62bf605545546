"""A lopsided heap that decays between cold walls: heat_1d with every wave at once.

    u_t = D u_xx                           on 0 < x < 1, 0 < t <= 1, D = 1/4
    u(0, x) = sin(pi x) exp(2 cos(pi x)) / 2,  u(t, 0) = u(t, 1) = 0
    exact: u = 1/2 sum over n >= 1 of n I_n(2) exp(-(n pi)^2 D t) sin(n pi x),  I_n the modified Bessel functions

The sister of heat_1d, whose solution is a product of a sine: what helps there but not here has been given the answer.
The series is the derivative of exp(2 cos s) = I_0(2) + 2 sum I_n(2) cos(n s), which 24 terms give to rounding.
"""

from __future__ import annotations

import math
from typing import Any

from scipy.special import iv

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.fields import cos, exp, sin
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.heat import Heat
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, diffusivity: float = 0.25) -> Problem:
    """The problem for a diffusivity D: a heap near x = 0.22 that spreads and falls."""
    time, pi = Axis("t", 0.0, 1.0), math.pi

    def series(p: Any, x: Any) -> Any:
        total: Any = 0.0
        for n in range(1, 25):
            weight = 0.5 * n * float(iv(n, 2.0))
            total = total + weight * exp(-((n * pi) ** 2) * p["diffusivity"] * x["t"]) * sin(n * pi * x["x"])
        return total

    return Problem(
        name="heat_1d_sister",
        equation=Heat(),
        domain=Interval("x", 0.0, 1.0),
        time=time,
        conditions=(
            InitialValue("u", lambda p, x: 0.5 * sin(pi * x["x"]) * exp(2.0 * cos(pi * x["x"]))),
            Dirichlet("u", "all", 0.0),
        ),
        values={"diffusivity": diffusivity},
        exact=Exact(lambda p, x: {"u": series(p, x)}, source="sine series"),
        evaluation=Evaluation.uniform(101, time, 100),
        description=__doc__ or "",
        source="made as a sister of heat_1d",
    )
