"""Two shear layers that roll up: the sister of `taylor_green_2d` whose solution is no product of sines.

    v_t = -(v . grad) v - grad p + nu lap v,  div v = 0     on 0 <= x, y < 2 pi periodic, 0 < t <= 2,  nu = 0.05
    v(0) = (tanh(cos(y) / d), e sin x),  d = 0.5,  e = 0.3

Two streams against one another, with layers of thickness d between them that the sideways velocity e bends and then
winds up. d = 0.1 and viscosities below 0.005 make it the classical test of Bell, Colella and Glaz, with thin braids
between the vortices. The pressure is judged up to its mean.
J. B. Bell, P. Colella, H. M. Glaz, J. Comput. Phys. 85 (1989) 257.
"""

from __future__ import annotations

import math

from pdesolve.condition import InitialValue
from pdesolve.fields import Vector, cos, sin, tanh
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.navier_stokes import NavierStokes
from pdesolve.problem import Evaluation, Problem


def problem(*, viscosity: float = 0.05, thickness: float = 0.5, sway: float = 0.3, final_time: float = 2.0) -> Problem:
    """The problem for a viscosity nu, the layers' thickness d, the sideways velocity e and a final time."""
    time = Axis("t", 0.0, final_time)
    return Problem(
        name="shear_layers_2d",
        equation=NavierStokes(),
        domain=Box(Axis("x", 0.0, 2 * math.pi, periodic=True), Axis("y", 0.0, 2 * math.pi, periodic=True)),
        time=time,
        conditions=(
            InitialValue(
                "velocity",
                lambda p, x: Vector({"x": x.expand(tanh(cos(x["y"]) / thickness)), "y": x.expand(sway * sin(x["x"]))}),
            ),
        ),
        values={"viscosity": viscosity},
        evaluation=Evaluation.uniform(64, time, 10),
        up_to_constant=("pressure",),
        description=__doc__ or "",
        source="Bell, Colella, Glaz, J. Comput. Phys. 85 (1989) 257",
    )
