"""A vortex that winds a front up into a spiral: the flow mixing problem of the PIG paper.

    u_t = -a u_x - b u_y                   on -4 < x, y < 4, 0 < t <= 4, Dirichlet values of the exact solution
    a = -w y, b = w x,  w = sech(r)^2 tanh(r) / (0.385 r),  r^2 = x^2 + y^2
    exact: u = -tanh((y cos wt - x sin wt) / 2)

The vortex turns fastest in the middle, so that the front is wound up ever more tightly. Judged on the papers' 50 points
along each of the three axes; the number is even, which keeps the centre, where r = 0, out of the grid.
N. Kang, J. Oh, Y. Hong, E. Park, ICLR 2025, arXiv 2412.05994.
"""

from __future__ import annotations

from typing import Any

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.fields import cos, sech, sin, sqrt, tanh
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.transport import Transport
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, final_time: float = 4.0) -> Problem:
    """The problem for a final time: the centre turns by 2.6 times as much."""
    time = Axis("t", 0.0, final_time)

    def turning(x: Any) -> Any:
        # not r = 0, where the quotient is 1 in the limit only: someone's own grid may hold the centre
        r = sqrt(x["x"] ** 2 + x["y"] ** 2 + 1e-30)
        return sech(r) ** 2 * tanh(r) / (0.385 * r)

    def solution(p: Any, x: Any) -> Any:
        angle = turning(x) * x["t"]
        return -tanh(0.5 * (x["y"] * cos(angle) - x["x"] * sin(angle)))

    return Problem(
        name="flow_mixing",
        equation=Transport(),
        domain=Box(Axis("x", -4.0, 4.0), Axis("y", -4.0, 4.0)),
        time=time,
        conditions=(InitialValue("u", lambda p, x: -tanh(0.5 * x["y"])), Dirichlet("u", "all", solution)),
        values={
            "velocity_x": lambda p, x: -turning(x) * x["y"],
            "velocity_y": lambda p, x: turning(x) * x["x"],
        },
        exact=Exact(lambda p, x: {"u": solution(p, x)}, source="the angle along each circle"),
        evaluation=Evaluation.uniform(50, time, 49),
        description=__doc__ or "",
        source="Kang, Oh, Hong, Park, ICLR 2025, arXiv 2412.05994",
    )
