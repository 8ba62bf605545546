"""A sine wave that decays between cold walls: the heat problem of the natural-gradient papers.

    u_t = D u_xx                           on 0 < x < 1, 0 < t <= 1, D = 1/4
    u(0, x) = sin(pi x),  u(t, 0) = u(t, 1) = 0
    exact: u = exp(-pi^2 D t) sin(pi x)

J. Mueller, M. Zeinhofer, ICML 2023, arXiv 2302.13163.
"""

from __future__ import annotations

import math

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.fields import exp, sin
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.heat import Heat
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, diffusivity: float = 0.25) -> Problem:
    """The problem for a diffusivity D: the wave falls to exp(-pi^2 D) of its height."""
    time = Axis("t", 0.0, 1.0)
    return Problem(
        name="heat_1d",
        equation=Heat(),
        domain=Interval("x", 0.0, 1.0),
        time=time,
        conditions=(
            InitialValue("u", lambda p, x: sin(math.pi * x["x"])),
            Dirichlet("u", "all", 0.0),
        ),
        values={"diffusivity": diffusivity},
        exact=Exact(
            lambda p, x: {"u": exp(-(math.pi**2) * p["diffusivity"] * x["t"]) * sin(math.pi * x["x"])},
            source="separation of variables",
        ),
        evaluation=Evaluation.uniform(101, time, 100),
        sister="heat_1d_sister",
        description=__doc__ or "",
        source="Mueller, Zeinhofer, ICML 2023, arXiv 2302.13163",
    )
