"""Vortices of two scales in one box: what a network's own adaptivity is tested on, after INSR.

    v_t = -(v . grad) v - grad p + nu lap v,  div v = 0     on -1 <= x, y < 1 periodic, 0 < t <= 1, nu = 0.002
    v(0) = (dS/dy, -dS/dx),  S = sum over j of sin(m_j pi x) sin(m_j pi y) W_j / (2 m_j pi^2)
    W_j = exp((cos pi (x - c_j) + cos pi (y - c_j) - 2) / (pi^2 d_j^2))
    m = 2, c = -0.5, d = 0.25 for the large ones;  m = 8, c = 0.875, d = 0.0625 for the small ones

Four swirls of the Taylor-Green kind in a square of side 1 around (-0.5, -0.5), and four in a square of side 1/4 around
(0.875, 0.875), each group in a window W; their speeds at first are alike, and between them the fluid is at rest.
The paper cuts the vortices off over a narrow gap, which leaves a divergence and kinks, between walls and without
viscosity, and has no reference; here the window is smooth and on the stream function, the box is periodic and the
fluid slightly viscous, so that a numerical reference resolves it. The pressure is judged up to its mean.
H. Chen, R. Wu, E. Grinspun, C. Zheng, P. Y. Chen, ICML 2023, arXiv 2210.00124.
"""

from __future__ import annotations

import math
from typing import Any

from pdesolve.condition import InitialValue
from pdesolve.fields import Vector, cos, exp, sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.navier_stokes import NavierStokes
from pdesolve.problem import Evaluation, Problem

_GROUPS = ((2.0, -0.5, 0.25), (8.0, 0.875, 0.0625))  # waves m, centre c and width d


def problem(*, viscosity: float = 2e-3, final_time: float = 1.0) -> Problem:
    """The problem for a viscosity nu and a final time."""
    time, pi = Axis("t", 0.0, final_time), math.pi

    def slope(a: Any, b: Any, waves: float, centre: float, width: float) -> Any:
        """dS/da of one group, the same formula for both axes since S is symmetric."""
        window = exp((cos(pi * (a - centre)) + cos(pi * (b - centre)) - 2.0) / (pi * width) ** 2)
        steep = waves * pi * cos(waves * pi * a) - sin(pi * (a - centre)) / (pi * width**2) * sin(waves * pi * a)
        return steep * sin(waves * pi * b) * window / (2.0 * waves * pi**2)

    def swirls(p: Any, x: Any) -> Vector:
        large, small = _GROUPS
        u = slope(x["y"], x["x"], *large) + slope(x["y"], x["x"], *small)
        v = slope(x["x"], x["y"], *large) + slope(x["x"], x["y"], *small)
        return Vector({"x": u, "y": -v})

    return Problem(
        name="vortices_2d",
        equation=NavierStokes(),
        domain=Box(Axis("x", -1.0, 1.0, periodic=True), Axis("y", -1.0, 1.0, periodic=True)),
        time=time,
        conditions=(InitialValue("velocity", swirls),),
        values={"viscosity": viscosity},
        evaluation=Evaluation.uniform(64, time, 10),
        up_to_constant=("pressure",),
        description=__doc__ or "",
        source="Chen, Wu, Grinspun, Zheng, Chen, ICML 2023, arXiv 2210.00124",
    )
