"""A pulse that focuses and spreads again: the Schroedinger problem of the PINN paper.

    i h_t = -c h_xx - g |h|^2 h            on -5 <= x < 5 periodic, 0 < t <= pi/2, c = 1/2, g = 1
    h(0, x) = 2 sech x

On the whole line this is the soliton of order two, |h| = 4 at x = 0 and t = pi/4. The period cuts it off where it is
0.027, with a kink that limits a grid to about 2e-5. Judged on the 256 points and 201 times of the file `NLS.mat`.
M. Raissi, P. Perdikaris, G. E. Karniadakis, J. Comput. Phys. 378 (2019) 686.
"""

from __future__ import annotations

import math

from pdesolve.condition import InitialValue
from pdesolve.fields import Vector, sech
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.schroedinger import Schroedinger
from pdesolve.problem import Evaluation, Problem


def problem(*, dispersion: float = 0.5, focusing: float = 1.0) -> Problem:
    """The problem for a dispersion c and a focusing g."""
    time = Axis("t", 0.0, math.pi / 2)
    return Problem(
        name="schroedinger",
        equation=Schroedinger(),
        domain=Interval("x", -5.0, 5.0, periodic=True),
        time=time,
        conditions=(InitialValue("h", lambda p, x: Vector({"real": 2.0 * sech(x["x"]), "imag": 0.0 * x["x"]})),),
        values={"dispersion": dispersion, "focusing": focusing},
        evaluation=Evaluation.uniform(256, time, 200),
        description=__doc__ or "",
        source="Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378 (2019) 686",
    )
