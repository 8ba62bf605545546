"""A heap in a cube of any dimension: poisson_nd with a Gaussian.

    -lap u = (2 d - 4 r^2) u               on 0 < x1, ..., xd < 1, Dirichlet values of the exact solution
    exact: u = exp(-r^2),  r^2 = sum over i of (x_i - 0.3)^2

The sister of poisson_nd, whose solution is a sum of cosines. Judged as that.
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

from pdesolve.condition import Dirichlet
from pdesolve.errors import InputError
from pdesolve.fields import exp
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, dimension: int = 5) -> Problem:
    """The problem for a dimension d from 1 to 100.

    Raises:
        InputError: another dimension.
    """
    if not 1 <= dimension <= 100:
        raise InputError(
            f"poisson_nd_sister takes a dimension from 1 to 100, got {dimension}: bytes grow as its square"
        )
    axes = tuple(Axis(f"x{i + 1}", 0.0, 1.0) for i in range(dimension))

    def square(x: Any) -> Any:
        return reduce(operator.add, [(x[axis.name] - 0.3) ** 2 for axis in axes])

    def heap(p: Any, x: Any) -> Any:
        return exp(-1.0 * square(x))

    return Problem(
        name="poisson_nd_sister",
        equation=Poisson(),
        domain=Box(*axes),
        conditions=(Dirichlet("u", "all", heap),),
        values={"source": lambda p, x: (2.0 * dimension - 4.0 * square(x)) * heap(p, x)},
        exact=Exact(lambda p, x: {"u": heap(p, x)}, source="made for the equation"),
        evaluation=Evaluation(max(3, min(1001, round(20000 ** (1 / dimension))))),
        description=__doc__ or "",
        source="made as a sister of poisson_nd",
    )
