"""A clamped square of rubber whose middle is thrown to one side: the elastic example of INSR in the plane.

    u_tt = div P,  the stress P of the energy a ((s_1 - 1)^2 + (s_2 - 1)^2) + b (s_1 s_2 - 1)^2 per density
    on 0 < x, y < 1, 0 < t <= 0.5, a = 1, b = 2;  u = 0 on all sides and at first
    u_t(0) = V (w, w / 2),  w = (sin pi x sin pi y)^4,  V = 1

s_1 and s_2 are the stretches. The body is thrown far enough to be stretched by a fifth; waves of volume cross it twice.
There is no closed form: the reference is the method of lines, and the energy, kinetic and elastic, is kept. The
paper's bodies fall on planes and spheres, its square is pulled at one side without inertia; its weights, 1000 for
volume, are those of one body on one set of points.
H. Chen, R. Wu, E. Grinspun, C. Zheng, P. Y. Chen, ICML 2023, arXiv 2210.00124.
"""

from __future__ import annotations

import math
from typing import Any

from pdesolve.condition import Dirichlet, InitialRate, InitialValue
from pdesolve.fields import Vector, sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.hyperelasticity import Hyperelasticity
from pdesolve.problem import Evaluation, Problem


def problem(
    *, shape_stiffness: float = 1.0, volume_stiffness: float = 2.0, throw: float = 1.0, final_time: float = 0.5
) -> Problem:
    """The problem for the stiffnesses a and b, the speed V of the throw and a final time."""
    time = Axis("t", 0.0, final_time)

    def thrown(p: Any, x: Any) -> Vector:
        wave = throw * (sin(math.pi * x["x"]) * sin(math.pi * x["y"])) ** 4
        return Vector({"x": wave, "y": 0.5 * wave})

    return Problem(
        name="elastic_square_2d",
        equation=Hyperelasticity(),
        domain=Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
        time=time,
        conditions=(
            InitialValue("displacement", 0.0),
            InitialRate("displacement", thrown),
            Dirichlet("displacement", "all", 0.0),
        ),
        values={"shape_stiffness": shape_stiffness, "volume_stiffness": volume_stiffness},
        evaluation=Evaluation.uniform(33, time, 10),
        conserved=("energy",),
        description=__doc__ or "",
        source="Chen, Wu, Grinspun, Zheng, Chen, ICML 2023, arXiv 2210.00124",
    )
