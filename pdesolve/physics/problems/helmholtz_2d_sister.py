"""A wave field whose waves shorten towards the walls: helmholtz_2d with a chirp.

    u_xx + u_yy + k^2 u = q                on -1 < x, y < 1, k = 1,  u = 0 on the boundary
    exact: u = (1 - x^2) exp(x) sin(s),    s = pi (3 y + y^3)
    q = (k^2 (1 - x^2) - 1 - 4 x - x^2) exp(x) sin(s) + (1 - x^2) exp(x) (s'' cos(s) - s'^2 sin(s))

The sister of helmholtz_2d, whose solution is a product of sines: as many waves, four, but from 2/3 down to 1/3 long.
Judged on 250 by 250 points.
"""

from __future__ import annotations

import math
from typing import Any

from pdesolve.condition import Dirichlet
from pdesolve.fields import cos, exp, sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.helmholtz import Helmholtz
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, wavenumber: float = 1.0) -> Problem:
    """The problem for the equation's wavenumber k."""
    pi = math.pi

    def angle(x: Any) -> Any:
        return pi * (3.0 * x["y"] + x["y"] ** 3)

    def source(p: Any, x: Any) -> Any:
        a, s = x["x"], angle(x)
        first, second = 3.0 * pi * (1.0 + x["y"] ** 2), 6.0 * pi * x["y"]
        hump = 1.0 - a**2
        along = (p["wavenumber"] ** 2 * hump - 1.0 - 4.0 * a - a**2) * sin(s)
        return exp(a) * (along + hump * (second * cos(s) - first**2 * sin(s)))

    return Problem(
        name="helmholtz_2d_sister",
        equation=Helmholtz(),
        domain=Box(Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0)),
        conditions=(Dirichlet("u", "all", 0.0),),
        values={"wavenumber": wavenumber, "source": source},
        exact=Exact(
            lambda p, x: {"u": (1.0 - x["x"] ** 2) * exp(x["x"]) * sin(angle(x))}, source="made for the equation"
        ),
        evaluation=Evaluation(250),
        description=__doc__ or "",
        source="made as a sister of helmholtz_2d",
    )
