"""A long sine wave that steepens and decays on a ring: the Burgers problem of deep hidden physics models.

    u_t = -u u_x + nu u_xx                 on -8 <= x < 8 periodic, 0 < t <= 10, nu = 0.1
    u(0, x) = -sin(pi x / 8)

The wave falls towards x = 0 and is steepest there near t = 3; viscosity keeps it smooth. Judged on the 256 points and
201 times of the file `burgers_sine.mat`. M. Raissi, J. Mach. Learn. Res. 19 (2018) 1, arXiv 1801.06637.
"""

from __future__ import annotations

import math

from pdesolve.condition import InitialValue
from pdesolve.fields import sin
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.problem import Evaluation, Problem


def problem(*, viscosity: float = 0.1) -> Problem:
    """The problem for a viscosity nu >= 0.005 or so: the shock is about 3 nu wide."""
    time = Axis("t", 0.0, 10.0)
    return Problem(
        name="burgers_sine",
        equation=Burgers(),
        domain=Interval("x", -8.0, 8.0, periodic=True),
        time=time,
        conditions=(InitialValue("u", lambda p, x: -sin(math.pi / 8 * x["x"])),),
        values={"viscosity": viscosity},
        evaluation=Evaluation.uniform(256, time, 200),
        description=__doc__ or "",
        source="Raissi, J. Mach. Learn. Res. 19 (2018) 1, arXiv 1801.06637",
    )
