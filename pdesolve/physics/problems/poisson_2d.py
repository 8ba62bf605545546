"""A membrane under a sine load on the unit square: the Poisson problem of the natural-gradient papers.

    -(u_xx + u_yy) = 2 pi^2 sin(pi x) sin(pi y)      on 0 < x, y < 1,  u = 0 on the boundary
    exact: u = sin(pi x) sin(pi y)

The solution is an eigenfunction of the Laplacian. J. Mueller, M. Zeinhofer, ICML 2023, arXiv 2302.13163.
"""

from __future__ import annotations

import math

from pdesolve.condition import Dirichlet
from pdesolve.fields import sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.problem import Evaluation, Exact, Problem


def problem() -> Problem:
    """The problem; it has no settings."""
    return Problem(
        name="poisson_2d",
        equation=Poisson(),
        domain=Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
        conditions=(Dirichlet("u", "all", 0.0),),
        values={"source": lambda p, x: 2 * math.pi**2 * sin(math.pi * x["x"]) * sin(math.pi * x["y"])},
        exact=Exact(lambda p, x: {"u": sin(math.pi * x["x"]) * sin(math.pi * x["y"])}, source="eigenfunction"),
        evaluation=Evaluation(101),
        sister="poisson_2d_sister",
        description=__doc__ or "",
        source="Mueller, Zeinhofer, ICML 2023, arXiv 2302.13163",
    )
