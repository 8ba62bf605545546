"""A bump that a solid rotation carries once around: what no grid does without smoothing it.

    u_t = w (y u_x - x u_y)                on -1 < x, y < 1, 0 < t <= 1, w = 2 pi
    u(0) = exp(-((x - 0.4)^2 + y^2) / (2 d^2)),  d = 0.1,  the exact values on the walls, 2e-8 and less
    exact: the same bump around (0.4 cos wt, 0.4 sin wt)

After one turn the bump is back where it was. The plane problem beside `advection_1d`: paths are circles, so that
characteristics must be traced.
H. Chen, R. Wu, E. Grinspun, C. Zheng, P. Y. Chen, ICML 2023, arXiv 2210.00124, for the kind of problem.
"""

from __future__ import annotations

import math
from typing import Any

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.fields import cos, exp, sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.transport import Transport
from pdesolve.problem import Evaluation, Exact, Problem

_RADIUS = 0.4


def problem(*, turns: float = 1.0, width: float = 0.1) -> Problem:
    """The problem for a number of turns until the final time 1, and the bump's standard deviation d."""
    time, rate = Axis("t", 0.0, 1.0), 2.0 * math.pi * turns

    def bump(x: Any, y: Any) -> Any:
        return exp(-0.5 * (x**2 + y**2) / width**2)

    def solution(p: Any, x: Any) -> Any:
        angle = rate * x["t"]
        return bump(x["x"] - _RADIUS * cos(angle), x["y"] - _RADIUS * sin(angle))

    return Problem(
        name="advection_2d",
        equation=Transport(),
        domain=Box(Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0)),
        time=time,
        conditions=(InitialValue("u", lambda p, x: bump(x["x"] - _RADIUS, x["y"])), Dirichlet("u", "all", solution)),
        values={"velocity_x": lambda p, x: -rate * x["y"], "velocity_y": lambda p, x: rate * x["x"]},
        exact=Exact(lambda p, x: {"u": solution(p, x)}, source="along the characteristics"),
        evaluation=Evaluation.uniform(81, time, 20),
        description=__doc__ or "",
        source="Chen, Wu, Grinspun, Zheng, Chen, ICML 2023, arXiv 2210.00124",
    )
