"""Vortices that turn against one another and fade: the Taylor-Green problem of the plane.

    v_t = -(v . grad) v - grad p + nu lap v,  div v = 0     on 0 <= x, y < 2 pi periodic, 0 < t <= 2,  nu = 0.05
    v(0) = (cos kx sin ky, -sin kx cos ky),  k = 1
    exact: v = exp(-2 nu k^2 t) v(0),  p = -(cos 2kx + cos 2ky) exp(-4 nu k^2 t) / 4

The pressure balances the advection at every instant, so that the vortices fade where they are. The solution is a
product of sines, with waves that a periodic network holds from the start: see `shear_layers_2d` for one that is not.
The pressure is judged up to its mean.
G. I. Taylor, A. E. Green, Proc. Roy. Soc. A 158 (1937) 499.
"""

from __future__ import annotations

import math
from typing import Any

from pdesolve.condition import InitialValue
from pdesolve.fields import Vector, cos, exp, sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.navier_stokes import NavierStokes
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, viscosity: float = 0.05, waves: int = 1, final_time: float = 2.0) -> Problem:
    """The problem for a viscosity nu, the number k of vortex pairs along each axis, and a final time."""
    time = Axis("t", 0.0, final_time)

    def vortices(a: Any, b: Any) -> Vector:
        return Vector({"x": cos(a) * sin(b), "y": -sin(a) * cos(b)})

    def solution(p: Any, x: Any) -> Any:
        t, fading = x["t"], exp(-2.0 * waves**2 * p["viscosity"] * x["t"])
        # a constant force, zero unless one travels beside the problem, carries all of it along
        a, b = (waves * (x[axis] - 0.5 * t**2 * p[f"force_{axis}"]) for axis in ("x", "y"))
        wind = Vector({axis: x.expand(t * p[f"force_{axis}"]) for axis in ("x", "y")})
        height = -0.25 * (cos(2.0 * a) + cos(2.0 * b))
        return {"velocity": vortices(a, b) * fading + wind, "pressure": height * fading**2}

    return Problem(
        name="taylor_green_2d",
        equation=NavierStokes(),
        domain=Box(Axis("x", 0.0, 2 * math.pi, periodic=True), Axis("y", 0.0, 2 * math.pi, periodic=True)),
        time=time,
        conditions=(InitialValue("velocity", lambda p, x: vortices(waves * x["x"], waves * x["y"])),),
        values={"viscosity": viscosity},
        exact=Exact(solution, source="advection is a gradient, and the velocity an eigenfunction of the Laplacian"),
        evaluation=Evaluation.uniform(64, time, 10),
        up_to_constant=("pressure",),
        sister="shear_layers_2d",
        description=__doc__ or "",
        source="Taylor, Green, Proc. Roy. Soc. A 158 (1937) 499",
    )
