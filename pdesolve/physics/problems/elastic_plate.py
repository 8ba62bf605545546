"""A plate with a round hole under tension: stress concentrates at the hole.

    div sigma = 0                          on (-2, 2)^2 without the disk r <= 1/2, in plane strain, lambda = mu = 1
    u = the displacement of Kirsch         on the sides and on the rim of the hole

Kirsch's solution is that of an infinite plate under the tension T along x, with a hole of radius a that nothing pulls
at; with c = T / (8 mu), k = (lambda + 3 mu) / (lambda + mu), s = a^2 / r^2 and the angle q,

    u_x = c ((k + 1) r cos q + 2 a^2 / r ((1 + k) cos q + (1 - s) cos 3q))
    u_y = c ((k - 3) r sin q + 2 a^2 / r ((1 - k) sin q + (1 - s) sin 3q))

and its greatest stress is 3 T, at the top of the hole. Displacements are given all around: no part is pulled at.
E. G. Kirsch, Z. Ver. Dtsch. Ing. 42 (1898) 797.
"""

from __future__ import annotations

from typing import Any

from pdesolve.condition import Dirichlet
from pdesolve.fields import Vector, sqrt
from pdesolve.geometry import Axis, Box, Disk
from pdesolve.physics.equations.linear_elasticity import LinearElasticity
from pdesolve.problem import Evaluation, Exact, Problem

_RADIUS = 0.5


def problem(*, tension: float = 1.0) -> Problem:
    """The problem for a tension T in units of the shear modulus, with which displacements grow in proportion."""

    def kirsch(p: Any, x: Any) -> Vector:
        r = sqrt(x["x"] ** 2 + x["y"] ** 2)
        cosine, sine = x["x"] / r, x["y"] / r
        k = (p["first_lame"] + 3.0 * p["shear_modulus"]) / (p["first_lame"] + p["shear_modulus"])
        scale = tension / (8.0 * p["shear_modulus"])
        far, near, rim = r * scale, 2.0 * _RADIUS**2 / r * scale, 1.0 - _RADIUS**2 / r**2
        return Vector(
            {
                "x": far * cosine * (k + 1.0) + near * (cosine * (1.0 + k) + rim * (4.0 * cosine**3 - 3.0 * cosine)),
                "y": far * sine * (k - 3.0) + near * (sine * (1.0 - k) + rim * (3.0 * sine - 4.0 * sine**3)),
            }
        )

    return Problem(
        name="elastic_plate",
        equation=LinearElasticity(),
        domain=Box(Axis("x", -2.0, 2.0), Axis("y", -2.0, 2.0)) - Disk(radius=_RADIUS),
        conditions=(Dirichlet("displacement", "all", kirsch),),
        values={"first_lame": 1.0, "shear_modulus": 1.0},
        exact=Exact(lambda p, x: {"displacement": kirsch(p, x)}, source="Kirsch (1898)"),
        evaluation=Evaluation(101),
        description=__doc__ or "",
        source="Kirsch, Z. Ver. Dtsch. Ing. 42 (1898) 797",
    )
