"""A cosine that breaks up into solitons: the Korteweg-de Vries problem of the PINN paper.

    u_t = -a u u_x - b u_xxx               on -1 <= x < 1 periodic, 0 < t <= 1, a = 1, b = 0.0025
    u(0, x) = cos(pi x)

Judged on the 512 points and 201 times of the file `KdV.mat`.
M. Raissi, P. Perdikaris, G. E. Karniadakis, J. Comput. Phys. 378 (2019) 686. (JAX-PI takes b = 0.022^2.)
"""

from __future__ import annotations

import math

from pdesolve.condition import InitialValue
from pdesolve.fields import cos
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.korteweg_de_vries import KortewegDeVries
from pdesolve.problem import Evaluation, Problem


def problem(*, advection: float = 1.0, dispersion: float = 0.0025) -> Problem:
    """The problem for coefficients a of u u_x and b of u_xxx: solitons are about sqrt(b) wide."""
    time = Axis("t", 0.0, 1.0)
    return Problem(
        name="kdv",
        equation=KortewegDeVries(),
        domain=Interval("x", -1.0, 1.0, periodic=True),
        time=time,
        conditions=(InitialValue("u", lambda p, x: cos(math.pi * x["x"])),),
        values={"advection": advection, "dispersion": dispersion},
        evaluation=Evaluation.uniform(512, time, 200),
        description=__doc__ or "",
        source="Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378 (2019) 686",
    )
