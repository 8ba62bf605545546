"""Phases that part and sharpen: the Allen-Cahn problem of the PINN paper.

    u_t = D u_xx + k (u - u^3)             on -1 <= x < 1 periodic, 0 < t <= 1, D = 1e-4, k = 5
    u(0, x) = x^2 cos(pi x)

The initial state continues periodically with a kink at x = 1 (slope -2 on the left, 2 on the right), which limits the
accuracy of a grid: 3e-6 on the 512 points of the reference file. Judged on the 512 points and 201 times of `AC.mat`.
M. Raissi, P. Perdikaris, G. E. Karniadakis, J. Comput. Phys. 378 (2019) 686.
"""

from __future__ import annotations

import math

from pdesolve.condition import InitialValue
from pdesolve.fields import cos
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.allen_cahn import AllenCahn
from pdesolve.problem import Evaluation, Problem


def problem(*, diffusivity: float = 1e-4, reaction: float = 5.0) -> Problem:
    """The problem for a diffusivity D and a reaction rate k: walls are sqrt(8 D / k) wide."""
    time = Axis("t", 0.0, 1.0)
    return Problem(
        name="allen_cahn",
        equation=AllenCahn(),
        domain=Interval("x", -1.0, 1.0, periodic=True),
        time=time,
        conditions=(InitialValue("u", lambda p, x: x["x"] ** 2 * cos(math.pi * x["x"])),),
        values={"diffusivity": diffusivity, "reaction": reaction},
        evaluation=Evaluation.uniform(512, time, 200),
        description=__doc__ or "",
        source="Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378 (2019) 686",
    )
