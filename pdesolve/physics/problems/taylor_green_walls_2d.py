"""Vortices between slippery walls that turn for ever: the inviscid Taylor-Green example of INSR.

    v_t = -(v . grad) v - grad p,  div v = 0,  n . v = 0 on the walls     on -1 < x, y < 1, 0 < t <= 5
    exact: v = (sin X cos Y, -cos X sin Y) / pi,  p = (cos 2X + cos 2Y) / (4 pi^2),  X = (x + 1) pi, Y = (y + 1) pi

The pressure balances the advection everywhere, so that the flow is steady: what changes is a scheme's error, and the
kinetic energy, which is kept, says how much it dissipates. A viscosity nu > 0 makes it fade as exp(-2 pi^2 nu t). The
pressure is judged up to its mean. The solution is a product of sines: see `taylor_green_walls_2d_sister` too.
H. Chen, R. Wu, E. Grinspun, C. Zheng, P. Y. Chen, ICML 2023, arXiv 2210.00124; G. I. Taylor, A. E. Green, Proc. Roy.
Soc. A 158 (1937) 499.
"""

from __future__ import annotations

import math
from typing import Any

from pdesolve.condition import Impermeable, InitialValue
from pdesolve.fields import Vector, cos, exp, sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.navier_stokes import NavierStokes
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, viscosity: float = 0.0, final_time: float = 5.0) -> Problem:
    """The problem for a viscosity nu and a final time."""
    time = Axis("t", 0.0, final_time)

    def vortices(x: Any) -> Vector:
        a, b = math.pi * (x["x"] + 1.0), math.pi * (x["y"] + 1.0)
        return Vector({"x": sin(a) * cos(b) / math.pi, "y": -cos(a) * sin(b) / math.pi})

    def solution(p: Any, x: Any) -> Any:
        fading = exp(-2.0 * math.pi**2 * p["viscosity"] * x["t"])
        a, b = math.pi * (x["x"] + 1.0), math.pi * (x["y"] + 1.0)
        height = (cos(2.0 * a) + cos(2.0 * b)) / (4.0 * math.pi**2)
        # a constant force, zero unless one travels beside the problem, leans on the walls
        lean = p["force_x"] * x["x"] + p["force_y"] * x["y"]
        return {"velocity": vortices(x) * fading, "pressure": height * fading**2 + lean}

    return Problem(
        name="taylor_green_walls_2d",
        equation=NavierStokes(),
        domain=Box(Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0)),
        time=time,
        conditions=(InitialValue("velocity", lambda p, x: vortices(x)), Impermeable("velocity", "all")),
        values={"viscosity": viscosity},
        exact=Exact(solution, source="advection is a gradient, and the velocity an eigenfunction of the Laplacian"),
        evaluation=Evaluation.uniform(64, time, 10),
        up_to_constant=("pressure",),
        sister="taylor_green_walls_2d_sister",
        description=__doc__ or "",
        source="Chen, Wu, Grinspun, Zheng, Chen, ICML 2023, arXiv 2210.00124",
    )
