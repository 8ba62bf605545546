"""A tall soliton that overtakes a low one: the Korteweg-de Vries problem of PDE-FIND.

    u_t = -6 u u_x - u_xxx                 on -30 <= x < 30 periodic, 0 < t <= 20
    u(0, x) = sech^2((x + 20) / 2) / 2 + sech^2((x - 5) / sqrt(8)) / 4

Solitons of speeds 1 and 1/2, which are about to meet at the end. Judged on the 512 points and 201 times of PySINDy's
`kdv.mat`, whose initial state this is to rounding; its jump of 1e-4 at the ends of the period limits any grid to 3e-5.
S. H. Rudy, S. L. Brunton, J. L. Proctor, J. N. Kutz, Sci. Adv. 3 (2017) e1602614, arXiv 1609.06401.
"""

from __future__ import annotations

import math

from pdesolve.condition import InitialValue
from pdesolve.fields import sech
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.korteweg_de_vries import KortewegDeVries
from pdesolve.problem import Evaluation, Problem


def problem(*, advection: float = 6.0, dispersion: float = 1.0) -> Problem:
    """The problem for coefficients a of u u_x and b of u_xxx; with others than 6 and 1 the bumps are no solitons."""
    time = Axis("t", 0.0, 20.0)
    return Problem(
        name="kdv_two_solitons",
        equation=KortewegDeVries(),
        domain=Interval("x", -30.0, 30.0, periodic=True),
        time=time,
        conditions=(
            InitialValue(
                "u",
                lambda p, x: 0.5 * sech((x["x"] + 20.0) / 2.0) ** 2 + 0.25 * sech((x["x"] - 5.0) / math.sqrt(8.0)) ** 2,
            ),
        ),
        values={"advection": advection, "dispersion": dispersion},
        evaluation=Evaluation.uniform(512, time, 200),
        description=__doc__ or "",
        source="Rudy, Brunton, Proctor, Kutz, Sci. Adv. 3 (2017) e1602614, arXiv 1609.06401",
    )
