"""A train of lopsided waves that is short one way and long the other: heat_multiscale_2d with overtones.

    u_t = D_x u_xx + D_y u_yy              on 0 < x, y < 1, 0 < t <= 5, D_x = 1 / (500 pi)^2, D_y = 1 / pi^2
    u(0) = X(20 pi x) Y(pi y),  X(s) = sin(s) exp(cos(s) / 2),  Y(s) = sin(s) exp(cos(s)),  zero Dirichlet values
    exact: wave by wave of both factors, sin(s) exp(k cos(s)) = sum over n >= 1 of 2 n I_n(k) / k sin(n s)

The sister of heat_multiscale_2d, whose solution is a product of sines. Waves of 20, 40 and 60 half waves along x matter
here, and they fall at rates of their own. Judged on 201 by 41 points at 51 times.
"""

from __future__ import annotations

import math
from typing import Any

from scipy.special import iv

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.fields import cos, exp, sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.anisotropic_heat import AnisotropicHeat
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, diffusivity_x: float = 1.0 / (500.0 * math.pi) ** 2, diffusivity_y: float = 1.0 / math.pi**2) -> Problem:
    """The problem for diffusivities D_x and D_y."""
    time, pi = Axis("t", 0.0, 5.0), math.pi

    def decayed(angle: Any, sharpness: float, fall: Any) -> Any:
        """sin(s) exp(k cos(s)) with each wave n lower by exp(-n^2 fall)."""
        total: Any = 0.0
        for n in range(1, 25):
            weight = 2.0 * n * float(iv(n, sharpness)) / sharpness
            total = total + weight * exp(-(n**2) * fall) * sin(n * angle)
        return total

    def solution(p: Any, x: Any) -> Any:
        across = decayed(20.0 * pi * x["x"], 0.5, (20.0 * pi) ** 2 * p["diffusivity_x"] * x["t"])
        return across * decayed(pi * x["y"], 1.0, pi**2 * p["diffusivity_y"] * x["t"])

    def start(p: Any, x: Any) -> Any:
        s, r = 20.0 * pi * x["x"], pi * x["y"]
        return sin(s) * exp(0.5 * cos(s)) * sin(r) * exp(cos(r))

    return Problem(
        name="heat_multiscale_2d_sister",
        equation=AnisotropicHeat(),
        domain=Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
        time=time,
        conditions=(InitialValue("u", start), Dirichlet("u", "all", 0.0)),
        values={"diffusivity_x": diffusivity_x, "diffusivity_y": diffusivity_y},
        exact=Exact(lambda p, x: {"u": solution(p, x)}, source="sine series"),
        evaluation=Evaluation.uniform({"x": 201, "y": 41}, time, 50),
        description=__doc__ or "",
        source="made as a sister of heat_multiscale_2d",
    )
