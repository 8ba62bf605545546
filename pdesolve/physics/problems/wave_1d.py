"""A string that swings in its first and fourth modes at once: PINNacle's Wave 1d-C.

    u_tt = c^2 u_xx                        on 0 < x < 1, 0 < t <= 1, c = 2
    u(0, x) = sin(pi x) + sin(4 pi x) / 2,  u_t(0, x) = 0,  u(t, 0) = u(t, 1) = 0
    exact: u = sin(pi x) cos(c pi t) + sin(4 pi x) cos(4 c pi t) / 2

The fast mode swings four times as fast and half as high: networks find the slow one first.
Z. Hao et al., 2023, arXiv 2306.08827.
"""

from __future__ import annotations

import math

from pdesolve.condition import Dirichlet, InitialRate, InitialValue
from pdesolve.fields import cos, sin
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.wave import Wave
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, speed: float = 2.0) -> Problem:
    """The problem for a wave speed c: the slow mode swings c/2 times, the fast one 2 c times."""
    time = Axis("t", 0.0, 1.0)
    pi = math.pi
    return Problem(
        name="wave_1d",
        equation=Wave(),
        domain=Interval("x", 0.0, 1.0),
        time=time,
        conditions=(
            InitialValue("u", lambda p, x: sin(pi * x["x"]) + 0.5 * sin(4 * pi * x["x"])),
            InitialRate("u", 0.0),
            Dirichlet("u", "all", 0.0),
        ),
        values={"speed": speed},
        exact=Exact(
            lambda p, x: {
                "u": sin(pi * x["x"]) * cos(pi * p["speed"] * x["t"])
                + 0.5 * sin(4 * pi * x["x"]) * cos(4 * pi * p["speed"] * x["t"])
            },
            source="separation of variables",
        ),
        evaluation=Evaluation.uniform(101, time, 100),
        conserved=("energy",),
        sister="wave_1d_sister",
        description=__doc__ or "",
        source="Hao et al., 2023, arXiv 2306.08827",
    )
