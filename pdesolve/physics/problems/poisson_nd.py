"""A sum of cosines in a cube of any dimension: the Poisson problem of the natural-gradient papers.

    -lap u = pi^2 (cos pi x1 + ... + cos pi xd)      on 0 < x1, ..., xd < 1, Dirichlet values of the exact solution
    exact: u = cos pi x1 + ... + cos pi xd

Five dimensions are the papers'. Judged on a grid of as many points along each axis as make about 20,000 in all, and
beyond ten dimensions at 10,000 scattered points.
F. Dangel, J. Mueller, M. Zeinhofer, NeurIPS 2024, arXiv 2405.15603.
"""

from __future__ import annotations

import math
import operator
from functools import reduce
from typing import Any

from pdesolve.condition import Dirichlet
from pdesolve.errors import InputError
from pdesolve.fields import cos
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, dimension: int = 5) -> Problem:
    """The problem for a dimension from 1 to 100.

    Raises:
        InputError: another dimension.
    """
    if not 1 <= dimension <= 100:
        raise InputError(f"poisson_nd takes a dimension from 1 to 100, got {dimension}: bytes grow as its square")
    axes = tuple(Axis(f"x{i + 1}", 0.0, 1.0) for i in range(dimension))

    def waves(p: Any, x: Any) -> Any:
        return reduce(operator.add, [cos(math.pi * x[axis.name]) for axis in axes])

    return Problem(
        name="poisson_nd",
        equation=Poisson(),
        domain=Box(*axes),
        conditions=(Dirichlet("u", "all", waves),),
        values={"source": lambda p, x: math.pi**2 * waves(p, x)},
        exact=Exact(lambda p, x: {"u": waves(p, x)}, source="eigenfunctions"),
        evaluation=Evaluation(max(3, min(1001, round(20000 ** (1 / dimension))))),
        sister="poisson_nd_sister",
        description=__doc__ or "",
        source="Dangel, Mueller, Zeinhofer, NeurIPS 2024, arXiv 2405.15603",
    )
