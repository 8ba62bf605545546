"""A saddle that rocks on a square: the Klein-Gordon problem of the PIG paper, with its initial rate.

    u_tt = u_xx + u_yy - b u^2 + f         on -1 < x, y < 1, 0 < t <= 10, b = 1
    u(0) = x + y,  u_t(0) = 2 x y,         Dirichlet values of the exact solution
    exact: u = (x + y) cos 2t + x y sin 2t,  f = b u^2 - 4 u

The papers leave the initial rate out, and many solutions are then possible; with it there is one. Where other
coefficients of the equation are given, the source follows and the solution stays. Judged on the papers' 50 points along
each of the three axes.
N. Kang, J. Oh, Y. Hong, E. Park, ICLR 2025, arXiv 2412.05994.
"""

from __future__ import annotations

from typing import Any

from pdesolve.condition import Dirichlet, InitialRate, InitialValue
from pdesolve.fields import cos, sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.klein_gordon import KleinGordon
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, quadratic: float = 1.0, final_time: float = 10.0) -> Problem:
    """The problem for a coefficient b of u^2 (0: linear) and a final time."""
    time = Axis("t", 0.0, final_time)

    def solution(p: Any, x: Any) -> Any:
        return (x["x"] + x["y"]) * cos(2 * x["t"]) + x["x"] * x["y"] * sin(2 * x["t"])

    def source(p: Any, x: Any) -> Any:
        u = solution(p, x)
        # the Laplacian of the solution vanishes and u_tt = -4 u, so that only the force remains
        return p["linear"] * u + p["quadratic"] * u**2 + p["cubic"] * u**3 - 4.0 * u

    return Problem(
        name="klein_gordon_2d",
        equation=KleinGordon(),
        domain=Box(Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0)),
        time=time,
        conditions=(
            InitialValue("u", lambda p, x: x["x"] + x["y"]),
            InitialRate("u", lambda p, x: 2 * x["x"] * x["y"]),
            Dirichlet("u", "all", solution),
        ),
        values={"quadratic": quadratic, "source": source},
        exact=Exact(lambda p, x: {"u": solution(p, x)}, source="made for the equation"),
        evaluation=Evaluation.uniform(50, time, 49),
        description=__doc__ or "",
        source="Kang, Oh, Hong, Park, ICLR 2025, arXiv 2412.05994",
    )
