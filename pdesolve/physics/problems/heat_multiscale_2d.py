"""A wave that is short one way and long the other: PINNacle's Heat 2d-MS.

    u_t = D_x u_xx + D_y u_yy              on 0 < x, y < 1, 0 < t <= 5, D_x = 1 / (500 pi)^2, D_y = 1 / pi^2
    u(0) = sin(a pi x) sin(b pi y),  a = 20, b = 1,  Dirichlet values of the exact solution (zero)
    exact: u = exp(-pi^2 (D_x a^2 + D_y b^2) t) sin(a pi x) sin(b pi y)

Twenty half waves along x to one along y, and all of it falls to 0.7 percent. Wave numbers may be no integers (a = 19.3,
b = 0.7): the boundary values then do not vanish. Judged on 201 by 41 points at 51 times.
Z. Hao et al., 2023, arXiv 2306.08827 (its reference file is 1.3 percent from this formula).
"""

from __future__ import annotations

import math
from typing import Any

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.fields import exp, sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.anisotropic_heat import AnisotropicHeat
from pdesolve.problem import Evaluation, Exact, Problem


def problem(
    *,
    x_waves: float = 20.0,
    y_waves: float = 1.0,
    diffusivity_x: float = 1.0 / (500.0 * math.pi) ** 2,
    diffusivity_y: float = 1.0 / math.pi**2,
) -> Problem:
    """The problem for a = x_waves and b = y_waves half waves on a unit of length and diffusivities D_x and D_y."""
    a, b, pi = float(x_waves), float(y_waves), math.pi
    time = Axis("t", 0.0, 5.0)

    def solution(p: Any, x: Any) -> Any:
        fall = pi**2 * (a**2 * p["diffusivity_x"] + b**2 * p["diffusivity_y"])
        return exp(-fall * x["t"]) * sin(a * pi * x["x"]) * sin(b * pi * x["y"])

    # with integers u vanishes on the boundary; the number says so without showing anyone the exact solution
    vanishes = a.is_integer() and b.is_integer()
    return Problem(
        name="heat_multiscale_2d",
        equation=AnisotropicHeat(),
        domain=Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
        time=time,
        conditions=(
            InitialValue("u", lambda p, x: sin(a * pi * x["x"]) * sin(b * pi * x["y"])),
            Dirichlet("u", "all", 0.0 if vanishes else solution),
        ),
        values={"diffusivity_x": diffusivity_x, "diffusivity_y": diffusivity_y},
        exact=Exact(lambda p, x: {"u": solution(p, x)}, source="separation of variables"),
        evaluation=Evaluation.uniform({"x": 201, "y": 41}, time, 50),
        sister="heat_multiscale_2d_sister",
        description=__doc__ or "",
        source="Hao et al., 2023, arXiv 2306.08827",
    )
