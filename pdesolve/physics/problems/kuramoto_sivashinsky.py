"""A sine wave on the way to cells: the regular Kuramoto-Sivashinsky problem of JAX-PI.

    u_t = -a u u_x - b u_xx - c u_xxxx     on -1 <= x < 1 periodic, 0 < t <= 1, a = 5, b = 0.5, c = 0.005
    u(0, x) = -sin(pi x)

Judged at the places of the file `ks.mat`: 251 times, and 511 points, since the last of the 512 in the file repeats the
first one period on.
S. Wang, S. Sankaran, H. Wang, P. Perdikaris, 2023, arXiv 2308.08468.
"""

from __future__ import annotations

import math

from pdesolve.condition import InitialValue
from pdesolve.fields import sin
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from pdesolve.problem import Evaluation, Problem


def problem(*, advection: float = 5.0, antidiffusion: float = 0.5, hyperdiffusion: float = 0.005) -> Problem:
    """The problem for coefficients a, b and c: waves longer than 2 pi sqrt(c / b) grow."""
    time = Axis("t", 0.0, 1.0)
    return Problem(
        name="kuramoto_sivashinsky",
        equation=KuramotoSivashinsky(),
        domain=Interval("x", -1.0, 1.0, periodic=True),
        time=time,
        conditions=(InitialValue("u", lambda p, x: -sin(math.pi * x["x"])),),
        values={"advection": advection, "antidiffusion": antidiffusion, "hyperdiffusion": hyperdiffusion},
        evaluation=Evaluation.uniform(511, time, 250),
        description=__doc__ or "",
        source="Wang, Sankaran, Wang, Perdikaris, 2023, arXiv 2308.08468",
    )
