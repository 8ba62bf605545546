"""Seepage through two kinds of rock: the Darcy flow of the FNO paper, one draw of it.

    -div (a grad u) = f                    on 0 < x, y < 1,  u = 0 on the boundary,  f = 1
    a = 12 where m >= 0, 3 elsewhere
    m(x, y) = sum over i, j of xi_ij s_i s_j cos(i pi x) cos(j pi y) / (pi^2 (i^2 + j^2) + 9),  0 <= i, j < 32

m is a draw from N(0, (-lap + 9)^-2) with zero slopes at the walls, cut off after 32 cosines each way and, as by the
paper's generator, without its mean: xi_00 = 0. s_0 = 1, s_i = sqrt(2). xi are `normal_numbers(seed)` of
pdesolve.random_fields, row by row, so that m is the same function on every grid. The paper's data are 1 200 draws on
421 by 421 points; PDEBench has a in {1, 0.1} (from other fields) and f from 0.01 to 100.
The slope of u jumps where a does: a residual that differentiates a misses that. Judged on 129 by 129 points.
Z. Li et al., ICLR 2021, arXiv 2010.08895.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pdesolve.condition import Dirichlet
from pdesolve.fields import step
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.darcy import Darcy
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import CosineSeries, normal_numbers


def problem(*, seed: int = 0, high: float = 12.0, low: float = 3.0, source: float = 1.0) -> Problem:
    """The problem for the seed of the draw, the two values of a and the source f."""
    domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    i = math.pi * np.arange(32)
    xi = normal_numbers(seed, i.size**2).reshape(i.size, i.size)
    xi[0, 0] = 0.0
    m = CosineSeries(domain.axes, xi / (i[:, None] ** 2 + i**2 + 9.0))

    def permeability(p: Any, x: Any) -> Any:
        return low + (high - low) * step(m(p, x))

    return Problem(
        name="darcy_2d",
        equation=Darcy(),
        domain=domain,
        conditions=(Dirichlet("u", "all", 0.0),),
        values={"permeability": permeability, "source": source},
        evaluation=Evaluation(129),
        description=__doc__ or "",
        source="Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart, Anandkumar, ICLR 2021, arXiv 2010.08895",
    )
