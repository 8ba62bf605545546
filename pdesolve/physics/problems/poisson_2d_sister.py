"""A membrane under a lopsided load on the unit square: poisson_2d with a polynomial times an exponential.

    -(u_xx + u_yy) = f                     on 0 < x, y < 1,  u = 0 on the boundary
    exact: u = 16 w exp(2 x y),  w = x (1 - x) y (1 - y)
    f = -16 (w_xx + w_yy + 4 (y w_x + x w_y) + 4 (x^2 + y^2) w) exp(2 x y)

The sister of poisson_2d, whose solution is a product of sines.
"""

from __future__ import annotations

from typing import Any

from pdesolve.condition import Dirichlet
from pdesolve.fields import exp
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.problem import Evaluation, Exact, Problem


def problem() -> Problem:
    """The problem; it has no settings."""

    def solution(p: Any, x: Any) -> Any:
        a, b = x["x"], x["y"]
        return 16.0 * a * (1.0 - a) * b * (1.0 - b) * exp(2.0 * a * b)

    def load(p: Any, x: Any) -> Any:
        a, b = x["x"], x["y"]
        f, g = a * (1.0 - a), b * (1.0 - b)
        bent = -2.0 * (f + g) + 4.0 * (b * (1.0 - 2.0 * a) * g + a * (1.0 - 2.0 * b) * f)
        return -16.0 * (bent + 4.0 * (a**2 + b**2) * f * g) * exp(2.0 * a * b)

    return Problem(
        name="poisson_2d_sister",
        equation=Poisson(),
        domain=Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
        conditions=(Dirichlet("u", "all", 0.0),),
        values={"source": load},
        exact=Exact(lambda p, x: {"u": solution(p, x)}, source="made for the equation"),
        evaluation=Evaluation(101),
        description=__doc__ or "",
        source="made as a sister of poisson_2d",
    )
