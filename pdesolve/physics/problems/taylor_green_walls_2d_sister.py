"""One round vortex between slippery walls: taylor_green_walls_2d without sines.

    v_t = -(v . grad) v - grad p,  div v = 0,  n . v = 0 on the walls     on -1 < x, y < 1, 0 < t <= 5
    exact: v = A (-y, x) exp(-r^2 / (2 d^2)),  p = -A^2 d^2 exp(-r^2 / d^2) / 2,  A = 4, d = 0.12, r^2 = x^2 + y^2

The pressure holds each particle on its circle, so that the flow is steady. At the walls its speed is below 1e-14. With
a viscosity nu > 0 the stream function spreads as heat does, d^2 + 2 nu t in the place of d^2, as far as the walls are
far. The pressure is judged up to its mean.
G. K. Batchelor, An Introduction to Fluid Dynamics (1967), chapter 4; made as a sister of taylor_green_walls_2d.
"""

from __future__ import annotations

from typing import Any

from pdesolve.condition import Impermeable, InitialValue
from pdesolve.fields import Vector, exp
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.navier_stokes import NavierStokes
from pdesolve.problem import Evaluation, Exact, Problem

_TURNS, _WIDTH = 4.0, 0.12  # A and d


def problem(*, viscosity: float = 0.0, final_time: float = 5.0) -> Problem:
    """The problem for a viscosity nu and a final time."""
    time = Axis("t", 0.0, final_time)

    def vortex(x: Any, spread: Any, speed: Any) -> Vector:
        turning = speed * exp(-0.5 * (x["x"] ** 2 + x["y"] ** 2) / spread)
        return Vector({"x": -x["y"] * turning, "y": x["x"] * turning})

    def solution(p: Any, x: Any) -> Any:
        spread = _WIDTH**2 + 2.0 * p["viscosity"] * x["t"]
        thinned = _WIDTH**2 / spread
        depth = -0.5 * (_TURNS * thinned**2) ** 2 * spread * exp(-(x["x"] ** 2 + x["y"] ** 2) / spread)
        # a constant force, zero unless one travels beside the problem, leans on the walls
        lean = p["force_x"] * x["x"] + p["force_y"] * x["y"]
        return {"velocity": vortex(x, spread, _TURNS * thinned**2), "pressure": depth + lean}

    return Problem(
        name="taylor_green_walls_2d_sister",
        equation=NavierStokes(),
        domain=Box(Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0)),
        time=time,
        conditions=(
            InitialValue("velocity", lambda p, x: vortex(x, _WIDTH**2, _TURNS)), Impermeable("velocity", "all"),
        ),
        values={"viscosity": viscosity},
        exact=Exact(solution, source="circles, each with its own speed"),
        evaluation=Evaluation.uniform(64, time, 10),
        up_to_constant=("pressure",),
        description=__doc__ or "",
        source="made as a sister of taylor_green_walls_2d",
    )  # fmt: skip
