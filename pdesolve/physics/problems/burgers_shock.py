"""A sine wave that steepens into a standing shock: the Burgers problem of the PINN paper.

    u_t = -u u_x + nu u_xx                 on -1 < x < 1, 0 < t <= 1, nu = 0.01/pi
    u(0, x) = -sin(pi x),  u(t, -1) = u(t, 1) = 0

The shock at x = 0 is some 0.01 wide and steepest near t = 0.51 (u_x about -152). Judged on the 256 points and the
100 times 0, 0.01, ..., 0.99 of the file `burgers_shock.mat`, and at t = 1.
M. Raissi, P. Perdikaris, G. E. Karniadakis, J. Comput. Phys. 378 (2019) 686; exact by Cole-Hopf (C. Basdevant et al.,
Comput. Fluids 14 (1986) 23).
"""

from __future__ import annotations

import math

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.fields import sin
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.problem import Evaluation, Problem


def problem(*, viscosity: float = 0.01 / math.pi) -> Problem:
    """The problem for a viscosity nu >= 0.001 or so: the shock is about 3 nu wide."""
    time = Axis("t", 0.0, 1.0)
    return Problem(
        name="burgers_shock",
        equation=Burgers(),
        domain=Interval("x", -1.0, 1.0),
        time=time,
        conditions=(
            InitialValue("u", lambda p, x: -sin(math.pi * x["x"])),
            Dirichlet("u", "all", 0.0),
        ),
        values={"viscosity": viscosity},
        evaluation=Evaluation.uniform(256, time, 100),
        conserved=("momentum",),  # u is odd in x: what flows out on one side flows in on the other
        description=__doc__ or "",
        source="Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378 (2019) 686",
    )
